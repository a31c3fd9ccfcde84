"""The versions a project pins, each with the file and the line that does: locks, requirements, ``pyproject.toml``.

Only what is written there counts; no environment is looked at, and nothing is resolved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomllib
from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from ophamin.auditing.sbom.lock import LOCAL, packages_of
from ophamin.auditing.sbom.requirements import lines_of
from ophamin.auditing.target import Target, text
from ophamin.proof.errors import UsageError

__all__ = ["Pin", "Pinned", "pins"]

JSON = Any
SHOWN = 5


@dataclass(frozen=True)
class Pin:
    """One version that one line asks for."""

    name: str
    version: str
    file: Path
    line: int


@dataclass
class Pinned:
    """What a project's files pin.

    Args:
        files: That were read.
        pins: Every pinned package of them.
        unread: ``{path, reason}`` of what is asked for, but of no known version.
    """

    files: list[Path] = field(default_factory=list)
    pins: list[Pin] = field(default_factory=list)
    unread: list[dict[str, str]] = field(default_factory=list)


def pins(target: Target) -> Pinned:
    """Read a project's locks and requirements; where it has neither, its ``pyproject.toml``.

    Args:
        target: A folder, a file of it, or such a file itself. The files nearest to it, up to the root of its
            repository, are the project's.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "requirements.txt").write_text("left-pad==1.0\\nright-pad>=2\\n")
        >>> found = pins(Target.at(folder))
        >>> [(p.name, p.version, p.line) for p in found.pins], found.unread[0]["reason"]
        ([('left-pad', '1.0', 1)], 'not pinned to one version, so nothing is known of it: right-pad')
    """
    found = Pinned(_files(target))
    for file in found.files:
        loose: list[str] = []
        try:
            for pin, said in _read(file):
                if pin is None or not _known(pin.version):
                    loose.append(said)
                else:
                    found.pins.append(pin)
        except (UsageError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            found.unread.append({"path": target.relative(file), "reason": text(str(error))})
        if loose:
            names = ", ".join(loose[:SHOWN]) + (f" and {len(loose) - SHOWN} more" if len(loose) > SHOWN else "")
            reason = f"not pinned to one version, so nothing is known of it: {names}"
            found.unread.append({"path": target.relative(file), "reason": reason})
    if not found.files:
        reason = "no uv.lock, pylock.toml, requirements or pyproject.toml with dependencies: no package was looked at"
        found.unread.append({"path": target.name, "reason": reason})
    return found


def _known(version: str) -> bool:
    try:
        Version(version)
    except InvalidVersion:
        return False
    return True


def _files(target: Target) -> list[Path]:
    if not target.is_folder and _reader(target.path) is not None:
        return [target.path]
    folder = target.path if target.is_folder else target.path.parent
    for place in (folder, *folder.parents):
        names = ("uv.lock", "pylock.toml", "pylock.*.toml", "*requirements*.txt", "requirements/*.txt")
        found = sorted({f for name in names for f in place.glob(name) if f.is_file()})
        if not found and _declares(place / "pyproject.toml"):
            found = [place / "pyproject.toml"]
        if found or place == target.root:
            return found
    return []


def _declares(file: Path) -> bool:
    """Whether a ``pyproject.toml`` says what it needs, be it nothing."""
    try:
        project = tomllib.loads(file.read_text("utf-8"))["project"]
        return "dependencies" in project and "dependencies" not in project.get("dynamic", [])
    except (KeyError, TypeError, AttributeError, OSError):
        return False
    except (ValueError, RecursionError):
        return True  # damaged: that is for the reader to say


def _reader(file: Path) -> Any:
    if file.name == "uv.lock":
        return _of_uv_lock
    if file.name.startswith("pylock.") and file.suffix == ".toml":
        return _of_pylock
    if file.name == "pyproject.toml":
        return _of_pyproject
    if file.suffix == ".txt" and ("requirements" in file.name or file.parent.name == "requirements"):
        return _of_requirements
    return None


def _read(file: Path) -> Iterator[tuple[Pin | None, str]]:
    """Each requirement as a pin, or as ``None`` with its words."""
    read: Iterator[tuple[Pin | None, str]] = _reader(file)(file)
    return read


def _of_uv_lock(file: Path) -> Iterator[tuple[Pin | None, str]]:
    data = file.read_bytes()
    tables = packages_of(data, file.name)
    for table, line in zip(tables, _headers(data, b"[[package]]", len(tables)), strict=True):
        if not any(kind in table["source"] for kind in LOCAL):  # the project's own
            yield _pin(table, file, line)


def _of_pylock(file: Path) -> Iterator[tuple[Pin | None, str]]:
    data = file.read_bytes()
    tables = tomllib.loads(data.decode("utf-8"))["packages"]
    for table, line in zip(tables, _headers(data, b"[[packages]]", len(tables)), strict=True):
        if "directory" not in table:
            yield _pin(table, file, line)


def _pin(table: Mapping[str, JSON], file: Path, line: int) -> tuple[Pin | None, str]:
    name, version = text(table["name"]), table.get("version")
    return (Pin(name, text(version), file, line) if isinstance(version, str) else None), name


def _headers(data: bytes, header: bytes, count: int) -> list[int]:
    """The line of each table's name; the first of the file when they cannot be told apart."""
    found = [n + 1 for n, line in enumerate(data.splitlines(), 1) if line.strip() == header]
    return found if len(found) == count else [1] * count


def _of_requirements(file: Path) -> Iterator[tuple[Pin | None, str]]:
    for line in lines_of(file):
        if line.editable or line.words.startswith((".", "/")):
            continue  # the project's own sources
        yield _of_words(line.words, line.file, line.number)


def _of_pyproject(file: Path) -> Iterator[tuple[Pin | None, str]]:
    content = file.read_text("utf-8")
    project = tomllib.loads(content)["project"]
    lines = content.splitlines()
    for words in (*project["dependencies"], *(w for e in project.get("optional-dependencies", {}).values() for w in e)):
        number = next((n for n, line in enumerate(lines, 1) if words in line), 1)
        yield _of_words(words, file, number)


def _of_words(words: str, file: Path, line: int) -> tuple[Pin | None, str]:
    try:
        requirement = Requirement(words)
    except (InvalidRequirement, RecursionError):
        return None, text(words)[:80]
    exact = [s.version for s in requirement.specifier if s.operator in ("==", "===") and not s.version.endswith("*")]
    pin = Pin(requirement.name, exact[0], file, line) if len(exact) == 1 and not requirement.url else None
    return pin, requirement.name
