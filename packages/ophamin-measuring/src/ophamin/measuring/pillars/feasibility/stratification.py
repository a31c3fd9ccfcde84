"""Compare within strata of people alike, then average over the strata."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.feasibility._effect import (
    Effect,
    checked,
    checked_level,
    effect,
    one_arm,
    unanswered,
)
from ophamin.measuring.pillars.feasibility.propensity import fit_propensity
from ophamin.measuring.pillars.feasibility.weighting import TARGETS
from ophamin.proof.errors import UsageError

__all__ = ["Strata", "cells", "score_strata", "stratify"]


@dataclass(frozen=True)
class Strata:
    """An effect standardised over strata, and the strata.

    Args:
        effect: The standardised effect.
        treated: Treated rows of each stratum.
        untreated: Untreated rows.
        difference: Difference of means in each; NaN where an arm is empty.
        weight: Share in the average.
    """

    effect: Effect
    treated: NDArray[np.intp]
    untreated: NDArray[np.intp]
    difference: Floats
    weight: Floats


def cells(confounders: ArrayLike) -> NDArray[np.intp]:
    """Stratum of each row: one per combination of values.

    Example:
        >>> cells([[0, 1], [0, 1], [1, 1]]).tolist()
        [0, 0, 1]
    """
    x = np.asarray(confounders, dtype=np.float64)
    x = x[:, None] if x.ndim == 1 else x
    if not x.shape[1]:
        return np.zeros(len(x), dtype=np.intp)
    return np.unique(x, axis=0, return_inverse=True)[1].reshape(-1)


def score_strata(
    treatment: ArrayLike, confounders: ArrayLike, *, strata: int = 5, link: str = "logit"
) -> tuple[NDArray[np.intp] | None, tuple[str, ...]]:
    """Stratum of each row: quantiles of the propensity score; ``None`` where there is no score.

    Args:
        treatment: 0 and 1, shape (n,).
        confounders: Shape (n, p).
        strata: How many, of equal size (ties stay together).
        link: Of the score.

    Returns:
        The strata, and sentences on why not or on confounders left out.

    Raises:
        UsageError: Fewer than two strata.

    Source: Rosenbaum & Rubin (1984), JASA 79:516.
    """
    if strata < 2:
        raise UsageError(f"at least two strata are needed, not {strata}")
    fit = fit_propensity(treatment, confounders, link=link)
    if fit.problem:
        return None, (fit.problem, *fit.notes)
    # Equal combinations of confounders get scores that may differ in their last digit.
    score = np.round(fit.score, 12)
    edges = np.quantile(score, np.arange(1, strata) / strata)
    return np.searchsorted(edges, score, side="left"), fit.notes


def stratify(
    outcome: ArrayLike,
    treatment: ArrayLike,
    stratum: ArrayLike,
    *,
    target: str = "ate",
    one_sided: str = "refuse",
    level: float = 0.95,
) -> Strata:
    """Differences of means within strata, averaged by the strata's sizes (direct standardisation).

    Args:
        outcome: Shape (n,).
        treatment: 0 and 1, shape (n,).
        stratum: Stratum of each row, shape (n,).
        target: ``ate``, ``att`` or ``atc``: whose share of the strata is the weight.
        one_sided: What a stratum without treated or without untreated rows does: ``refuse`` (no effect) or ``drop``
            (the effect is that of the rest).
        level: Two-sided confidence; the strata's shares are taken as fixed.

    Raises:
        UsageError: Malformed arrays or options.

    Source: Cochran (1968), Biometrics 24:295; Imbens & Rubin (2015), *Causal Inference*, chapter 17.
    """
    checked_level(level)
    if target not in TARGETS or one_sided not in ("refuse", "drop"):
        raise UsageError(f"a target is {', '.join(TARGETS)}, and one-sided strata are to refuse or to drop")
    rows = checked(outcome, treatment)
    labels = np.asarray(stratum)
    if labels.shape != rows.outcome.shape:
        raise UsageError("each row has one stratum")
    place = np.unique(labels, return_inverse=True)[1].reshape(-1)
    count = int(place.max()) + 1 if rows.n else 0
    sizes, means, variances = [], [], []
    with np.errstate(divide="ignore", invalid="ignore"):
        for arm in (rows.treated, ~rows.treated):
            size = np.bincount(place[arm], minlength=count)
            mean = np.bincount(place[arm], rows.outcome[arm], minlength=count) / size
            square = np.bincount(place[arm], (rows.outcome[arm] - mean[place[arm]]) ** 2, minlength=count)
            sizes.append(size)
            means.append(mean)
            variances.append(square / (size - 1) / size)
    one, zero = sizes
    both = (one > 0) & (zero > 0)
    difference = np.where(both, means[0] - means[1], math.nan)
    of = {"ate": one + zero, "att": one, "atc": zero}[target] * (both if one_sided == "drop" else 1)
    share = of / of.sum() if of.sum() else np.zeros(count)

    def answer(found: Effect) -> Strata:
        return Strata(found, one, zero, difference, share)

    lacking = int((~both & (share > 0)).sum()) if one_sided == "refuse" else int((~both).sum())
    if reason := one_arm(rows):
        return answer(unanswered(rows, reason, target=target))
    if not both.any() or (lacking and one_sided == "refuse"):
        say = f"there is no overlap: {lacking or count} of {count} strata lack treated or untreated rows"
        return answer(unanswered(rows, say, target=target))
    notes = [f"{lacking} strata lack an arm and were left out: the effect is that of the rest"] if lacking else []
    use = share > 0
    if ((one < 2) | (zero < 2))[use].any():
        notes.append("a stratum has a single row in one arm, so its spread is unknown")
    sums = [float(share[use] @ mean[use]) for mean in means]
    se = math.sqrt(float(share[use] ** 2 @ (variances[0] + variances[1])[use]))
    return answer(
        effect(rows, sums[0], sums[1], se, level=level, target=target, notes=notes, se_method="within strata")
    )
