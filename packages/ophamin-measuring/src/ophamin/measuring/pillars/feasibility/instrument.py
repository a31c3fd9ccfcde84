"""Instrumental variables: Wald's ratio and two-stage least squares (statsmodels), and how weak the instrument is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import chi2
from scipy.stats import f as fisher
from scipy.stats import t as student
from statsmodels.sandbox.regression.gmm import IV2SLS

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.feasibility._effect import checked_level, independent
from ophamin.proof.errors import UsageError

__all__ = ["ERRORS", "Instrumented", "instrumented"]

ERRORS = ("classical", "HC0", "HC1")
"""Standard errors: one variance, or robust to unequal ones without and with the factor n/(n − k)."""


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
        first_stage_f: F of the instruments in the first stage; below 10 they are weak.
        anderson_rubin: Bounds that hold with weak instruments; (−∞, ∞) where the data bound nothing, NaN where several
            instruments leave no value.
        disjoint: Whether the Anderson–Rubin set is all but what lies between the two bounds.
        n: Rows.
        notes: What the reader must know, in sentences.
        sargan: Sargan's statistic and p-value, of all instruments being valid; ``None`` with one instrument.
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
    sargan: tuple[float, float] | None = None


def instrumented(
    outcome: ArrayLike,
    treatment: ArrayLike,
    instrument: ArrayLike,
    controls: ArrayLike | None = None,
    *,
    errors: str = "classical",
    level: float = 0.95,
) -> Instrumented:
    """Two-stage least squares with one treatment; with one instrument and no controls, Wald's ratio.

    Args:
        outcome: Shape (n,).
        treatment: Numbers, shape (n,).
        instrument: Numbers, shape (n,) or (n, q): each moves the treatment, and the outcome only through it.
        controls: Shape (n, p).
        errors: One of :data:`ERRORS`, for the effect and the first-stage F.
        level: Two-sided confidence.

    Raises:
        UsageError: Malformed arrays or options.

    Source: Wald (1940), Ann Math Stat 11:284; Angrist, Imbens & Rubin (1996), JASA 91:444; weak instruments: Staiger &
    Stock (1997), Econometrica 65:557; Anderson & Rubin (1949), Ann Math Stat 20:46; Sargan (1958), Econometrica 26:393.
    """
    checked_level(level)
    if errors not in ERRORS:
        raise UsageError(f"errors of instrumental variables are {', '.join(ERRORS)}, not {errors!r}")
    y, w, z = (np.asarray(a, dtype=np.float64) for a in (outcome, treatment, instrument))
    x = np.empty((len(y), 0)) if controls is None else np.asarray(controls, dtype=np.float64)
    x, z = (a[:, None] if a.ndim == 1 else a for a in (x, z))
    if not (y.ndim == 1 and y.shape == w.shape and x.ndim == z.ndim == 2 and len(x) == len(y) == len(z)):
        raise UsageError("outcome and treatment have shape (n,), instruments (n, q) and controls (n, p), of one n")
    if not z.shape[1] or not all(np.isfinite(a).all() for a in (y, w, z, x)):
        raise UsageError("outcome, treatment, instrument and controls must be finite; leave incomplete rows out first")
    kept, notes = independent(x)
    x = x[:, kept]
    n, p, q = len(y), x.shape[1], z.shape[1]
    df = n - p - 2
    if df < 1 or n - p - 1 - q < 1:
        return _nothing(n, (f"{n} rows are too few for {p + 1 + q} coefficients", *notes))
    rest = np.column_stack([np.ones(n), (x - x.mean(axis=0)) / x.std(axis=0)])
    columns = np.column_stack([y, w, z])
    net = columns - rest @ np.linalg.lstsq(rest, columns, rcond=None)[0]
    r_y, r_w, r_z = net[:, 0], net[:, 1], net[:, 2:]
    size = (net**2).sum(axis=0)
    flat = size <= 1e-14 * np.maximum((columns**2).sum(axis=0), 1e-300)
    for name, gone in (("treatment", flat[1]), ("instrument", flat[2:].any())):
        if gone:
            return _nothing(n, (f"the {name} is constant, or determined by the controls", *notes))
    r_z = r_z / np.sqrt(size[2:])
    if q > 1 and np.linalg.matrix_rank(r_z, tol=1e-7) < q:
        return _nothing(n, ("an instrument is a linear combination of the others and the controls", *notes))
    # Net of the controls both stages need no constant (Frisch & Waugh 1933); the basis spans the instruments.
    basis = np.linalg.qr(r_z)[0]
    along = basis.T @ r_w
    off = r_w - basis @ along
    strength = _strength(basis, along, off, n - p - 1 - q, errors)
    plain = float(r_w @ r_y) / float(r_w @ r_w)
    if math.sqrt(float(along @ along)) <= 1e-12 * math.sqrt(float(r_w @ r_w)):
        return _nothing(n, ("the instrument does not move the treatment at all", *notes), plain, strength)
    exog, instruments = np.column_stack([w, rest]), np.column_stack([r_z, rest])
    fit = IV2SLS(y, exog, instruments).fit()
    value, se = float(fit.params[0]), float(fit.bse[0])
    residual = y - exog @ np.asarray(fit.params)
    if errors != "classical":
        # Two-stage least squares is least squares on the fitted treatment net of the controls.
        fitted = basis @ along
        inflate = n / df if errors == "HC1" else 1.0
        se = math.sqrt(inflate * float(((fitted * residual) ** 2).sum())) / float(fitted @ fitted)
    notes = (*notes, *_said(strength))
    spread = float(residual @ residual)
    if np.ptp(y) == 0 or not se > 0 or spread <= 1e-24 * float(((y - y.mean()) ** 2).sum()):  # rounding is no spread
        notes = (*notes, "the outcome has no spread about the fit, so there is no interval")
        se = math.nan
    half = float(student.ppf((1 + level) / 2, df)) * se
    p_value = float(2 * student.sf(abs(value / se), df)) if se > 0 else math.nan
    bounds, disjoint = _anderson_rubin(basis, r_y, r_w, n - p - 1 - q, level)
    if not se > 0:
        bounds = (math.nan, math.nan)
    elif math.isnan(bounds[0]):
        notes = (*notes, "the Anderson-Rubin set is empty: the instruments contradict each other")
    sargan = None
    if q > 1 and se > 0:
        statistic = n * float(((basis.T @ residual) ** 2).sum()) / spread
        sargan = (statistic, float(chi2.sf(statistic, q - 1)))
    return Instrumented(
        value, se, value - half, value + half, p_value, df, plain, strength, bounds, disjoint, n, notes, sargan
    )  # fmt: skip


def _strength(basis: Floats, along: Floats, off: Floats, df: int, errors: str) -> float:
    """F of the instruments in the first stage: of their coefficients in an orthonormal basis."""
    q = len(along)
    if float(off @ off) <= 1e-14 * float(along @ along):
        return math.inf
    if errors == "classical":
        return float(along @ along) / q / (float(off @ off) / df)
    meat = (basis * (off**2)[:, None]).T @ basis * (len(off) / df if errors == "HC1" else 1.0)
    return float(along @ np.linalg.solve(meat, along)) / q


def _said(strength: float) -> tuple[str, ...]:
    if strength < 10:
        return (f"the instrument is weak: first-stage F {strength:.2f}, below 10; trust the Anderson-Rubin set only",)
    return ()


def _nothing(n: int, notes: tuple[str, ...], plain: float = math.nan, strength: float = math.nan) -> Instrumented:
    nan = math.nan
    return Instrumented(nan, nan, nan, nan, nan, 0, plain, strength, (-math.inf, math.inf), False, n, notes)


def _anderson_rubin(basis: Floats, y: Floats, w: Floats, df: int, level: float) -> tuple[tuple[float, float], bool]:
    """Values b for which the instruments do not predict y − b·w, a quadratic in b."""
    q = basis.shape[1]
    least = q * float(fisher.ppf(level, q, df)) / df
    on_y, on_w = basis.T @ y, basis.T @ w
    # explained(b) ≤ least · unexplained(b), both quadratic in b
    explained = [float(on_w @ on_w), float(on_w @ on_y), float(on_y @ on_y)]
    total = [float(w @ w), float(w @ y), float(y @ y)]
    a, b, c = (e * (1 + least) - least * s for e, s in zip(explained, total, strict=True))
    root = b * b - a * c
    if a > 0 and root < 0 and q > 1:
        return (math.nan, math.nan), False  # no effect at all agrees with every instrument
    if a > 0:
        half = math.sqrt(max(root, 0.0)) / a
        return (b / a - half, b / a + half), False
    if root <= 0 or a == 0:
        return (-math.inf, math.inf), False
    half = math.sqrt(root) / -a
    return (b / a - half, b / a + half), True
