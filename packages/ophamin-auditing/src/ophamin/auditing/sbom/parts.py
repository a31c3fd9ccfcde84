"""What every source of a bill of materials is read into."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from ophamin.auditing.sbom.licences import Licence

__all__ = ["ALGORITHMS", "ROOT", "Archive", "FileHash", "Hash", "Inventory", "Part", "hash_of", "public_url", "reach"]

ALGORITHMS = {
    "md5": ("MD5", 32), "sha1": ("SHA-1", 40),
    "sha256": ("SHA-256", 64), "sha384": ("SHA-384", 96), "sha512": ("SHA-512", 128),
}  # fmt: skip
"""Name in Python → name in CycloneDX and hex digits."""
ROOT = "tree"
"""Reference of the tree under audit; no purl looks like it."""

Hash = tuple[str, str]
"""CycloneDX algorithm, lower-case hex digits."""
FileHash = tuple[str, str, str]
"""Path as RECORD has it, CycloneDX algorithm, hex digits."""


def hash_of(algorithm: str, digits: str) -> Hash | None:
    """A hash as CycloneDX writes it; ``None`` when it cannot be one.

    Example:
        >>> hash_of("sha256", "AB" * 32) == ("SHA-256", "ab" * 32)
        True
        >>> hash_of("sha256", "abc") is None
        True
    """
    name, length = ALGORITHMS.get(algorithm, ("", 0))
    digits = digits.lower()
    if not name or len(digits) != length or not set(digits) <= set("0123456789abcdef"):
        return None
    return name, digits


def public_url(url: str) -> str:
    """A URL without user name and password; "" when it is none.

    Example:
        >>> public_url("https://me:secret@example.org/a.whl#sha256=00")
        'https://example.org/a.whl'
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))


@dataclass(frozen=True)
class Archive:
    """One published file of a package.

    Args:
        url: Where it was taken from; "" when unknown.
        hashes: Of the whole file.
    """

    url: str
    hashes: tuple[Hash, ...]


@dataclass
class Part:
    """One package.

    Args:
        name: As published.
        version: As published; "" when unknown.
        ref: Its name within the bill, unique.
        licences: What is known about its licence; empty: unknown.
        archives: Archives it may have come from, with their hashes.
        files: Of RECORD, sorted by path.
        unhashed: Why there is no hash at all; "" when there is one.
        properties: More, by name.
        scope: ``required``, ``optional`` (by an extra only) or ``excluded`` (development only).
        requires: References of what it needs.
        description: One line.
        qualifiers: Of its purl.
    """

    name: str
    version: str
    ref: str
    licences: tuple[Licence, ...] = ()
    archives: tuple[Archive, ...] = ()
    files: tuple[FileHash, ...] = ()
    unhashed: str = ""
    properties: dict[str, str] = field(default_factory=dict)
    scope: str = "required"
    requires: set[str] = field(default_factory=set)
    description: str = ""
    qualifiers: dict[str, str] = field(default_factory=dict)

    @property
    def hashes(self) -> list[Hash]:
        """Hashes of all archives, sorted, each once."""
        return sorted({h for archive in self.archives for h in archive.hashes})


@dataclass
class Inventory:
    """All packages of one source.

    Args:
        source: ``environment``, ``uv.lock`` or ``requirements``.
        parts: The packages.
        roots: References of what the tree itself needs.
        graph_known: Whether the source says who needs whom.
        properties: More about the source, by name.
        warnings: What was wrong with it, one sentence each.
    """

    source: str
    parts: list[Part]
    roots: set[str] = field(default_factory=set)
    graph_known: bool = True
    properties: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def reach(start: Iterable[str], requires: Mapping[str, Iterable[str]]) -> set[str]:
    """Everything reachable, cycles included.

    Example:
        >>> sorted(reach(["a"], {"a": ["b"], "b": ["a", "c"], "d": ["a"]}))
        ['a', 'b', 'c']
    """
    found: set[str] = set()
    waiting = list(start)
    while waiting:
        ref = waiting.pop()
        if ref not in found:
            found.add(ref)
            waiting += requires.get(ref, ())
    return found
