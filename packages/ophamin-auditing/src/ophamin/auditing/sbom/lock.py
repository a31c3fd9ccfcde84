"""The packages of a ``uv.lock``, with the hashes of their archives.

The lock holds every platform's packages and archives; the bill has those one environment can get. What only an extra
of the project brings is ``optional``, what only a development group brings is ``excluded``, as CycloneDX calls it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import tomllib
from packaging.utils import canonicalize_name

from ophamin.auditing.sbom.environment import purl, unique
from ophamin.auditing.sbom.parts import ROOT, Archive, Hash, Inventory, Part, hash_of, public_url
from ophamin.auditing.sbom.platform import Platform
from ophamin.auditing.target import text
from ophamin.proof.errors import UsageError

__all__ = ["FORMAT", "packages_of", "read_lock"]

JSON = Any
FORMAT = 1
"""Version of uv's lock format that is read; its revisions add fields only."""
LOCAL = ("editable", "virtual", "directory")
SCOPES = ("required", "optional", "excluded")
# In a lock with conflicting extras, markers on artificial extras say which side a package belongs to.
_CONFLICT = re.compile(r"extra [!=]= '(?:extra|group|project)-\d+-[^']*'")


@dataclass
class _Entry:
    """One ``[[package]]``."""

    table: Mapping[str, JSON]
    part: Part
    edges: list[tuple[str, Mapping[str, JSON], str]] = field(default_factory=list)
    """What brings the edge (``""``, ``extra:NAME`` or ``group:NAME``), the dependency, its reference."""


def packages_of(data: bytes, file: str) -> list[Mapping[str, JSON]]:
    """The ``[[package]]`` tables of a lock.

    Args:
        data: The file.
        file: Its name, for messages.

    Raises:
        UsageError: It is no lock, or one of an unknown format.
    """
    try:
        lock = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file} is no uv.lock ({text(str(error))[:100]}); make it again with 'uv lock'") from error
    if lock.get("version") != FORMAT:
        said = text(str(lock.get("version", "no version")))[:40]
        raise UsageError(f"{file} has lock format {said}, which is not known; make it with a uv that writes {FORMAT}")
    tables = lock.get("package", [])
    if not isinstance(tables, list):
        raise UsageError(f"{file}: its 'package' is no list of tables; make it again with 'uv lock'")
    for table in tables:
        if not isinstance(table, dict) or not isinstance(table.get("name"), str):
            raise UsageError(f"{file} has a package without a name; make it again with 'uv lock'")
        if not isinstance(table.get("source"), dict):
            raise UsageError(f"{file}: {text(table['name'])} has no source; make it again with 'uv lock'")
    return tables


def read_lock(data: bytes, file: str, platform: Platform) -> Inventory:
    """Every package of a lock that an environment like ``platform`` gets.

    Args:
        data: The file.
        file: Its name, for messages.
        platform: What markers are evaluated for.

    Raises:
        UsageError: It is damaged or of an unknown format.
    """
    tables = packages_of(data, file)
    inventory = Inventory("uv.lock", [], properties=platform.describe())
    taken: set[str] = set()
    try:
        entries = [_Entry(table, _part(table, taken, platform)) for table in tables]
        _connect(entries, inventory.warnings)
        reached, edges = _walk(entries, platform)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UsageError(f"{file} is damaged ({text(repr(error))[:120]}); make it again with 'uv lock'") from error
    by_ref = {entry.part.ref: entry for entry in entries}
    for ref, scope in reached.items():
        part = by_ref[ref].part
        part.scope = scope
        part.requires = {r for r in edges[ref] if r != ref}
    tree = next((e.part for e in entries if _is_tree(e.table)), None)
    inventory.roots = {e.part.ref for e in entries if e.table["source"].keys() & set(LOCAL) and e.part is not tree}
    inventory.roots &= reached.keys()
    if tree is not None:
        inventory.roots |= tree.requires
    inventory.parts = [by_ref[ref].part for ref in reached if by_ref[ref].part is not tree]
    for part in inventory.parts:
        # A member may need the tree's own package back; the tree is the bill's subject, not a part of it.
        part.requires = {ROOT if tree is not None and r == tree.ref else r for r in part.requires}
        if part.unhashed and part.unhashed != "editable":
            inventory.warnings.append(f"{part.name} {part.version} has no archive hash: {part.unhashed}")
    inventory.roots.discard(tree.ref if tree else "")
    if left := len(entries) - len(reached):
        inventory.properties["ophamin:lock:other-platforms"] = str(left)
    return inventory


def _is_tree(table: Mapping[str, JSON]) -> bool:
    return any(table["source"].get(kind) == "." for kind in LOCAL)


def _part(table: Mapping[str, JSON], taken: set[str], platform: Platform) -> Part:
    name, version = text(table["name"]), text(table.get("version", ""))
    part = Part(name, version, "")
    source: Mapping[str, JSON] = table["source"]
    part.archives = tuple(_archives(table, platform))
    if git := source.get("git"):
        url, _, commit = str(git).partition("#")
        part.qualifiers["vcs_url"] = f"git+{public_url(text(url)).partition('?')[0]}@{text(commit)}"
    elif direct := source.get("url"):
        part.qualifiers["download_url"] = public_url(text(direct))
    part.ref = unique(purl(name, version, part.qualifiers), taken)
    if not part.hashes:
        local = any(kind in source for kind in LOCAL)
        part.unhashed = "editable" if local else "a git checkout" if "git" in source else "the lock has none"
    return part


def _archives(table: Mapping[str, JSON], platform: Platform) -> Iterator[Archive]:
    """The source archive and the wheels this environment could be given; all, when it could be given none."""
    wheels = table.get("wheels", [])
    fitting = [w for w in wheels if platform.accepts(_file_name(w))]
    sdist = [table["sdist"]] if "sdist" in table else []
    for one in (*sdist, *(fitting if fitting or sdist else wheels)):
        digest = _hash(one.get("hash", ""))
        if digest:
            yield Archive(public_url(text(one.get("url", ""))), (digest,))


def _file_name(wheel: Mapping[str, JSON]) -> str:
    address = wheel.get("filename") or wheel.get("url") or wheel.get("path") or ""
    return unquote(str(address).partition("#")[0].rpartition("/")[2])


def _hash(stated: str) -> Hash | None:
    algorithm, _, digits = stated.partition(":")
    return hash_of(algorithm, digits)


def _connect(entries: list[_Entry], warnings: list[str]) -> None:
    """Find the package each dependency means."""
    by_name: dict[str, list[_Entry]] = {}
    for entry in entries:
        by_name.setdefault(canonicalize_name(entry.table["name"]), []).append(entry)
    for entry in entries:
        for origin, needed in _dependencies(entry.table):
            candidates = by_name.get(canonicalize_name(needed["name"]), [])
            meant = [c for c in candidates if _means(needed, c.table)]
            if not meant:
                warnings.append(f"{entry.part.name} needs {text(needed['name'])}, which the lock does not hold")
            entry.edges += [(origin, needed, one.part.ref) for one in meant]


def _dependencies(table: Mapping[str, JSON]) -> Iterable[tuple[str, Mapping[str, JSON]]]:
    for needed in table.get("dependencies", []):
        yield "", needed
    for extra, many in table.get("optional-dependencies", {}).items():
        for needed in many:
            yield f"extra:{canonicalize_name(extra)}", needed
    for group, many in table.get("dev-dependencies", {}).items():
        for needed in many:
            yield f"group:{group}", needed


def _means(needed: Mapping[str, JSON], table: Mapping[str, JSON]) -> bool:
    return all(key not in needed or needed[key] == table.get(key) for key in ("version", "source"))


def _walk(entries: list[_Entry], platform: Platform) -> tuple[dict[str, str], dict[str, set[str]]]:
    """Which packages are reached, by what at best, and along which edges."""
    by_ref = {entry.part.ref: entry for entry in entries}
    members = [e for e in entries if e.table["source"].keys() & set(LOCAL)]
    if not members:
        asked_for = {ref for e in entries for _, _, ref in e.edges}
        members = [e for e in entries if e.part.ref not in asked_for] or entries
    starts: dict[str, list[tuple[str, str]]] = {scope: [] for scope in SCOPES}
    for member in members:
        starts["required"].append((member.part.ref, ""))
        for origin, _, _ in member.edges:
            if origin:
                scope = "optional" if origin.startswith("extra:") else "excluded"
                starts[scope].append((member.part.ref, origin))
    reached: dict[str, str] = {}
    edges: dict[str, set[str]] = {ref: set() for ref in by_ref}
    done: set[tuple[str, str]] = set()
    for scope in SCOPES:
        waiting = list(reversed(starts[scope]))
        while waiting:
            ref, asked = key = waiting.pop()
            if key in done:
                continue
            done.add(key)
            reached.setdefault(ref, scope)
            for origin, needed, other in by_ref[ref].edges:
                if origin != asked or not platform.holds(_without_conflicts(needed.get("marker", ""))):
                    continue
                edges[ref].add(other)
                waiting.append((other, ""))
                waiting += [(other, f"extra:{canonicalize_name(extra)}") for extra in needed.get("extra", [])]
    return reached, edges


def _without_conflicts(marker: str) -> str:
    """A marker in which every side of a conflict counts: the bill is of all of them."""
    return _CONFLICT.sub("python_version >= '3'", marker) if "extra" in marker else marker
