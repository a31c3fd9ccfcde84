"""Drift of a table of 10,000 rows and 100 columns, against nothing but scipy's Kolmogorov–Smirnov test."""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp

from ophamin.comparing.drift_detection.table import table_drift

ROWS, COLUMNS, ROUNDS = 10_000, 100, 7


def _seconds(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def run() -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(ROWS, COLUMNS)) for _ in range(2))
    before, after = pd.DataFrame(x), pd.DataFrame(y)

    def bare() -> None:
        for i in range(COLUMNS):
            ks_2samp(x[:, i], y[:, i], method="asymp")

    def ours() -> None:
        table_drift(before, after, joint=False)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ratios = [_seconds(ours) / _seconds(bare) for _ in range(ROUNDS)]
    ratio = statistics.median(ratios)
    return [
        {
            "name": "drift of a table (KS, PSI, Wasserstein, energy, bounds) / bare scipy KS (asymptotic)",
            "ratio": ratio,
            "bar": "<= 5",
            "ok": ratio <= 5,
            "detail": f"{ROWS:,} rows, {COLUMNS} columns, median of {ROUNDS}",
        }
    ]
