"""KSWIN at the speed a calibration needs: a million points in seconds instead of minutes.

River asks scipy for a p-value at every point. The test is between two samples of one size, so its p-value depends on
the statistic alone, and the statistics of many points can be found by one sort. Alarms follow the same law as river's;
the random samples drawn are others.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ophamin.proof.errors import MissingDependency

try:
    from scipy.stats import ks_2samp
except ImportError as error:
    raise MissingDependency("calibrating KSWIN", "scipy", "ophamin-comparing[drift]") from error

__all__ = ["kswin_alarms"]

_CHUNK = 20_000
# River asks for a statistic above this beside the p-value.
_LEAST = 0.1


@cache
def _critical(size: int, alpha: float) -> float:
    """The least statistic of two samples of ``size`` whose p-value is at most ``alpha``; above 1 when there is none."""
    low = np.arange(size, dtype=float)
    for k in range(1, size + 1):
        # Shifting one sample by k ranks makes the statistic k / size.
        with warnings.catch_warnings():
            # scipy says where it goes over to the asymptotic p-value, as river lets it.
            warnings.simplefilter("ignore", RuntimeWarning)
            found = ks_2samp(low, low + k - 0.5)
        if found.pvalue <= alpha and found.statistic > _LEAST:
            return float(found.statistic)
    return 2.0


def kswin_alarms(values: NDArray[np.float64], config: Mapping[str, Any], *, at_most: int | None = None) -> list[int]:
    """Positions at which KSWIN signals.

    Args:
        values: Shape ``(n,)``.
        config: ``alpha``, ``window_size``, ``stat_size`` and ``seed``, as river names them.
        at_most: Stop after this many.

    Example:
        >>> kswin_alarms(np.r_[np.zeros(200), np.ones(200)], {"alpha": 0.0001, "seed": 1})[0] < 230
        True
    """
    window, size = int(config.get("window_size", 100)), int(config.get("stat_size", 30))
    critical = _critical(size, float(config.get("alpha", 0.005)))
    rng = np.random.default_rng(config.get("seed"))
    found: list[int] = []
    # After an alarm river begins with an empty window.
    start, n = 0, len(values)
    position = window - 1
    while position < n and (at_most is None or len(found) < at_most):
        last = min(position + _CHUNK, n)
        windows = np.lib.stride_tricks.sliding_window_view(values[start:last], window)[position - start - window + 1 :]
        hits = np.flatnonzero(_statistics(windows, size, rng) >= critical - 1e-12)
        if len(hits):
            at = position + int(hits[0])
            found.append(at)
            start = at + 1
            position = start + window - 1
        else:
            position, start = last, last - window + 1
    return found


def _statistics(windows: NDArray[np.float64], size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Two-sample Kolmogorov–Smirnov statistic of each window's newest values against a draw from its older ones."""
    older = windows[:, :-size]
    drawn = np.argpartition(rng.random(older.shape), size - 1, axis=1)[:, :size]
    both = np.concatenate([np.take_along_axis(older, drawn, axis=1), windows[:, -size:]], axis=1)
    order = np.argsort(both, axis=1, kind="stable")
    steps = np.cumsum(np.where(order < size, 1, -1), axis=1)
    ordered = np.take_along_axis(both, order, axis=1)
    # Within ties the distribution functions have not stepped yet.
    open_ = np.ones(steps.shape, bool)
    open_[:, :-1] = ordered[:, :-1] < ordered[:, 1:]
    return np.asarray(np.abs(np.where(open_, steps, 0)).max(axis=1) / size)
