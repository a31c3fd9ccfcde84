"""Pillar A: error rates by simulation and enumeration, laws, degenerate input."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.special import betaln

from ophamin.measuring.pillars.adaptive import evalues, sequences, sprt
from ophamin.measuring.pillars.adaptive.group_sequential import (
    crossing,
    design_boundaries,
    drift_for_power,
    spending_boundaries,
)
from ophamin.measuring.pillars.adaptive.mixture import mixture_test, normal_mixture_bound
from ophamin.measuring.pillars.adaptive.peeking import conditional_power, inflation
from ophamin.measuring.pillars.adaptive.plugins_bounds import GroupSequential
from ophamin.measuring.pillars.adaptive.plugins_tests import Sprt
from ophamin.measuring.pillars.adaptive.ratio_mismatch import sequential_ratio_mismatch
from ophamin.proof.errors import UsageError

SETS = 400
MOST = 41  # misses of 400 at 5 % that a right sequence exceeds once in 100,000


def _misses(make: Any, draw: Any, truth: float) -> int:
    """Data sets in which a bound ever leaves the truth out."""
    rng, missed = np.random.default_rng(5), 0
    for _ in range(SETS):
        found = make(draw(rng))
        missed += bool(((found.lower > truth) | (found.upper < truth)).any())
    return missed


@pytest.mark.slow
@pytest.mark.parametrize("sides", [1, 2])
def test_sequences_hold_at_every_n(sides: int) -> None:
    alpha = 0.05 if sides == 2 else 0.025

    def coin(p: float) -> Any:
        return lambda rng: (rng.random(300) < p).astype(float)

    at = np.arange(20, 301, 20)
    for p in (0.05, 0.5):
        assert (
            _misses(
                lambda x: sequences.bernoulli_sequence(successes=x.cumsum()[at - 1], n=at, alpha=alpha, sides=sides),
                coin(p),
                p,
            )
            <= MOST
        )
    skewed = lambda rng: rng.beta(0.3, 1.2, 300)  # noqa: E731 - three draws, one name each
    support: dict[str, Any] = {"support": (0, 1), "alpha": alpha, "sides": sides}
    assert _misses(lambda x: sequences.hoeffding_sequence(x, **support), skewed, 0.2) <= MOST
    assert _misses(lambda x: sequences.empirical_bernstein_sequence(x, **support), skewed, 0.2) <= MOST
    assert _misses(lambda x: sequences.betting_sequence(x, grid=200, **support), skewed, 0.2) <= MOST
    normal = lambda rng: rng.normal(1, 2, 300)  # noqa: E731
    assert _misses(lambda x: sequences.subgaussian_sequence(x, sigma=2, alpha=alpha, sides=sides), normal, 1) <= MOST
    spiky = lambda rng: np.where(rng.random(300) < 0.7, 0.0, rng.exponential(1, 300))  # noqa: E731
    truth = -math.log(0.1 / 0.3)  # its 90 % quantile
    looks = list(range(5, 301, 20))
    quantile = lambda x: sequences.quantile_sequence(x, q=0.9, alpha=alpha, sides=sides, looks=looks)  # noqa: E731
    assert _misses(quantile, spiky, truth) <= MOST
    ties = lambda x: sequences.quantile_sequence(x, q=0.5, alpha=alpha, sides=sides, looks=looks)  # noqa: E731
    assert _misses(ties, spiky, 0.0) <= MOST


def test_a_sequence_shrinks_and_is_equivariant() -> None:
    x = np.random.default_rng(1).random(2000)
    for make in (sequences.hoeffding_sequence, sequences.empirical_bernstein_sequence, sequences.betting_sequence):
        found, moved = make(x, support=(0, 1)), make(10 * x - 3, support=(-3, 7))
        assert found.upper[-1] - found.lower[-1] < 0.15
        assert (np.diff(found.lower) >= 0).all()
        assert moved.lower == pytest.approx(10 * found.lower - 3, abs=1e-9)
        mirrored = make(1 - x, support=(0, 1))
        assert mirrored.lower == pytest.approx(1 - found.upper, abs=1e-9)


@settings(max_examples=60)
@given(n=st.integers(1, 400), share=st.floats(0, 1), alpha=st.floats(0.01, 0.2))
def test_bounds_of_a_proportion_are_where_the_mixture_says(n: int, share: float, alpha: float) -> None:
    k = round(n * share)
    found = sequences.bernoulli_sequence(successes=[k], n=[n], alpha=alpha)
    lower, upper = float(found.lower[0]), float(found.upper[0])
    assert 0 <= lower <= k / n <= upper <= 1
    mirrored = sequences.bernoulli_sequence(successes=[n - k], n=[n], alpha=alpha)
    assert mirrored.lower[0] == pytest.approx(1 - upper, abs=1e-12)


def test_a_quantile_that_n_does_not_tell_yet_has_no_bound() -> None:
    found = sequences.quantile_sequence([1.0, 2.0, 3.0], q=0.9)
    assert found.upper[0] == math.inf
    assert found.lower[0] == -math.inf


def test_spending_in_any_steps_spends_the_same() -> None:
    fine = spending_boundaries(np.linspace(0.1, 1, 10).tolist(), alpha=0.05)
    assert fine.spent[-1] == pytest.approx(0.05)
    found = crossing(fine.z, fine.information)
    assert found.upper.sum() + found.lower.sum() == pytest.approx(0.05, abs=1e-7)
    assert found.upper.cumsum() * 2 == pytest.approx(fine.spent, abs=1e-7)


def test_inflation_factors_as_published() -> None:
    # Jennison & Turnbull (2000), tables 2.2 and 2.4: R(5; 0.05; 0.1) is 1.207 for Pocock and 1.026 for O'Brien–Fleming.
    fixed = 1.959963984540054 + 1.2815515655446004
    for design, factor in (("pocock", 1.207), ("obrien-fleming", 1.026)):
        assert (drift_for_power(design_boundaries(5, design=design), 0.9) / fixed) ** 2 == pytest.approx(
            factor, abs=6e-4
        )


def test_boundaries_hold_in_simulation() -> None:
    z = np.random.default_rng(2).normal(0, 1, (40_000, 4)).cumsum(axis=1) / np.sqrt(np.arange(1, 5))
    for spending in ("obrien-fleming", "pocock", "power"):
        bounds = spending_boundaries([0.25, 0.5, 0.75, 1], alpha=0.05, sides=1, spending=spending)
        assert (z > bounds.z).any(axis=1).mean() == pytest.approx(0.05, abs=0.0052)  # 1 in 1,000,000


def test_futility_and_conditional_power() -> None:
    bounds = design_boundaries(2, alpha=0.025, sides=1)
    stopping = crossing(bounds.z, bounds.information, sides=1, futility=[0.0, -math.inf])
    assert stopping.lower[0] == pytest.approx(0.5)
    assert stopping.power < 0.025
    # By hand: B = 1·√0.5, to cross 1.96 at the end with the remaining half under no drift.
    expected = 0.5 * math.erfc((1.96 - math.sqrt(0.5)) / math.sqrt(0.5) / math.sqrt(2))
    assert conditional_power(1.0, 0.5, 1.96, drift=0.0) == pytest.approx(expected)
    result = GroupSequential().compute({"information": [0.5], "z": [0.1]}, seed=0)
    assert any("futile" in w for w in result.warnings)


def test_sprt_realises_no_more_than_it_states() -> None:
    law = sprt.bernoulli_characteristic([0.1, 0.3], 0.1, 0.3, 0.05, 0.1)
    assert law.reject[0] <= 0.05
    assert 1 - law.reject[1] <= 0.1 * 1.05
    assert law.average_n[0] < sprt.fixed_n_bernoulli(0.1, 0.3, 0.05, 0.1)
    # The exact law against a run of the test itself.
    rng = np.random.default_rng(3)
    runs = [sprt.run_bernoulli(rng.random(400) < 0.1, 0.1, 0.3, 0.05, 0.1) for _ in range(4000)]
    assert np.mean([r.decision == "reject_H0" for r in runs]) == pytest.approx(float(law.reject[0]), abs=0.016)
    assert np.mean([r.stop_n for r in runs]) == pytest.approx(float(law.average_n[0]), rel=0.05)


def test_wald_approximation_of_a_normal_test() -> None:
    law = sprt.normal_characteristic([0.0, 0.5, 1.0], 0, 1, 1, 0.05, 0.1)
    assert law.reject == pytest.approx([0.05, 0.5 * 2 * law.reject[1], 0.9], abs=1e-9)
    rng = np.random.default_rng(4)
    stops = [sprt.run_normal(rng.normal(0.5, 1, 300), 0, 1, 1, 0.05, 0.1) for _ in range(2000)]
    assert np.mean([r.decision == "reject_H0" for r in stops]) == pytest.approx(float(law.reject[1]), abs=0.06)
    assert np.mean([r.stop_n for r in stops]) >= float(law.average_n[1])


def test_a_threshold_between_the_hypotheses_is_not_what_sprt_decides() -> None:
    result = Sprt().compute({"value": [0, 1] * 20}, seed=0, h0=0.4, h1=0.6)
    assert any("decides no claim" in w for w in result.warnings)


def test_e_values_keep_their_promise() -> None:
    rng = np.random.default_rng(6)
    final = [evalues.bernoulli_e_process(rng.random(60) < 0.4, 0.4)[-1] for _ in range(4000)]
    assert np.mean(final) < 1.25
    ever = [evalues.bernoulli_e_process(rng.random(200) < 0.4, 0.4).max() for _ in range(1000)]
    assert np.mean(np.array(ever) >= 20) <= 0.087
    assert evalues.bernoulli_e_process([0] * 60, 0.4)[-1] > 1e6
    assert np.mean(evalues.calibrate(rng.random(200_000))) == pytest.approx(1, abs=0.1)
    assert evalues.to_p_value([4.0, 0.5]).tolist() == [0.25, 1.0]
    assert evalues.average([1.0, 3.0]) == 2.0


def test_mixture_bound_is_the_same_test() -> None:
    x = np.random.default_rng(7).normal(0.5, 1, 400)
    found = mixture_test(x, variance=1.0, tau=0.4)
    v = np.arange(1, 401.0)
    # ρ = 1/τ²: tune the boundary to it and the first crossings agree.
    log = math.log(20)
    bound = normal_mixture_bound(v, 0.05, v_opt=(2 * log + math.log1p(2 * log)) / 0.4**2)
    crossed = np.flatnonzero(np.abs(np.cumsum(x)) >= bound)
    assert found.stop_n == int(crossed[0]) + 1


@pytest.mark.parametrize(
    "call",
    [
        lambda: sprt.wald_bounds(0.6, 0.6),
        lambda: sprt.bernoulli_lines(0.3, 0.1, 0.05, 0.1),
        lambda: sprt.run_bernoulli([2], 0.1, 0.2, 0.05, 0.1),
        lambda: sprt.run_normal([1.0], 1, 1, 1, 0.05, 0.1),
        lambda: spending_boundaries([0.5, 0.4]),
        lambda: spending_boundaries([0.5, 1], spending="linear"),
        lambda: design_boundaries(0),
        lambda: crossing([1.0], [0.5, 1.0]),
        lambda: inflation(0),
        lambda: conditional_power(1, 1, 2),
        lambda: mixture_test([1.0], variance=0, tau=1),
        lambda: sequences.bernoulli_sequence([0.5]),
        lambda: sequences.betting_sequence([2.0], support=(0, 1)),
        lambda: sequences.betting_sequence([], support=(0, 1)),
        lambda: sequences.quantile_sequence([1.0], q=1),
        lambda: sequential_ratio_mismatch([[1.5, 2]], [1, 1]),
        lambda: sequential_ratio_mismatch([[1, 2]], [1, 0]),
        lambda: evalues.product([-1.0]),
        lambda: evalues.calibrate([1.5]),
    ],
)
def test_what_makes_no_sense_is_refused(call: Any) -> None:
    with pytest.raises(UsageError):
        call()


@settings(max_examples=100)
@example(runs=[(0, 165), (1, 1)], a=1.0, b=1.0, alpha=1e-300)  # a lower end below e^-700
@example(runs=[(1, 5000), (0, 1), (1, 4000)], a=1.0, b=1.0, alpha=0.05)  # more than is solved at once
@given(
    runs=st.lists(st.tuples(st.integers(0, 1), st.integers(1, 3000)), min_size=1, max_size=6),
    a=st.floats(0.01, 1000),
    b=st.floats(0.01, 1000),
    alpha=st.sampled_from((0.49, 0.05, 1e-12, 1e-300)),
)
def test_the_beta_mixture_leaves_out_exactly_what_its_bayes_factor_says(
    runs: list[tuple[int, int]], a: float, b: float, alpha: float
) -> None:
    x = np.repeat([one for one, _ in runs], [length for _, length in runs])
    found = sequences.beta_mixture_sequence(x, alpha=alpha, prior=(a, b), running_intersection=False)
    n = np.arange(1, len(x) + 1)
    s = np.cumsum(x)
    level = math.log(alpha) + betaln(a + s, b + n - s) - betaln(a, b)
    for end in (found.lower, found.upper):
        inside = (end > 1e-300) & (end < 1 - 1e-6)  # nearer to 1, p has too few digits to try the equation
        at = s * np.log(np.where(inside, end, 0.5)) + (n - s) * np.log1p(-np.where(inside, end, 0.5))
        assert at[inside] == pytest.approx(level[inside], rel=1e-9, abs=1e-7)
    assert (found.lower <= s / n).all()
    assert (s / n <= found.upper).all()
    assert (found.lower[s == 0] == 0).all()
    assert (found.upper[s == n] == 1).all()
    assert (found.lower >= 0).all()
    assert (found.upper <= 1).all()
    kept = sequences.beta_mixture_sequence(x, alpha=alpha, prior=(a, b))
    # The running intersection solves for one end of each n alone, the one that may have moved.
    assert kept.lower == pytest.approx(np.maximum.accumulate(found.lower), rel=1e-9, abs=1e-12)
    assert kept.upper == pytest.approx(np.minimum.accumulate(found.upper), rel=1e-9, abs=1e-12)
