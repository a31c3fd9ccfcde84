"""The exact limits: against scipy, and the promise about the whole table."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from ophamin.measuring.selftest._limits import fewest, most, sees_above, sees_below, tail_above, tail_below
from ophamin.measuring.selftest.catalogue import catalogue
from ophamin.measuring.selftest.running import FALSE_FAILURES, MODES


@settings(max_examples=150)
@given(n=st.integers(1, 5000), p=st.floats(0.001, 0.999), where=st.floats(0, 1))
def test_tails_are_those_of_scipy(n: int, p: float, where: float) -> None:
    count = int(where * n)
    assert tail_above(count, n, p) == pytest.approx(binom.sf(count, n, p), rel=1e-8, abs=1e-13)
    assert tail_below(count, n, p) == pytest.approx(binom.cdf(count - 1, n, p), rel=1e-8, abs=1e-13)


@settings(max_examples=60)
@given(n=st.integers(20, 40_000), p=st.floats(0.005, 0.995), share=st.sampled_from([1e-2, 5e-5, 1e-6]))
def test_limits_are_the_tightest_that_keep_the_share(n: int, p: float, share: float) -> None:
    high, low = most(n, p, share), fewest(n, p, share)
    assert binom.sf(high, n, p) <= share * (1 + 1e-9)
    assert high == 0 or binom.sf(high - 1, n, p) > share * (1 - 1e-9)
    assert binom.cdf(low - 1, n, p) <= share * (1 + 1e-9)
    assert low == n or binom.cdf(low, n, p) > share * (1 - 1e-9)


def test_the_limit_of_the_rules_of_verdicts() -> None:
    assert most(10_000, 0.05, 1e-5) == 595


def test_the_smallest_fault_is_seen_99_times_in_100() -> None:
    high, low = most(4000, 0.05, 5e-5), fewest(4000, 0.05, 5e-5)
    assert binom.sf(high, 4000, sees_above(4000, high)) == pytest.approx(0.99, abs=1e-6)
    assert binom.cdf(low - 1, 4000, sees_below(4000, low)) == pytest.approx(0.99, abs=1e-6)
    assert sees_below(100, 0) < 0  # nothing is too rare


@pytest.mark.parametrize("mode", MODES)
def test_a_right_installation_fails_at_most_one_time_in_a_hundred(mode: str) -> None:
    # The union bound over every limit of the whole table, each rate exactly at its bound, by scipy.
    checks = [check for check in catalogue() if check.belongs_to(mode)]
    share = FALSE_FAILURES / sum(c.limits for c in checks)
    total = 0.0
    for check in checks:
        n = check.runs(mode)
        if n and check.most is not None:
            total += len(check.sides) * binom.sf(most(n, check.most, share), n, check.most)
        if n and check.least is not None:
            total += len(check.sides) * binom.cdf(fewest(n, check.least, share) - 1, n, check.least)
    assert 0.005 < total <= FALSE_FAILURES
