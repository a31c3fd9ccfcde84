"""What all commits say together, if they say the same: cumulative meta-analysis with a correction for the looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ophamin import registry
from ophamin.proof.errors import UsageError

__all__ = ["Pooled", "pool"]

JSON = Any


@dataclass(frozen=True)
class Pooled:
    """The pooled difference of a metric from its threshold, by commit.

    Args:
        one_truth: Whether neither test saw the truth differ between commits; only then is anything pooled.
        reason: Why not, or "".
        heterogeneity_p: Of Cochran's Q.
        change_p: Of a change point.
        value: Pooled metric minus θ, after the last look that counts; ``None`` when nothing is pooled.
        lower: Corrected for all looks up to the registered maximum.
        upper: Likewise.
        crossed: Index of the first look whose corrected interval leaves θ out, or ``None``.
        table: By commit, as pillar ``I.cumulative`` gives it.
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
    table: Mapping[str, Sequence[JSON]]
    alpha: float


def pool(
    values: Sequence[float],
    se: Sequence[float],
    *,
    theta: float,
    max_information: float,
    alpha: float = 0.05,
    drift_alpha: float = 0.1,
    spending: str = "obrien-fleming",
    seed: int = 0,
) -> Pooled:
    """Pool a metric over commits, in order, if the commits share one truth.

    Drift is looked for first, by Cochran's Q and by a change point, each at half of ``drift_alpha``: what differs is
    not averaged. Passing is no proof that there is none, which is why that level is wide. Then each commit is a look
    that spends its share of α on the way to the registered maximum (Lan & DeMets 1983).

    Args:
        values: The metric by commit; independent samples of one system.
        se: Standard errors, above 0.
        theta: What the metric is held against.
        max_information: Registered before the first look: Σ 1/se² at which looking ends.
        alpha: Two-sided, of all looks together.
        drift_alpha: Of the two tests of drift together.
        spending: How α is spent: ``obrien-fleming``, ``pocock`` or ``power``.
        seed: Of the change point's permutations.

    Raises:
        UsageError: Numbers that cannot be pooled, or no registered maximum.
        UnknownPlugin: The pillars of synthesis are not installed (``ophamin-comparing[stats]``).

    Source:
        Wetterslev et al. (2008), J. Clin. Epidemiol. 61:64; Lan & DeMets (1983), Biometrika 70:659.
    """
    from ophamin.comparing.series.changes import scan

    if not max_information > 0:
        raise UsageError("register the maximum information before the first look; it is above 0")
    found = scan(values, se, alpha=drift_alpha / 2, seed=seed)
    columns = {"effect": [v - theta for v in values], "variance": [s * s for s in se]}
    meta = registry.pillars.get("I.meta")().compute(columns, seed=seed, method="FE", test="z")
    q = next((e.p_value for e in meta.evidence if e.statistic_name == "Q"), None)
    reason = ""
    if found.changes:
        reason = f"the metric changed at commit {found.changes[0].index} (p = {found.changes[0].p_value:.3g})"
    elif q is not None and q <= drift_alpha / 2:
        reason = f"the commits differ by more than their standard errors explain (Q, p = {q:.3g})"
    elif not values:
        reason = "there are no commits"
    if reason:
        return Pooled(False, reason, q, found.p_value, None, None, None, None, {}, alpha)
    given: dict[str, JSON] = {"method": "FE", "test": "z", "level": 1 - alpha}
    given |= {"max_information": max_information, "spending": spending}
    result = registry.pillars.get("I.cumulative")().compute(columns, seed=seed, **given)
    table = result.tables["cumulative"]
    last = next((e for e in result.evidence if e.statistic_name == "corrected_pooled_effect"), None)
    if last is None:
        return Pooled(True, "", q, found.p_value, None, None, None, None, table, alpha)
    crossed = (last.n or 0) - 1 if (last.detail or {}).get("crossed") else None
    return Pooled(
        True, "", q, found.p_value, last.statistic_value, last.ci_low, last.ci_high, crossed, table, alpha
    )  # fmt: skip
