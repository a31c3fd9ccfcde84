from __future__ import annotations

import json
import math
import random
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, t, ttest_ind

from ophamin.comparing.history.gate_rule import GateRule, dependence, noise, trimmed_mean, widening
from ophamin.proof.errors import UsageError

NOISE = Path(__file__).parent / "data" / "aa_noise.json"
numbers = st.lists(st.floats(-1e3, 1e3), min_size=4, max_size=60)


@given(numbers)
def test_the_trimmed_t_is_yuens(values):
    mean, error, df = trimmed_mean(values)
    if error < 1e-9 * max(map(abs, values)) or error == 0:
        return
    # Against a sample that does not vary, Yuen's two-sample t is the one-sample t.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # that it does not vary
        found = ttest_ind(values, [0.25] * 50, equal_var=False, trim=0.1)
    assert found.statistic == pytest.approx((mean - 0.25) / error, rel=1e-7, abs=1e-9)
    assert found.pvalue == pytest.approx(2 * t.sf(abs(mean - 0.25) / error, df), rel=1e-6)


def test_one_wild_round_in_ten_moves_nothing_much():
    calm = [0.01, -0.01, 0.02, 0.0, -0.02, 0.01, 0.005, -0.005, 0.0, 0.015]
    wild = [*calm[:9], 3.0]
    assert trimmed_mean(wild)[0] == pytest.approx(trimmed_mean(calm)[0], abs=0.003)
    assert trimmed_mean(wild)[1] < 2 * trimmed_mean(calm)[1]


def test_too_few_values_have_no_spread():
    with pytest.raises(UsageError, match="too few"):
        trimmed_mean([1.0])


@pytest.mark.parametrize("rounds", [4, 5, 10, 17, 40])
@pytest.mark.parametrize("systems", [1, 3])
def test_the_levels_sum_to_alpha(rounds, systems):
    rule = GateRule(rounds=rounds, systems=systems)
    assert rule.looks[-1] == rounds
    assert math.fsum(rule.levels) == pytest.approx(0.01 / systems)
    assert all(level > 0 for level in rule.levels)


@pytest.mark.parametrize(
    "wrong", [{"margin": -0.1}, {"alpha": 0.0}, {"alpha": 0.5}, {"rounds": 3}, {"noise_limit": 0.0}, {"systems": 0},
              {"margin": math.nan}, {"rounds": 10_000}],
)  # fmt: skip
def test_a_rule_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(UsageError):
        GateRule(**wrong)


def times(rng: random.Random, n: int, sd: float, factor: float = 1.0) -> list[float]:
    return [factor * math.exp(rng.gauss(0, sd)) for _ in range(n)]


@pytest.mark.parametrize(("factor", "sd", "expected"), [
    (1.0, 0.004, "VALIDATED"), (1.15, 0.004, "REFUTED"), (1.03, 0.01, "INCONCLUSIVE"), (0.5, 0.004, "VALIDATED"),
    (1.5, 0.2, "INCONCLUSIVE"),
])  # fmt: skip
def test_what_a_look_says(factor, sd, expected):
    rng = random.Random(1)
    look = GateRule().look(times(rng, 10, sd), times(rng, 10, sd, factor))
    assert look.outcome == expected
    assert look.lower < look.ratio < look.upper
    assert look.noisy == (sd == 0.2)


@pytest.mark.parametrize("factor", [1.03, 1.065])
def test_so_many_rounds_would_tell(factor):
    rng = random.Random(3)
    base, head = times(rng, 10, 0.02), times(rng, 10, 0.02, factor)
    look = GateRule().look(base, head)
    assert look.outcome == "INCONCLUSIVE"
    needed = GateRule().rounds_to_tell(look)
    assert needed is not None
    assert 10 < needed < 100
    # A session that is this one several times over has its ratio and its spread, and decides as said.
    more = GateRule(alpha=0.005, rounds=10 * math.ceil(needed / 10))
    assert more.look(base * (more.rounds // 10), head * (more.rounds // 10)).outcome != "INCONCLUSIVE"
    fewer = GateRule(alpha=0.005, rounds=10 * math.floor(0.7 * needed / 10))
    assert fewer.look(base * (fewer.rounds // 10), head * (fewer.rounds // 10)).outcome == "INCONCLUSIVE"


def test_no_number_of_rounds_tells_at_the_margin_or_in_noise():
    rng = random.Random(4)
    assert GateRule().rounds_to_tell(GateRule().look(times(rng, 10, 0.3), times(rng, 10, 0.3))) is None
    assert GateRule().rounds_to_tell(GateRule().look([1.0] * 10, [1.01] * 10)) is None
    base = times(rng, 10, 0.02)
    at_it = [time * 1.03 * wobble for time, wobble in zip(base, [1.001, 1 / 1.001] * 5, strict=True)]
    assert GateRule().rounds_to_tell(GateRule().look(base, at_it)) is None


def test_a_noisy_session_neither_alarms_nor_passes_however_large_the_difference():
    rng = random.Random(2)
    for factor in (0.1, 10.0):
        look = GateRule().look(times(rng, 10, 0.3), times(rng, 10, 0.3, factor))
        assert look.noisy
        assert look.outcome == "INCONCLUSIVE"


def test_times_without_any_spread_decide_nothing():
    assert GateRule().look([1.0] * 10, [2.0] * 10).outcome == "INCONCLUSIVE"


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.inf, math.nan])
def test_a_time_that_is_none_is_said_and_decides_nothing(wrong):
    good = [1.0, 1.1, 1.0, 1.2, 1.1]
    for base, head in ((good, [*good[:4], wrong]), ([wrong, *good[1:]], good)):
        with pytest.raises(UsageError, match="no time that the clock can tell"):
            GateRule().look(base, head)


def test_it_is_looked_at_only_when_it_was_registered():
    with pytest.raises(UsageError, match="after 5, 8, 10 rounds"):
        GateRule().look([1.0] * 6, [1.0] * 6)
    with pytest.raises(UsageError, match="rounds of both"):
        GateRule().look([1.0] * 5, [1.0] * 4)


def test_a_slow_drift_is_no_noise():
    drifting = [math.exp(0.01 * i) for i in range(10)]
    assert noise(drifting, drifting) < 1e-9
    rng = random.Random(3)
    spread = np.mean([noise(times(rng, 40, 0.02), times(rng, 40, 0.02)) for _ in range(200)])
    assert spread == pytest.approx(math.sqrt(2) * 0.02, rel=0.08)


# --- accuracy, simulated from recorded comparisons of identical code


def recorded(*, calm: bool = False) -> list[tuple[float, float]]:
    """(log base, log head) of every round, less the session's own level; ``calm``: of sessions that could decide."""
    found = []
    for session in json.loads(NOISE.read_text(encoding="utf-8"))["sessions"]:
        spread = noise(*([math.exp(v) for v in side] for side in zip(*session, strict=True)))
        if not calm or spread <= GateRule().noise_limit:
            level = np.median([v for pair in session for v in pair])
            found += [(base - level, head - level) for base, head in session]
    return found


def suite(rounds: list[tuple[float, float]], rng: random.Random, n: int, block: int = 5) -> list[tuple[float, float]]:
    """A session of ``n`` rounds from recorded ones, in blocks, so that what follows one another stays together.

    Which side was called base was drawn, so the two may be exchanged.
    """
    found: list[tuple[float, float]] = []
    while len(found) < n:
        start, exchange = rng.randrange(len(rounds) - block + 1), rng.random() < 0.5
        found += [(h, b) if exchange else (b, h) for b, h in rounds[start : start + block]]
    return found[:n]


def gated(rounds: list[tuple[float, float]], rule: GateRule, slower: float) -> str:
    base = [math.exp(b) for b, _ in rounds]
    head = [slower * math.exp(h) for _, h in rounds]
    for look in rule.looks:
        said = rule.look(base[:look], head[:look])
        if said.outcome != "INCONCLUSIVE":
            return said.outcome
    return "NOISY" if said.noisy else "INCONCLUSIVE"


def share(outcome: str, slower: float, n: int, seed: int, *, calm: bool) -> tuple[float, float]:
    """Share of simulated sessions with that outcome: of all, and of those that were not too noisy."""
    rule, rng, rounds = GateRule(), random.Random(seed), recorded(calm=calm)
    said = [gated(suite(rounds, rng, rule.rounds), rule, slower) for _ in range(n)]
    decidable = [s for s in said if s != "NOISY"]
    assert len(decidable) > n / 20, "most of the recording is too noisy to decide anything"
    return said.count(outcome) / n, decidable.count(outcome) / len(decidable)


@pytest.mark.slow
@pytest.mark.parametrize("calm", [False, True])
def test_identical_code_alarms_in_at_most_1_3_percent_of_10_000_suites(calm):
    assert share("REFUTED", 1.0, 10_000, 0, calm=calm)[0] <= 0.013


@pytest.mark.slow
@pytest.mark.parametrize("calm", [False, True])
def test_code_at_the_margin_alarms_and_passes_in_at_most_alpha(calm):
    limit = binom.isf(1e-4, 5_000, 0.01) / 5_000
    assert share("REFUTED", 1.03, 5_000, 1, calm=calm)[0] <= limit
    assert share("VALIDATED", 1.03, 5_000, 2, calm=calm)[0] <= limit


@pytest.mark.slow
@pytest.mark.parametrize("calm", [False, True])
def test_a_slow_down_of_15_percent_is_found_in_ten_rounds_where_the_spread_allows_it(calm):
    assert share("REFUTED", 1.15, 2_000, 3, calm=calm)[1] >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("sd", [0.01, 0.03])
def test_normal_noise_at_the_margin_errs_with_alpha_on_each_side(sd):
    rng, rule, n = random.Random(6), GateRule(), 6_000
    said = [gated([(rng.gauss(0, sd), rng.gauss(0, sd)) for _ in range(10)], rule, 1.03) for _ in range(n)]
    limit = binom.isf(1e-4, n, rule.alpha)
    assert said.count("REFUTED") <= limit
    assert said.count("VALIDATED") <= limit
    # Nor is it so careful that nothing is ever said.
    assert said.count("REFUTED") > 0.3 * rule.alpha * n


def own(rng: random.Random, n: int, rho: float, sd: float) -> list[float]:
    """Rounds of one side, each depending on the one before."""
    value, found = rng.gauss(0, sd), []
    for _ in range(n):
        found.append(value)
        value = rho * value + math.sqrt(1 - rho * rho) * rng.gauss(0, sd)
    return found


def test_a_mean_of_dependent_rounds_is_widened_by_what_their_number_is_worth():
    rng, n, rho = np.random.default_rng(8), 10, 0.6
    x = np.empty((40_000, n))
    x[:, 0] = rng.normal(size=len(x))
    for i in range(1, n):
        x[:, i] = rho * x[:, i - 1] + math.sqrt(1 - rho * rho) * rng.normal(size=len(x))
    stated = x.var(axis=1, ddof=1).mean() / n
    assert widening(rho, n) == pytest.approx(math.sqrt(x.mean(axis=1).var() / stated), rel=0.02)
    assert widening(0.0, n) == 1
    assert widening(0.9, 2) < 4


def test_the_dependence_of_rounds_is_seen_whoever_has_it():
    rng = random.Random(9)
    calm = [dependence(times(rng, 40, 0.02), times(rng, 40, 0.02)) for _ in range(100)]
    tied = [dependence(*([math.exp(v) for v in own(rng, 40, 0.7, 0.02)] for _ in "ab")) for _ in range(100)]
    assert np.median(calm) < 0.2
    assert np.median(tied) > 0.6
    assert dependence([1.0] * 5, [1.0] * 5) <= 0.9


@pytest.mark.slow
@pytest.mark.parametrize(("rho", "bar"), [(0.3, 0.012), (0.6, 0.03)])
def test_rounds_that_depend_on_each_other_err_little_at_the_margin(rho, bar):
    # Without the widening it was 2.8 and 9.8 %.
    rng, rule, n = random.Random(10), GateRule(), 3_000
    sides = ((own(rng, 10, rho, 0.02), own(rng, 10, rho, 0.02)) for _ in range(n))
    said = [gated(list(zip(*both, strict=True)), rule, 1.03) for both in sides]
    limit = binom.isf(1e-4, n, bar)
    assert said.count("REFUTED") <= limit
    assert said.count("VALIDATED") <= limit
