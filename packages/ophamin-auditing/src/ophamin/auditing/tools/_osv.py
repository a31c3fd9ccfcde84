"""Advisories in OSV form: a folder of them, and which of them a version of a package is affected by.

Open Source Vulnerability format, https://ossf.github.io/osv-schema/; matching as in its section *Evaluation*, versions
are compared as PEP 440 says.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from ophamin.auditing.target import text

__all__ = ["ECOSYSTEM", "Advisories", "affects"]

JSON = Any
ECOSYSTEM = "PyPI"
MOST_BYTES = 16 << 20
_EVENTS = ("introduced", "fixed", "last_affected", "limit")
_FIRST = Version("0.dev0")


@dataclass(frozen=True)
class Advisories:
    """The advisories of a folder that concern packages of PyPI.

    Args:
        by_id: Identifier → advisory, withdrawn ones too.
        by_package: Normalised name of a package → the advisories that name it.
        damaged: File → why it could not be read; nothing is known of what those would say.
        others: How many are of other ecosystems.

    Example:
        >>> rows = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.1"}]}]
        >>> affected = [{"package": {"ecosystem": "PyPI", "name": "Left_Pad"}, "ranges": rows}]
        >>> found = Advisories.of({"a.json": {"id": "OPH-1", "affected": affected}})
        >>> [a["id"] for a in found.query("left.pad", "2.0")], found.query("left-pad", "2.1")
        (['OPH-1'], [])
    """

    by_id: Mapping[str, Mapping[str, JSON]]
    by_package: Mapping[str, list[Mapping[str, JSON]]]
    damaged: Mapping[str, str] = field(default_factory=dict)
    others: int = 0

    @classmethod
    def read(cls, folder: Path) -> Advisories:
        """Read all ``*.json`` of a folder and the folders below it."""
        read: dict[str, JSON] = {}
        damaged: dict[str, str] = {}
        for file in sorted(folder.rglob("*.json")):
            name = text(file.relative_to(folder).as_posix())
            try:
                if not file.is_file():
                    raise ValueError("no regular file")
                if file.stat().st_size > MOST_BYTES:
                    raise ValueError(f"more than {MOST_BYTES >> 20} MiB")
                read[name] = json.loads(file.read_bytes().decode("utf-8"))
            except (OSError, ValueError, RecursionError) as error:
                damaged[name] = text(str(error))[:200]
        return cls.of(read, damaged)

    @classmethod
    def of(cls, read: Mapping[str, JSON], damaged: Mapping[str, str] | None = None) -> Advisories:
        """Sort parsed advisories, by the name of the file each came from."""
        by_id: dict[str, Mapping[str, JSON]] = {}
        by_package: dict[str, list[Mapping[str, JSON]]] = {}
        wrong = dict(damaged or {})
        others = 0
        for name, advisory in read.items():
            try:
                packages = _packages(advisory)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                wrong[name] = f"no OSV advisory: {text(str(error))[:200]}"
                continue
            if not packages:
                others += 1
                continue
            if advisory["id"] in by_id:
                wrong[name] = f"a second advisory called {text(advisory['id'])}"
                continue
            by_id[advisory["id"]] = advisory
            for package in packages:
                by_package.setdefault(package, []).append(advisory)
        return cls(by_id, by_package, wrong, others)

    def query(self, name: str, version: str = "") -> list[Mapping[str, JSON]]:
        """The advisories that hold for a package, but those that were withdrawn.

        Args:
            name: Of the package, in any spelling.
            version: "" for all versions.

        Returns:
            With the package's name normalised, since some who ask compare it letter by letter.
        """
        package = canonicalize_name(name)
        found = [a for a in self.by_package.get(package, ()) if not a.get("withdrawn")]
        return [_normalised(a) for a in found if not version or affects(a, package, version)]

    def find(self, names: Iterable[str]) -> Mapping[str, JSON] | None:
        """The first advisory that has one of these identifiers."""
        return next((self.by_id[name] for name in names if name in self.by_id), None)


def _packages(advisory: Mapping[str, JSON]) -> set[str]:
    """The packages of PyPI an advisory names; raises when its form would make matching it a guess."""
    if not isinstance(advisory["id"], str) or not advisory["id"]:
        raise ValueError("its id is no text")
    if str(advisory.get("schema_version", "1")).partition(".")[0] != "1":
        raise ValueError(f"schema version {advisory['schema_version']} is not known")
    names = set()
    for affected in advisory.get("affected", []):
        package = affected.get("package")
        if not package or package["ecosystem"].partition(":")[0] != ECOSYSTEM:
            continue
        names.add(str(canonicalize_name(package["name"])))
        if not all(isinstance(version, str) for version in affected.get("versions", [])):
            raise ValueError("a version is no text")
        for ranged in affected.get("ranges", []):
            if ranged["type"] == "ECOSYSTEM":
                for event in ranged["events"]:
                    _event(event)
    return names


def _event(event: Mapping[str, str]) -> tuple[Version, int, str]:
    ((kind, value),) = event.items()
    try:
        version = _FIRST if kind == "introduced" and value == "0" else Version(value)
    except InvalidVersion:
        if kind == "limit" and value == "*":
            return Version("9999!0"), len(_EVENTS), kind
        raise
    return version, _EVENTS.index(kind), kind


def _normalised(advisory: Mapping[str, JSON]) -> dict[str, JSON]:
    def one(affected: Mapping[str, JSON]) -> Mapping[str, JSON]:
        package = affected.get("package") or {}
        if package.get("ecosystem") != ECOSYSTEM:
            return affected
        return {**affected, "package": {**package, "name": canonicalize_name(package["name"])}}

    return {**advisory, "affected": [one(affected) for affected in advisory["affected"]]}


def affects(advisory: Mapping[str, JSON], package: str, version: str) -> bool:
    """Whether a version is affected: it is listed, or lies in a range.

    Args:
        advisory: A well-formed one.
        package: Normalised name.
        version: As published; a local part (``+cpu``) is a build of the same version.
    """
    try:
        asked: Version | None = Version(Version(version).public)
    except InvalidVersion:
        asked = None
    for affected in advisory["affected"]:
        named = affected.get("package") or {}
        if named.get("ecosystem", "").partition(":")[0] != ECOSYSTEM or canonicalize_name(named["name"]) != package:
            continue
        if any(_same(listed, version, asked) for listed in affected.get("versions", [])):
            return True
        if asked is not None and any(
            _inside(ranged["events"], asked) for ranged in affected.get("ranges", []) if ranged["type"] == "ECOSYSTEM"
        ):
            return True
    return False


def _same(listed: str, version: str, asked: Version | None) -> bool:
    if listed == version:
        return True
    try:
        return asked is not None and Version(listed) == asked
    except InvalidVersion:
        return False


def _inside(events: Iterable[Mapping[str, str]], asked: Version) -> bool:
    """The events in the order of their versions: the last one that applies decides."""
    inside, limits = False, []
    for version, _, kind in sorted(_event(event) for event in events):
        if kind == "introduced" and asked >= version:
            inside = True
        elif (kind == "fixed" and asked >= version) or (kind == "last_affected" and asked > version):
            inside = False
        elif kind == "limit":
            limits.append(version)
    return inside and (not limits or any(asked < limit for limit in limits))
