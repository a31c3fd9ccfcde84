"""Settings (``ophamin.toml`` or ``[tool.ophamin]``) and sweep files, as the dataclasses that wheels see."""

from ophamin.config._settings import load_settings
from ophamin.config._sweep import load_sweep

__all__ = ["load_settings", "load_sweep"]
