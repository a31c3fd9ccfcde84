"""``wiring.toml``: what the owner of a tree says of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import tomllib

from ophamin.proof.errors import UsageError
from ophamin.seeing._params import nearest
from ophamin.seeing._signed import text

__all__ = ["Pattern", "Stratum", "WiringConfig", "load_config"]

ARCHIVED = ("**/archive/**", "**/archived/**", "**/_archive/**", "**/_archived/**", "**/attic/**")
TESTS = ("**/tests/**", "**/test/**", "**/tests.py", "**/test_*.py", "**/*_test.py", "**/conftest.py")
_KEYS = ("archived", "candidates", "entry", "exclude", "roots", "strata", "tests")
_STRATUM_KEYS = ("description", "expected", "match")


@dataclass(frozen=True)
class Pattern:
    """A glob over paths relative to the tree, or a dotted module name with ``*``.

    ``**/`` stands for any folders, ``*`` for anything but ``/``; a pattern without ``/`` that is no file name is a
    module: ``pkg.plugins`` means it and everything below it, ``pkg.plugins.*`` only what is below.

    Example:
        >>> Pattern("**/legacy/**").fits("src/pkg/legacy/old.py", "pkg.legacy.old")
        True
        >>> Pattern("pkg.plugins").fits("pkg/plugins/one.py", "pkg.plugins.one")
        True
    """

    glob: str

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        if not self.is_path:
            return re.compile(re.escape(self.glob).replace(r"\*", r"\w+") + r"(?:\.[\w.]+)?\Z")
        out = ""
        rest = self.glob.removeprefix("./")
        while rest:
            if rest.startswith("**/"):
                out, rest = out + r"(?:.*/)?", rest[3:]
            elif rest.startswith("**"):
                out, rest = out + r".*", rest[2:]
            elif rest[0] == "*":
                out, rest = out + r"[^/]*", rest[1:]
            elif rest[0] == "?":
                out, rest = out + r"[^/]", rest[1:]
            else:
                out, rest = out + re.escape(rest[0]), rest[1:]
        return re.compile(out + r"\Z", re.DOTALL)

    @property
    def is_path(self) -> bool:
        """Whether it is a glob over paths."""
        return "/" in self.glob or self.glob.endswith(".py") or self.glob == "**"

    def fits(self, path: str, module: str) -> bool:
        """Whether a module is meant."""
        return self._expression.match(path if self.is_path else module) is not None


def _patterns(globs: Sequence[str]) -> tuple[Pattern, ...]:
    return tuple(Pattern(glob) for glob in globs)


@dataclass(frozen=True)
class Stratum:
    """A part of the tree that is counted by itself.

    Args:
        name: Its name.
        match: Which modules belong to it.
        expected: How many modules are wired in it at least; ``None``: nothing is expected.
        description: For readers.
    """

    name: str
    match: tuple[Pattern, ...]
    expected: int | None = None
    description: str = ""


@dataclass(frozen=True)
class WiringConfig:
    """Everything that can be declared; the default is what is usual.

    Args:
        archived: Kept, and not meant to be used.
        candidates: Meant to be wired, and perhaps not yet imported.
        entry: Used from outside: public modules, plug-ins, what a server loads by name.
        exclude: Not looked at.
        roots: Folders whose contents are importable by their path; none: found from the tree.
        tests: Tests.
        strata: Parts, in order; the first that fits counts. None: one part a top-level package.
    """

    archived: tuple[Pattern, ...] = field(default_factory=lambda: _patterns(ARCHIVED))
    candidates: tuple[Pattern, ...] = ()
    entry: tuple[Pattern, ...] = ()
    exclude: tuple[Pattern, ...] = ()
    roots: tuple[str, ...] = ()
    tests: tuple[Pattern, ...] = field(default_factory=lambda: _patterns(TESTS))
    strata: tuple[Stratum, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, as they stand in the record."""
        lists = {
            name: [p.glob for p in getattr(self, name)]
            for name in ("archived", "candidates", "entry", "exclude", "tests")
        }
        strata = [
            {
                "name": s.name,
                "match": [p.glob for p in s.match],
                "expected": s.expected,
                "description": s.description,
            }
            for s in self.strata
        ]
        return {**lists, "roots": list(self.roots), "strata": strata}


def load_config(path: Path) -> WiringConfig:
    """Read ``wiring.toml``.

    Raises:
        UsageError: It cannot be read, is no TOML, or holds what it must not.
    """
    try:
        data = tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise UsageError(f"{text(path)} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise UsageError(f"{text(path)} is not TOML: {error}") from error
    _only(data, _KEYS, text(path))
    found: dict[str, Any] = {}
    for name in ("archived", "candidates", "entry", "exclude", "tests"):
        if name in data:
            found[name] = _patterns(_texts(data[name], name, path))
    if "roots" in data:
        found["roots"] = tuple(_texts(data["roots"], "roots", path))
    strata = data.get("strata", {})
    if not isinstance(strata, dict):
        raise UsageError(f'{text(path)}: strata are tables, such as [strata.core] with match = ["src/pkg/core/**"]')
    found["strata"] = tuple(_stratum(name, table, path) for name, table in strata.items())
    return WiringConfig(**found)


def _stratum(name: str, table: Any, path: Path) -> Stratum:
    where = f"{text(path)}: [strata.{text(name)}]"
    if not isinstance(table, dict):
        raise UsageError(f"{where} is a table with match, expected and description")
    _only(table, _STRATUM_KEYS, where)
    expected, description = table.get("expected"), table.get("description", "")
    if expected is not None and (type(expected) is not int or expected < 0):
        raise UsageError(f"{where}: expected is a whole number of modules, not {expected!r}")
    if not isinstance(description, str):
        raise UsageError(f"{where}: description is text")
    if "match" not in table:
        raise UsageError(f'{where} has no match; give globs, such as match = ["src/pkg/core/**"]')
    return Stratum(name, _patterns(_texts(table["match"], "match", path)), expected, description)


def _texts(value: Any, name: str, path: Path) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise UsageError(f'{text(path)}: {name} is a list of globs or modules, such as {name} = ["src/pkg/old/**"]')
    return value


def _only(table: dict[str, Any], known: Sequence[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise UsageError(f"{where} has no key {key!r}; it takes {', '.join(known)}{nearest(key, known)}")
