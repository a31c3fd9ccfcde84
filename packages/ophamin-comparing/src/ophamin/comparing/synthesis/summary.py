"""Counts of proofs, and where verdicts flipped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ophamin import registry
from ophamin.comparing.index import Entry, Series
from ophamin.proof.errors import OphaminError

__all__ = ["Flip", "Summary", "differences", "summarize"]

Counts = Mapping[str, int]
OUTCOMES = ("VALIDATED", "REFUTED", "INCONCLUSIVE")
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Flip:
    """Two neighbours of a series with different verdicts.

    Args:
        before: The earlier proof.
        after: The next one of the series.
        differs: What else differs between the two, with both values; the flip may come from any of it.
    """

    before: Entry
    after: Entry
    differs: Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class Summary:
    """What lies in a store.

    Args:
        n_proofs: Proofs, each counted once.
        n_series: Series they form.
        by_verdict: How many of each verdict.
        latest: How many series have which verdict today.
        by_scenario: Verdicts of each scenario.
        by_tier: Verdicts of each tier; "unknown" where the scenario is not installed.
        by_revision: Verdicts of each system and revision, in order of appearance.
        flips: Changes of verdict along a series, by time.
    """

    n_proofs: int
    n_series: int
    by_verdict: Counts
    latest: Counts
    by_scenario: Mapping[str, Counts]
    by_tier: Mapping[str, Counts]
    by_revision: Mapping[str, Counts]
    flips: Sequence[Flip]


def summarize(series: Sequence[Series]) -> Summary:
    """Count proofs by verdict, scenario, tier and revision, and list the flips.

    Args:
        series: Of an index.

    Example:
        >>> summarize([]).n_proofs
        0
    """
    entries = sorted((e for s in series for e in s.entries), key=lambda entry: (entry.created_at, entry.proof_id))
    flips = [
        Flip(before, after, differences(before, after))
        for one in series
        for before, after in zip(one.entries, one.entries[1:], strict=False)
        if before.outcome != after.outcome
    ]
    tiers = {name: _tier(name) for name in {entry.key.scenario for entry in entries}}
    return Summary(
        len(entries),
        len(series),
        _count(entries),
        _count([one.entries[-1] for one in series]),
        _by(entries, lambda entry: entry.key.scenario or UNKNOWN),
        _by(entries, lambda entry: tiers[entry.key.scenario]),
        _by(entries, lambda entry: f"{entry.key.substrate} {entry.revision or UNKNOWN}"),
        sorted(flips, key=lambda flip: (flip.after.created_at, flip.after.proof_id)),
    )


def differences(before: Entry, after: Entry) -> dict[str, tuple[str, str]]:
    """What differs between two proofs of one series, with both values."""
    names = dict.fromkeys([*before.facts, *after.facts])
    both = {name: (before.facts.get(name, UNKNOWN), after.facts.get(name, UNKNOWN)) for name in names}
    return {name: values for name, values in both.items() if values[0] != values[1]}


def _count(entries: Sequence[Entry]) -> dict[str, int]:
    found = {outcome: sum(entry.outcome == outcome for entry in entries) for outcome in OUTCOMES}
    return {outcome: n for outcome, n in found.items() if n}


def _by(entries: Sequence[Entry], name_of: Callable[[Entry], str]) -> dict[str, Counts]:
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(name_of(entry), []).append(entry)
    return {name: _count(group) for name, group in groups.items()}


def _tier(scenario: str) -> str:
    try:
        return str(registry.scenarios.get(scenario).tier)
    except OphaminError:  # not installed here, or broken: its proofs count all the same
        return UNKNOWN
