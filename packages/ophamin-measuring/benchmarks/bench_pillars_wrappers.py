"""Wrappers against the library calls they wrap, each where the call takes 10 ms and more: at most 1.1 times as long.

What a wrapper adds to its call (checks, an interval, other errors) is weighed with it. Both sides take turns, and turns at
being first; the median of the ratios counts, after one call of each to warm up. Where passes over memory are what costs,
columns have 600,000 rows and more: numpy asks for huge pages from 4 MB on, and below that the time the system takes to
hand out page after page, which varies from run to run, can exceed that of the arithmetic.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf
from scipy import stats
from sklearn.linear_model import Ridge
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    RepeatedKFold,
    StratifiedKFold,
    TimeSeriesSplit,
    cross_validate,
)  # fmt: skip
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from statsmodels.api import OLS, WLS, Logit, add_constant
from statsmodels.stats.anova import AnovaRM
from statsmodels.stats.contingency_tables import StratifiedTable
from statsmodels.stats.meta_analysis import combine_effects, effectsize_2proportions
from statsmodels.stats.multicomp import pairwise_tukeyhsd
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_ind
from statsmodels.treatment.treatment_effects import TreatmentEffect

from ophamin.measuring.pillars.feasibility.doubly_robust import ipwra
from ophamin.measuring.pillars.feasibility.regression import difference_in_means, lin
from ophamin.measuring.pillars.feasibility.weighting import ipw
from ophamin.measuring.pillars.general.adjust import adjust
from ophamin.measuring.pillars.general.correlations import correlate
from ophamin.measuring.pillars.general.means import paired, t_test, tost
from ophamin.measuring.pillars.general.permutation import permutation_test
from ophamin.measuring.pillars.mixed_effects.factorial import factorial
from ophamin.measuring.pillars.mixed_effects.repeated import repeated_measures
from ophamin.measuring.pillars.mixed_effects.sweep import sweep_effects
from ophamin.measuring.pillars.mixed_effects.tukey import tukey_hsd
from ophamin.measuring.pillars.robustness.folds import splits
from ophamin.measuring.pillars.robustness.validation import cross_validate as validated
from ophamin.measuring.pillars.robustness.validation import make_model, nested
from ophamin.measuring.pillars.synthesis.bias import begg, egger
from ophamin.measuring.pillars.synthesis.effects import counts
from ophamin.measuring.pillars.synthesis.pooling import pool
from ophamin.measuring.pillars.synthesis.tables import cochran_mantel_haenszel, mantel_haenszel, tarone

Call = Callable[[], Any]
Pair = tuple[str, Call, Call]


def _seconds(call: Call) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _row(name: str, ours: Call, theirs: Call) -> dict[str, Any]:
    ours(), theirs()
    once = _seconds(theirs)
    pairs = []
    for turn in range(max(5, min(21, int(1.5 / once)))):
        if turn % 2:
            other_s, own_s = _seconds(theirs), _seconds(ours)
        else:
            own_s, other_s = _seconds(ours), _seconds(theirs)
        pairs.append((own_s, other_s))
    ratio = statistics.median(o / t for o, t in pairs)
    mine, other = (1000 * statistics.median(p[i] for p in pairs) for i in (0, 1))
    return {
        "name": name, "ratio": ratio, "bar": "<= 1.1", "ok": ratio <= 1.1 and other >= 10,
        "detail": f"{mine:.1f} ms against {other:.1f} ms",
    }  # fmt: skip


def _general(rng: Any) -> Iterator[Pair]:
    x, y = rng.normal(size=2_000_000), rng.normal(0.01, 1, 2_000_000)
    yield (
        "Welch's t test, 2,000,000 values in each sample / scipy's ttest_ind and its interval",
        lambda: t_test(x, y), lambda: stats.ttest_ind(x, y, equal_var=False).confidence_interval(),
    )  # fmt: skip
    yield (
        "paired t test, 2,000,000 pairs / scipy's ttest_rel and its interval",
        lambda: paired(x, y), lambda: stats.ttest_rel(x, y).confidence_interval(),
    )  # fmt: skip
    yield (
        "TOST, 2,000,000 values in each sample / statsmodels' ttost_ind",
        lambda: tost(t_test(x, y, equal_variance=True), -0.1, 0.1), lambda: ttost_ind(x, y, -0.1, 0.1),
    )  # fmt: skip
    yield (
        "Pearson's correlation, 2,000,000 rows / scipy's pearsonr and its interval",
        lambda: correlate(x, y), lambda: stats.pearsonr(x, y).confidence_interval(),
    )  # fmt: skip
    few, more = x[:200_000], y[:200_000]
    yield (
        "Kendall's correlation, 200,000 rows / scipy's kendalltau",
        lambda: correlate(few, more, kind="kendall"), lambda: stats.kendalltau(few, more),
    )  # fmt: skip
    a, b = x[:100], y[:100]

    def means(u: Any, v: Any, axis: int) -> Any:
        return np.mean(u, axis=axis) - np.mean(v, axis=axis)

    yield (
        "permutation test, 2 x 100 values, 9,999 arrangements / scipy's permutation_test",
        lambda: permutation_test(a, b),
        lambda: stats.permutation_test((a, b), means, vectorized=True, n_resamples=9999, rng=1),
    )
    p = rng.random(10_000)
    yield (
        "Holm's correction of 10,000 p-values / statsmodels' multipletests",
        lambda: adjust(p), lambda: multipletests(p, method="holm"),
    )  # fmt: skip


def _anova(rng: Any) -> Iterator[Pair]:
    group, v = rng.integers(0, 10, 600_000), rng.normal(size=600_000)
    yield (
        "Tukey's test, 10 groups, 600,000 rows / statsmodels' pairwise_tukeyhsd",
        lambda: tukey_hsd(v, group), lambda: pairwise_tukeyhsd(v, group),
    )  # fmt: skip
    shape = (60, 3, 4)
    s, f, g = (i.ravel() for i in np.indices(shape))
    z = rng.normal(size=len(s)) + s / 100
    frame = pd.DataFrame({"z": z, "s": s, "f": f, "g": g})
    yield (
        "repeated measures, 60 subjects in 3 x 4 cells / statsmodels' AnovaRM",
        lambda: repeated_measures(z, s, {"f": f, "g": g}),
        lambda: AnovaRM(frame, "z", "s", within=["f", "g"]).fit(),
    )
    n = 20_000
    a, b, w = rng.integers(0, 4, n), rng.integers(0, 3, n), rng.normal(size=n)
    table, factors = pd.DataFrame({"w": w, "a": a, "b": b}), {"a": a.tolist(), "b": b.tolist()}
    for kind in (1, 2):
        yield (
            f"two-way analysis of variance, type {'I' * kind}, 20,000 rows / anova_lm",
            lambda kind=kind: factorial(w, factors, type=kind),  # type: ignore[misc]
            lambda kind=kind: anova_table(table, kind),  # type: ignore[misc]
        )
    yield (
        "effects of a sweep of two factors, 20,000 rows / statsmodels' ols of the same model",
        lambda: sweep_effects(w, factors), lambda: smf.ols("w ~ C(a, Sum)*C(b, Sum)", table).fit().bse,
    )  # fmt: skip


def anova_table(frame: pd.DataFrame, kind: int) -> Any:
    """statsmodels' table of two factors."""
    from statsmodels.stats.anova import anova_lm

    return anova_lm(smf.ols("w ~ C(a)*C(b)", frame).fit(), typ=kind)


def _effects(rng: Any) -> Iterator[Pair]:
    n, p = 5_000, 5
    x = rng.normal(size=(n, p))
    t = (rng.random(n) < 1 / (1 + np.exp(-0.5 * x[:, 0]))).astype(float)
    y = x.sum(axis=1) + t + rng.normal(size=n)
    wide, chosen = rng.normal(size=(50_000, 10)), (rng.random(50_000) < 0.5).astype(float)
    response = wide.sum(axis=1) + chosen + rng.normal(size=50_000)

    def adjusted() -> Any:
        centred = wide - wide.mean(axis=0)
        design = np.column_stack([np.ones(len(wide)), centred, centred * chosen[:, None], chosen])
        return OLS(response, design).fit().HC2_se

    yield (
        "Lin's adjustment, 50,000 rows of 10 confounders / statsmodels' OLS with HC2",
        lambda: lin(response, chosen, wide), adjusted,
    )  # fmt: skip

    def weighted(form: str) -> Any:
        score = Logit(t, add_constant(x)).fit(disp=0)
        return getattr(TreatmentEffect(OLS(y, add_constant(x)), t.astype(int), results_select=score), form)()

    assert np.isclose(ipw(y, t, x).estimate, weighted("ipw").effect[0])
    assert np.isclose(ipwra(y, t, x).estimate, weighted("ipw_ra").effect[0])

    yield (
        "IPW, 5,000 rows of 5 confounders / statsmodels' TreatmentEffect",
        lambda: ipw(y, t, x), lambda: weighted("ipw"),
    )  # fmt: skip
    yield (
        "IPWRA, 5,000 rows of 5 confounders / statsmodels' TreatmentEffect",
        lambda: ipwra(y, t, x), lambda: weighted("ipw_ra"),
    )  # fmt: skip
    arm, value = rng.random(1_000_000) < 0.5, rng.normal(size=1_000_000)
    yield (
        "difference in means, 1,000,000 rows / scipy's ttest_ind and its interval",
        lambda: difference_in_means(value, arm),
        lambda: stats.ttest_ind(value[arm], value[~arm], equal_var=False).confidence_interval(),
    )


def _studies(rng: Any) -> Iterator[Pair]:
    k = 1_000_000
    v = rng.uniform(0.5, 2, k)
    y = rng.normal(0.1, np.sqrt(v + 0.3))
    yield (
        "pooling of 1,000,000 studies, DL / statsmodels' combine_effects and its intervals",
        lambda: pool(y, v, method="DL"), lambda: combine_effects(y, v, method_re="chi2").conf_int(),
    )  # fmt: skip
    size = np.full(k, 50)
    first, second = rng.binomial(50, 0.3, k), rng.binomial(50, 0.4, k)
    counted = (first, size, second, size)

    def tables() -> Any:
        return StratifiedTable(np.array([[first, size - first], [second, size - second]]))

    def pooled() -> Any:
        table = tables()
        return table.logodds_pooled, table.logodds_pooled_confint(), table.test_equal_odds()

    assert np.isclose(mantel_haenszel("OR", *counted).estimate, pooled()[0])
    yield (
        "Mantel-Haenszel odds ratio of 1,000,000 tables and their heterogeneity / statsmodels' StratifiedTable",
        lambda: mantel_haenszel("OR", *counted), pooled,
    )  # fmt: skip
    yield (
        "Cochran-Mantel-Haenszel test of 1,000,000 tables / statsmodels' StratifiedTable",
        lambda: cochran_mantel_haenszel(*counted), lambda: tables().test_null_odds(correction=True),
    )  # fmt: skip
    yield (
        "Tarone's test of 1,000,000 tables / statsmodels' StratifiedTable",
        lambda: tarone(*counted), lambda: tables().test_equal_odds(adjust=True),
    )  # fmt: skip
    yield (
        "log odds ratios of 1,000,000 tables / statsmodels' effectsize_2proportions",
        lambda: counts("OR", *counted), lambda: effectsize_2proportions(*counted, statistic="odds-ratio"),
    )  # fmt: skip
    error = np.sqrt(v)
    yield (
        "Egger's test of 1,000,000 studies / statsmodels' WLS",
        lambda: egger(y, v), lambda: WLS(y, add_constant(error), weights=1 / v).fit().pvalues,
    )  # fmt: skip
    few, more = y[:600_000], v[:600_000]
    yield (
        "Begg's test of 600,000 studies / scipy's kendalltau",
        lambda: begg(few, more), lambda: stats.kendalltau(few, more),
    )  # fmt: skip


def _folds(rng: Any) -> Iterator[Pair]:
    n = 20_000
    x = rng.normal(size=(n, 20))
    y, groups = x.sum(axis=1) + rng.normal(size=n), rng.integers(0, 50, n).astype(str).tolist()
    kind, model = (y > 0).astype(int), make_model("ols")
    for scheme, cutter, options in (
        ("group", GroupKFold(5), {"groups": groups}),
        ("time-series", TimeSeriesSplit(5), {}),
        ("repeated", RepeatedKFold(n_splits=5, n_repeats=2, random_state=0), {"repeats": 2}),
    ):
        yield (
            f"{scheme} cross-validation of a linear model, 20,000 rows of 20 features / scikit-learn",
            lambda s=scheme, o=options: validated(model, x, y, splits(s, n, **o)),  # type: ignore[misc]
            lambda c=cutter: cross_validate(  # type: ignore[misc]
                model, x, y, cv=c, groups=groups, scoring="neg_mean_squared_error"
            ),
        )
    logistic = make_model("logistic")
    yield (
        "stratified cross-validation of a logistic model, 20,000 rows of 20 features / scikit-learn",
        lambda: validated(logistic, x, kind, splits("stratified", n, target=kind), metric="log_loss"),
        lambda: cross_validate(
            logistic, x, kind, cv=StratifiedKFold(5, shuffle=True, random_state=0), scoring="neg_log_loss"
        ),
    )
    few, target, penalties = x[:5_000], y[:5_000], [0.1, 1.0, 10.0]
    outer = list(KFold(5).split(few))
    search = GridSearchCV(
        make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": penalties}, cv=KFold(5),
        scoring="neg_mean_squared_error",
    )  # fmt: skip

    def searched() -> Any:
        """The choice paid for, and the search over the outer folds that is not."""
        honest = cross_validate(search, few, target, cv=outer, scoring="neg_mean_squared_error")
        return (
            honest,
            search.set_params(cv=outer, refit=False).fit(few, target),
            search.set_params(cv=KFold(5), refit=True),
        )

    yield (
        "nested cross-validation of 3 penalties in 5 x 5 folds, 5,000 rows / scikit-learn's GridSearchCV",
        lambda: nested(
            [make_model("ridge", penalty=a) for a in penalties], few, target, outer,
            lambda _, rows: list(KFold(5).split(rows)),
        ),
        searched,
    )  # fmt: skip


def run() -> list[dict[str, Any]]:
    """The rows."""
    rng = np.random.default_rng(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [_row(*pair) for part in (_general, _anova, _effects, _studies, _folds) for pair in part(rng)]


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']:95} {row['ratio']:.3f} {'ok' if row['ok'] else 'MISSED':7} {row['detail']}")
