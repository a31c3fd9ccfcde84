"""What an index answers: entries, the series they belong to, and what could not be one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ophamin.comparing.drift.proofs import Part, SeriesKey

__all__ = ["Entry", "Problem", "Refreshed", "Series"]


@dataclass(frozen=True)
class Entry:
    """One verified proof, as the index keeps it.

    Args:
        path: Its file.
        proof_id: Its id.
        key: The series it belongs to.
        claim: The claim's statement.
        outcome: Of the whole claim.
        created_at: When it was decided.
        facts: What may differ inside a series: revision, seed, n, versions…
        parts: The claim's own threshold, then its co-primaries.
        verified: Whether a known signer stands behind it.
        signer: Who that is.
    """

    path: Path
    proof_id: str
    key: SeriesKey
    claim: str
    outcome: str
    created_at: str
    facts: Mapping[str, str]
    parts: Sequence[Part]
    verified: bool
    signer: str

    @property
    def revision(self) -> str:
        """Revision of what was measured, "" when the record does not say."""
        return self.facts.get("revision", "")


@dataclass(frozen=True)
class Series:
    """Proofs of one claim, scenario, system and corpus, oldest first.

    Args:
        key: What they share.
        entries: At least one.

    Example:
        >>> entry = Entry(Path("a.json"), "aa", SeriesKey("c", "s", "f", "d"), "It works.", "VALIDATED",
        ...               "2026-01-01T00:00:00+00:00", {"revision": "r1"}, (), True, "me")
        >>> Series(entry.key, [entry]).differs
        {}
    """

    key: SeriesKey
    entries: Sequence[Entry]

    @property
    def claim(self) -> str:
        """The claim's statement."""
        return self.entries[0].claim

    @property
    def differs(self) -> dict[str, list[str]]:
        """What else differs between its proofs, with every value in order of appearance; "unknown" for none."""
        names = dict.fromkeys(name for entry in self.entries for name in entry.facts)
        found = {name: list(dict.fromkeys(e.facts.get(name, "unknown") for e in self.entries)) for name in names}
        return {name: values for name, values in found.items() if len(values) > 1}


@dataclass(frozen=True)
class Problem:
    """A file that is no proof of the index, and why.

    Args:
        path: The file.
        state: ``torn``, ``forged``, ``foreign``, ``future-version``, ``duplicate``, ``symlinked`` or ``unreadable``.
        reason: One sentence.
    """

    path: Path
    state: str
    reason: str


@dataclass(frozen=True)
class Refreshed:
    """What a refresh did.

    Args:
        read: Files that were read.
        gone: Files that are there no longer.
    """

    read: int
    gone: int
