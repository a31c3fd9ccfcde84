"""Two sets of proofs, series by series."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ophamin.comparing.drift.classes import COMPARATORS, Transition, of_difference, of_verdicts, worst
from ophamin.comparing.drift.effects import Effect, sides_of_bounds
from ophamin.comparing.drift.family import Correction, adjusted
from ophamin.comparing.drift.mover import Bounds, mover_difference
from ophamin.comparing.drift.nearest import Nearest
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
        equivalent: Whether the difference is shown to lie within ±δ (two one-sided tests, corrected likewise).
        effect: The difference with its p-values.
        corrected: p-values over the family of "worse by more than δ", "better by more than δ" and "within ±δ";
            ``None`` for one that is in no family.
    """

    before: Part
    after: Part
    difference: Bounds | None
    method: str
    transition: Transition
    equivalent: bool
    effect: Effect
    corrected: tuple[float, float, float] | None


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
        superseded_before: Proofs of the first side of a series that has a later one there; not compared.
        superseded_after: The same of the second side.
        alpha: Of each family.
        correction: Over each family.
        family: How many differences each family has.
    """

    pairs: Sequence[Pair]
    before_only: Sequence[Unmatched]
    after_only: Sequence[Unmatched]
    superseded_before: Sequence[Proof]
    superseded_after: Sequence[Proof]
    alpha: float
    correction: Correction
    family: int

    @property
    def superseded(self) -> list[Proof]:
        """Those of both sides."""
        return [*self.superseded_before, *self.superseded_after]

    @property
    def transition(self) -> Transition:
        """The class that matters most among the pairs."""
        return worst(pair.transition for pair in self.pairs)


def compare(
    before: Iterable[Proof], after: Iterable[Proof], *, alpha: float = 0.05, correction: Correction = "holm"
) -> Drift:
    """Compare two sets of proofs for the same claims.

    A pair shares claim, scenario, system (kind and name, not revision) and corpus. Of several proofs of one series
    on one side the latest is compared. Each difference has one-sided bounds of its own, at the confidence its
    records state. A regression needs the bound beyond δ, and that its p-value survives the correction over all
    differences that could be one; "better" and "equivalent" are families of their own.

    Args:
        before: Proofs of the first side, verified.
        after: Proofs of the second side, verified.
        alpha: Of each of the three families, in (0, 0.5).
        correction: ``holm`` (the chance of any wrong finding), ``bh`` or ``by`` (the share of wrong ones), ``none``.

    Example:
        >>> compare([], []).transition
        'unchanged'
    """
    first, old_before = _latest(before)
    second, old_after = _latest(after)
    matched = [(first[key], second[key]) for key in first if key in second]
    left = [proof for key, proof in first.items() if key not in second]
    right = [proof for key, proof in second.items() if key not in first]
    effects = [_effects(a, b) for a, b in matched]
    corrected = _corrected([e for each in effects for e in each], correction)
    pairs = [_pair(a, b, each, corrected, alpha) for (a, b), each in zip(matched, effects, strict=True)]
    return Drift(
        pairs,
        _unmatched(left, right),
        _unmatched(right, left),
        old_before,
        old_after,
        alpha,
        correction,
        len(corrected),
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


def _pair(
    before: Proof,
    after: Proof,
    effects: Sequence[tuple[Part, Part, Effect]],
    corrected: Mapping[int, tuple[float, float, float]],
    alpha: float,
) -> Pair:
    parts = [_part_drift(a, b, effect, corrected.get(id(effect)), alpha) for a, b, effect in effects]
    verdict = of_verdicts(before.outcome, after.outcome)
    transition = worst([verdict, *(part.transition for part in parts)])
    names = dict.fromkeys([*before.facts, *after.facts])
    both = {name: (before.facts.get(name, "unknown"), after.facts.get(name, "unknown")) for name in names}
    return Pair(before, after, parts, transition, {name: v for name, v in both.items() if v[0] != v[1]})


def _part_drift(
    before: Part, after: Part, effect: Effect, corrected: tuple[float, float, float] | None, alpha: float
) -> PartDrift:
    found, delta = effect.difference, before.smallest_difference
    if corrected is None:
        transition = of_difference(before.comparator, found, delta, worse=effect.certain, better=effect.certain)
        equivalent = effect.certain and found is not None and delta is not None and abs(found.value) < delta
    else:
        worse, better, equal = (p <= alpha for p in corrected)
        transition = of_difference(before.comparator, found, delta, worse=worse, better=better)
        equivalent = equal
    return PartDrift(before, after, found, effect.method, transition, equivalent, effect, corrected)


def _corrected(
    effects: Sequence[tuple[Part, Part, Effect]], correction: Correction
) -> dict[int, tuple[float, float, float]]:
    """p-values of each difference that is inferred and has a δ, over all such; by identity of the effect."""
    family = [(a, effect, effect.sides) for a, _, effect in effects if effect.sides is not None]
    raw = [(*sides.beyond(part.comparator), sides.equivalent) for part, _, sides in family]
    columns = [adjusted(list(column), correction) for column in zip(*raw, strict=True)]
    return {id(effect): (w, b, e) for (_, effect, _), w, b, e in zip(family, *columns, strict=True)}


def _effects(before: Proof, after: Proof) -> list[tuple[Part, Part, Effect]]:
    both = list(zip(before.parts, after.parts, strict=False))
    if before.proof_id == after.proof_id:
        same = "the same proof on both sides"
        found = [Effect(None if a.bounds is None else Bounds(0.0, 0.0, 0.0), same, certain=True) for a, _ in both]
    elif all(a.exact and b.exact for a, b in both):
        found = [_difference(a, b, "") for a, b in both]
    else:
        try:
            found = paired_differences(before, after)
        except Unpaired as why:
            lost = f"unpaired: {why}" if why.apart else f"the pairing is lost, because {why}"
            found = [_difference(a, b, lost) for a, b in both]
    return [(a, b, effect) for (a, b), effect in zip(both, found, strict=True)]


def _difference(before: Part, after: Part, pairing: str) -> Effect:
    delta = before.smallest_difference
    testable = delta is not None and delta > 0 and before.comparator in COMPARATORS
    if before.bounds is None or after.bounds is None:
        # Still one of those that were looked at: it counts with p = 1.
        return Effect(None, "one side has no value", sides=sides_of_bounds(None, 1.0) if testable else None)
    difference = mover_difference(before.bounds, after.bounds)
    if before.exact and after.exact:
        return Effect(difference, "exact: both values are those of the whole target", certain=True)
    method = f"square-and-add of the two intervals (approximate); {pairing}"
    if difference.lower is None and difference.upper is None:
        method = "no bounds: a record without an interval gives only a number"
    return Effect(difference, method, sides=sides_of_bounds(difference, delta) if testable and delta else None)


def _unmatched(proofs: Sequence[Proof], others: Iterable[Proof]) -> list[Unmatched]:
    """The likest proof of the other side is named, so that nobody wonders why the two were not compared."""
    nearest = Nearest(others)
    return [Unmatched(proof, *(nearest.of(proof.key) or ())) for proof in proofs]
