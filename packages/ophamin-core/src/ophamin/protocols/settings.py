"""The settings of a project, as wheels see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """What ``ophamin.toml`` or ``[tool.ophamin]`` may set; wheels see only this.

    Args:
        project: Project root: where ``.ophamin/`` lies.
        store: Folder of the proofs.
        data_root: Folder of the corpora, "" when unset.
        fields: Field catalog role → path.
        alpha: Default α.
    """

    project: str
    store: str
    data_root: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    alpha: float = 0.05
