"""Machine-learning estimators of effects, by econml (extra ``causal``)."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import KFold, StratifiedKFold

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.feasibility._effect import checked_level, independent
from ophamin.proof.errors import MissingDependency, UsageError

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from econml.dml import CausalForestDML, LinearDML
except ImportError as error:
    raise MissingDependency("double machine learning", "econml", "ophamin-measuring[causal]") from error

__all__ = ["NUISANCES", "Learned", "causal_forest", "linear_dml"]

EXTREME = 1e-3
"""A score of the treatment nearer to 0 or 1 than this is looked into."""
Split = tuple[NDArray[np.intp], NDArray[np.intp]]
NUISANCES = ("linear", "forest")
"""How outcome and treatment are predicted: unpenalised (logistic) regression, or random forests."""


@dataclass(frozen=True)
class Learned:
    """An effect by double machine learning.

    Args:
        estimate: Average effect.
        se: Its standard error.
        lower: Lower bound.
        upper: Upper bound.
        p_value: Two-sided, of no effect.
        effects: Effect at each row's features, shape (n,).
        effects_lower: Pointwise lower bounds, shape (n,).
        effects_upper: Pointwise upper bounds, shape (n,).
        notes: What the reader must know, in sentences.
    """

    estimate: float
    se: float
    lower: float
    upper: float
    p_value: float
    effects: Floats
    effects_lower: Floats
    effects_upper: Floats
    notes: tuple[str, ...] = ()


@contextmanager
def _quiet() -> Iterator[None]:
    """Warnings of econml and scikit-learn stay in here; what matters is checked and said in words."""
    level = logging.getLogger("econml").level
    logging.getLogger("econml").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.getLogger("econml").setLevel(level)


def linear_dml(
    outcome: ArrayLike,
    treatment: ArrayLike,
    controls: ArrayLike,
    *,
    modifiers: ArrayLike | None = None,
    folds: int | Sequence[Split] = 5,
    nuisance: str = "linear",
    discrete: bool | None = None,
    seed: int = 0,
    level: float = 0.95,
) -> Learned:
    """Partially linear model by double machine learning: residuals on residuals, cross-fitted.

    Args:
        outcome: Shape (n,).
        treatment: 0 and 1, or numbers; shape (n,).
        controls: Shape (n, p).
        modifiers: What the effect varies with, linearly, shape (n, q); default: one effect for all.
        folds: How many, or train and test rows of each.
        nuisance: One of :data:`NUISANCES`.
        discrete: Whether the treatment is modelled as 0 and 1; default: if it is.
        seed: Of folds and forests.
        level: Two-sided confidence; HC1 standard errors.

    Returns:
        The effect; NaN with the reason where it cannot be told.

    Raises:
        UsageError: Malformed arrays or options.

    Source: Chernozhukov et al. (2018), Econometrics Journal 21:C1 (DML2); econml's ``LinearDML``.
    """
    y, w, x, modified, binary, reason, notes = _prepared(
        outcome, treatment, controls, modifiers, nuisance, discrete, level
    )
    if reason:
        return _nothing(len(y), reason, notes)
    cut = folds if not isinstance(folds, int) else _folds(folds, w, binary, seed)
    model_y, model_t = _models(nuisance, binary, seed)
    with _quiet():
        model = LinearDML(
            model_y=model_y, model_t=model_t, discrete_treatment=binary, cv=cut, random_state=seed,
            fit_cate_intercept=True,
        )  # fmt: skip
        try:
            model.fit(y, w, X=modified, W=x, inference="statsmodels", cache_values=True)
        except np.linalg.LinAlgError:
            reason = "the residuals of treatment and outcome do not determine an effect"
            return _nothing(len(y), (_no_overlap(w, x, modified) if binary else None) or reason, notes)
        if binary:
            # Where a combination of the controls separates the arms, an unpenalised regression says so itself: the
            # likelihood has no maximum, and scores run towards 0 and 1. Forests do not, and are asked about always.
            residuals = np.abs(np.asarray(model.residuals_[1], dtype=np.float64))
            doubtful = not (residuals.min() > EXTREME and residuals.max() < 1 - EXTREME)
            if (nuisance != "linear" or doubtful) and (reason := _no_overlap(w, x, modified)):
                return _nothing(len(y), reason, notes)
        average = model.ate_inference(modified)
        alpha = 1 - level
        value, se = _scalar(average.mean_point), _scalar(average.stderr_mean)
        lower, upper = (_scalar(b) for b in average.conf_int_mean(alpha=alpha))
        p = _scalar(average.pvalue())
        effects = _column(model.const_marginal_effect(modified), len(y))
        low, high = (_column(b, len(y)) for b in model.const_marginal_effect_interval(modified, alpha=alpha))
    if not (math.isfinite(se) and se > 0):
        return _nothing(len(y), "the residuals of the treatment have no spread: there is no overlap", notes)
    return Learned(value, se, lower, upper, p, effects, low, high, notes)


def causal_forest(
    outcome: ArrayLike,
    treatment: ArrayLike,
    modifiers: ArrayLike,
    *,
    controls: ArrayLike | None = None,
    trees: int = 500,
    folds: int = 5,
    nuisance: str = "forest",
    seed: int = 0,
    level: float = 0.95,
) -> Learned:
    """Effects that vary with features, by a causal forest on cross-fitted residuals.

    Args:
        outcome: Shape (n,).
        treatment: 0 and 1, shape (n,).
        modifiers: What the effect may vary with (confounders too), shape (n, q).
        controls: Further confounders, shape (n, p).
        trees: A multiple of 4.
        folds: Of the cross-fitting.
        nuisance: One of :data:`NUISANCES`.
        seed: Of folds and forests.
        level: Two-sided confidence, pointwise for the effects.

    Returns:
        The effects; the average is the doubly robust one.

    Raises:
        UsageError: Malformed arrays or options.

    Source: Athey, Tibshirani & Wager (2019), Annals of Statistics 47:1148; econml's ``CausalForestDML``.
    """
    if trees < 4 or trees % 4:
        raise UsageError(f"the trees of a causal forest are a multiple of 4, not {trees}")
    nothing = np.empty((len(np.asarray(outcome)), 0))
    extra = nothing if controls is None else controls
    y, w, x, modified, binary, reason, notes = _prepared(outcome, treatment, extra, modifiers, nuisance, True, level)
    reason = reason or _no_overlap(w, x, modified)
    if reason or modified is None:
        return _nothing(len(y), reason or "a causal forest needs at least one feature that varies", notes)
    model_y, model_t = _models(nuisance, binary, seed)
    with _quiet():
        model = CausalForestDML(
            model_y=model_y, model_t=model_t, discrete_treatment=True, cv=_folds(folds, w, binary, seed),
            n_estimators=trees, random_state=seed, n_jobs=1,
        )  # fmt: skip
        model.fit(y, w, X=modified, W=x)
        value, se = _scalar(model.ate_), _scalar(model.ate_stderr_)
        effects = _column(model.effect(modified), len(y))
        low, high = (_column(b, len(y)) for b in model.effect_interval(modified, alpha=1 - level))
    if not (math.isfinite(se) and se > 0):
        return _nothing(len(y), "the residuals of the treatment have no spread: there is no overlap", notes)
    from scipy.stats import norm

    half = float(norm.ppf((1 + level) / 2)) * se
    return Learned(
        value, se, value - half, value + half, float(2 * norm.sf(abs(value / se))), effects, low, high, notes
    )


def _prepared(
    outcome: ArrayLike, treatment: ArrayLike, controls: ArrayLike, modifiers: ArrayLike | None, nuisance: str,
    discrete: bool | None, level: float,
) -> tuple[Floats, Floats, Floats | None, Floats | None, bool, str | None, tuple[str, ...]]:  # fmt: skip
    checked_level(level)
    if nuisance not in NUISANCES:
        raise UsageError(f"a nuisance is one of {', '.join(NUISANCES)}, not {nuisance!r}")
    y, w, x = (np.asarray(a, dtype=np.float64) for a in (outcome, treatment, controls))
    x = x[:, None] if x.ndim == 1 else x
    m = None if modifiers is None else np.asarray(modifiers, dtype=np.float64)
    m = m[:, None] if m is not None and m.ndim == 1 else m
    if y.ndim != 1 or y.shape != w.shape or len(x) != len(y) or (m is not None and len(m) != len(y)):
        raise UsageError("outcome and treatment have shape (n,), controls (n, p) and modifiers (n, q), of one n")
    if not all(np.isfinite(a).all() for a in (y, w, x, *([] if m is None else [m]))):
        raise UsageError("all columns must be finite; leave incomplete rows out first")
    binary = bool(np.isin(w, (0.0, 1.0)).all()) if discrete is None else discrete
    if binary and not np.isin(w, (0.0, 1.0)).all():
        raise UsageError("a discrete treatment is 1 for the treated and 0 for the rest")
    kept, notes = independent(x)
    x = x[:, kept]
    x = (x - x.mean(axis=0)) / x.std(axis=0) if len(x) else x  # scikit-learn drops badly scaled columns silently
    if m is not None:
        varying, more = independent(m)
        m, notes = (m[:, varying] if len(varying) else None), (*notes, *more)
    if m is not None and len(m):  # they predict outcome and treatment, too; effects at the rows are the same
        m = (m - m.mean(axis=0)) / m.std(axis=0)
    reason = None
    if binary and min(int((w == 1).sum()), int((w == 0).sum())) < 10:
        reason = f"{int((w == 1).sum())} treated and {int((w == 0).sum())} untreated rows: at least 10 of each needed"
    elif len(y) < 20 or np.ptp(w) == 0:
        reason = "at least 20 rows and a treatment that varies are needed"
    elif np.ptp(y) == 0:
        reason = "the outcome is constant: nothing can be said on its spread"
    return y, w, (x if x.shape[1] else None), m, binary, reason, notes


def _no_overlap(w: Floats, x: Floats | None, m: Floats | None) -> str | None:
    """Why the arms cannot be compared, if so; regression cannot tell, and its penalty or a forest only hides it."""
    from ophamin.measuring.pillars.feasibility.propensity import fit_propensity

    given = [columns for columns in (x, m) if columns is not None]
    return fit_propensity(w, np.column_stack(given)).problem if given else None


def _folds(count: int, w: Floats, binary: bool, seed: int) -> list[Split]:
    if not 2 <= count <= len(w) // 2:
        raise UsageError(f"cross-fitting takes from 2 to {len(w) // 2} folds, not {count}")
    made = (StratifiedKFold if binary else KFold)(count, shuffle=True, random_state=seed)
    return list(made.split(np.zeros(len(w)), w))


def _models(nuisance: str, binary: bool, seed: int) -> tuple[Any, Any]:
    """Predictors of outcome and treatment; regressions need scaled columns, as their solvers stop at a tolerance."""
    if nuisance == "forest":
        forest: dict[str, Any] = {"n_estimators": 200, "min_samples_leaf": 5, "random_state": seed, "n_jobs": 1}
        return RandomForestRegressor(**forest), (RandomForestClassifier if binary else RandomForestRegressor)(**forest)
    logistic = LogisticRegression(C=math.inf, tol=1e-10, max_iter=10_000)
    return LinearRegression(), (logistic if binary else LinearRegression())


def _scalar(value: Any) -> float:
    return float(np.asarray(value, dtype=np.float64).reshape(-1)[0])


def _column(value: Any, n: int) -> Floats:
    flat = np.asarray(value, dtype=np.float64).reshape(-1)
    return np.full(n, flat[0]) if len(flat) == 1 else flat


def _nothing(n: int, reason: str, notes: tuple[str, ...]) -> Learned:
    nan, rows = math.nan, np.full(n, math.nan)
    return Learned(nan, nan, nan, nan, nan, rows, rows, rows, (reason, *notes))
