"""Two sets of proofs, series by series."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ophamin.comparing.drift.classes import Transition, of_difference, of_verdicts, worst
from ophamin.comparing.drift.mover import Bounds, mover_difference
from ophamin.comparing.drift.pairing import Unpaired, paired_differences
from ophamin.comparing.drift.proofs import Part, Proof, SeriesKey

__all__ = ["Drift", "Pair", "PartDrift", "Unmatched", "compare"]


@dataclass(frozen=True)
class PartDrift:
    """One threshold, before and after.

    Args:
        before: As it was.
        after: As it is.
        difference: After minus before; ``None`` when one side has no value.
        method: How its bounds were found, and at what price.
        transition: By the difference alone: regression, improvement or unchanged.
    """

    before: Part
    after: Part
    difference: Bounds | None
    method: str
    transition: Transition


@dataclass(frozen=True)
class Pair:
    """One series, before and after.

    Args:
        before: The proof on the first side.
        after: The proof on the second side.
        parts: Its thresholds.
        transition: The class of the change, by verdict and differences together.
        differs: What else differs between the two, with both values; nothing is averaged over it.
    """

    before: Proof
    after: Proof
    parts: Sequence[PartDrift]
    transition: Transition
    differs: Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class Unmatched:
    """A proof without a partner, and how the likest proof of the other side differs."""

    proof: Proof
    nearest: Proof | None = None
    differs: Mapping[str, tuple[str, str]] | None = None


@dataclass(frozen=True)
class Drift:
    """What changed between two sets of proofs.

    Args:
        pairs: Series that both sides have.
        before_only: Proofs of the first side without a partner.
        after_only: Proofs of the second side without a partner.
        superseded: Proofs of a series that has a later one on the same side; not compared.
    """

    pairs: Sequence[Pair]
    before_only: Sequence[Unmatched]
    after_only: Sequence[Unmatched]
    superseded: Sequence[Proof]

    @property
    def transition(self) -> Transition:
        """The class that matters most among the pairs."""
        return worst(pair.transition for pair in self.pairs)


def compare(before: Iterable[Proof], after: Iterable[Proof]) -> Drift:
    """Compare two sets of proofs for the same claims.

    A pair shares claim, scenario, system (kind and name, not revision) and corpus. Of several proofs of one series
    on one side the latest is compared. Each difference has one-sided bounds of its own; nothing corrects for how
    many differences there are.

    Args:
        before: Proofs of the first side, verified.
        after: Proofs of the second side, verified.

    Example:
        >>> compare([], []).transition
        'unchanged'
    """
    first, old_before = _latest(before)
    second, old_after = _latest(after)
    pairs = [_pair(first[key], second[key]) for key in first if key in second]
    left = [proof for key, proof in first.items() if key not in second]
    right = [proof for key, proof in second.items() if key not in first]
    return Drift(
        pairs,
        [_unmatched(proof, right) for proof in left],
        [_unmatched(proof, left) for proof in right],
        [*old_before, *old_after],
    )


def _latest(proofs: Iterable[Proof]) -> tuple[dict[SeriesKey, Proof], list[Proof]]:
    """The last proof of each series, and those before it."""
    unique = {proof.proof_id: proof for proof in proofs}
    latest: dict[SeriesKey, Proof] = {}
    earlier = []
    for proof in sorted(unique.values(), key=lambda p: (p.created_at, p.proof_id)):
        if proof.key in latest:
            earlier.append(latest[proof.key])
        latest[proof.key] = proof
    return latest, earlier


def _pair(before: Proof, after: Proof) -> Pair:
    parts = _part_drifts(before, after)
    # An improvement does not undo that the verdict now says nothing.
    verdict = of_verdicts(before.outcome, after.outcome)
    transition = worst([verdict, *(part.transition for part in parts)])
    names = dict.fromkeys([*before.facts, *after.facts])
    both = {name: (before.facts.get(name, "unknown"), after.facts.get(name, "unknown")) for name in names}
    return Pair(before, after, parts, transition, {name: v for name, v in both.items() if v[0] != v[1]})


def _part_drifts(before: Proof, after: Proof) -> list[PartDrift]:
    both = list(zip(before.parts, after.parts, strict=False))
    found: Sequence[tuple[Bounds | None, str]]
    if before.proof_id == after.proof_id:
        found = [(None if a.bounds is None else Bounds(0.0, 0.0, 0.0), "the same proof on both sides") for a, _ in both]
    elif all(a.exact and b.exact for a, b in both):
        found = [_difference(a, b, "") for a, b in both]
    else:
        try:
            found = paired_differences(before, after)
        except Unpaired as reason:
            found = [_difference(a, b, str(reason)) for a, b in both]
    return [
        PartDrift(a, b, difference, method, of_difference(a.comparator, difference, a.smallest_difference))
        for (a, b), (difference, method) in zip(both, found, strict=True)
    ]


def _difference(before: Part, after: Part, reason: str) -> tuple[Bounds | None, str]:
    if before.bounds is None or after.bounds is None:
        return None, "one side has no value"
    difference = mover_difference(before.bounds, after.bounds)
    if before.exact and after.exact:
        return difference, "exact: both values are those of the whole target"
    if difference.lower is None and difference.upper is None:
        return difference, "no bounds: a record without an interval gives only a number"
    return difference, f"square-and-add of the two intervals (approximate); the pairing is lost, because {reason}"


def _unmatched(proof: Proof, others: Sequence[Proof]) -> Unmatched:
    """The likest proof of the other side is named, so that nobody wonders why the two were not compared."""
    near = min(others, key=lambda other: len(proof.key.differences(other.key)), default=None)
    if near is None or len(proof.key.differences(near.key)) > 2:
        return Unmatched(proof)
    return Unmatched(proof, near, proof.key.differences(near.key))
