"""Reads the project's settings into the dataclass that wheels see."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ophamin.proof.errors import UsageError
from ophamin.proof.project import Project
from ophamin.protocols import Settings

__all__ = ["load_settings"]

KNOWN = {"store": str, "data_root": str, "fields": dict, "alpha": float}


def _table(root: Path) -> tuple[str, Mapping[str, Any]]:
    """The settings table of a project and the file it came from; empty when there is none."""
    for name, keys in (("ophamin.toml", ()), ("pyproject.toml", ("tool", "ophamin"))):
        path = root / name
        if not path.is_file():
            continue
        import tomllib

        try:
            found: Any = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{path} is not valid TOML: {error}") from error
        for key in keys:
            found = found.get(key, {})
        if found:
            return str(path), found
    return "", {}


def load_settings(cwd: Path | None = None) -> Settings:
    """Find the project and read its settings.

    Args:
        cwd: Where to start looking; the working folder when ``None``.

    Returns:
        Settings with absolute paths; relative ones in the file are relative to the project.

    Raises:
        UsageError: Invalid TOML, an unknown setting (the nearest name is given) or a wrong type.

    Example:
        >>> load_settings().alpha
        0.05
    """
    root = Project.find(cwd).root
    path, table = _table(root)
    for key, value in table.items():
        if key not in KNOWN:
            from difflib import get_close_matches

            near = get_close_matches(key, KNOWN, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(KNOWN)}"
            raise UsageError(f"{path}: unknown setting {key!r}; {hint}")
        expected = KNOWN[key]
        if isinstance(value, bool) or not isinstance(value, (int, float) if expected is float else expected):
            raise UsageError(f"{path}: {key} must be a {expected.__name__}, not {value!r}")
    for role, where in table.get("fields", {}).items():
        if not isinstance(where, str):
            raise UsageError(f'{path}: fields.{role} must be text, such as "timing.ms:number:ms", not {where!r}')
    alpha = float(table.get("alpha", 0.05))
    if not 0 < alpha < 0.5:
        raise UsageError(f"{path}: alpha must lie between 0 and 0.5, not {alpha}")
    # A path in the environment is relative to where one stands, one in the file to the project.
    here = os.environ.get("OPHAMIN_DATA_ROOT", "")
    data_root = str(Path(here).absolute()) if here else table.get("data_root", "")
    return Settings(
        project=str(root),
        store=str(root / table.get("store", "proofs")),
        data_root=str(root / data_root) if data_root else "",
        fields=dict(table.get("fields", {})),
        alpha=alpha,
    )
