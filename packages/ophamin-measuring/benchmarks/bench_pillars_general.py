"""Pillar X: intervals over arrays against a loop over scipy, and wrappers against the calls they wrap."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import binomtest, mannwhitneyu, spearmanr

from ophamin.measuring.pillars.general.correlations import correlate
from ophamin.measuring.pillars.general.proportions import interval
from ophamin.measuring.pillars.general.ranks import mann_whitney

BATCH = 2000
"""Shares per interval call; the loop over scipy takes seconds for many more."""


def _seconds(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _ratios(ours: Callable[[], Any], theirs: Callable[[], Any], repeats: int) -> tuple[float, float, float]:
    """Median of ours/theirs measured in turn, after one call of each to warm up, and both medians in seconds."""
    ours(), theirs()
    times = [(_seconds(ours), _seconds(theirs)) for _ in range(repeats)]
    return (
        statistics.median(a / b for a, b in times),
        statistics.median(a for a, _ in times),
        statistics.median(b for _, b in times),
    )


def run() -> list[dict[str, Any]]:
    """The rows."""
    rng = np.random.default_rng(1)
    n = rng.integers(20, 500, BATCH)
    k = rng.binomial(n, 0.9)
    rows = []
    for method, theirs in (("clopper-pearson", "exact"), ("wilson", "wilson")):

        def loop(name: Any = theirs) -> list[Any]:
            pairs = zip(k.tolist(), n.tolist(), strict=True)
            return [binomtest(a, b).proportion_ci(0.95, method=name) for a, b in pairs]

        ratio, ours_s, theirs_s = _ratios(lambda m=method: interval(k, n, method=m), loop, 5)  # type: ignore[misc]
        rows.append({
            "name": f"{method} intervals of {BATCH} shares, against a loop over scipy (times faster)",
            "ratio": 1 / ratio, "bar": ">= 50", "ok": 1 / ratio >= 50,
            "detail": f"{1e3 * ours_s:.2f} ms against {1e3 * theirs_s:.0f} ms",
        })  # fmt: skip
    # Where the library takes 10 ms and more: below that a fixed cost of ours would be weighed.
    x, y = rng.normal(size=300_000), rng.normal(0.01, 1, 300_000)
    for name, ours, library in (
        ("X.mann_whitney", lambda: mann_whitney(x, y), lambda: mannwhitneyu(x, y, method="asymptotic")),
        ("X.correlation (spearman)", lambda: correlate(x, y, kind="spearman"), lambda: spearmanr(x, y)),
    ):
        ratio, ours_s, theirs_s = _ratios(ours, library, 15)
        rows.append({
            "name": f"{name} on 300,000 rows, against scipy", "ratio": ratio, "bar": "<= 1.1", "ok": ratio <= 1.1,
            "detail": f"{1e3 * ours_s:.1f} ms against {1e3 * theirs_s:.1f} ms",
        })  # fmt: skip
    return rows
