"""How far a stated confidence is from the hit rate, and whether it is worth more than the base rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc, gammaincinv, ndtr, ndtri, stdtr, stdtrit

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

__all__ = ["bins_of", "brier_skill", "calibration_error", "check_edges"]

_ENOUGH = 30.0
"""Surprises from which on their sum is near normal."""

_BASE_RATE_SHARE = 0.1
"""Share of α spent on not knowing the base rate, where the bound needs it from above."""


def _read(columns: Columns) -> tuple[Table, Floats]:
    """Rows with confidence and correctness, then rows that only contribute a fixed number.

    ``contribution`` is how the decision puts a bound in place of a failed cycle: a row that has one needs
    neither confidence nor outcome.
    """
    given = columns.get("contribution")
    count = len(columns["confidence"]) if "confidence" in columns else 0
    fixed = [None] * count if given is None else list(given)
    full: dict[str, Sequence[Any]] = {
        name: [0.0 if f is not None else v for f, v in zip(fixed, columns[name], strict=True)]
        for name in ("confidence", "correct")
        if name in columns
    }
    if "group" in columns:
        full["group"] = columns["group"]
    full["fixed"] = [math.inf if f is None else f for f in fixed]
    table = read(full, "confidence", "correct", "fixed", infinite=True)
    for name in ("confidence", "correct"):
        column = table.columns[name]
        if table.problem:
            break
        if name == "correct" and not np.isin(column, (0.0, 1.0)).all():
            table = Table(table.columns, table.codes, table.n_groups, "'correct' needs values 0 and 1")
        elif not ((column >= 0) & (column <= 1)).all():
            table = Table(table.columns, table.codes, table.n_groups, "a confidence lies between 0 and 1")
    return table, table.columns["fixed"]


def check_edges(bins: int | Sequence[float]) -> Floats:
    """Edges of the bins, from 0 to 1.

    Args:
        bins: Number of equal bins, or their edges.

    Raises:
        UsageError: Neither.
    """
    edges = np.linspace(0, 1, bins + 1) if isinstance(bins, int) else np.asarray(bins, dtype=np.float64)
    if len(edges) < 2 or edges[0] != 0 or edges[-1] != 1 or (np.diff(edges) <= 0).any():
        raise UsageError(f"bins are a number of equal bins or rising edges from 0 to 1, not {bins!r}")
    return edges


def bins_of(edges: Floats, c: Floats) -> NDArray[np.intp]:
    """Bin of each stated confidence; a bin holds its upper edge, the first one 0 too."""
    return np.clip(np.searchsorted(edges, c, side="left") - 1, 0, len(edges) - 2)


def calibration_error(
    columns: Columns,
    *,
    confidence: float,
    seed: int = 0,
    method: str = "auto",
    bins: int | Sequence[float] = 10,
    threshold: float | None = None,
    comparator: str | None = None,
) -> Estimate:
    """Expected calibration error over fixed bins, Σ_b |Σ_{i in b} (y_i − c_i)| / n.

    The plug-in is biased upwards, and no correction of it is both right and short. The upper bound needs
    none: the error is the greatest of Σ_i s_b(i) (y_i − c_i) / n over all signs s of the bins, so the
    greatest of their upper bounds covers it; with d = y − c that is the plug-in + z·√((mean d² − ECE²)/n).
    For the lower bound the signs come from one seeded half of the units and the bound of the signed mean from
    the other: whatever the signs are, a signed mean never exceeds the error.

    Where the squared gaps d² add up to fewer than 30 (a system that is nearly always right and says so), the normal
    bound would validate a false claim up to 20 % of the time; there the upper bound lies at least as far above
    the plug-in as that of a Poisson count of Σd² surprises (Garwood 1936, Biometrika 28:437), so no sample of
    fewer than −ln(α)/θ rows validates.

    With groups a unit is a group: the upper bound takes Σ_b |Σ_{i in g, b} d_i| as the size of group g, which
    no choice of signs exceeds, and t with G−1 degrees of freedom.

    Args:
        columns: ``confidence`` in [0, 1], ``correct`` (0/1 or bool), optionally ``group`` and
            ``contribution`` (a fixed d for a row that has neither).
        confidence: One-sided confidence of each bound, in (0.5, 1).
        seed: Splits the units in halves.
        method: ``auto`` or ``sign-vectors``.
        bins: Number of equal bins of [0, 1], or their edges; registered before the run.
        threshold: θ, to also get the p-values dual to the bounds.
        comparator: The claim's comparator, with ``threshold``.

    Returns:
        The estimate; approximate, as means of n bounded values are near normal.

    Raises:
        UsageError: Unknown method, malformed bins, or a confidence outside (0.5, 1).

    Example:
        >>> e = calibration_error({"confidence": [0.75] * 400, "correct": [1, 1, 1, 0] * 100}, confidence=0.95)
        >>> e.value, round(e.upper, 3)
        (0.0, 0.036)
    """
    alpha = check_confidence(confidence)
    if method not in ("auto", "sign-vectors"):
        raise UsageError(f"no interval for the calibration error is called {method!r}; use auto or sign-vectors")
    method, edges = "sign-vectors", check_edges(bins)
    table, fixed = _read(columns)
    if table.problem:
        return failed(table.problem, table, method=method)
    n = table.n
    free = np.isinf(fixed)
    c, y = table.columns["confidence"], table.columns["correct"]
    d = np.where(free, y - c, np.where(free, 0.0, np.abs(fixed)))
    # A row with a fixed contribution has a bin of its own sign: the errors' bin, which adds its whole size.
    bin_of = np.where(free, bins_of(edges, c), len(edges) - 1)
    sums = np.bincount(bin_of[free], weights=d[free], minlength=len(edges) - 1)
    value = float(np.abs(sums).sum() + fixed[~free].sum()) / n
    if problem := too_few_groups(table):
        return failed(problem, table, value=value, method=method)
    if table.n_groups < 4:
        return failed("fewer than 4 independent units cannot be split in halves", table, value=value, method=method)
    error = _upper_error(table, d, bin_of, len(edges), value)
    quantile = float(ndtri(1 - alpha)) if table.codes is None else float(stdtrit(table.n_groups - 1, 1 - alpha))
    rare = _rare_surprises(table, d, bin_of, len(edges))
    half = quantile * error
    if rare is not None:
        half = max(half, rare[1] * (float(gammaincinv(rare[0] + 1, 1 - alpha)) - rare[0]))
    upper = min(1.0, value + half)
    signed, signed_error, df = _signed_half(table, np.where(free, d, fixed), bin_of, free, len(edges), seed)
    lower = max(0.0, signed - float(stdtrit(df, 1 - alpha)) * signed_error)
    p_validated = p_refuted = None
    if threshold is not None:
        gap = (threshold - value) / error if error > 0 else math.copysign(math.inf, threshold - value)
        p_upper = float(ndtr(-gap)) if table.codes is None else float(stdtr(table.n_groups - 1, -gap))
        if rare is not None:
            reach = rare[0] + (threshold - value) / rare[1]
            p_upper = max(p_upper, float(gammaincc(rare[0] + 1, reach)) if reach > 0 else 1.0)
        over = (signed - threshold) / signed_error if signed_error > 0 else math.copysign(math.inf, signed - threshold)
        p_validated, p_refuted = sides(comparator, p_upper, float(stdtr(df, -over)))
    return Estimate(
        value, min(lower, 1.0), upper, n, p_validated=p_validated, p_refuted=p_refuted, method=method, library=OWN,
        version=installed(OWN), n_groups=table.n_groups,
        detail={"edges": edges.tolist(), "signed_gaps": (sums / n).tolist(), "range": [0.0, 1.0]},
    )  # fmt: skip


def _upper_error(table: Table, d: Floats, bin_of: np.ndarray, n_bins: int, value: float) -> float:
    n, units = table.n, table.n_groups
    if table.codes is None:
        return math.sqrt(max(float(np.mean(d * d)) - value * value, 0.0) / n)
    sizes = _sizes(table, d, bin_of, n_bins)
    return math.sqrt(units / (units - 1) * float(sizes @ sizes)) / n


def _sizes(table: Table, d: Floats, bin_of: np.ndarray, n_bins: int) -> Floats:
    """Of each unit, Σ_b |Σ_{i in unit, b} d_i|: no choice of signs exceeds it."""
    if table.codes is None:
        return np.abs(d)
    cells = np.bincount(table.codes * n_bins + bin_of, weights=d, minlength=table.n_groups * n_bins)
    sizes: Floats = np.abs(cells.reshape(table.n_groups, n_bins)).sum(axis=1)
    return sizes


def _rare_surprises(table: Table, d: Floats, bin_of: np.ndarray, n_bins: int) -> tuple[float, float] | None:
    """Surprises as a count, and what one adds to the error; ``None`` where there are enough for a normal bound.

    One surprise is a whole row, or with groups as much as the most surprising group.
    """
    sizes = _sizes(table, d, bin_of, n_bins)
    one = 1.0 if table.codes is None else float(sizes.max()) or table.n / table.n_groups
    count = float(sizes @ sizes) / one**2
    return (count, one / table.n) if count < _ENOUGH else None


def _signed_half(
    table: Table, d: Floats, bin_of: np.ndarray, free: np.ndarray, n_bins: int, seed: int
) -> tuple[float, float, int]:
    """Mean of s_b·d over one half of the units, its standard error, and its degrees of freedom."""
    units = table.n_groups
    half = np.zeros(units, dtype=bool)
    half[np.random.default_rng(seed).permutation(units)[: units // 2]] = True
    in_first = half if table.codes is None else half[table.codes]
    sums = np.bincount(bin_of[in_first & free], weights=d[in_first & free], minlength=n_bins)
    signs = np.where(sums < 0, -1.0, 1.0)
    rest = ~in_first
    signed = np.where(free, signs[bin_of] * d, d)[rest]
    size = len(signed)
    mean = float(signed.mean())
    residuals = signed - mean
    if table.codes is not None:
        residuals = np.bincount(table.codes[rest], weights=residuals, minlength=units)[~half].astype(np.float64)
    count = len(residuals)
    return mean, math.sqrt(count / (count - 1) * float(residuals @ residuals)) / size, count - 1


def brier_skill(
    columns: Columns,
    *,
    confidence: float,
    seed: int = 0,
    method: str = "auto",
    threshold: float | None = None,
    comparator: str | None = None,
) -> Estimate:
    """Brier skill over the base rate, as a difference of Brier scores: p(1−p) − E(y−c)².

    Positive exactly when the Brier skill *score* 1 − E(y−c)²/(p(1−p)) is, which ``detail`` shows. The base
    rate p is unknown, and a difference taken against its estimate has next to no variance for a
    constant near it: Student's t would call such a constant skilful 22 % of the time. So p is not
    estimated. p(1−p) is the least of E(y−q)² over all constants q, hence the skill is the least, over q, of the
    mean of (y−q)² − (y−c)², paired by row:

    - lower bound: the least over q in [0, 1] of each q's Student bound (an intersection–union test, Berger
      1982, Technometrics 24:295); no constant forecast can ever exceed 0;
    - upper bound: the greatest over the q that a t interval at a tenth of α does not exclude, each at the rest of α.

    Args:
        columns: ``confidence`` in [0, 1], ``correct`` (0/1 or bool), optionally ``group`` and
            ``contribution`` (a fixed difference for a row that has neither).
        confidence: One-sided confidence of each bound, in (0.5, 1).
        seed: Not used; the method draws nothing.
        method: ``auto`` or ``paired-t``.
        threshold: θ, to also get the p-values dual to the bounds.
        comparator: The claim's comparator, with ``threshold``.

    Returns:
        The estimate in units of a Brier score, from −1 to 0.25; approximate.

    Raises:
        UsageError: Unknown method, or a confidence outside (0.5, 1).

    Example:
        >>> e = brier_skill({"confidence": [0.9, 0.1] * 50, "correct": [1, 0] * 50}, confidence=0.95)
        >>> round(e.value, 2), e.lower > 0
        (0.24, True)
    """
    alpha = check_confidence(confidence)
    if method not in ("auto", "paired-t"):
        raise UsageError(f"no interval for the Brier skill is called {method!r}; use auto or paired-t")
    method = "paired-t"
    table, fixed = _read(columns)
    if table.problem:
        return failed(table.problem, table, method=method)
    free = np.isinf(fixed)
    c, y = table.columns["confidence"], table.columns["correct"]
    if not free.any():
        return failed("there are no observations", table, method=method)
    skill = _Skill(table, free, y, np.where(free, y * y - (y - c) ** 2, fixed))
    brier = float(np.mean((y - c)[free] ** 2))
    rate = float(y[free].mean())
    value = skill.mean(rate)
    if problem := too_few_groups(table):
        return failed(problem, table, value=value, method=method)
    if table.n_groups < 2:
        return failed("a t interval needs at least 2 independent units", table, value=value, method=method)
    if rate in (0.0, 1.0):
        return failed("every outcome is the same, so the base rate leaves nothing to explain", table, method=method)
    lower, upper = skill.lower(alpha), skill.upper(alpha)
    p_validated = p_refuted = None
    if threshold is not None:
        p_validated, p_refuted = sides(comparator, skill.p_upper(threshold), skill.p_lower(threshold))
    reference = rate * (1 - rate)
    return Estimate(
        value, max(-1.0, lower), min(0.25, upper), table.n, p_validated=p_validated, p_refuted=p_refuted, method=method,
        library="scipy", version=installed("scipy"), n_groups=table.n_groups,
        detail={"brier": brier, "base_rate": rate, "skill_score": 1 - brier / reference, "range": [-1.0, 0.25]},
    )  # fmt: skip


class _Skill:
    """Student bounds of the mean of a_i + f_i·(q² − 2·q·y_i), for every constant forecast q at once."""

    def __init__(self, table: Table, free: np.ndarray, y: Floats, a: Floats) -> None:
        f = free.astype(np.float64)
        n, units = table.n, table.n_groups
        self.df = units - 1
        self._means = np.array([a.mean(), (f * y).mean(), f.mean()])
        columns = [table.totals(v - v.mean()) for v in (a, f * y, f)]
        gram = np.array([[float(u @ v) for v in columns] for u in columns])
        self._cov = units / self.df * gram / n**2 if units > 1 else gram * math.nan
        # The base rate among the rows that have an outcome, and its standard error.
        self.rate = float(self._means[1] / self._means[2])
        contrast = np.array([0.0, 1.0, -self.rate]) / self._means[2]
        self._rate_error = math.sqrt(max(float(contrast @ self._cov @ contrast), 0.0))

    def _weights(self, q: Floats) -> Floats:
        return np.array([np.ones_like(q), -2 * q, q * q])

    def mean(self, q: float) -> float:
        return float(self._means @ self._weights(np.array([q]))[:, 0])

    def _at(self, q: Floats) -> tuple[Floats, Floats]:
        w = self._weights(q)
        variance = np.einsum("iq,ij,jq->q", w, self._cov, w)
        return self._means @ w, np.sqrt(np.maximum(variance, 0.0))

    def _grid(self, low: float = 0.0, high: float = 1.0) -> Floats:
        return np.linspace(low, high, 4001)

    def lower(self, alpha: float) -> float:
        means, errors = self._at(self._grid())
        return float((means - stdtrit(self.df, 1 - alpha) * errors).min())

    def _plausible(self, alpha: float) -> Floats:
        half = float(stdtrit(self.df, 1 - _BASE_RATE_SHARE * alpha / 2)) * self._rate_error
        return self._grid(max(0.0, self.rate - half), min(1.0, self.rate + half))

    def upper(self, alpha: float) -> float:
        means, errors = self._at(self._plausible(alpha))
        return float((means + stdtrit(self.df, 1 - (1 - _BASE_RATE_SHARE) * alpha) * errors).max())

    def p_lower(self, theta: float) -> float:
        means, errors = self._at(self._grid())
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where(errors > 0, (means - theta) / errors, np.where(means > theta, np.inf, -np.inf))
        return float(stdtr(self.df, -t.min()))

    def p_upper(self, theta: float) -> float:
        """Least α whose upper bound is at θ, by bisection: the plausible base rates depend on α too."""
        low, high = 0.0, 1.0
        if self.upper(0.999) > theta:
            return 1.0
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (low, middle) if self.upper(middle) <= theta else (middle, high)
        return high
