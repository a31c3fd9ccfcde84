"""Pillar N: the BCa bootstrap against scipy's."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import bootstrap as scipy_bootstrap

from ophamin.measuring.pillars.robustness.bootstrap import bootstrap
from ophamin.measuring.pillars.robustness.statistics import statistic_of


def _seconds(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


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
        }
    ]
