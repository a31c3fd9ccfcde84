from __future__ import annotations

import math
import random
from functools import cache
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophamin.comparing.drift import Bounds, mover_difference

ALPHA = 0.05
RUNS = 10_000


@cache
def share(k: int, n: int) -> Bounds:
    """Clopper–Pearson: two one-sided bounds, by bisection on the exact binomial tail."""
    lower = 0.0 if k == 0 else _solve(lambda p: 1 - _cdf(k - 1, n, p) - ALPHA)
    upper = 1.0 if k == n else _solve(lambda p: ALPHA - _cdf(k, n, p))
    return Bounds(k / n, lower, upper, 1 - ALPHA, 1 - ALPHA)


def _cdf(k: int, n: int, p: float) -> float:
    return math.fsum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1))


def _solve(f) -> float:
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if f(middle) > 0 else (middle, high)
    return (low + high) / 2


def mean(values: list[float], sd: float) -> Bounds:
    """A mean with known spread, so that its bounds are exact and only the difference is on trial."""
    centre = math.fsum(values) / len(values)
    half = NormalDist().inv_cdf(1 - ALPHA) * sd / math.sqrt(len(values))
    return Bounds(centre, centre - half, centre + half, 1 - ALPHA, 1 - ALPHA)


def missed(truth: float, draw) -> tuple[int, int]:
    """How often each one-sided bound of the difference is on the wrong side of the truth."""
    low = high = 0
    for _ in range(RUNS):
        found = mover_difference(*draw())
        low += found.lower > truth
        high += found.upper < truth
    return low, high


# A rule that errs 5 % of the time exceeds 595 of 10,000 once in 100,000.
LIMIT = 595


@cache
def pmf(n: int, p: float) -> list[float]:
    return [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]


@pytest.mark.parametrize(("n1", "n2"), [(100, 100), (150, 50)])
def test_a_difference_of_shares_keeps_its_error_by_enumeration(n1, n2):
    found = [[mover_difference(share(i, n1), share(j, n2)) for j in range(n2 + 1)] for i in range(n1 + 1)]
    worst = 0.0
    for p1, p2 in [(0.9, 0.9), (0.9, 0.95), (0.5, 0.3), (0.98, 0.96), (0.99, 0.99), (0.05, 0.5), (0.7, 0.72)]:
        low = high = 0.0
        for i, a in enumerate(pmf(n1, p1)):
            for j, b in enumerate(pmf(n2, p2)):
                low += a * b * (found[i][j].lower > p2 - p1)
                high += a * b * (found[i][j].upper < p2 - p1)
        worst = max(worst, low, high)
    print(f"n = {n1}, {n2}: a bound misses at most {worst:.4f} of the time")
    assert worst <= ALPHA


def test_a_difference_of_means_keeps_its_error_and_is_no_wider_than_it_need_be():
    rng = random.Random(7)

    def draw():
        return mean([rng.gauss(1, 1) for _ in range(12)], 1), mean([rng.gauss(3, 4) for _ in range(20)], 4)

    low, high = missed(2.0, draw)
    # For exact normal margins square-and-add is exact: 5 % on either side, within simulation error.
    assert 415 <= low <= LIMIT
    assert 415 <= high <= LIMIT


def test_overlapping_intervals_may_well_differ():
    before, after = share(180, 200), share(165, 200)
    assert before.lower < after.upper
    assert mover_difference(before, after).upper < 0


numbers = st.floats(-1e6, 1e6)


@given(st.tuples(numbers, numbers, numbers), st.tuples(numbers, numbers, numbers))
def test_laws(a, b):
    first, second = (Bounds(x[1], x[0], x[2], 0.95, 0.95) for x in (sorted(a), sorted(b)))
    there, back = mover_difference(first, second), mover_difference(second, first)
    assert there.lower <= there.value <= there.upper
    assert (there.lower, there.upper) == (-back.upper, -back.lower)
    # Never wider than subtracting the far ends, never narrower than either interval alone.
    assert there.upper <= second.upper - first.lower + 1e-6
    assert there.upper - there.value >= max(second.upper - second.value, first.value - first.lower) - 1e-6


def test_a_missing_bound_is_missing_where_it_is_needed_only():
    found = mover_difference(Bounds(1, None, 2, None, 0.95), Bounds(3, 2.5, None, 0.99, None))
    assert found.upper is None
    assert found.lower == 2 - math.hypot(0.5, 1)
    assert found.lower_confidence == 0.95
