"""What all commits say together, if they say the same: cumulative meta-analysis with a correction for the looks.

Commits are weighed by how much was observed, and share one variance. Weighed by their own standard errors they would be
weighed by what they found: a share near 1, or a mean of skewed values that came out low, states a smaller error (at
θ = 0.9, 12 commits of 150 records: 8 % instead of 2.5 % of looks at a false claim showed it to hold; at 0.98, 27 %).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from ophamin import registry
from ophamin.proof.errors import UsageError

__all__ = ["Pooled", "Step", "pool"]


@dataclass(frozen=True)
class Step:
    """What is pooled up to a commit.

    Args:
        n: Observations so far.
        fraction: Of the registered maximum; above 1 where the last commit reaches beyond it.
        value: Pooled metric minus θ.
        se: Its standard error.
        boundary: Standard errors it may be off θ without saying anything; ``None`` where no α is spent yet.
        lower: ``value`` less that; corrected for all looks up to the maximum.
        upper: Likewise.
    """

    n: int
    fraction: float
    value: float
    se: float
    boundary: float | None
    lower: float | None
    upper: float | None


@dataclass(frozen=True)
class Pooled:
    """The pooled difference of a metric from its threshold, by commit.

    Args:
        one_truth: Whether neither test saw the truth differ between commits; only then is anything pooled.
        reason: Why not, or "".
        heterogeneity_p: Of Cochran's Q.
        change_p: Of a change point.
        value: Pooled metric minus θ, at the first step that leaves θ out, else at the last one; ``None`` when nothing
            is pooled, or no α is spent yet.
        lower: Corrected for all looks up to the registered maximum.
        upper: Likewise.
        crossed: Index of the first step whose corrected interval leaves θ out, or ``None``.
        steps: By commit, up to the one that reaches the maximum.
        alpha: Two-sided, of all looks together.
    """

    one_truth: bool
    reason: str
    heterogeneity_p: float | None
    change_p: float
    value: float | None
    lower: float | None
    upper: float | None
    crossed: int | None
    steps: Sequence[Step]
    alpha: float


def pool(
    values: Sequence[float],
    se: Sequence[float],
    n: Sequence[int],
    *,
    theta: float,
    max_n: int,
    alpha: float = 0.05,
    drift_alpha: float = 0.1,
    spending: str = "obrien-fleming",
    seed: int = 0,
) -> Pooled:
    """Pool a metric over commits, in order, if the commits share one truth.

    Drift is looked for first, by Cochran's Q and by a change point, each at half of ``drift_alpha``: what differs is
    not averaged. Passing is no proof that there is none, which is why that level is wide. Then each commit is a look
    that spends its share of α on the way to the registered maximum (Lan & DeMets 1983), information being counted in
    observations (Jennison & Turnbull 2000, *Group Sequential Methods*, section 11.5: variance unknown).

    Args:
        values: The metric by commit; independent samples of one system.
        se: Standard errors, above 0.
        n: Observations of each.
        theta: What the metric is held against.
        max_n: Registered before the first look: observations at which looking ends.
        alpha: Two-sided, of all looks together.
        drift_alpha: Of the two tests of drift together.
        spending: How α is spent: ``obrien-fleming``, ``pocock`` or ``power``.
        seed: Of the change point's permutations.

    Raises:
        UsageError: Numbers that cannot be pooled, or no registered maximum.
        UnknownPlugin: The pillars of synthesis are not installed (``ophamin-comparing[stats]``).

    Source:
        Wetterslev et al. (2008), J. Clin. Epidemiol. 61:64; Lan & DeMets (1983), Biometrika 70:659; weights that do
        not depend on the estimates: Shuster (2010), Statistics in Medicine 29:1259.
    """
    from ophamin.comparing.series.changes import scan

    if not max_n > 0:
        raise UsageError("register the maximum before the first look: how many observations are pooled at most")
    if not len(values) == len(se) == len(n) or any(size < 1 for size in n):
        raise UsageError("each commit has a value, a standard error and at least one observation")
    found = scan(values, [1 / math.sqrt(size) for size in n], alpha=drift_alpha / 2, seed=seed)
    if not values:
        return Pooled(False, "there are no commits", None, found.p_value, None, None, None, None, [], alpha)
    effects = [v - theta for v in values]
    one = sum(size**2 * s**2 for size, s in zip(n, se, strict=True)) / sum(n)
    columns = {"effect": effects, "variance": [one / size for size in n]}
    meta = registry.pillars.get("I.meta")().compute(columns, seed=seed, method="FE", test="z")
    q = next((e.p_value for e in meta.evidence if e.statistic_name == "Q"), None)
    reason = ""
    if found.changes:
        reason = f"the metric changed at commit {found.changes[0].index} (p = {found.changes[0].p_value:.3g})"
    elif q is not None and q <= drift_alpha / 2:
        reason = f"the commits differ by more than their standard errors explain (Q, p = {q:.3g})"
    if reason:
        return Pooled(False, reason, q, found.p_value, None, None, None, None, [], alpha)
    steps = list(_steps(effects, se, n, max_n, alpha, spending))
    held = [(i, s) for i, s in enumerate(steps) if s.lower is not None and s.upper is not None]
    crossed = next(((i, s) for i, s in held if not (s.lower or 0.0) <= 0 <= (s.upper or 0.0)), None)
    _, at = crossed or (held[-1] if held else (None, None))
    value, lower, upper = (None, None, None) if at is None else (at.value, at.lower, at.upper)
    first = crossed[0] if crossed else None
    return Pooled(True, "", q, found.p_value, value, lower, upper, first, steps, alpha)


def _steps(
    effects: Sequence[float], se: Sequence[float], n: Sequence[int], max_n: int, alpha: float, spending: str
) -> Iterator[Step]:
    """Every commit up to the one that reaches the maximum."""
    sizes = list(accumulate(n))
    last = next((i + 1 for i, size in enumerate(sizes) if size >= max_n), len(n))
    columns = {"effect": list(effects[:last]), "variance": [1 / size for size in n[:last]]}
    given = {"method": "FE", "test": "z", "level": 1 - alpha, "max_information": float(max_n), "spending": spending}
    table = registry.pillars.get("I.cumulative")().compute(columns, seed=0, **given).tables["cumulative"]
    squares = accumulate(size**2 * s**2 for size, s in zip(n, se, strict=True))
    for i, (size, square) in enumerate(zip(sizes[:last], squares, strict=False)):
        value, high = table["effect"][i], table["corrected_upper"][i]
        # The variance so far, over the observations so far.
        error = math.sqrt(square) / size
        boundary = None if high is None else (high - value) / table["se"][i]
        half = None if boundary is None else boundary * error
        yield Step(
            size, size / max_n, value, error, boundary, None if half is None else value - half,
            None if half is None else value + half,
        )  # fmt: skip
