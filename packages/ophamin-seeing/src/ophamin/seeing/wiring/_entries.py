"""Modules that are used from outside the tree: entry points, ``__main__``, scripts, and packages' own faces."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tomllib

from ophamin.seeing._signed import text
from ophamin.seeing.wiring._tree import Tree

__all__ = ["RUN_BY_NAME", "declared_entries"]

RUN_BY_NAME = frozenset({"setup.py", "noxfile.py", "manage.py", "wsgi.py", "asgi.py", "tasks.py", "fabfile.py"})
"""Files of these names are run by a tool; so is ``conf.py`` in a folder of documentation."""
_TARGET = re.compile(r"\s*([A-Za-z_][\w.]*)\s*(?::|\[|$)")


def declared_entries(tree: Tree) -> tuple[dict[str, str], set[str], list[tuple[str, str]]]:
    """What project files and installed metadata declare.

    Returns:
        Module → the file that declares it; names of single-module projects; files that could not be read, with why.
    """
    found: dict[str, str] = {}
    singles: set[str] = set()
    problems: list[tuple[str, str]] = []
    files = [folder / name for folder in tree.projects for name in ("pyproject.toml", "setup.cfg")]
    for root in tree.roots:
        for kind in ("dist-info", "egg-info"):
            files += sorted(root.glob(f"*.{kind}/entry_points.txt"))
    for file in files:
        if not file.is_file():
            continue
        label = _label(file, tree)
        try:
            content = file.read_bytes().decode("utf-8")
            targets = list(_read(file, content, singles))
        except OSError as error:
            problems.append((label, f"cannot be read: {error.strerror or error}"))
        except (ValueError, configparser.Error) as error:
            problems.append((label, text(f"cannot be parsed: {error}").splitlines()[0]))
        else:
            for target in targets:
                if match := _TARGET.match(target):
                    found.setdefault(match[1], label)
    return found, singles, problems


def _label(file: Path, tree: Tree) -> str:
    inside = file.is_relative_to(tree.base)
    return text((file.relative_to(tree.base) if inside else Path(file.parent.name, file.name)).as_posix())


def _read(file: Path, content: str, singles: set[str]) -> Iterator[str]:
    if file.suffix == ".toml":
        yield from _pyproject(tomllib.loads(content), singles)
        return
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    parser.read_string(content)
    if file.name == "entry_points.txt":
        for section in parser.sections():
            yield from parser[section].values()
        return
    if parser.has_section("options.entry_points"):
        for group in parser["options.entry_points"].values():
            yield from (line.partition("=")[2] for line in group.splitlines() if "=" in line)
    singles.update(parser.get("options", "py_modules", fallback="").replace(",", " ").split())


def _pyproject(data: dict[str, Any], singles: set[str]) -> Iterator[str]:
    project, tool = _table(data, "project"), _table(data, "tool")
    for table in (project, _table(tool, "poetry"), _table(tool, "flit")):
        for name in ("scripts", "gui-scripts"):
            yield from (v for v in _table(table, name).values() if isinstance(v, str))
    groups = [*_table(project, "entry-points").values(), *_table(_table(tool, "poetry"), "plugins").values()]
    for group in groups:
        if isinstance(group, dict):
            yield from (v for v in group.values() if isinstance(v, str))
    modules = _table(tool, "setuptools").get("py-modules", [])
    singles.update(m for m in modules if isinstance(m, str)) if isinstance(modules, list) else None
    if isinstance(own := project.get("name"), str):
        singles.add(re.sub(r"[-.]+", "_", own))


def _table(value: Any, key: str) -> dict[str, Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}
