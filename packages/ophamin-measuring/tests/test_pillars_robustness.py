"""Pillar N: other libraries, published numbers, coverage and type-I error by simulation, degenerate input."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LinearRegression

from ophamin.measuring.pillars.robustness.bootstrap import bootstrap
from ophamin.measuring.pillars.robustness.comparison import corrected_resampled_t
from ophamin.measuring.pillars.robustness.folds import given_folds, splits
from ophamin.measuring.pillars.robustness.jackknife import infinitesimal_error, jackknife
from ophamin.measuring.pillars.robustness.jackknife_plus import jackknife_plus
from ophamin.measuring.pillars.robustness.plugins_models import CrossValidation
from ophamin.measuring.pillars.robustness.plugins_resampling import Bootstrap, Jackknife
from ophamin.measuring.pillars.robustness.statistics import STATISTICS, statistic_of
from ophamin.measuring.pillars.robustness.validation import cross_validate, make_model, nested
from ophamin.proof.errors import UsageError
from ophamin.registry import get_pillar

MOUSE = [94, 197, 16, 38, 99, 141, 23]
MEAN = statistic_of("mean")


def test_is_found_by_name() -> None:
    assert get_pillar("N.bootstrap") is Bootstrap


def test_ideal_standard_errors_as_published() -> None:
    # Efron & Tibshirani (1993), table 2.1, B = infinity: 23.36 for the mean, 37.83 for the median.
    for name, value, error in (("mean", 86.857, 23.36), ("median", 94, 37.83)):
        found = bootstrap([np.array(MOUSE)], statistic_of(name), method="percentile", resamples=20_000, seed=3)
        assert found.value == pytest.approx(value, abs=1e-3)
        assert found.standard_error == pytest.approx(error, rel=0.02)


@pytest.mark.parametrize("method", ["percentile", "basic", "bca"])
@pytest.mark.parametrize("name", ["mean", "median", "sd"])
def test_agrees_with_scipy(method: str, name: str) -> None:
    x = np.random.default_rng(0).lognormal(size=80)
    statistic = statistic_of(name)
    ours = bootstrap([x], statistic, method=method, level=0.9, resamples=20_000, seed=5)
    other = stats.bootstrap(
        (x,), lambda sample, axis: statistic.value(np.moveaxis(sample, axis, -1)), n_resamples=20_000, confidence_level=0.9, rng=np.random.default_rng(6),
        method={"bca": "BCa"}.get(method, method), vectorized=True, axis=-1, batch=2000,
    )  # fmt: skip
    width = other.confidence_interval.high - other.confidence_interval.low
    assert (ours.low, ours.high) == pytest.approx(tuple(other.confidence_interval), abs=0.05 * width)
    assert ours.standard_error == pytest.approx(other.standard_error, rel=0.03)


def test_a_seed_fixes_everything() -> None:
    x = np.random.default_rng(1).normal(size=50)
    one, again, other = (bootstrap([x], MEAN, seed=s) for s in (1, 1, 2))
    assert one == again
    assert one != other


def test_threads_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(1).normal(size=500)
    module = "ophamin.measuring.pillars.robustness.bootstrap"
    alone = bootstrap([x], MEAN, resamples=1000, seed=4)
    for workers in (1, 2, 5):
        monkeypatch.setattr(f"{module}._WORTH_THREADS", 0)
        monkeypatch.setattr(f"{module}.os.cpu_count", lambda n=workers: n)
        assert bootstrap([x], MEAN, resamples=1000, seed=4) == alone


def test_clusters_are_resampled_whole() -> None:
    x, names = np.repeat(np.array(MOUSE, float), 50), np.repeat(np.arange(7), 50).tolist()
    grouped = bootstrap([x], MEAN, clusters=names, seed=1, resamples=2000)
    alone = bootstrap([np.array(MOUSE)], MEAN, seed=1, resamples=2000)
    assert grouped.units == 7
    assert grouped.standard_error == pytest.approx(alone.standard_error, rel=0.05)
    uneven = bootstrap([x[:-30]], MEAN, clusters=names[:-30], seed=1, resamples=500)
    assert uneven.standard_error > 3 * bootstrap([x[:-30]], MEAN, seed=1, resamples=500).standard_error


@pytest.mark.slow
def test_intervals_cover() -> None:
    # 600 normal samples of 60 at level 0.9: 60 misses expected, 94 exceeded once in 100,000 by a right interval.
    rng = np.random.default_rng(2)
    for method in ("percentile", "basic", "bca", "studentised"):
        missed = 0
        for seed in range(600):
            found = bootstrap([rng.normal(1, 2, 60)], MEAN, method=method, level=0.9, resamples=400, seed=seed)
            missed += not found.low <= 1 <= found.high
        assert 30 <= missed <= 94, method


@pytest.mark.slow
def test_studentised_covers_skewed_means_better() -> None:
    rng, missed = np.random.default_rng(3), {"percentile": 0, "studentised": 0}
    for seed in range(500):
        x = rng.lognormal(0, 1, 40)
        for method in missed:
            found = bootstrap([x], MEAN, method=method, level=0.9, resamples=400, seed=seed)
            missed[method] += not found.low <= math.exp(0.5) <= found.high
    assert missed["studentised"] < missed["percentile"]


def test_jackknife_of_a_mean_is_its_standard_error() -> None:
    x = np.random.default_rng(4).normal(size=30)
    found = jackknife([x], MEAN)
    assert found.standard_error == pytest.approx(x.std(ddof=1) / math.sqrt(30))
    assert found.bias == pytest.approx(0, abs=1e-12)
    for name in ("ratio", "correlation", "slope"):
        y = x + np.random.default_rng(5).normal(size=30) + 5
        by_hand = [float(statistic_of(name).value(np.delete(x, i), np.delete(y, i))) for i in range(30)]
        assert jackknife([x, y], statistic_of(name)).values == pytest.approx(by_hand)
    assert infinitesimal_error([x], MEAN) == pytest.approx(x.std() / math.sqrt(30))


def test_cross_validation_by_hand() -> None:
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(50, 3)), rng.normal(size=50)
    cut = splits("k-fold", 50, folds=5, seed=1)
    found = cross_validate(make_model("ols"), x, y, cut)
    errors = [
        np.mean((y[test] - LinearRegression().fit(x[train], y[train]).predict(x[test])) ** 2) for train, test in cut
    ]
    assert found.per_fold == pytest.approx(errors)
    assert found.pooled == pytest.approx(np.mean((y - found.predictions) ** 2))
    assert sorted(np.concatenate([test for _, test in cut]).tolist()) == list(range(50))
    again = cross_validate(make_model("ols"), x, y, splits("k-fold", 50, folds=5, seed=1))
    assert (again.per_fold == found.per_fold).all()


def test_groups_are_never_split_and_time_never_runs_backwards() -> None:
    names = [i % 7 for i in range(50)]
    for scheme in ("group", "leave-one-group-out"):
        for train, test in splits(scheme, 50, folds=4, groups=names):
            assert not {names[i] for i in train} & {names[i] for i in test}
    for train, test in splits("time-series", 50, folds=4):
        assert train.max() < test.min()


def test_nesting_pays_for_the_choice() -> None:
    # Pure noise and many candidates: the flat best looks better than a constant, the nested score does not.
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(40, 15)), rng.normal(size=40)
    candidates = [make_model("ridge", penalty=p) for p in (0.01, 1, 10, 100, 1000)]
    found = nested(
        candidates, x, y, splits("k-fold", 40, seed=1), lambda i, train: splits("k-fold", len(train), seed=i)
    )
    assert found.mean >= found.flat_best


@pytest.mark.slow
def test_the_corrected_test_holds_its_error_and_the_naive_one_does_not() -> None:
    # Two learners that are the same up to the noise features they look at: none is better.
    rng, corrected, naive = np.random.default_rng(8), 0, 0
    for seed in range(200):
        x, y = rng.normal(size=(60, 2)), rng.normal(size=60)
        cut = splits("repeated", 60, folds=5, repeats=3, seed=seed)
        first, second = (cross_validate(make_model("ols"), x[:, i], y, cut).per_fold for i in (0, 1))
        found = corrected_resampled_t(first, second, test_share=0.25)
        corrected += found.p_value < 0.05
        naive += found.naive_p_value < 0.05
    assert corrected <= 24  # of 200 at 5 %: exceeded once in 10,000
    assert naive > 2 * corrected


@pytest.mark.slow
def test_jackknife_plus_covers_and_equals_mapie() -> None:
    mapie = pytest.importorskip("mapie.regression")
    rng, missed = np.random.default_rng(9), 0
    for _ in range(150):
        x = rng.normal(size=(31, 3))
        y = x[:, 0] + rng.normal(size=31)
        lower, upper = jackknife_plus(
            LinearRegression(), x[:30], y[:30], x[30:], splits("leave-one-out", 30), alpha=0.1
        )
        missed += not lower[0] <= y[30] <= upper[0]
    assert missed <= 30  # 15 expected, 30 is what 1 − 2α allows
    other = mapie.CrossConformalRegressor(LinearRegression(), confidence_level=0.9, method="plus", cv=30)
    other.fit_conformalize(x[:30], y[:30])
    interval = other.predict_interval(x[30:])[1][0, :, 0]
    assert (lower[0], upper[0]) == pytest.approx(tuple(interval))


def test_too_few_rows_for_alpha_have_no_ends() -> None:
    x, y = np.arange(6.0), np.arange(6.0)
    lower, upper = jackknife_plus(LinearRegression(), x, y, [7.0], splits("leave-one-out", 6), alpha=0.1)
    assert (lower[0], upper[0]) == (-math.inf, math.inf)
    # n = 1/α − 1 is enough: the floating product (n + 1)(1 − α) must not be rounded up.
    lower, upper = jackknife_plus(LinearRegression(), np.arange(9.0), np.arange(9.0), [9.0], splits("leave-one-out", 9))
    assert math.isfinite(upper[0])


@pytest.mark.parametrize(
    ("value", "warning"),
    [
        ([], "at least 2"),
        ([3.0, None], "at least 2"),
        ([4, 4, 4, 4], "no spread"),
        ([1, 1, 1, 1, 1, 2], "fewer than 50"),
    ],
)
def test_degenerate_data_is_a_typed_result(value: list[float | None], warning: str) -> None:
    result = Bootstrap().compute({"value": value}, seed=0, statistic="median")
    assert any(warning in w for w in result.warnings)
    if "fewer" not in warning:
        assert result.evidence[0].ci_low is None
        assert result.evidence[0].ci_high is None
    result.to_dict()
    Jackknife().compute({"value": value}, seed=0).to_dict()


@pytest.mark.parametrize(
    "call",
    [
        lambda: bootstrap([np.ones(3)], MEAN, method="wild"),
        lambda: bootstrap([np.ones(3)], MEAN, resamples=5),
        lambda: bootstrap([np.ones(3)], MEAN, level=1),
        lambda: bootstrap([np.ones(3), np.ones(3)], MEAN),
        lambda: bootstrap([np.array([1.0, math.nan])], MEAN),
        lambda: bootstrap([np.ones(3)], statistic_of("median"), method="studentised"),
        lambda: statistic_of("mode"),
        lambda: jackknife([np.ones(1)], MEAN),
        lambda: infinitesimal_error([np.ones(3)], statistic_of("median")),
        lambda: splits("random", 9),
        lambda: splits("k-fold", 3, folds=9),
        lambda: splits("group", 9),
        lambda: splits("stratified", 9),
        lambda: given_folds([1, 1]),
        lambda: make_model("svm"),
        lambda: cross_validate(make_model("ols"), [[math.nan]], [1.0], []),
        lambda: cross_validate(make_model("ols"), [1.0], [1.0], [], metric="auc"),
        lambda: nested([], [1.0], [1.0], [], lambda i, t: []),
        lambda: corrected_resampled_t([1.0], [2.0], test_share=0.1),
        lambda: jackknife_plus(LinearRegression(), [1.0, 2], [1.0, 2], [1.0], [], alpha=0.1),
        lambda: Bootstrap().compute({"x": [1.0]}, seed=0),
        lambda: Bootstrap().compute({"value": MOUSE}, seed=0, b=1),
        lambda: CrossValidation().compute({"target": [1.0, 2, 3, 4], "feature": [1, 2, 3, 4]}, seed=0, folds=9),
    ],
)
def test_what_makes_no_sense_is_refused(call: Any) -> None:
    with pytest.raises(UsageError):
        call()


def test_every_statistic_reads_many_samples_at_once() -> None:
    rng = np.random.default_rng(10)
    x, y = rng.normal(size=(4, 20)), rng.normal(size=(4, 20))
    for statistic in STATISTICS.values():
        columns = (x, y)[: statistic.columns]
        together = statistic.value(*columns)
        apart = [float(statistic.value(*(c[i] for c in columns))) for i in range(4)]
        assert together == pytest.approx(apart)
        if statistic.error is not None:
            assert (statistic.error(*columns) > 0).all()
