"""Cognitive inertia: how far beliefs move on valid new evidence, against how far Bayes' rule moves them.

In log odds Bayes' rule adds the log likelihood ratio of the evidence to the prior. The slope of the move that was made
on the move that was due is 1 for a normative update, below 1 for conservatism (inertia), 0 for a belief that never
moves, above 1 for over-reaction; an intercept is drift that no evidence asked for.

Source: Phillips & Edwards (1966), J Exp Psychol 72:346; Edwards (1968), in *Formal Representation of Human Judgment*
(conservatism); interval by the cluster jackknife, MacKinnon, Nielsen & Webb (2023), J Appl Econometrics 38:671.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logit
from scipy.stats import t as student

from ophamin.measuring.pillars._columns import Floats
from ophamin.proof.errors import UsageError

__all__ = ["Inertia", "Slope", "cognitive_inertia"]


@dataclass(frozen=True)
class Slope:
    """A coefficient with its cluster-jackknife interval.

    Args:
        value: Estimate; NaN where the rows do not determine it.
        se: Jackknife standard error.
        lower: Lower end, t with units − 1 df.
        upper: Upper end.
        n: Rows.
        units: Independent units.
    """

    value: float
    se: float
    lower: float
    upper: float
    n: int
    units: int


@dataclass(frozen=True)
class Inertia:
    """How a system updates.

    Args:
        update: Slope of made on due move, in log odds; inertia is 1 − update.
        drift: Move at no evidence, in log odds.
        confirming: Slope over evidence that speaks for what was believed already.
        disconfirming: Slope over evidence against it.
        clipped: Beliefs of 0 or 1 (or nearer than the clip) that were moved inside.
    """

    update: Slope
    drift: Slope
    confirming: Slope
    disconfirming: Slope
    clipped: int


def cognitive_inertia(
    prior: ArrayLike,
    posterior: ArrayLike,
    log_likelihood_ratio: ArrayLike,
    unit: Sequence[Any] | None = None,
    *,
    clip: float = 1e-4,
    level: float = 0.95,
) -> Inertia:
    """Compare updates with Bayes' rule.

    Args:
        prior: Probability believed before, shape (n,), in [0, 1].
        posterior: Probability believed after, likewise.
        log_likelihood_ratio: Natural log of P(evidence | true)/P(evidence | false), shape (n,): what the evidence is
            worth by the process that made it, not by the system's opinion of it.
        unit: Independent unit of each row (conversation, subject, run); default: each row its own.
        clip: Beliefs are held this far from 0 and 1, where log odds have no end.
        level: Two-sided confidence.

    Raises:
        UsageError: Unequal lengths, a probability outside [0, 1], or a log likelihood ratio that is not finite.

    Example:
        >>> due = np.array([-2.0, -1.0, 0.5, 1.5, 2.0])
        >>> moved = 1 / (1 + np.exp(-0.6 * due))
        >>> round(cognitive_inertia([0.5] * 5, moved, due).update.value, 6)
        0.6
    """
    before, after, due = (np.asarray(x, dtype=float) for x in (prior, posterior, log_likelihood_ratio))
    n = len(due)
    if not len(before) == len(after) == n or (unit is not None and len(unit) != n):
        raise UsageError("beliefs, evidence and units must have equal lengths")
    both = np.concatenate([before, after])
    if not ((both >= 0) & (both <= 1)).all():
        raise UsageError("a belief is a probability in [0, 1]")
    if not np.isfinite(due).all():
        raise UsageError("a log likelihood ratio is finite; evidence that settles a question leaves nothing to update")
    if not 0 < clip < 0.5 or not 0 < level < 1:
        raise UsageError("clip lies between 0 and 0.5, a level between 0 and 1")
    clipped = int(((both < clip) | (both > 1 - clip)).sum())
    start = logit(np.clip(before, clip, 1 - clip))
    made = logit(np.clip(after, clip, 1 - clip)) - start
    codes = np.arange(n) if unit is None else np.unique(np.array([str(u) for u in unit]), return_inverse=True)[1]
    x = np.column_stack([np.ones(n), due])
    drift, update = _jackknifed(x, made, codes, level)
    # Which way evidence points, seen from what was believed; at even odds it is neither.
    sign = start * due
    sides = [_jackknifed(x[keep][:, 1:], made[keep], codes[keep], level)[0] for keep in (sign > 0, sign < 0)]
    return Inertia(update, drift, sides[0], sides[1], clipped)


def _jackknifed(x: Floats, y: Floats, codes: Any, level: float) -> list[Slope]:
    """Least squares with delete-one-unit standard errors, one per column."""
    units, at = np.unique(codes, return_inverse=True)
    g, p = len(units), x.shape[1]
    grams = np.zeros((g, p, p))
    np.add.at(grams, at, x[:, :, None] * x[:, None, :])
    moments = np.zeros((g, p))
    np.add.at(moments, at, x * y[:, None])
    gram, moment = grams.sum(axis=0), moments.sum(axis=0)
    unknown = [Slope(math.nan, math.nan, math.nan, math.nan, len(y), g)] * p
    if len(y) < p or not _solvable(gram):
        return unknown
    beta = np.linalg.solve(gram, moment)
    left = gram - grams
    if g < 3 or not all(_solvable(one) for one in left):
        return [Slope(float(b), math.nan, math.nan, math.nan, len(y), g) for b in beta]
    without = np.linalg.solve(left, (moment - moments)[:, :, None])[:, :, 0]
    se = np.sqrt((g - 1) / g * ((without - beta) ** 2).sum(axis=0))
    half = float(student.ppf((1 + level) / 2, g - 1)) * se
    return [
        Slope(float(b), float(s), float(b - h), float(b + h), len(y), g) for b, s, h in zip(beta, se, half, strict=True)
    ]


def _solvable(gram: Floats) -> bool:
    return bool(np.linalg.eigvalsh(gram)[0] > 1e-10 * max(float(np.trace(gram)), 1e-300))
