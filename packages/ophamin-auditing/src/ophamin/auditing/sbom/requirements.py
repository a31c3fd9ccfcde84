"""The packages of hashed requirements files, as pip, pip-compile and ``uv export`` write them.

pip, *Requirements File Format*, https://pip.pypa.io/en/stable/reference/requirements-file-format/.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from ophamin.auditing.sbom.environment import purl, unique
from ophamin.auditing.sbom.parts import Archive, Hash, Inventory, Part, hash_of, public_url
from ophamin.auditing.sbom.platform import Platform
from ophamin.auditing.target import text
from ophamin.proof.errors import UsageError

__all__ = ["Line", "lines_of", "read_requirements"]

DEEPEST = 20
_HASH = re.compile(r"--hash[= ]\s*(\S+)")
_OPTION = re.compile(r"\s--[a-z]")
_COMMENT = re.compile(r"(^|\s+)#.*$")
_INCLUDE = re.compile(r"(?:-r\s*|--requirement[= ]\s*)(.+)")
_EDITABLE = re.compile(r"(?:-e\s*|--editable[= ]\s*)(.+)")


@dataclass(frozen=True)
class Line:
    """One requirement.

    Args:
        file: The file it stands in.
        number: Of its first line, from 1.
        words: The requirement without its options.
        hashes: As written, ``algorithm:digits``.
        via: Who needs it, from the comment that follows.
        editable: Whether it is ``-e``.
    """

    file: Path
    number: int
    words: str
    hashes: tuple[str, ...]
    via: tuple[str, ...] = ()
    editable: bool = False

    @property
    def place(self) -> str:
        """Where it stands, for messages."""
        return f"{text(self.file.name)}:{self.number}"


def lines_of(file: Path, _above: tuple[Path, ...] = ()) -> Iterator[Line]:
    """The requirements of a file and of those it includes; constraints and index options are not requirements.

    Args:
        file: A requirements file.

    Raises:
        UsageError: It cannot be read, or includes itself.
    """
    real = file.resolve()
    if real in _above or len(_above) > DEEPEST:
        raise UsageError(f"{text(file)} includes itself; take out the circle of -r lines")
    try:
        content = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{text(file)}: {error.strerror or error}; give a requirements file") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{text(file)} is not UTF-8; save it as such") from error
    for number, whole, comments in _joined(content.splitlines()):
        words = _COMMENT.sub("", whole).strip()
        if include := _INCLUDE.fullmatch(words):
            yield from lines_of(file.parent / include[1].strip().strip("\"'"), (*_above, real))
            continue
        editable = _EDITABLE.fullmatch(words)
        if not words or (words.startswith("-") and not editable):
            continue
        requirement = editable[1] if editable else words
        option = _OPTION.search(requirement)
        bare = requirement[: option.start()] if option else requirement
        hashes = tuple(_HASH.findall(requirement))
        yield Line(file, number, bare.strip(), hashes, _via(comments), editable is not None)


def _joined(lines: Sequence[str]) -> Iterator[tuple[int, str, list[str]]]:
    """Logical lines: their number, their text, and the whole-line comments below them."""
    number = 0
    while number < len(lines):
        first, whole = number, lines[number]
        while whole.rstrip().endswith("\\") and not whole.lstrip().startswith("#") and number + 1 < len(lines):
            number += 1
            whole = f"{whole.rstrip()[:-1]} {lines[number]}"
        number += 1
        comments = [whole.partition(" #")[2]] if " #" in whole else []
        while number < len(lines) and lines[number].startswith((" ", "\t")) and lines[number].lstrip().startswith("#"):
            comments.append(lines[number].strip().lstrip("#"))
            number += 1
        yield first + 1, whole, comments


def _via(comments: Sequence[str]) -> tuple[str, ...]:
    names: list[str] = []
    open_list = False
    for comment in comments:
        words = comment.strip()
        if words.startswith("via"):
            open_list, words = True, words[3:].strip()
        if open_list:
            names += [w.strip() for w in words.split(",") if w.strip()]
    return tuple(names)


def read_requirements(files: Sequence[Path], platform: Platform, *, allow_unhashed: bool = False) -> Inventory:
    """Every package of requirements files that an environment like ``platform`` gets.

    Args:
        files: Requirements files.
        platform: What markers are evaluated for.
        allow_unhashed: List requirements without a hash as unhashed, instead of refusing.

    Returns:
        Edges come from the ``# via`` comments; without any, the graph is stated as not known.

    Raises:
        UsageError: A line is no requirement, is not pinned, or has no hash, or one that is none.
    """
    inventory = Inventory("requirements", [], graph_known=False, properties=platform.describe())
    parts: dict[tuple[str, str], Part] = {}
    via: list[tuple[Part, tuple[str, ...]]] = []
    taken: set[str] = set()
    bare: list[str] = []
    left = 0
    for line in (line for file in files for line in lines_of(file)):
        requirement = _requirement(line)
        if requirement.marker and not platform.holds(str(requirement.marker)):
            left += 1
            continue
        part = _part(line, requirement)
        if part.unhashed:
            bare.append(line.place)
        known = parts.get((canonicalize_name(part.name), part.version))
        if known is None:
            part.ref = unique(purl(part.name, part.version, part.qualifiers), taken)
            known = parts[canonicalize_name(part.name), part.version] = part
        elif known.archives != part.archives:
            raise UsageError(f"{line.place} states other hashes for {part.name} than an earlier line; keep one")
        via.append((known, line.via))
    if bare and not allow_unhashed:
        many = f" and {len(bare) - 1} more" if len(bare) > 1 else ""
        raise UsageError(f"{bare[0]}{many} has no --hash; make the file with hashes, or pass --allow-unhashed")
    inventory.parts = list(parts.values())
    inventory.warnings += [f"{p.name} {p.version} has no hash: {p.unhashed}" for p in inventory.parts if p.unhashed]
    if left:
        inventory.properties["ophamin:requirements:other-platforms"] = str(left)
    _graph(inventory, via)
    return inventory


def _requirement(line: Line) -> Requirement:
    words = line.words
    if "://" in words or words.startswith((".", "/")):
        # -e ./here, ./a.whl, https://…/a.whl#egg=name: what it is called stands in its address at best
        head, at, url = words.partition(" @ ")
        name = head if at else _name_in(words)
        words = f"{name or 'unnamed'} @ {url.strip() if at else 'file:///' + words}"
    try:
        return Requirement(words)
    except (InvalidRequirement, RecursionError) as error:
        raise UsageError(f"{line.place} is no requirement: {text(line.words)[:80]!r}; correct it") from error


def _name_in(address: str) -> str:
    if egg := re.search(r"[#&]egg=([A-Za-z0-9._-]+)", address):
        return egg[1]
    stem = Path(address.partition("#")[0]).name.partition("-")[0]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")


def _part(line: Line, requirement: Requirement) -> Part:
    version = ""
    part = Part(requirement.name, version, "")
    if requirement.url:
        url = public_url(text(requirement.url))
        if not url.startswith("file:"):
            part.qualifiers["download_url"] = url
        archive = Archive("" if url.startswith("file:") else url, _hashes(line))
        part.archives = (archive,) if archive.hashes else ()
    else:
        pins = [s.version for s in requirement.specifier if s.operator in ("==", "===") and not s.version.endswith("*")]
        if len(pins) != 1 or line.editable:
            raise UsageError(f"{line.place} does not pin {text(line.words)[:80]!r} to one version; write NAME==VERSION")
        part.version = pins[0]
        part.archives = tuple(Archive("", (h,)) for h in _hashes(line))
    part.unhashed = "" if part.archives else "editable" if line.editable else "the requirement states none"
    return part


def _hashes(line: Line) -> tuple[Hash, ...]:
    found = []
    for stated in line.hashes:
        algorithm, _, digits = stated.partition(":")
        known = hash_of(algorithm, digits)
        if known is None:
            raise UsageError(f"{line.place} has a hash that is none: {text(stated)[:80]!r}; make the file again")
        found.append(known)
    return tuple(sorted(set(found)))


def _graph(inventory: Inventory, via: Sequence[tuple[Part, tuple[str, ...]]]) -> None:
    by_name: dict[str, list[Part]] = {}
    for part in inventory.parts:
        by_name.setdefault(canonicalize_name(part.name), []).append(part)
    inventory.graph_known = bool(via) and all(names for _, names in via)
    for part, names in via:
        # "-r requirements.in", or a project's own name, is no package of the file: the tree needs it.
        parents = [p for name in names for p in by_name.get(canonicalize_name(name.partition("[")[0]), [])]
        if len(parents) < len(names) or not names:
            inventory.roots.add(part.ref)
        for parent in parents:
            if parent is not part:
                parent.requires.add(part.ref)
