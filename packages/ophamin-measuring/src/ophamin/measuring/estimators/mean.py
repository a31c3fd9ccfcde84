"""Intervals for a mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import stdtr, stdtrit

from ophamin.measuring.estimators._bounded import (
    bernstein_lower,
    bernstein_p_lower,
    betting_lower,
    betting_p_lower,
)
from ophamin.measuring.estimators._clusters import mean_variance
from ophamin.measuring.estimators._table import (
    OWN,
    Floats,
    Table,
    check_confidence,
    failed,
    installed,
    read,
    sides,
    too_few_groups,
)
from ophamin.proof.errors import UsageError
from ophamin.protocols import Columns, Estimate

__all__ = ["mean"]

_METHODS = ("betting", "empirical-bernstein", "t")


def mean(
    columns: Columns,
    *,
    confidence: float,
    seed: int = 0,
    method: str = "auto",
    support: Sequence[float | None] | None = None,
    target: str = "rows",
    least: int = 1,
    threshold: float | None = None,
    comparator: str | None = None,
) -> Estimate:
    """Mean of ``value``.

    Args:
        columns: ``value`` (finite numbers; ``None`` rows are left out) and optionally ``group``.
        confidence: One-sided confidence of each bound, in (0.5, 1).
        seed: Order in which betting looks at the units; drawn without looking at the values.
        method: ``betting`` and ``empirical-bernstein`` are guaranteed and need both ends of ``support``;
            ``t`` is Student's interval, approximate: about α where means of n units are near normal, and not
            on strongly skewed values at small n. ``auto``: betting when both ends are registered, else t.
        support: ``[low, high]`` of one value, registered before the run; an end may be ``None``.
        target: With groups: ``rows``, the mean over rows, or ``groups``, the mean of group means. The
            guaranteed methods see one value per group, so they speak of rows only when all groups have one
            size; otherwise ``auto`` takes t with the linearised variance of the ratio.
        least: Fewest independent units that decide, registered by whoever knows that fewer would not do.
        threshold: θ, to also get the p-values dual to the bounds.
        comparator: The claim's comparator, with ``threshold``.

    Returns:
        The estimate; ``detail["target"]`` says which mean it is.

    Raises:
        UsageError: Unknown method or target, a malformed support, or a confidence outside (0.5, 1).

    Example:
        >>> e = mean({"value": [4.1, 3.9, 4.4, 4.0, 4.2]}, confidence=0.95)
        >>> e.method, round(e.lower, 3), round(e.upper, 3)
        ('t', 3.937, 4.303)
    """
    alpha = check_confidence(confidence)
    low, high = _ends(support)
    bounded = low is not None and high is not None
    if target not in ("rows", "groups"):
        raise UsageError(f"the target of a mean is 'rows' or 'groups', not {target!r}")
    if method not in ("auto", *_METHODS):
        raise UsageError(f"no interval for a mean is called {method!r}; use auto, {', '.join(_METHODS)}")
    table = read(columns, "value")
    if table.problem:
        return failed(table.problem, table, method=method)
    x = table.value
    if (low is not None and x.min() < low) or (high is not None and x.max() > high):
        return failed(f"a value lies outside the registered support {list(support or ())}", table, method=method)
    few = too_few_groups(table, weighted=target == "rows")
    if table.n_groups < least:
        few = f"{table.n_groups} units are fewer than {least}"
    if table.codes is not None:
        sizes = np.bincount(table.codes, minlength=table.n_groups)
        equal = bool((sizes == sizes[0]).all())
        if target == "groups" or (equal and bounded and method != "t"):
            # One value per group, and these are independent.
            table = Table({"value": table.totals(x) / sizes}, None, table.n_groups)
    value = float(table.value.mean())
    if few:
        return failed(few, table, value=value, method=method)
    if method == "auto":
        method = "betting" if bounded and table.codes is None else "t"
    detail: dict[str, Any] = {"target": target, "range": [low, high]}
    if method == "t":
        result = _student(table, alpha, threshold)
    elif not bounded:
        return failed(f"{method} needs both ends of the support registered", table, value=value, method=method)
    elif table.codes is not None:
        problem = f"{method} needs groups of one size, or target 'groups'"
        return failed(problem, table, value=value, method=method)
    else:
        assert low is not None
        assert high is not None
        result = _bounded(method, table.value, low, high, alpha, seed, threshold)
    if isinstance(result, str):
        return failed(result, table, value=value, method=method)
    lower, upper, p_upper, p_lower = result
    lower = lower if low is None else max(low, lower)
    upper = upper if high is None else min(high, upper)
    p_validated, p_refuted = sides(comparator if threshold is not None else None, p_upper, p_lower)
    library = "scipy" if method == "t" else OWN
    return Estimate(
        value, lower, upper, len(x), p_validated=p_validated, p_refuted=p_refuted, method=method, library=library,
        version=installed(library), guarantee="approximate" if method == "t" else "guaranteed",
        n_groups=table.n_groups, detail=detail,
    )  # fmt: skip


def _ends(support: Sequence[float | None] | None) -> tuple[float | None, float | None]:
    if support is None:
        return None, None
    if len(support) != 2:
        raise UsageError(f"a support is [low, high], either may be null, not {list(support)!r}")
    low, high = (None if e is None or math.isinf(e) else float(e) for e in support)
    if low is not None and high is not None and not low < high:
        raise UsageError(f"a support is [low, high] with low < high, not {list(support)!r}")
    return low, high


def _student(table: Table, alpha: float, threshold: float | None) -> tuple[float, float, float, float] | str:
    # Student's t over independent units; with groups the linearised variance and G−1 degrees of freedom.
    if table.n_groups < 2:
        return "a t interval needs at least 2 independent values"
    centre, variance, df = mean_variance(table, table.value)
    if variance <= (1e-14 * max(1.0, abs(centre))) ** 2:
        return "all values are equal, so their spread is unknown; register a support to bound the mean"
    error = math.sqrt(variance)
    half = float(stdtrit(df, 1 - alpha)) * error
    p_upper = math.nan if threshold is None else float(stdtr(df, (centre - threshold) / error))
    p_lower = math.nan if threshold is None else float(stdtr(df, (threshold - centre) / error))
    return centre - half, centre + half, p_upper, p_lower


def _bounded(
    method: str, values: Floats, low: float, high: float, alpha: float, seed: int, threshold: float | None
) -> tuple[float, float, float, float] | str:
    scale = high - low
    x = np.clip((values - low) / scale, 0.0, 1.0)
    theta = math.nan if threshold is None else (threshold - low) / scale
    p_upper = p_lower = math.nan
    if method == "betting":
        x = x[np.random.default_rng(seed).permutation(len(x))]
        lower, upper = betting_lower(x, alpha), 1 - betting_lower(1 - x, alpha)
        if threshold is not None:
            p_upper, p_lower = betting_p_lower(1 - x, alpha, 1 - theta), betting_p_lower(x, alpha, theta)
    elif len(x) < 2:
        return "empirical Bernstein needs at least 2 independent values"
    else:
        lower, upper = bernstein_lower(x, alpha), 1 - bernstein_lower(1 - x, alpha)
        if threshold is not None:
            p_upper, p_lower = bernstein_p_lower(1 - x, 1 - theta), bernstein_p_lower(x, theta)
    return low + scale * lower, low + scale * upper, p_upper, p_lower
