"""The one place where a verdict is formed, against the table of the rule and its error rates."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophamin.proof.decision import combine, outcome
from ophamin.proof.types import Threshold

V, R, INC = "VALIDATED", "REFUTED", "INCONCLUSIVE"
finite = st.floats(allow_nan=False, allow_infinity=False, width=32)


def decide(comparator, low, high, theta=0.5, rule="interval"):
    return outcome(Threshold("m", comparator, theta), low, high, rule)


@pytest.mark.parametrize(
    ("comparator", "low", "high", "expected"),
    [
        ("<=", 0.1, 0.5, V),
        ("<", 0.1, 0.5, INC),
        ("<", 0.1, 0.49, V),
        ("<=", 0.5, 0.9, INC),
        ("<=", 0.51, 0.9, R),
        ("<", 0.5, 0.9, R),
        (">=", 0.5, 0.9, V),
        (">", 0.5, 0.9, INC),
        (">", 0.51, 0.9, V),
        (">=", 0.1, 0.5, INC),
        (">=", 0.1, 0.49, R),
        (">", 0.1, 0.5, R),
        (">=", 0.4, 0.6, INC),
    ],
)
@pytest.mark.parametrize("rule", ["interval", "sequential"])
def test_table(comparator, low, high, expected, rule):
    assert decide(comparator, low, high, rule=rule) == expected


@pytest.mark.parametrize("comparator", ["<=", "<", ">=", ">"])
@pytest.mark.parametrize("bad", [None, math.nan, math.inf, -math.inf, "0.5", True])
def test_a_bound_that_is_no_finite_number_decides_nothing(comparator, bad):
    assert decide(comparator, bad, bad) == INC
    # The other side still decides what it alone can decide.
    assert decide("<=", bad, 0.4) == V
    assert decide(">=", 0.6, bad) == V
    assert decide("<=", 0.6, bad) == R
    assert decide(">=", bad, 0.4) == R


@given(st.sampled_from(["<=", "<", ">=", ">"]), finite, finite, finite)
def test_laws(comparator, low, high, theta):
    result = decide(comparator, low, high, theta)
    if low > high:
        assert result == INC
        return
    # Negating the axis mirrors the comparator and swaps the bounds.
    mirror = {"<=": ">=", ">=": "<=", "<": ">", ">": "<"}
    assert decide(mirror[comparator], -high, -low, -theta) == result
    # The complement of a claim has the opposite outcome.
    complement = {"<=": ">", ">": "<=", "<": ">=", ">=": "<"}
    assert decide(complement[comparator], low, high, theta) == {V: R, R: V, INC: INC}[result]
    # A wider interval never decides what a narrower one did not.
    wider = decide(comparator, low - 1, high + 1, theta)
    assert wider in (result, INC)


@pytest.mark.parametrize(
    ("theta", "low", "high", "expected"),
    [
        (3, 3, 3, V),
        (3, 4, 4, R),
        ("abc", "abc", "abc", V),
        ("abc", "abd", "abd", R),
        (3, 2, 4, INC),
        (3, 4, 5, R),
        (3, None, 3, INC),
        (1, True, True, R),
        (True, True, True, V),
        (3.0, math.nan, math.nan, INC),
        (3.0, math.inf, math.inf, INC),
    ],
)
def test_exact_equality(theta, low, high, expected):
    assert decide("==", low, high, theta, "exact") == expected


def test_exact_with_missing_cycles_needs_both_ends_to_agree():
    assert decide(">=", 0.4, 0.6, rule="exact") == INC
    assert decide(">=", 0.5, 0.6, rule="exact") == V


def test_integers_beyond_floats_are_compared_exactly():
    assert decide(">=", 10**400, 10**401) == V
    assert decide("<=", 2**53 + 1, 2**53 + 1, theta=2**53) == R
    assert decide("==", 10**400, 10**400 + 1, theta=1, rule="exact") == R


def test_misuse_is_refused():
    for bad in (
        lambda: decide("~", 0, 1),
        lambda: decide("<=", 0, 1, rule="vibes"),
        lambda: decide("==", 0, 0),
        lambda: decide("<=", 0, 1, theta="x"),
        lambda: decide("<=", 0, 1, theta=math.nan),
        lambda: combine([]),
    ):
        with pytest.raises(ValueError):
            bad()


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [([V], V), ([R], R), ([INC], INC), ([V, V], V), ([V, INC], INC), ([INC, R], R), ([V, R], R)],
)
def test_all_must_hold(outcomes, expected):
    assert combine(outcomes) == expected
    assert combine(outcomes[::-1]) == expected
