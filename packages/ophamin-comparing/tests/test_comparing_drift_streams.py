"""Streams: detectors, alarm budgets, and where numbers come from."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from ophamin.comparing.drift_detection.budget import calibrate, points_needed, upper_rate
from ophamin.comparing.drift_detection.detectors import DETECTORS, alarms, detector_named
from ophamin.comparing.drift_detection.kswin import _statistics, kswin_alarms
from ophamin.comparing.drift_detection.reference import Reference
from ophamin.comparing.drift_detection.scan import scan, stream_hash
from ophamin.comparing.drift_detection.streams import from_file, from_observations
from ophamin.proof.errors import RecordError, UsageError

RNG = np.random.default_rng(20)
NOISE = RNG.normal(size=6_000)
ERRORS = (RNG.random(6_000) < 0.1).astype(float)


def autoregression(n: int, rho: float, seed: int) -> np.ndarray:
    from scipy.signal import lfilter

    return np.asarray(lfilter([1.0], [1.0, -rho], np.random.default_rng(seed).normal(size=n)))


# --- detectors


@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_finds_a_large_change_and_no_earlier_one_when_strict(name: str) -> None:
    detector = detector_named(name)
    rng = np.random.default_rng(5)
    before, after = (
        (rng.random(3000) < 0.1, rng.random(1500) < 0.6)
        if detector.binary
        else (rng.normal(size=3000), rng.normal(3, 1, 1500))
    )
    strict = {**detector.settings, detector.knob: detector.grid[min(4, len(detector.grid) - 1)]}
    found = alarms(
        np.concatenate([before, after]).astype(float).tolist(),
        detector,
        {**strict, **({"seed": 1} if name == "kswin" else {})},
    )
    assert found, "it saw nothing"
    assert 3000 <= found[0] < (4400 if name == "eddm" else 3400)


def test_detectors_are_found_in_any_spelling_and_unknown_ones_are_listed() -> None:
    assert detector_named("Page-Hinkley").name == "page_hinkley"
    with pytest.raises(UsageError, match="adwin, kswin, page-hinkley"):
        detector_named("cusum")
    with pytest.raises(UsageError, match="does not take"):
        alarms([1.0], detector_named("adwin"), {"gamma": 1})


def test_kswin_statistics_are_scipys() -> None:
    rng = np.random.default_rng(1)
    windows = np.round(rng.normal(size=(200, 60)), 1)  # with ties
    # With as many older values as are drawn, the draw is all of them.
    ours = _statistics(windows, 30, rng)
    theirs = [stats.ks_2samp(w[:30], w[30:]).statistic for w in windows]
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_kswin_alarms_as_often_as_rivers() -> None:
    values = NOISE[:6000]
    ours = sum(len(kswin_alarms(values, {"alpha": 0.01, "seed": s})) for s in range(2))
    theirs = sum(len(alarms(values.tolist(), detector_named("kswin"), {"alpha": 0.01, "seed": s})) for s in range(2))
    assert theirs > 20
    # Two Poisson counts of one mean, at 1 in 10,000.
    assert stats.binomtest(ours, ours + theirs, 0.5).pvalue > 1e-4


# --- budgets


def test_the_upper_rate_is_the_exact_poisson_bound() -> None:
    for count in (0, 1, 4, 20):
        assert upper_rate(count, 1000) * 1000 == pytest.approx(stats.chi2.ppf(0.95, 2 * (count + 1)) / 2)


@pytest.mark.parametrize("name", ["adwin", "page_hinkley", "ddm"])
def test_a_kept_budget_is_kept_on_points_nobody_chose_by(name: str) -> None:
    detector = detector_named(name)
    reference = Reference.of(ERRORS if detector.binary else NOISE, binary=detector.binary)
    assert not reference.model_based
    budget = calibrate(detector, reference, 1e-4, seed=3)
    assert budget.outcome == "VALIDATED"
    assert budget.tried[-1].fresh
    assert budget.tried[-1].upper <= 1e-4
    fresh = (reference.simulate(points_needed(1e-4), np.random.default_rng(99)) - budget.mean) / budget.scale
    # At the budget's rate ten are expected; more than 25 once in 50,000.
    assert len(alarms(fresh.tolist(), detector, budget.config)) <= 25


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adwin", "page_hinkley", "kswin"])
def test_one_in_a_hundred_thousand_is_kept_on_a_correlated_stream(name: str) -> None:
    detector = detector_named(name)
    reference = Reference.of(autoregression(8_000, 0.5, seed=4))
    assert not reference.model_based
    assert reference.block > 1
    budget = calibrate(detector, reference, 1e-5, seed=5)
    if budget.outcome == "INCONCLUSIVE":
        assert name != "page_hinkley"
        assert all(t.upper > 1e-5 for t in budget.tried if t.fresh)
        return
    assert budget.tried[-1].alarms <= 4
    assert budget.tried[-1].points == 1_000_000
    # Drawn by the true law, which the calibration never saw.
    truth = (autoregression(300_000, 0.5, seed=6) - budget.mean) / budget.scale
    found = (
        kswin_alarms(truth, {"seed": 1, **budget.config})
        if name == "kswin"
        else alarms(truth.tolist(), detector, budget.config)
    )
    assert len(found) <= 15  # 3 at the budget's rate


def test_a_budget_nothing_can_keep_is_inconclusive_with_what_was_reached() -> None:
    budget = calibrate(detector_named("adwin"), Reference.of(NOISE), 1e-4, seed=1, config={"delta": 0.9})
    assert budget.outcome == "INCONCLUSIVE"
    assert budget.config["delta"] == 0.9
    assert budget.tried[-1].upper > 1e-4


def test_few_points_are_told_and_simulated_by_a_model() -> None:
    few = Reference.of(autoregression(400, 0.6, seed=2))
    assert few.model_based
    more = few.simulate(50_000, np.random.default_rng(0))
    assert 0.5 < float(np.corrcoef(more[:-1], more[1:])[0, 1]) < 0.75
    assert 0.95 < float(more.std()) / float(few.values.std()) < 1.25
    errors = Reference.of(ERRORS[:300], binary=True)
    assert errors.method == "two-state Markov chain"
    assert set(errors.simulate(5000, np.random.default_rng(0))) <= {0.0, 1.0}
    assert abs(errors.simulate(200_000, np.random.default_rng(1)).mean() - 0.1) < 0.03


def test_a_few_skewed_points_go_on_as_skewed_as_they_are_and_further_out() -> None:
    x = np.exp(np.random.default_rng(3).normal(0, 1, 300))
    more = Reference.of(x).simulate(200_000, np.random.default_rng(0))
    quartiles = np.percentile(x, [25, 50, 75])
    assert np.percentile(more, [25, 50, 75]) == pytest.approx(quartiles, abs=0.12 * float(np.ptp(quartiles)) + 0.05)
    assert stats.skew(more) > 2
    assert more.max() > 2 * x.max()
    # What has no tail gets none.
    even = Reference.of(np.random.default_rng(4).random(300)).simulate(200_000, np.random.default_rng(0))
    assert -0.5 < even.min() < even.max() < 1.5


@pytest.mark.slow
def test_a_budget_from_a_few_skewed_points_is_kept_on_their_true_law() -> None:
    # With normal innovations all six were VALIDATED, at 1.0 to 2.0 times the budget, four of them above 1.3 times.
    detector, rate, validated, over = detector_named("page_hinkley"), 1e-3, 0, 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        budget = calibrate(detector, Reference.of(np.exp(rng.normal(0, 1, 300))), rate, seed=seed)
        if budget.outcome == "VALIDATED":
            validated += 1
            truth = (np.exp(rng.normal(0, 1, 50_000)) - budget.mean) / budget.scale
            over += len(alarms(truth.tolist(), detector, budget.config)) > 50 * 1.5
    assert validated >= 3
    assert over == 0


def test_a_reference_needs_points_and_a_scale() -> None:
    with pytest.raises(UsageError, match="at least 10"):
        Reference.of([1.0] * 9)
    with pytest.raises(UsageError, match="alike"):
        Reference.of([1.0] * 50)
    with pytest.raises(UsageError, match="alarm budget lies between"):
        calibrate(detector_named("adwin"), Reference.of(NOISE), 1e-9, seed=0)
    with pytest.raises(UsageError, match="calibrated on a reference"):
        scan(NOISE.tolist(), detector_named("adwin"), rate=1e-3)
    with pytest.raises(UsageError, match="reads errors 0 and 1"):
        scan(NOISE.tolist(), detector_named("ddm"))


def test_a_calibrated_scan_repeats_itself_and_finds_a_shift() -> None:
    shifted = np.r_[RNG.normal(size=1500), RNG.normal(1.5, 1, 500)] * 40 + 7
    first, again = (
        scan(shifted.tolist(), detector_named("adwin"), rate=1e-4, reference=(NOISE * 40 + 7).tolist(), seed=8)
        for _ in range(2)
    )
    assert first.events == again.events
    assert first.config == again.config
    assert 1500 <= first.events[0] < 1600


# --- streams


@pytest.mark.parametrize(
    ("text", "column", "values", "missing"),
    [
        ("1\n2\n\n3\n", None, [1, 2, 3], 0),
        ("a,b\n1,2\n,4\nx,NA\n"[:10] + "\n5,6\n", "a", [1, 5], 1),
        ("latency\r\n0.5\r\nnan\r\n1e3\r\n", None, [0.5, 1000], 1),
        ("1,2\n3,4\n", "2", [2, 4], 0),
        ('"v"\n"1"\n"2"', "v", [1, 2], 0),
    ],
)
def test_columns_of_files(tmp_path: Path, text: str, column: str | None, values: list[float], missing: int) -> None:
    path = tmp_path / "s.csv"
    path.write_bytes(text.encode())
    stream = from_file(path, column)
    assert (stream.values, stream.missing) == (values, missing)


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    path.write_text('{"x": 1}\n{"x": null}\n{"y": 2}\n{"x": 3}\n')
    stream = from_file(path, "x")
    assert (stream.values, stream.missing) == ([1.0, 3.0], 2)
    with pytest.raises(UsageError, match="--column"):
        from_file(path)
    path.write_text('{"x": 1}\n{"x": \n')
    with pytest.raises(UsageError, match="line 2"):
        from_file(path, "x")


@pytest.mark.parametrize(
    ("data", "column", "said"),
    [
        (b"", None, "empty"),
        (b"a\n", None, "no number"),
        (b"a\n1\nten\n", None, "line 3: a is 'ten'"),
        (b"a\n1\ninf\n", None, "line 3"),
        (b"a,b\n1,2\n", None, "2 columns; name one: a, b"),
        (b"a,b\n1,2\n", "c", "no column 'c'"),
        (b"\xff\xfe1\n", None, "not UTF-8"),
    ],
)
def test_what_is_no_stream_is_said(tmp_path: Path, data: bytes, column: str | None, said: str) -> None:
    path = tmp_path / "s.csv"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=said):
        from_file(path, column)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.csv cannot be read"):
        from_file(tmp_path / "nowhere.csv")


def test_observations_of_a_proof(tmp_path: Path) -> None:
    proof = tmp_path / "record.json"
    with pytest.raises(RecordError, match="observations"):
        from_observations(proof, "latency_s")
    rows = [
        {"index": 0, "values": {"latency_s": 0.5}},
        {"index": 1, "values": {}},
        {"index": 2, "values": {"latency_s": 2, "answer": "x"}},
    ]
    proof.with_name("observations.jsonl.gz").write_bytes(
        gzip.compress("".join(json.dumps(r) + "\n" for r in rows).encode())
    )
    stream = from_observations(proof, "latency_s")
    assert (stream.values, stream.missing) == ([0.5, 2.0], 1)
    with pytest.raises(UsageError, match="there are: latency_s"):
        from_observations(proof, "answer")


def test_the_hash_is_that_of_the_compact_array() -> None:
    import hashlib

    assert stream_hash([1, 2.5]) == hashlib.sha256(b"[1.0,2.5]").hexdigest()
