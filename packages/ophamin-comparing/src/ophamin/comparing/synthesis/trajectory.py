"""The course of a metric along each series that has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from ophamin.comparing.drift.proofs import Part, SeriesKey
from ophamin.comparing.index import Entry, Series
from ophamin.proof.errors import UsageError

__all__ = ["Point", "Trajectory", "analyze"]


@dataclass(frozen=True)
class Point:
    """One proof's answer about the metric.

    Args:
        entry: The proof.
        part: The threshold, with what was observed.
    """

    entry: Entry
    part: Part


@dataclass(frozen=True)
class Trajectory:
    """The values of one threshold along a series, oldest first; none is averaged with another.

    Args:
        key: The series.
        claim: The claim's statement.
        metric: Name of the metric.
        comparator: Of its threshold.
        theta: θ.
        smallest_difference: δ as registered, in units of the metric.
        points: At least one.
        differs: What differs between the proofs beside the revision, with every value in order of appearance.
    """

    key: SeriesKey
    claim: str
    metric: str
    comparator: str
    theta: object
    smallest_difference: float | None
    points: Sequence[Point]
    differs: Mapping[str, Sequence[str]]


def analyze(series: Sequence[Series], metric: str) -> list[Trajectory]:
    """The trajectory of a metric in every series that has a threshold on it.

    Intervals are those that were signed, each held to the confidence its proof states. That two of them overlap is
    no test; ``ophamin compare`` tests a difference.

    Args:
        series: Of an index.
        metric: Name of the metric.

    Raises:
        UsageError: No proof has such a metric; says which ones there are.

    Example:
        >>> analyze([], "accuracy")
        Traceback (most recent call last):
        ophamin.proof.errors.UsageError: no proof here has a metric; there are no proofs
    """
    found = [_trajectory(one, nth) for one in series for nth in _positions(one, metric)]
    if not found:
        names = sorted({part.metric for one in series for entry in one.entries for part in entry.parts})
        if not names:
            raise UsageError("no proof here has a metric; there are no proofs")
        near = get_close_matches(metric, names, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names[:20])}"
        raise UsageError(f"no proof here has a metric called {metric!r}; {hint}")
    return found


def _positions(one: Series, metric: str) -> list[int]:
    """Which thresholds of the claim are on the metric; all proofs of a series have the same claim."""
    most = max((entry.parts for entry in one.entries), key=len)
    return [nth for nth, part in enumerate(most) if part.metric == metric]


def _trajectory(one: Series, nth: int) -> Trajectory:
    # A proof may answer fewer thresholds than its claim has.
    points = [Point(entry, entry.parts[nth]) for entry in one.entries if nth < len(entry.parts)]
    part = points[0].part
    differs = {name: values for name, values in one.differs.items() if name != "revision"}
    return Trajectory(
        one.key, one.claim, part.metric, part.comparator, part.theta, part.smallest_difference, points, differs
    )
