"""Cross-validation of a model, by scikit-learn: scores per fold, their mean and spread, and all predictions together.

The spread over folds is no standard error of the mean: training sets overlap, and no unbiased estimate of the variance
exists (Bengio & Grandvalet 2004, JMLR 5:1089). Nested cross-validation chooses the hyperparameter inside each training
set, so that the choice is paid for (Varma & Simon 2006, BMC Bioinformatics 7:91).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, log_loss, mean_absolute_error, mean_squared_error, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.robustness.folds import Split
from ophamin.proof.errors import UsageError

__all__ = ["METRICS", "MODELS", "CrossValidated", "Nested", "cross_validate", "make_model", "nested"]

METRICS: Mapping[str, Callable[[Any, Any], float]] = {
    "mse": mean_squared_error,
    "mae": mean_absolute_error,
    "r2": r2_score,
    "accuracy": accuracy_score,
    "log_loss": log_loss,
}
MODELS = ("ols", "polynomial", "ridge", "logistic", "dummy-mean", "dummy-prior")


def make_model(name: str, *, degree: int = 1, penalty: float = 1.0) -> Any:
    """A model by name; predictors are always standardised inside the training set.

    ``LinearRegression`` of scikit-learn drops badly scaled columns without a word (its ``tol``), hence the scaling.

    Args:
        name: One of :data:`MODELS`.
        degree: For ``polynomial``.
        penalty: λ of ``ridge`` in ‖y−Xb‖² + λ‖b‖²; of ``logistic`` 1/C.

    Raises:
        UsageError: No such model, or a number out of range.
    """
    if name not in MODELS or degree < 1 or penalty < 0:
        raise UsageError(f"a model is {', '.join(MODELS)}, with degree from 1 and penalty from 0, not {name!r}")
    match name:
        case "polynomial":
            return make_pipeline(
                StandardScaler(), PolynomialFeatures(degree, include_bias=False), StandardScaler(), LinearRegression()
            )
        case "ridge":
            return make_pipeline(StandardScaler(), Ridge(alpha=penalty))
        case "logistic":
            inverse = 1 / penalty if penalty > 0 else math.inf
            return make_pipeline(StandardScaler(), LogisticRegression(C=inverse, max_iter=10_000))
        case "dummy-mean":
            return DummyRegressor()
        case "dummy-prior":
            return DummyClassifier(strategy="prior")
    return make_pipeline(StandardScaler(), LinearRegression())


@dataclass(frozen=True)
class CrossValidated:
    """Scores of a cross-validation.

    Args:
        per_fold: Score of each split, shape (k,); NaN where the metric does not exist for so few rows.
        mean: Their mean.
        weighted_mean: Mean weighted by the size of the test sets.
        sd: Their standard deviation (k−1).
        se: sd/√k, which is too small because training sets overlap.
        pooled: The metric of all test predictions together; NaN where rows are tested other than once.
        train_sizes: Rows each model was trained on, shape (k,).
        test_sizes: Rows it was tested on.
        predictions: Out-of-fold prediction of each row, shape (n,); NaN where not tested once.
    """

    per_fold: Floats
    mean: float
    weighted_mean: float
    sd: float
    se: float
    pooled: float
    train_sizes: list[int]
    test_sizes: list[int]
    predictions: Floats


def _score(metric: str, truth: Any, predicted: Any) -> float:
    if metric == "r2" and len(truth) < 2:
        return math.nan
    return float(METRICS[metric](truth, predicted))


def _predict(model: Any, metric: str, features: Floats) -> Any:
    return model.predict_proba(features)[:, 1] if metric == "log_loss" else model.predict(features)


def _checked(features: ArrayLike, target: ArrayLike, metric: str) -> tuple[Floats, Any]:
    x, y = np.asarray(features, dtype=np.float64), np.asarray(target)
    x = x[:, None] if x.ndim == 1 else x
    if metric not in METRICS:
        raise UsageError(f"a metric is {', '.join(METRICS)}, not {metric!r}")
    if x.ndim != 2 or len(x) != len(y) or not len(y) or not np.isfinite(x).all():
        raise UsageError("features are finite numbers, one row for each target, and there is at least one")
    return x, y


def cross_validate(
    model: Any, features: ArrayLike, target: ArrayLike, splits: Sequence[Split], *, metric: str = "mse"
) -> CrossValidated:
    """Train on each split's training rows, score on its test rows.

    Args:
        model: A scikit-learn estimator; each split fits a clone.
        features: Shape (n, p) or (n,).
        target: Shape (n,).
        splits: Of :mod:`robustness.folds`.
        metric: One of :data:`METRICS`.

    Raises:
        UsageError: An unknown metric, malformed features, or a model that cannot be fitted, with its reason.
    """
    x, y = _checked(features, target, metric)
    scores, times_tested = [], np.zeros(len(y), dtype=int)
    predictions = np.full(len(y), np.nan)
    for train, test in splits:
        try:
            fitted = clone(model).fit(x[train], y[train])
        except ValueError as error:
            raise UsageError(f"the model cannot be fitted on {len(train)} rows: {error}") from error
        predicted = _predict(fitted, metric, x[test])
        scores.append(_score(metric, y[test], predicted))
        times_tested[test] += 1
        if np.issubdtype(np.asarray(predicted).dtype, np.number):
            predictions[test] = predicted
    per_fold = np.array(scores)
    k = len(per_fold)
    once = bool((times_tested <= 1).all())
    predictions = np.where(times_tested == 1, predictions, np.nan)
    whole = once and np.isfinite(predictions[times_tested == 1]).all()
    tested = times_tested == 1
    pooled = _score(metric, y[tested], predictions[tested]) if whole and tested.any() else math.nan
    known = per_fold[np.isfinite(per_fold)]
    sd = float(known.std(ddof=1)) if len(known) > 1 else math.nan
    mean = float(known.mean()) if len(known) else math.nan
    weights = np.array([len(test) for _, test in splits], dtype=np.float64)[np.isfinite(per_fold)]
    weighted = float(known @ weights / weights.sum()) if len(known) else math.nan
    sizes = [len(train) for train, _ in splits], [len(test) for _, test in splits]
    return CrossValidated(
        per_fold, mean, weighted, sd, sd / math.sqrt(k) if k else math.nan, pooled, *sizes, predictions
    )


@dataclass(frozen=True)
class Nested:
    """A nested cross-validation.

    Args:
        outer: Score of each outer split with the value chosen inside it, shape (k,).
        chosen: Index of the chosen candidate in each outer split.
        inner: Mean inner score of each candidate in each outer split, shape (k, candidates).
        mean: Mean of ``outer``: the honest estimate.
        sd: Their standard deviation.
        flat: Mean score of each candidate without nesting, shape (candidates,).
        flat_best: The best of ``flat``: too good, because it was chosen for it.
    """

    outer: Floats
    chosen: list[int]
    inner: Floats
    mean: float
    sd: float
    flat: Floats
    flat_best: float


def nested(
    candidates: Sequence[Any],
    features: ArrayLike,
    target: ArrayLike,
    outer: Sequence[Split],
    inner: Callable[[int, Any], Sequence[Split]],
    *,
    metric: str = "mse",
) -> Nested:
    """Choose among candidates inside each outer training set, score the choice outside.

    Args:
        candidates: scikit-learn estimators.
        features: Shape (n, p) or (n,).
        target: Shape (n,).
        outer: Outer splits.
        inner: From the number of an outer split and its training rows to splits of those rows (positions in them).
        metric: One of :data:`METRICS`; greater is better for r2 and accuracy.

    Raises:
        UsageError: As :func:`cross_validate`, or no candidate.
    """
    x, y = _checked(features, target, metric)
    if not candidates or not outer:
        raise UsageError("nested cross-validation needs candidates and outer splits")
    sign = -1 if metric in ("r2", "accuracy") else 1
    scores, chosen, curves = [], [], []
    for number, (train, test) in enumerate(outer):
        cut = inner(number, train)
        curve = [cross_validate(c, x[train], y[train], cut, metric=metric).mean for c in candidates]
        best = int(np.argmin(sign * np.array(curve)))
        fitted = clone(candidates[best]).fit(x[train], y[train])
        scores.append(_score(metric, y[test], _predict(fitted, metric, x[test])))
        chosen.append(best)
        curves.append(curve)
    flat = np.array([cross_validate(c, x, y, outer, metric=metric).mean for c in candidates])
    out = np.array(scores)
    sd = float(out.std(ddof=1)) if len(out) > 1 else math.nan
    return Nested(out, chosen, np.array(curves), float(out.mean()), sd, flat, float(sign * (sign * flat).min()))
