"""Pillar M: a mixed model and analyses of variance against the bare library calls."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf
from scipy import stats
from statsmodels.regression.mixed_linear_model import MixedLM
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.oneway import anova_oneway

from ophamin.measuring.pillars.mixed_effects.factorial import factorial
from ophamin.measuring.pillars.mixed_effects.linear import mixed_model
from ophamin.measuring.pillars.mixed_effects.oneway import one_way


def _seconds(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _row(name: str, ours: Callable[[], Any], theirs: Callable[[], Any], times: int = 9) -> dict[str, Any]:
    ours(), theirs()
    pairs = [(_seconds(ours), _seconds(theirs)) for _ in range(times)]
    ratio = statistics.median(o / t for o, t in pairs)
    own, bare = (1000 * statistics.median(p[i] for p in pairs) for i in (0, 1))
    return {
        "name": name, "ratio": ratio, "bar": "<= 1.1", "ok": ratio <= 1.1,
        "detail": f"{own:.1f} ms against {bare:.1f} ms",
    }  # fmt: skip


def run() -> list[dict[str, Any]]:
    """The rows."""
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(60), 20)
    t = np.tile(np.linspace(-1, 1, 20), 60)
    slopes = rng.normal(size=(60, 2))
    y = 1 + 0.5 * t + slopes[group, 0] + 0.5 * slopes[group, 1] * t + rng.normal(size=len(group))
    x = np.column_stack([np.ones(len(y)), t])
    labels = group.tolist()
    n = 20_000
    a, b, z = rng.integers(0, 4, n), rng.integers(0, 3, n), rng.normal(size=n)
    frame = pd.DataFrame({"y": z, "a": a, "b": b})
    factors = {"a": a.tolist(), "b": b.tolist()}
    k = rng.integers(0, 8, 1_000_000)
    v = rng.normal(size=len(k))

    def bare_oneway() -> Any:
        parts = [v[k == i] for i in range(8)]
        return (
            anova_oneway(parts, use_var="equal"), anova_oneway(parts, use_var="unequal"), stats.kruskal(*parts),
            stats.levene(*parts, center="mean"), stats.levene(*parts, center="median"), stats.bartlett(*parts),
        )  # fmt: skip

    return [
        _row("mixed model, random intercept, 60 groups of 20 / MixedLM.fit",
             lambda: mixed_model(y, labels, numeric={"t": t}),
             lambda: MixedLM(y, x, groups=group).fit()),
        _row("mixed model, random slope, 60 groups of 20 / MixedLM.fit",
             lambda: mixed_model(y, labels, numeric={"t": t}, structure="slope", slope="t"),
             lambda: MixedLM(y, x, groups=group, exog_re=x).fit()),
        _row("two-way analysis of variance, type III, 20,000 rows / anova_lm",
             lambda: factorial(z, factors, type=3),
             lambda: anova_lm(smf.ols("y ~ C(a, Sum)*C(b, Sum)", frame).fit(), typ=3)),
        _row("one-way analysis of variance, 1,000,000 rows / the six library calls",
             lambda: one_way(v, k), bare_oneway, 5),
    ]  # fmt: skip


if __name__ == "__main__":
    for row in run():
        print(row)
