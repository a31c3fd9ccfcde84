"""Instrumental variables: Wald's ratio and two-stage least squares (statsmodels), and how weak the instrument is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import f as fisher
from scipy.stats import t as student
from statsmodels.sandbox.regression.gmm import IV2SLS

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.feasibility._effect import checked_level, independent
from ophamin.proof.errors import UsageError

__all__ = ["Instrumented", "instrumented"]


@dataclass(frozen=True)
class Instrumented:
    """An effect by instrumental variables.

    Args:
        estimate: Effect of one unit of treatment on those whom the instrument moves; NaN where it moves nobody.
        se: Standard error; NaN where there is none.
        lower: Wald bound, by Student's t.
        upper: Wald bound.
        p_value: Two-sided, of no effect.
        df: Degrees of freedom.
        least_squares: Coefficient of the treatment without the instrument.
        first_stage_f: F of the instrument in the first stage; below 10 it is weak.
        anderson_rubin: Bounds that hold with a weak instrument; (−∞, ∞) where the data bound nothing.
        disjoint: Whether the Anderson–Rubin set is all but what lies between the two bounds.
        n: Rows.
        notes: What the reader must know, in sentences.
    """

    estimate: float
    se: float
    lower: float
    upper: float
    p_value: float
    df: int
    least_squares: float
    first_stage_f: float
    anderson_rubin: tuple[float, float]
    disjoint: bool
    n: int
    notes: tuple[str, ...] = ()


def instrumented(
    outcome: ArrayLike,
    treatment: ArrayLike,
    instrument: ArrayLike,
    controls: ArrayLike | None = None,
    *,
    robust: bool = False,
    level: float = 0.95,
) -> Instrumented:
    """Two-stage least squares with one treatment and one instrument; without controls, Wald's ratio.

    Args:
        outcome: Shape (n,).
        treatment: Numbers, shape (n,).
        instrument: Numbers, shape (n,): moves the treatment, and the outcome only through it.
        controls: Shape (n, p).
        robust: Standard errors and F robust to unequal variances (HC1); default: classical.
        level: Two-sided confidence.

    Raises:
        UsageError: Malformed arrays or options.

    Source: Wald (1940), Ann Math Stat 11:284; Angrist, Imbens & Rubin (1996), JASA 91:444; weak instruments: Staiger &
    Stock (1997), Econometrica 65:557; Anderson & Rubin (1949), Ann Math Stat 20:46.
    """
    checked_level(level)
    y, w, z = (np.asarray(a, dtype=np.float64) for a in (outcome, treatment, instrument))
    x = np.empty((len(y), 0)) if controls is None else np.asarray(controls, dtype=np.float64)
    x = x[:, None] if x.ndim == 1 else x
    if not (y.ndim == 1 and y.shape == w.shape == z.shape and x.ndim == 2 and len(x) == len(y)):
        raise UsageError("outcome, treatment and instrument have shape (n,) and controls (n, p), of one n")
    if not all(np.isfinite(a).all() for a in (y, w, z, x)):
        raise UsageError("outcome, treatment, instrument and controls must be finite; leave incomplete rows out first")
    kept, notes = independent(x)
    x = x[:, kept]
    n, k = len(y), x.shape[1] + 2
    df = n - k
    if df < 1:
        return _nothing(n, (f"{n} rows are too few for {k} coefficients", *notes))
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    rest = np.column_stack([np.ones(n), scaled])
    columns = np.column_stack([y, w, z])
    r_y, r_w, r_z = (columns - rest @ np.linalg.lstsq(rest, columns, rcond=None)[0]).T
    for name, residual, raw in (("treatment", r_w, w), ("instrument", r_z, z)):
        if float(residual @ residual) <= 1e-14 * max(float(raw @ raw), 1e-300):
            return _nothing(n, (f"the {name} is constant, or determined by the controls", *notes))
    # Net of the controls both regressions have one predictor (Frisch & Waugh 1933), so they need no fit of their own.
    zz, zw = float(r_z @ r_z), float(r_z @ r_w)
    off = r_w - (zw / zz) * r_z
    exact = float(off @ off) <= 1e-14 * float(r_w @ r_w)
    spread = n / df * float(((r_z * off) ** 2).sum()) if robust else zz * float(off @ off) / df
    strength = math.inf if exact else zw**2 / spread
    plain = float(r_w @ r_y) / float(r_w @ r_w)
    if abs(float(r_z @ r_w)) <= 1e-12 * math.sqrt(float(r_z @ r_z) * float(r_w @ r_w)):
        return _nothing(n, ("the instrument does not move the treatment at all", *notes), plain, strength)
    exog, instruments = np.column_stack([w, rest]), np.column_stack([z, rest])
    fit = IV2SLS(y, exog, instruments).fit()
    value, se = float(fit.params[0]), float(fit.bse[0])
    if robust:
        residual = y - exog @ np.asarray(fit.params)
        # Two-stage least squares is least squares on the fitted treatment net of the controls.
        fitted = r_z * (float(r_z @ r_w) / float(r_z @ r_z))
        se = math.sqrt(n / df * float(((fitted * residual) ** 2).sum())) / float(fitted @ fitted)
    notes = (*notes, *_said(strength))
    if np.ptp(y) == 0 or not se > 0:
        notes = (*notes, "the outcome has no spread about the fit, so there is no interval")
        se = math.nan
    half = float(student.ppf((1 + level) / 2, df)) * se
    p = float(2 * student.sf(abs(value / se), df)) if se > 0 else math.nan
    bounds, disjoint = _anderson_rubin(r_y, r_w, r_z, df, level)
    if not se > 0:
        bounds = (math.nan, math.nan)
    return Instrumented(
        value, se, value - half, value + half, p, df, plain, strength, bounds, disjoint, n, notes
    )  # fmt: skip


def _said(strength: float) -> tuple[str, ...]:
    if strength < 10:
        return (f"the instrument is weak: first-stage F {strength:.2f}, below 10; trust the Anderson-Rubin set only",)
    return ()


def _nothing(n: int, notes: tuple[str, ...], plain: float = math.nan, strength: float = math.nan) -> Instrumented:
    nan = math.nan
    return Instrumented(nan, nan, nan, nan, nan, 0, plain, strength, (-math.inf, math.inf), False, n, notes)


def _anderson_rubin(y: Floats, w: Floats, z: Floats, df: int, level: float) -> tuple[tuple[float, float], bool]:
    """Values b for which the instrument does not predict y − b·w, a quadratic in b."""
    zz, least = float(z @ z), float(fisher.ppf(level, 1, df)) / df
    # explained(b) ≤ least · unexplained(b), both quadratic in b
    explained = [float(z @ a) * float(z @ b) / zz for a, b in ((w, w), (w, y), (y, y))]
    total = [float(w @ w), float(w @ y), float(y @ y)]
    a, b, c = (e * (1 + least) - least * s for e, s in zip(explained, total, strict=True))
    root = b * b - a * c
    if a > 0:
        half = math.sqrt(max(root, 0.0)) / a
        return (b / a - half, b / a + half), False
    if root <= 0 or a == 0:
        return (-math.inf, math.inf), False
    half = math.sqrt(root) / -a
    return (b / a - half, b / a + half), True
