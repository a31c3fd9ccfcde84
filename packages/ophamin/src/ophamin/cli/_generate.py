"""Writes ``_table.py`` from the installed wheels of the family."""

from __future__ import annotations

import json
from importlib.metadata import entry_points
from pathlib import Path

__all__ = ["table", "write"]

_WIDTH = 120


def table() -> dict[str, tuple[str, str]]:
    """Command → (distribution, one-line help), of the installed family, sorted by command."""
    found: dict[str, tuple[str, str]] = {}
    for entry in entry_points(group="ophamin.commands"):
        distribution = entry.dist.metadata["Name"] if entry.dist else ""
        if distribution == "ophamin" or distribution.startswith("ophamin-"):
            found[entry.name] = (distribution, entry.load().get_short_help_str(limit=100))
    return dict(sorted(found.items()))


def write(path: Path) -> None:
    """Rewrite the dictionary in ``path``, keeping its docstring."""
    head = path.read_text(encoding="utf-8").split("COMMANDS")[0]
    rows = "".join(_row(json.dumps(name), json.dumps(dist), _quoted(text)) for name, (dist, text) in table().items())
    path.write_text(f"{head}COMMANDS: dict[str, tuple[str, str]] = {{\n{rows}}}\n", encoding="utf-8")


def _quoted(text: str) -> str:
    plain = '"' in text and "'" not in text and "\\" not in text
    return f"'{text}'" if plain else json.dumps(text, ensure_ascii=False)


def _row(name: str, distribution: str, text: str) -> str:
    """One entry, laid out as the formatter would."""
    line = f"    {name}: ({distribution}, {text}),\n"
    if len(line) <= _WIDTH + 1:
        return line
    return f"    {name}: (\n        {distribution},\n        {text},\n    ),\n"


if __name__ == "__main__":
    write(Path(__file__).with_name("_table.py"))
