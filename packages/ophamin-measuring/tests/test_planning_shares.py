"""Plans of shares: what is spared, of sample sizes and of plans, changes no number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from ophamin.measuring.planning import plan_claim
from ophamin.measuring.planning._assume import Assumptions, Part
from ophamin.measuring.planning._models import model_of
from ophamin.measuring.planning._plan import MOST, needed
from ophamin.measuring.planning._share import SharePower, _validating
from ophamin.measuring.scenarios._road.planned import POWER, _answer, power_of, wanted_units
from ophamin.proof.errors import UsageError
from ophamin.proof.types import Claim, Decision, Threshold


def model(theta: float, delta: float, alpha: float, policy: str, errors: float, **assumed: Any) -> SharePower:
    decision = Decision(estimator="proportion", smallest_difference=delta, error_policy=policy)
    part = Part(Threshold("share", ">=", theta), decision, alpha, alpha, errors, Assumptions(**assumed))
    found = model_of(part, delta)
    assert isinstance(found, SharePower)
    return found


def one_by_one(found: SharePower, first: int, end: int, validate: float, refute: float) -> int | None:
    """The last n that falls short, from the powers of every n."""
    span = np.arange(first, end)
    powers = found.powers(span)
    short = span[~((powers[0] >= validate) & (powers[1] >= refute))]
    return int(short[-1]) if len(short) else None


@settings(max_examples=150, deadline=None)
@given(
    theta=st.floats(0.02, 0.98),
    delta=st.floats(0.005, 0.3),
    alpha=st.floats(1e-4, 0.2),
    policy=st.sampled_from(["bound", "fail", "exclude"]),
    errors=st.sampled_from([0.0, 0.0, 0.03]),
    targets=st.tuples(st.sampled_from([0.0, 0.5, 0.8, 0.99]), st.sampled_from([0.0, 0.8, 0.95])),
    first=st.integers(1, 400),
    width=st.integers(1, 6000),
)
def test_the_last_n_that_falls_short_is_that_of_every_n_tried(
    theta: float, delta: float, alpha: float, policy: str, errors: float, targets: Any, first: int, width: int
) -> None:
    found = model(theta, delta, alpha, policy, errors)
    assert found.last_short(first, first + width, *targets) == one_by_one(found, first, first + width, *targets)


def test_of_grouped_rows_every_n_is_tried() -> None:
    found = model(0.8, 0.1, 0.05, "bound", 0.0, group_size=4.0, icc=0.1)
    assert found.last_short(40, 3000, 0.8, 0.8) == one_by_one(found, 40, 3000, 0.8, 0.8)


@pytest.mark.parametrize(
    ("theta", "delta", "n"),
    # By every n in turn, with the inverse of the binomial distribution in Boost, before any was spared.
    [(0.9, 0.05, 299), (0.5, 0.05, 654), (0.9, 0.02, 1579), (0.5, 0.02, 3945)],
)
def test_n_is_what_it_was(theta: float, delta: float, n: int) -> None:
    assert needed(model(theta, delta, 0.05, "bound", 0.0), 0.8, 0.8) == n


def test_a_small_difference_takes_few_powers(monkeypatch: pytest.MonkeyPatch) -> None:
    found, seen = model(0.5, 0.002, 0.05, "bound", 0.0), []
    powers = found.powers
    monkeypatch.setattr(found, "powers", lambda n: (seen.append(np.size(n)), powers(n))[1])
    n = needed(found, 0.8, 0.8)
    assert n is not None
    assert 380_000 < n < 400_000
    assert sum(seen) < n / 20


def test_more_rows_than_any_plan_asks_for_are_none() -> None:
    assert needed(model(0.5, 1e-5, 0.05, "bound", 0.0), 0.8, 0.8) is None
    assert (needed(model(0.5, 6e-4, 0.05, "bound", 0.0), 0.8, 0.8) or 0) < MOST


@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.01, 1e-6])
@pytest.mark.parametrize("theta", [1e-6, 0.003, 0.1, 0.5, 2 / 3, 0.9, 0.999])
def test_the_least_count_that_validates_is_exact(theta: float, alpha: float) -> None:
    n = np.concatenate([np.arange(1, 400), [10_000, 1_000_000]])
    k = _validating(n.astype(float), theta, alpha)
    # Tails within rounding of alpha may fall to either side.
    assert (binom.sf(k - 1, n, theta) <= alpha * (1 + 1e-9)).all()
    assert ((k == 0) | (binom.sf(k - 2, n, theta) >= alpha * (1 - 1e-9))).all()


def test_shares_at_the_ends() -> None:
    n = np.arange(1.0, 50.0)
    assert (_validating(n, 0.0, 0.05) == 1).all()
    assert (_validating(n, 1.0, 0.05) == n + 1).all()  # no count shows a share above 1


CLAIM = Claim("one", "", "", "", Threshold("m", ">=", 0.9), Decision(estimator="proportion", smallest_difference=0.05))


def test_cells_that_state_one_claim_are_planned_once() -> None:
    _answer.cache_clear()
    first = wanted_units(CLAIM, None, 0.05)
    assert wanted_units(replace(CLAIM, statement="the same of another system"), None, 0.05) == first
    assert _answer.cache_info().misses == 1
    assert power_of(CLAIM, 60, 0.05) == power_of(replace(CLAIM, h0="in other words"), 60, 0.05)
    assert _answer.cache_info().misses == 2


@pytest.mark.parametrize(
    ("claim", "alpha", "assumptions"),
    [
        (CLAIM, 0.025, None),
        (replace(CLAIM, threshold=replace(CLAIM.threshold, value=0.8)), 0.05, None),
        (replace(CLAIM, threshold=replace(CLAIM.threshold, comparator="<=")), 0.05, None),
        (replace(CLAIM, decision=replace(CLAIM.decision, smallest_difference=0.04)), 0.05, None),
        (replace(CLAIM, decision=replace(CLAIM.decision, error_policy="fail")), 0.05, None),
        (CLAIM, 0.05, {"m": {"group_size": 3.0, "icc": 0.2}}),
    ],
)
def test_other_claims_are_planned_for_themselves(
    claim: Claim, alpha: float, assumptions: Mapping[str, Mapping[str, float]] | None
) -> None:
    wanted_units(CLAIM, None, 0.05)
    power_of(CLAIM, 100, 0.05)
    alone = plan_claim(claim, power=POWER, alpha=alpha, smallest=False, assumptions=assumptions)
    assert wanted_units(claim, None, alpha, assumptions).n_needed == alone.n
    given_n = plan_claim(claim, power=POWER, n=100, alpha=alpha, smallest=False, assumptions=assumptions)
    assert power_of(claim, 100, alpha, assumptions)["power_validate_at"]["power"] == given_n.power_validate


def test_what_cannot_be_planned_says_so_each_time() -> None:
    hopeless = replace(CLAIM, decision=replace(CLAIM.decision, smallest_difference=None))
    for _ in range(2):
        with pytest.raises(UsageError, match=r"register the smallest difference.*--n N"):
            wanted_units(hopeless, None, 0.05)
        assert wanted_units(hopeless, 50, 0.05).n_needed is None
