"""Make a bill of materials of a tree: choose the source, bind the tree, count what is known."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import tomllib
from cyclonedx.model.component import Component
from packaging.utils import canonicalize_name

from ophamin.auditing.sbom.bom import document, subject
from ophamin.auditing.sbom.environment import installed, read_environment
from ophamin.auditing.sbom.lock import read_lock
from ophamin.auditing.sbom.parts import Inventory
from ophamin.auditing.sbom.platform import Platform
from ophamin.auditing.sbom.requirements import read_requirements
from ophamin.auditing.target import Target, text
from ophamin.proof.errors import UsageError

__all__ = ["Bill", "make_sbom"]

JSON = Any


@dataclass(frozen=True)
class Bill:
    """A bill of materials.

    Args:
        content: CycloneDX 1.6 JSON.
        serial_number: Derived from the rest of the content.
        inventory: What it was written from.
    """

    content: bytes
    serial_number: str
    inventory: Inventory

    def summary(self) -> dict[str, JSON]:
        """What it holds, in numbers; what has no hash or no licence is named."""
        parts = self.inventory.parts
        return {
            "source": self.inventory.source,
            "serial_number": self.serial_number,
            "sha256": hashlib.sha256(self.content).hexdigest(),
            "components": len(parts),
            "hashed": sum(1 for p in parts if not p.unhashed),
            "files": sum(len(p.files) for p in parts),
            "unhashed": [{"name": p.name, "version": p.version, "reason": p.unhashed} for p in parts if p.unhashed],
            "licence_unknown": [f"{p.name} {p.version}".strip() for p in parts if not p.licences],
            "graph_known": self.inventory.graph_known,
            "warnings": self.inventory.warnings,
        }


def make_sbom(
    tree: Path | str,
    *,
    environment: Path | None = None,
    lock: Path | None = None,
    requirements: Sequence[Path] = (),
    allow_unhashed: bool = False,
) -> Bill:
    """Make the bill of materials of a tree.

    Args:
        tree: What is audited; bound into the bill by the hash of its content and its git revision.
        environment: A virtual environment; default: the one this interpreter runs in. Its packages are the bill,
            unless a lock or requirements are given: then it says for which platform markers are evaluated, and what
            licence a package of the same version has.
        lock: A ``uv.lock``.
        requirements: Hashed requirements files.
        allow_unhashed: List requirements without a hash as unhashed, instead of refusing.

    Raises:
        UsageError: A source cannot be read, or two are given.

    Example:
        >>> bill = make_sbom(Path(__file__).parent)
        >>> bill.summary()["source"], b'"specVersion":"1.6"' in bill.content
        ('environment', True)
    """
    if lock is not None and requirements:
        raise UsageError("a bill has one source; give --lock or --requirements")
    target = Target.at(tree)
    platform = Platform.at(environment) if environment is not None else Platform.running()
    digests: dict[str, str] = {}
    if lock is not None:
        data = _read(lock)
        digests[f"ophamin:source:{text(lock.name)}:sha256"] = hashlib.sha256(data).hexdigest()
        inventory = read_lock(data, text(lock), platform)
    elif requirements:
        inventory = read_requirements(requirements, platform, allow_unhashed=allow_unhashed)
        for file in requirements:
            digests[f"ophamin:source:{text(file.name)}:sha256"] = hashlib.sha256(_read(file)).hexdigest()
    else:
        inventory = read_environment(platform, target.path if target.is_folder else target.path.parent)
    if inventory.source != "environment":
        _add_licences(inventory, platform)
    inventory.properties |= digests
    inventory.parts.sort(key=lambda p: p.ref)
    content, serial = document(inventory, _subject(target), created=_created())
    return Bill(content, serial, inventory)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"{text(file)}: {error.strerror or error}; give a file that can be read") from error


def _add_licences(inventory: Inventory, platform: Platform) -> None:
    """A lock states no licence: take that of the installed package where it is the same version."""
    ignored: list[str] = []  # what is wrong with the environment is not wrong with the lock
    known = {(canonicalize_name(one.name), one.version): one for one in installed(platform, ignored)}
    for part in inventory.parts:
        one = known.get((canonicalize_name(part.name), part.version))
        if one is not None:
            part.licences = one.licences()


def _subject(target: Target) -> Component:
    name, release = _project(target)
    revision, dirty = target.revision()
    digest = target.content_hash()
    more = {
        "ophamin:tree:path": target.name,
        "ophamin:tree:content-hash": digest,
        "ophamin:tree:inputs-hash": target.inputs_hash(),
    }
    if revision:
        more |= {"ophamin:git:revision": revision, "ophamin:git:dirty": str(bool(dirty)).lower()}
    return subject(name, release, digest, more)


def _project(target: Target) -> tuple[str, str]:
    """Name and version the tree gives itself, else the name of its folder."""
    folder = target.path if target.is_folder else target.path.parent
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
        return text(str(project["name"])), text(str(project.get("version", "")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return text(target.path.name) or "/", ""


def _created() -> datetime | None:
    stated = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not stated:
        return None
    try:
        return datetime.fromtimestamp(int(stated), timezone.utc)
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(f"SOURCE_DATE_EPOCH is seconds since 1970, not {text(stated)[:40]!r}") from error
