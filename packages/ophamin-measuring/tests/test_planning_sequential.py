"""Plans of runs that may stop early, against runs simulated anew."""

from __future__ import annotations

import numpy as np
import pytest

from ophamin.measuring.decision._stopping import Looks
from ophamin.measuring.pillars.adaptive.processes import mixture_ratio
from ophamin.measuring.planning import plan
from ophamin.measuring.planning._assume import Assumptions, Part
from ophamin.measuring.planning._sequential import LooksPower
from ophamin.proof.errors import UsageError
from ophamin.proof.types import Decision, Threshold

SHARE = Decision("sequential", estimator="proportion", smallest_difference=0.05)
CLAIM = Threshold("accuracy", ">=", 0.9)


def test_power_and_expected_n_are_those_of_runs_simulated_anew() -> None:
    found = plan(CLAIM, SHARE)
    assert found.n is not None
    x = np.random.default_rng(99).random((4000, found.n)) < 0.95
    crossed = mixture_ratio(x, 0.9, 0.05) >= np.log(20)
    power = crossed.any(axis=1).mean()
    stops = np.where(crossed.any(axis=1), crossed.argmax(axis=1) + 1, found.n).mean()
    assert found.power_validate == pytest.approx(power, abs=0.04)
    assert found.expected_n_validate == pytest.approx(stops, rel=0.1)
    assert min(found.power_validate or 0, found.power_refute or 0) >= 0.8
    assert (found.least_n, found.fixed_n) == (41, 299)
    assert (found.expected_n_validate or 0) < 299 < found.n


def test_the_same_plan_is_made_twice() -> None:
    assert plan(CLAIM, SHARE) == plan(CLAIM, SHARE)


def test_expected_errors_cost_power() -> None:
    fair, failing = plan(CLAIM, SHARE, n=450), plan(CLAIM, SHARE, n=450, expected_error_rate=0.03)
    assert (failing.power_validate or 0) < (fair.power_validate or 0) - 0.1


def test_groups_count_as_one() -> None:
    found = plan(CLAIM, SHARE, n=4500, group_size=10, icc=1.0)
    assert found.power_validate == pytest.approx(plan(CLAIM, SHARE, n=450).power_validate or 0, abs=0.04)


def test_a_mean_needs_less_where_it_spreads_less() -> None:
    decision = Decision("sequential", estimator="mean", smallest_difference=0.05, support=[0, 1])
    wide, narrow = (plan(Threshold("m", "<=", 0.5), decision, sd=sd) for sd in (0.4, 0.1))
    assert (narrow.n or 0) < (wide.n or 0) / 3


def test_registered_looks_fix_n_and_their_power_is_that_of_a_simulated_walk() -> None:
    looks = Looks((100, 200, 300))
    decision = Decision("sequential", "group-sequential:100,200,300", estimator="mean", smallest_difference=0.3)
    part = Part(Threshold("m", ">=", 0.0), decision, 0.05, 0.05, 0.0, Assumptions(sd=2.0))
    power = LooksPower(part, 0.3, looks).powers(300)[0][0]
    from ophamin.measuring.pillars.adaptive.group_sequential import spending_boundaries

    z = spending_boundaries([1 / 3, 2 / 3, 1], alpha=0.05, sides=1).z
    sums = (np.random.default_rng(1).normal(0.3, 2.0, (4000, 300))).cumsum(axis=1)[:, [99, 199, 299]]
    crossed = sums / (2 * np.sqrt([100, 200, 300])) >= z
    assert power == pytest.approx(crossed.any(axis=1).mean(), abs=0.03)
    share = Decision("sequential", "group-sequential:100,200", estimator="proportion", smallest_difference=0.05)
    assert plan(CLAIM, share).n == 200
    with pytest.raises(UsageError, match="last registered look"):
        plan(CLAIM, share, n=150)
