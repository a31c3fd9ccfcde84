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
from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.oneway import anova_oneway

from ophamin.measuring.pillars.mixed_effects.factorial import factorial
from ophamin.measuring.pillars.mixed_effects.inference import likelihood_ratio
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


def _two_terms() -> list[dict[str, Any]]:
    """Models of two random terms, and the test of one of them."""
    rng, rows = np.random.default_rng(2), []
    inside = np.tile(np.repeat(np.arange(3), 4), 20)
    site, t = np.repeat(np.arange(20), 12), rng.normal(size=240)
    a, b, u = np.tile(np.arange(20), 20), np.repeat(np.arange(20), 20), rng.normal(size=400)
    for structure, first, second, x, groups, terms in (
        ("nested", site, inside, t, "first", {"second": "0 + C(second)"}),
        ("crossed", a, b, u, "one", {"first": "0 + C(first)", "second": "0 + C(second)"}),
    ):
        lower = rng.normal(size=(20, 3))[first, second] if structure == "nested" else rng.normal(size=20)[second]
        y = 1 + 0.5 * x + rng.normal(size=20)[first] + lower + rng.normal(size=len(x))
        frame = pd.DataFrame({"y": y, "x": x, "first": first, "second": second, "one": 1})

        def ours(y: Any = y, x: Any = x, of: str = structure, one: Any = first, other: Any = second) -> Any:
            return mixed_model(y, one.tolist(), numeric={"x": x}, structure=of, second=other.tolist())

        def theirs(frame: Any = frame, by: str = groups, terms: Any = terms) -> Any:
            inner = "1" if by == "first" else None
            return MixedLM.from_formula("y ~ x", frame, groups=by, re_formula=inner, vc_formula=terms).fit()

        assert np.allclose(ours().beta, theirs().fe_params, rtol=1e-4)
        rows.append(_row(f"mixed model, {structure}, {len(x)} rows / MixedLM.fit", ours, theirs))
    return rows


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

    free = MixedLMParams.from_components(fe_params=np.ones(2), cov_re=np.eye(2))

    def tested() -> Any:
        full = mixed_model(y, labels, numeric={"t": t}, structure="slope", slope="t", reml=False, df="asymptotic")
        return likelihood_ratio(full, mixed_model(y, labels, numeric={"t": t}, reml=False, df="asymptotic"))

    def bare_test() -> Any:
        return MixedLM(y, x, groups=group, exog_re=x).fit(reml=False), MixedLM(y, x, groups=group).fit(reml=False)

    return [
        _row("mixed model, random intercept, 60 groups of 20 / MixedLM.fit",
             lambda: mixed_model(y, labels, numeric={"t": t}),
             lambda: MixedLM(y, x, groups=group).fit()),
        _row("mixed model, random slope, 60 groups of 20 / MixedLM.fit",
             lambda: mixed_model(y, labels, numeric={"t": t}, structure="slope", slope="t"),
             lambda: MixedLM(y, x, groups=group, exog_re=x).fit()),
        _row("mixed model, random slope without correlation, 60 groups of 20 / MixedLM.fit",
             lambda: mixed_model(y, labels, numeric={"t": t}, structure="slope-uncorrelated", slope="t"),
             lambda: MixedLM(y, x, groups=group, exog_re=x).fit(free=free)),
        _row("likelihood-ratio test of a random slope, 60 groups of 20 / two fits of MixedLM", tested, bare_test),
        *_two_terms(),
        _row("two-way analysis of variance, type III, 20,000 rows / anova_lm",
             lambda: factorial(z, factors, type=3),
             lambda: anova_lm(smf.ols("y ~ C(a, Sum)*C(b, Sum)", frame).fit(), typ=3)),
        _row("one-way analysis of variance, 1,000,000 rows / the six library calls",
             lambda: one_way(v, k), bare_oneway, 5),
    ]  # fmt: skip


if __name__ == "__main__":
    for row in run():
        print(row)
