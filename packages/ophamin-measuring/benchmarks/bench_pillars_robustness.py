"""Pillar N: the BCa bootstrap against scipy's, cross-validation against scikit-learn's."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import bootstrap as scipy_bootstrap
from sklearn.model_selection import KFold
from sklearn.model_selection import cross_validate as sklearn_cross_validate

from ophamin.measuring.pillars.robustness.bootstrap import bootstrap
from ophamin.measuring.pillars.robustness.statistics import statistic_of
from ophamin.measuring.pillars.robustness.validation import cross_validate, make_model


def _seconds(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _validation() -> dict[str, Any]:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(20_000, 20))
    y = x.sum(axis=1) + rng.normal(size=len(x))
    splits, model = list(KFold(10, shuffle=True, random_state=0).split(x)), make_model("ols")

    def theirs() -> Any:
        return sklearn_cross_validate(model, x, y, cv=splits, scoring="neg_mean_squared_error")["test_score"]

    def ours() -> Any:
        return cross_validate(model, x, y, splits)

    same = bool(np.allclose(-theirs(), ours().per_fold))
    pairs = [(_seconds(ours), _seconds(theirs)) for _ in range(9)]
    ratio = statistics.median(o / t for o, t in pairs)
    mine, other = (1000 * statistics.median(p[i] for p in pairs) for i in (0, 1))
    return {
        "name": "10-fold cross-validation of a linear model, 20,000 rows of 20 features / scikit-learn",
        "ratio": ratio,
        "bar": "<= 1.1",
        "ok": ratio <= 1.1 and same,
        "detail": f"{mine:.0f} ms against {other:.0f} ms, same scores: {same}",
    }


def run() -> list[dict[str, Any]]:
    """The rows."""
    x, mean = np.random.default_rng(1).lognormal(size=1000), statistic_of("mean")

    def theirs() -> Any:
        return scipy_bootstrap((x,), np.mean, n_resamples=9999, method="BCa", rng=np.random.default_rng(2))

    def ours() -> Any:
        return bootstrap([x], mean, method="bca", resamples=9999, seed=2)

    theirs(), ours()
    pairs = [(_seconds(ours), _seconds(theirs)) for _ in range(7)]
    ratio = statistics.median(o / t for o, t in pairs)
    detail = f"{1000 * statistics.median(o for o, _ in pairs):.0f} ms against {1000 * statistics.median(t for _, t in pairs):.0f} ms"
    return [
        {
            "name": "bootstrap BCa of a mean, n = 1,000, B = 9,999 / scipy.stats.bootstrap",
            "ratio": ratio,
            "bar": "<= 0.5",
            "ok": ratio <= 0.5,
            "detail": detail,
        },
        _validation(),
    ]
