"""A metric over commits, read out of proofs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from ophamin.comparing.drift.proofs import Part, Proof, SeriesKey

__all__ = ["Point", "Series", "point_of", "series_of"]

_RATIO = 1e6


@dataclass(frozen=True)
class Point:
    """One commit's value.

    Args:
        proof_id: Where it stands.
        revision: The commit.
        created_at: When it was measured.
        value: Of the metric.
        se: Standard error that the bounds imply; ``None`` when there are none.
    """

    proof_id: str
    revision: str
    created_at: str
    value: float
    se: float | None


@dataclass(frozen=True)
class Series:
    """Points of one metric that share claim, scenario, system and corpus.

    Args:
        key: What they share.
        metric: Name of the metric.
        comparator: Of its threshold.
        theta: θ.
        points: In the order asked for.
        left_out: Proofs of the series without a value.
    """

    key: SeriesKey
    metric: str
    comparator: str
    theta: object
    points: Sequence[Point]
    left_out: Sequence[str]

    @property
    def values(self) -> list[float]:
        """Value of each point."""
        return [point.value for point in self.points]

    @property
    def se(self) -> list[float] | None:
        """Standard error of each point; ``None`` unless every one has one above 0, none a million times another."""
        known = [point.se for point in self.points if point.se is not None and point.se > 0]
        if len(known) < len(self.points) or max(known, default=1.0) > _RATIO * min(known, default=1.0):
            return None
        return known


def series_of(proofs: Iterable[Proof], order: Sequence[str] = ()) -> list[Series]:
    """The series in a set of proofs, one for each metric of each claim.

    Args:
        proofs: Verified proofs; of several of one series and revision the latest is taken.
        order: Revisions from old to new, such as ``git rev-list --reverse`` gives; others are left out. Default: by
            the time of measuring.

    Example:
        >>> series_of([])
        []
    """
    rank = {revision: i for i, revision in enumerate(order)}
    grouped: dict[SeriesKey, dict[str, Proof]] = {}
    for proof in sorted(proofs, key=lambda p: (p.created_at, p.proof_id)):
        revision = proof.facts.get("revision", "")
        # Without a revision each measurement is a point of its own.
        grouped.setdefault(proof.key, {})[revision or proof.proof_id] = proof
    found = []
    for key, members in grouped.items():
        kept = [p for p in members.values() if not order or p.facts.get("revision", "") in rank]
        kept.sort(key=lambda p: (rank.get(p.facts.get("revision", ""), 0), p.created_at, p.proof_id))
        found += [_series(key, kept, i) for i in range(min((len(p.parts) for p in kept), default=0))]
    return found


def point_of(proof: Proof, i: int) -> Point | None:
    """The value of a proof's threshold number ``i``; ``None`` when it has none."""
    part = proof.parts[i]
    if part.bounds is None:
        return None
    return Point(proof.proof_id, proof.facts.get("revision", ""), proof.created_at, part.bounds.value, _se(part))


def _series(key: SeriesKey, proofs: Sequence[Proof], i: int) -> Series:
    first = proofs[0].parts[i]
    points = [point for p in proofs if (point := point_of(p, i)) is not None]
    without = [p.proof_id for p in proofs if p.parts[i].bounds is None]
    return Series(key, first.metric, first.comparator, first.theta, points, without)


def _se(part: Part) -> float | None:
    """What a normal law would have for these bounds."""
    b = part.bounds
    if b is None or part.exact or b.lower is None or b.upper is None:
        return None
    levels = [c for c in (b.lower_confidence, b.upper_confidence) if c is not None and 0.5 < c < 1]
    if len(levels) != 2:
        return None
    # Bounds that crossed, as those of a sequence may after a drift, are no error of anything.
    return (b.upper - b.lower) / sum(NormalDist().inv_cdf(c) for c in levels) if b.upper >= b.lower else None
