"""The packages of an environment, read from their metadata folders."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from packageurl import PackageURL
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from ophamin.auditing.sbom import licences, record
from ophamin.auditing.sbom.licences import Licence
from ophamin.auditing.sbom.parts import Archive, Inventory, Part, hash_of, public_url, reach
from ophamin.auditing.sbom.platform import Platform
from ophamin.auditing.target import text

__all__ = ["Installed", "installed", "purl", "read_environment", "unique"]

JSON = Any
MOST_METADATA = 16 << 20
MOST_RECORD = 256 << 20
LICENCE_FILES = ("LICEN", "COPYING", "UNLICEN")
MOST_LICENCE = 200_000


@dataclass(frozen=True)
class Installed:
    """One metadata folder.

    Args:
        folder: ``*.dist-info`` or ``*.egg-info``.
        place: The site-packages it lies in.
        name: As published; guessed from the folder's name when the metadata does not say.
        version: As published.
        headers: Of its metadata.
        warnings: What is wrong with it.
    """

    folder: Path
    place: Path
    name: str
    version: str
    headers: Message
    warnings: tuple[str, ...] = ()

    def field(self, name: str) -> str:
        """One header, "" when absent."""
        return text(str(self.headers.get(name) or ""))

    def fields(self, name: str) -> list[str]:
        """All headers of a name."""
        return [text(str(value)) for value in self.headers.get_all(name) or ()]

    def licences(self) -> tuple[Licence, ...]:
        """What its metadata says, and where that names no licence, what the text it ships is."""
        stated = self.field("License-Expression"), self.field("License"), self.fields("Classifier")
        found = licences.from_metadata(*stated)
        if not found or any(one.form == "name" for one in found):
            found = licences.from_metadata(*stated, self._texts())
        return found

    def _texts(self) -> list[str]:
        folders = (self.folder, self.folder / "licenses")
        files = [f for folder in folders if folder.is_dir() for f in sorted(folder.iterdir())]
        chosen = [f for f in files if f.name.upper().startswith(LICENCE_FILES) and f.is_file()]
        return [_read(f, MOST_LICENCE).decode("utf-8", "replace") for f in chosen]


def purl(name: str, version: str, qualifiers: Mapping[str, str] | None = None) -> str:
    """The package URL of a Python package.

    Example:
        >>> purl("Foo.Bar", "1.0+cpu")
        'pkg:pypi/foo-bar@1.0%2Bcpu'
    """
    return PackageURL("pypi", None, canonicalize_name(name), version or None, dict(qualifiers or {})).to_string()


def unique(ref: str, taken: set[str]) -> str:
    """A reference nobody else has."""
    number, own = 2, ref
    while own in taken:
        own, number = f"{ref}#{number}", number + 1
    taken.add(own)
    return own


def installed(platform: Platform, warnings: list[str]) -> Iterator[Installed]:
    """The metadata folders of an environment; what an earlier folder has shadows later ones.

    Args:
        platform: Where to look.
        warnings: What is wrong is appended here.
    """
    shadowed: set[str] = set()
    for place in platform.folders:
        seen: set[str] = set()
        with os.scandir(place) as entries:
            names = sorted(e.name for e in entries if e.name.endswith((".dist-info", ".egg-info")))
        for name in names:
            if name.startswith("~"):
                warnings.append(f"{text(name)} is what an interrupted pip left over; it is not counted")
                continue
            found = _open(place, name)
            warnings += found.warnings
            key = canonicalize_name(found.name)
            if key not in shadowed:
                seen.add(key)
                yield found
        shadowed |= seen


def _open(place: Path, name: str) -> Installed:
    folder = place / name
    if folder.is_file():  # an old egg-info is one file
        data: bytes | None = _read(folder, MOST_METADATA)
    else:
        files = (folder / "METADATA", folder / "PKG-INFO")
        data = next((_read(f, MOST_METADATA) for f in files if f.is_file()), None)
    content = (data or b"").decode("utf-8", "backslashreplace").replace("\r\n", "\n").lstrip("\n\ufeff")
    headers = HeaderParser().parsestr(content.partition("\n\n")[0])
    stem = text(name.rpartition(".")[0])
    guessed, _, version = stem.partition("-")
    own, stated = (text(str(headers.get(n) or "")).strip() for n in ("Name", "Version"))
    warnings = []
    if data is None:
        warnings.append(f"{text(name)} has no METADATA; its name and version are those of the folder")
    elif not own or not stated:
        warnings.append(f"the METADATA of {text(name)} is damaged; what it lacks is taken from the folder's name")
    fallback = guessed or stem or text(name)
    return Installed(folder, place, own or fallback, stated or version.partition("-py")[0], headers, tuple(warnings))


def _read(file: Path, most: int) -> bytes:
    try:
        if not file.is_file():  # a pipe of that name would be waited for
            return b""
        with file.open("rb") as stream:
            return stream.read(most)
    except OSError:
        return b""


def read_environment(platform: Platform, tree: Path) -> Inventory:
    """Every package of an environment.

    Args:
        platform: The environment.
        tree: What is audited; its own editable packages are named relative to it.

    Returns:
        Archive hashes where ``direct_url.json`` has them, else RECORD's file hashes.
    """
    inventory = Inventory("environment", [], properties=platform.describe())
    found = list(installed(platform, inventory.warnings))
    taken: set[str] = set()
    by_name: dict[str, list[Part]] = {}
    sources: dict[str, Installed] = {}
    for one in found:
        part = _part(one, platform, tree, taken, inventory.warnings)
        inventory.parts.append(part)
        by_name.setdefault(canonicalize_name(one.name), []).append(part)
        sources[part.ref] = one
    for name, parts in by_name.items():
        if len(parts) > 1:
            inventory.warnings.append(f"{name} is installed {len(parts)} times; which one is imported is not known")
            for part in parts:
                part.properties["ophamin:duplicate"] = "true"
    _graph(by_name, sources, platform, inventory.warnings)
    inventory.roots = _roots(inventory.parts)
    return inventory


def _part(one: Installed, platform: Platform, tree: Path, taken: set[str], warnings: list[str]) -> Part:
    part = Part(one.name, one.version, unique(purl(one.name, one.version), taken))
    part.licences = one.licences()
    part.description = one.field("Summary").strip().partition("\n")[0]
    label = f"{part.name} {part.version}".strip()
    editable = _origin(one, part, tree, label, warnings)
    if editable:
        # Its RECORD lists a pointer to the sources, not the sources: a hash of that would say nothing.
        part.unhashed = "editable"
        return part
    data = _read(one.folder / "RECORD", MOST_RECORD + 1)
    if not data or len(data) > MOST_RECORD:
        reason = "its RECORD is too large" if data else "it has no RECORD"
        part.unhashed = "" if part.hashes else reason
        if part.unhashed:
            warnings.append(f"{label}: {reason}, so nothing states its files' hashes")
        return part
    recorded = record.parse(data, _depth(platform.prefix, one.place))
    part.files = recorded.files
    part.properties["ophamin:record:sha256"] = recorded.digest
    if recorded.without:
        part.properties["ophamin:record:without-hash"] = str(recorded.without)
    if recorded.outside:
        part.properties["ophamin:record:outside"] = str(len(recorded.outside))
        warnings.append(f"the RECORD of {label} names {len(recorded.outside)} files outside the environment")
    if recorded.damaged:
        part.properties["ophamin:record:damaged"] = str(recorded.damaged)
        warnings.append(f"the RECORD of {label} has {recorded.damaged} damaged rows")
    if not part.files and not part.hashes:
        part.unhashed = "its RECORD states no hash"
    return part


def _depth(prefix: Path, place: Path) -> int:
    try:
        return len(place.relative_to(prefix).parts)
    except ValueError:
        return 0


def _origin(one: Installed, part: Part, tree: Path, label: str, warnings: list[str]) -> bool:
    """Note what ``direct_url.json`` (PEP 610) says; whether the package is an editable one."""
    data = _read(one.folder / "direct_url.json", MOST_METADATA)
    if not data:
        return False
    try:
        said = json.loads(data.decode("utf-8"))
        url = public_url(text(said["url"]))
        archive, vcs, folder = (said.get(k) or {} for k in ("archive_info", "vcs_info", "dir_info"))
        stated = dict(archive.get("hashes") or {})
        if not stated and archive.get("hash"):
            stated = dict([archive["hash"].split("=", 1)])
        hashes = tuple(h for a, d in sorted(stated.items()) if (h := hash_of(a, d)))
        editable = folder.get("editable") is True
        commit = text(vcs.get("commit_id") or "")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        warnings.append(f"the direct_url.json of {label} is damaged; it is ignored")
        return False
    if len(hashes) < len(stated):
        warnings.append(f"the direct_url.json of {label} states a hash that is none")
    if hashes:
        part.archives = (Archive("" if url.startswith("file:") else url, hashes),)
    if commit:
        part.qualifiers["vcs_url"] = f"{text(vcs.get('vcs') or 'git')}+{url}@{commit}"
    if url.startswith("file:"):
        # Where it lies on this machine is nobody's business, unless it is the tree itself.
        try:
            place = Path(os.path.realpath(url2pathname(urlsplit(url).path))).relative_to(tree)
            part.properties["ophamin:source"] = text(place.as_posix())
        except ValueError:
            part.properties["ophamin:source"] = "a local path outside the tree"
    return editable


def _graph(
    by_name: Mapping[str, list[Part]], sources: Mapping[str, Installed], platform: Platform, warnings: list[str]
) -> None:
    """Draw who needs whom: markers hold for this environment, extras are those that another package asks for."""
    requirements: dict[str, list[tuple[Requirement, str]]] = {}
    for ref, one in sources.items():
        parsed = []
        for line in one.fields("Requires-Dist"):
            try:
                requirement = Requirement(line)
            except (InvalidRequirement, RecursionError):
                warnings.append(f"{one.name} {one.version} has a damaged requirement: {line[:80]}")
                continue
            if canonicalize_name(requirement.name) in by_name:
                parsed.append((requirement, str(requirement.marker or "")))
        requirements[ref] = parsed
    waiting = [(ref, "") for ref in requirements]
    done = set(waiting)
    parts = {part.ref: part for many in by_name.values() for part in many}
    while waiting:
        ref, extra = waiting.pop()
        for requirement, marker in requirements[ref]:
            if not platform.holds(marker, extra):
                continue
            for needed in by_name[canonicalize_name(requirement.name)]:
                if needed.ref != ref:
                    parts[ref].requires.add(needed.ref)
                for wanted in requirement.extras:
                    if (key := (needed.ref, canonicalize_name(wanted))) not in done:
                        done.add(key)
                        waiting.append(key)


def _roots(parts: list[Part]) -> set[str]:
    """Packages nobody needs, and one of every ring that nobody outside it needs."""
    requires = {part.ref: part.requires for part in parts}
    needed = {ref for refs in requires.values() for ref in refs}
    roots = requires.keys() - needed
    found = reach(roots, requires)
    for ref in sorted(requires):
        if ref not in found:
            roots.add(ref)
            found |= reach([ref], requires)
    return set(roots)
