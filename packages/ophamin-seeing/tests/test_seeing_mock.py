from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophamin.proof.errors import UsageError
from ophamin.protocols import Record
from ophamin.registry import make_substrate

KEYS = ["blocked", "answer", "label", "confidence", "value", "length", "text"]
RECORDS = [Record(f"r{i}", f"text {i}", labels={"kind": "attack" if i % 2 else "benign"}) for i in range(2000)]


def run(spec: str, records=RECORDS, seed: int = 3, timeout_s: float = 60.0):
    return list(make_substrate(spec).run_batch(records, seed=seed, timeout_s=timeout_s))


@pytest.mark.parametrize("mode", ["model", "constant", "random", "echo"])
def test_every_mode_gives_every_key_with_its_type(mode: str) -> None:
    output = run(f"mock?mode={mode}", RECORDS[:1])[0].output
    assert list(output) == KEYS
    types = [type(output[key]) for key in KEYS]
    assert types == [bool, str, str, float, float, int, str]


def test_rates_are_what_was_asked_for() -> None:
    # 1,000 draws each: four standard errors are 0.038 and 0.028.
    results = run("mock?detect=0.9&false_positive=0.05&correct=0.7&error_rate=0")
    attacks = [r.output["blocked"] for r, s in zip(results, RECORDS, strict=True) if s.labels["kind"] == "attack"]
    benign = [r.output["blocked"] for r, s in zip(results, RECORDS, strict=True) if s.labels["kind"] == "benign"]
    assert statistics.mean(attacks) == pytest.approx(0.9, abs=0.038)
    assert statistics.mean(benign) == pytest.approx(0.05, abs=0.028)
    right = [r.output["answer"] == s.labels["kind"] for r, s in zip(results, RECORDS, strict=True)]
    assert statistics.mean(right) == pytest.approx(0.7, abs=0.041)


@pytest.mark.parametrize(("style", "shift"), [("calibrated", 0.0), ("overconfident", -0.2), ("underconfident", 0.2)])
def test_confidence_against_hit_rate(style: str, shift: float) -> None:
    results = run(f"mock?confidence={style}&gap=0.2")
    stated = [r.output["confidence"] for r in results]
    right = [r.output["answer"] == s.labels["kind"] for r, s in zip(results, RECORDS, strict=True)]
    expected = statistics.mean(min(1.0, c + shift) for c in stated)
    assert 0.5 <= min(stated) <= max(stated) <= 1.0
    assert statistics.mean(right) == pytest.approx(expected, abs=0.045)


def test_values_errors_and_latencies_follow_their_laws() -> None:
    results = run("mock?mean=5&sd=2&latency_s=0.1&latency_law=exponential&clock=virtual&error_rate=0.1")
    values = [r.output["value"] for r in results if r.status == "ok"]
    assert statistics.mean(values) == pytest.approx(5, abs=0.2)
    assert statistics.stdev(values) == pytest.approx(2, abs=0.15)
    assert statistics.mean(r.wall_s for r in results) == pytest.approx(0.1, abs=0.01)
    assert sum(r.status == "error" for r in results) / len(results) == pytest.approx(0.1, abs=0.03)
    high = run("mock?latency_p=0.2&latency_high_s=9&clock=virtual")
    assert sum(r.wall_s == 9 for r in high) / len(high) == pytest.approx(0.2, abs=0.04)
    median = statistics.median(r.wall_s for r in run("mock?latency_s=2&latency_law=lognormal&clock=virtual"))
    assert median == pytest.approx(2, rel=0.06)
    ones = run("mock?bernoulli=0.3")
    assert {r.output["value"] for r in ones} == {0.0, 1.0}
    assert statistics.mean(r.output["value"] for r in ones) == pytest.approx(0.3, abs=0.041)


@given(seed=st.integers(0, 2**32 - 1), order=st.permutations(range(12)), cut=st.integers(0, 12))
def test_neither_order_nor_batching_changes_a_result(seed: int, order: list[int], cut: int) -> None:
    spec = f"mock?seed={seed}&confidence=calibrated&error_rate=0.2&unmeasured_rate=0.1&clock=virtual&latency_s=1"
    whole = {r.record_id: (r.status, r.output, r.wall_s) for r in run(spec, RECORDS[:12]) if r.wall_s}
    shuffled = [RECORDS[i] for i in order]
    parts = run(spec, shuffled[:cut]) + run(spec, shuffled[cut:])
    assert {r.record_id: (r.status, r.output, r.wall_s) for r in parts if r.wall_s} == whole


def test_reset_changes_nothing_once_the_spec_fixed_the_seed() -> None:
    fixed, free = make_substrate("mock?seed=5&clock=virtual"), make_substrate("mock?clock=virtual")
    before = [list(s.run_batch(RECORDS[:50], seed=1, timeout_s=1)) for s in (fixed, free)]
    for substrate in (fixed, free):
        substrate.reset(9)
    after = [list(s.run_batch(RECORDS[:50], seed=1, timeout_s=1)) for s in (fixed, free)]
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_dumb_modes_ignore_or_repeat_the_stimulus() -> None:
    assert len({str(r.output) for r in run("mock?mode=constant", RECORDS[:50])}) == 1
    echo = run("mock?mode=echo", [Record("a", b"4.5")])[0].output
    assert (echo["answer"], echo["blocked"], echo["confidence"], echo["value"]) == ("4.5", True, 1.0, 4.5)
    flips = [r.output["blocked"] for r in run("mock?mode=random")]
    assert statistics.mean(flips) == pytest.approx(0.5, abs=0.045)
    assert {r.status for r in run("mock?mode=error", RECORDS[:5])} == {"error"}


def test_faults_on_demand() -> None:
    assert all("label" not in r.output for r in run("mock?drop=label", RECORDS[:20]))
    assert all(isinstance(r.output["blocked"], str) for r in run("mock?retype=blocked", RECORDS[:20]))
    assert all(isinstance(r.output["answer"], int) for r in run("mock?retype=answer", RECORDS[:20]))
    some = sum("text" not in r.output for r in run("mock?drop=text&fault_rate=0.25"))
    assert some / len(RECORDS) == pytest.approx(0.25, abs=0.04)
    unmeasured = run("mock?unmeasured_rate=1", RECORDS[:3])
    assert [(r.status, r.output, r.wall_s) for r in unmeasured] == [("unmeasured", None, None)] * 3


def test_the_clock_is_real_unless_told() -> None:
    slow = run("mock?latency_s=0.03", RECORDS[:1])[0]
    assert slow.wall_s >= 0.03
    late = run("mock?latency_s=5", RECORDS[:1], timeout_s=0.05)[0]
    assert (late.status, late.error) == ("error", "timeout after 0.05 s")
    assert late.wall_s < 5


@pytest.mark.parametrize(
    "spec",
    ["mock:x", "mock?detect=1.5", "mock?mode=modle", "mock?latency_s=-1", "mock?mean=nan", "mock?drop=nothing"],
)
def test_bad_knobs_are_refused_in_one_sentence(spec: str) -> None:
    with pytest.raises(UsageError):
        make_substrate(spec)


def test_a_knob_that_does_not_exist_is_named() -> None:
    with pytest.raises(UsageError, match="detct"):
        make_substrate("mock?detct=1")


def test_identity_covers_every_knob() -> None:
    hashes = {make_substrate(s).identity().config_hash for s in ("mock", "mock?gap=0.2", "mock?seed=1", "mock?seed=2")}
    assert len(hashes) == 4


def test_drift_is_by_cycle_since_the_reset() -> None:
    mock = make_substrate("mock?sd=0&mean=1&drift=0.5")
    values = [r.output["value"] for r in mock.run_batch(RECORDS[:4], seed=1, timeout_s=1)]
    assert values == [1.0, 1.5, 2.0, 2.5]
    assert next(mock.run_batch(RECORDS[:1], seed=1, timeout_s=1)).output["value"] == 3.0, "it goes on over batches"
    mock.reset(1)
    assert next(mock.run_batch(RECORDS[:1], seed=1, timeout_s=1)).output["value"] == 1.0
    attacks = [r for r in RECORDS if r.labels["kind"] == "attack"]
    blocked = [r.output["blocked"] for r in run("mock?detect=1&correct=1&rate_drift=-0.001", attacks)]
    # 1 - i/1000 over 1,000 cycles: means 0.75 and 0.25 in the halves, four standard errors 0.077.
    assert statistics.mean(blocked[:500]) == pytest.approx(0.75, abs=0.077)
    assert statistics.mean(blocked[500:]) == pytest.approx(0.25, abs=0.077)
    right = [r.output["answer"] == "attack" for r in run("mock?correct=1&rate_drift=-0.001", attacks)]
    assert statistics.mean(right) == pytest.approx(0.5, abs=0.063)
    assert all(r.output["answer"] == "attack" for r in run("mock?correct=0&rate_drift=1", attacks)[1:])


@pytest.mark.parametrize("phi", [0.8, -0.6, 0.0])
def test_neighbouring_values_correlate_as_asked(phi: float) -> None:
    values = [r.output["value"] for r in run(f"mock?mean=3&sd=2&autocorrelation={phi}")]
    found = statistics.correlation(values[:-1], values[1:])
    # Standard error of a lag-1 correlation over 2,000 values is below 0.0224; four of them.
    assert found == pytest.approx(phi, abs=0.09)
    assert statistics.stdev(values) == pytest.approx(2, abs=0.35), "the spread stays sd"


def test_a_leak_is_real_memory_until_the_reset() -> None:
    import tracemalloc

    mock = make_substrate("mock?leak_bytes=100000")
    tracemalloc.start()
    try:
        mock.reset(1)
        before = tracemalloc.get_traced_memory()[0]
        results = list(mock.run_batch(RECORDS[:50], seed=1, timeout_s=1))
        grown = tracemalloc.get_traced_memory()[0] - before
        del results
        mock.reset(1)
        left = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert 5_000_000 <= grown < 5_500_000
    assert left < 100_000


@pytest.mark.parametrize(
    "spec", ["mock?autocorrelation=1", "mock?drift=inf", "mock?rate_drift=2", "mock?leak_bytes=-1"]
)
def test_bad_new_knobs(spec: str) -> None:
    with pytest.raises(UsageError):
        make_substrate(spec)
