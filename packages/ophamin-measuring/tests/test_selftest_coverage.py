"""What is tried, and what is left out for a reason: nothing this wheel registers is missing from both."""

from __future__ import annotations

from typing import get_args

import pytest

from ophamin import registry
from ophamin.measuring.pillars.adaptive import group_sequential
from ophamin.measuring.pillars.feasibility import regression
from ophamin.measuring.pillars.general import adjust, correlations, power, proportions
from ophamin.measuring.pillars.observability import charts, drift, rules
from ophamin.measuring.pillars.robustness import bootstrap
from ophamin.measuring.pillars.synthesis import heterogeneity
from ophamin.measuring.selftest import coverage
from ophamin.measuring.selftest.catalogue import REFERENCES, catalogue
from ophamin.proof.decision import Rule

OURS = [
    f"{noun} {name}"
    for noun, group in (("estimator", registry.estimators), ("pillar", registry.pillars))
    for name in group.names()
    if group.origin(name).startswith(coverage.WHEEL)
] + [f"rule {name}" for name in get_args(Rule)]


@pytest.mark.parametrize("what", OURS)
def test_each_is_tried_or_left_out_for_a_reason(what: str) -> None:
    assert bool(coverage.tried(what)) != (what in coverage.NOT_SIMULATED), what


def test_the_tables_name_what_there_is() -> None:
    families = {check.family for check in catalogue()}
    assert set(coverage.TRIED_AS) | set(coverage.NOT_SIMULATED) <= set(OURS)
    assert {f for found in coverage.TRIED_AS.values() for f in found} <= families
    assert all(len(reason) > 20 for reason in coverage.NOT_SIMULATED.values())


@pytest.mark.parametrize("family", ["A.peeking", "F.e_value", "bootstrap"])
def test_what_a_reference_number_holds_has_one(family: str) -> None:
    assert any(reference.family == family for reference in REFERENCES)


METHODS = {
    "X.proportion": proportions.METHODS,
    "X.adjust": tuple(adjust.METHODS),
    "X.correlation": correlations.KINDS,
    "X.power": tuple(power.TESTS),
    "O.xbar": charts.SIGMA_METHODS,
    "O.drift": tuple(drift.DETECTORS),
    "runs rules": (*rules.NELSON, *rules.WESTERN_ELECTRIC),
    "bootstrap": bootstrap.METHODS,
    "group-sequential": (*group_sequential.DESIGNS, *group_sequential.SPENDING),
}


@pytest.mark.parametrize("family", METHODS)
def test_every_method_of_a_family_is_tried(family: str) -> None:
    names = [check.name for check in catalogue() if check.family == family]
    for method in METHODS[family]:
        assert any(method in name for name in names), method


def test_every_estimator_of_heterogeneity_and_every_kind_of_error_is_tried() -> None:
    methods = {check.method for check in catalogue()}
    for method in heterogeneity.METHODS:
        assert any(
            m.startswith((f"{method}, ", "inverse variance" if method == "FE" else f"{method}, ")) for m in methods
        )
    assert set(regression.ERRORS) <= methods


def test_a_plug_in_of_somebody_else_is_named_as_unknown() -> None:
    registry.estimators.register("their-own", lambda columns, **options: None)
    try:
        assert coverage.unknown() == ["estimator their-own"]
    finally:
        registry.estimators.unregister("their-own")
    assert coverage.unknown() == []


def test_what_is_left_to_the_full_run_is_said() -> None:
    quick, full = coverage.not_simulated("quick"), coverage.not_simulated("full")
    assert set(full) == set(coverage.NOT_SIMULATED)
    dear = {check.label for check in catalogue() if not check.belongs_to("quick")}
    assert dear
    assert set(quick) - set(full) == dear
