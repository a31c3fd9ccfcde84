"""Settings: ``ophamin.toml`` or ``[tool.ophamin]``, read once per command."""

from ophamin.config._settings import load_settings

__all__ = ["load_settings"]
