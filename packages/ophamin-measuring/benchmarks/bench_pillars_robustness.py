"""Pillar N: bootstraps against scipy's, cross-validation against scikit-learn's, the jackknife+ against mapie's."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from mapie.regression import CrossConformalRegressor
from scipy.stats import bootstrap as scipy_bootstrap
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold
from sklearn.model_selection import cross_validate as sklearn_cross_validate

from ophamin.measuring.pillars.robustness.bootstrap import bootstrap
from ophamin.measuring.pillars.robustness.folds import splits
from ophamin.measuring.pillars.robustness.jackknife_plus import jackknife_plus
from ophamin.measuring.pillars.robustness.statistics import statistic_of
from ophamin.measuring.pillars.robustness.validation import cross_validate, make_model


def _seconds(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _against(name: str, ours: Callable[[], Any], theirs: Callable[[], Any], bar: float) -> dict[str, Any]:
    ours(), theirs()
    pairs = [(_seconds(ours), _seconds(theirs)) for _ in range(9)]
    ratio = statistics.median(o / t for o, t in pairs)
    mine, other = (1000 * statistics.median(p[i] for p in pairs) for i in (0, 1))
    detail = f"{mine:.0f} ms against {other:.0f} ms"
    return {"name": name, "ratio": ratio, "bar": f"<= {bar:g}", "ok": ratio <= bar, "detail": detail}


def _bootstraps() -> list[dict[str, Any]]:
    x, mean = np.random.default_rng(1).lognormal(size=1000), statistic_of("mean")
    return [
        _against(
            f"bootstrap {name} of a mean, n = 1,000, B = 9,999 / scipy.stats.bootstrap",
            lambda m=method: bootstrap([x], mean, method=m, resamples=9999, seed=2),  # type: ignore[misc]
            lambda m=theirs: scipy_bootstrap(  # type: ignore[misc]
                (x,), np.mean, n_resamples=9999, method=m, rng=np.random.default_rng(2)
            ),
            bar,
        )
        for name, method, theirs, bar in (
            ("BCa", "bca", "BCa", 0.5),
            ("percentile", "percentile", "percentile", 1.1),
            ("basic", "basic", "basic", 1.1),
        )
    ]


def _jackknife_plus() -> dict[str, Any]:
    rng = np.random.default_rng(4)
    x, new = rng.normal(size=(300, 3)), rng.normal(size=(300, 3))
    y = x[:, 0] + rng.normal(size=300)
    left_out = splits("leave-one-out", 300)

    def ours() -> Any:
        return jackknife_plus(LinearRegression(), x, y, new, left_out, alpha=0.1)

    def theirs() -> Any:
        found = CrossConformalRegressor(LinearRegression(), confidence_level=0.9, method="plus", cv=300)
        return found.fit_conformalize(x, y).predict_interval(new)[1][:, :, 0].T

    assert np.allclose(ours(), theirs())
    return _against("jackknife+ of a linear model, 300 rows, 300 new ones / mapie", ours, theirs, 1.1)


def _validation() -> dict[str, Any]:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(20_000, 20))
    y = x.sum(axis=1) + rng.normal(size=len(x))
    folds, model = list(KFold(10, shuffle=True, random_state=0).split(x)), make_model("ols")

    def theirs() -> Any:
        return sklearn_cross_validate(model, x, y, cv=folds, scoring="neg_mean_squared_error")["test_score"]

    def ours() -> Any:
        return cross_validate(model, x, y, folds)

    row = _against(
        "10-fold cross-validation of a linear model, 20,000 rows of 20 features / scikit-learn", ours, theirs, 1.1
    )
    same = bool(np.allclose(-theirs(), ours().per_fold))
    return {**row, "ok": row["ok"] and same, "detail": f"{row['detail']}, same scores: {same}"}


def run() -> list[dict[str, Any]]:
    """The rows."""
    return [*_bootstraps(), _validation(), _jackknife_plus()]
