"""Every claim must be able to fail: the substrates of known truth a scenario ships with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ophamin.proof.errors import UsageError
from ophamin.proof.types import Claim
from ophamin.protocols import Control, ScenarioProtocol
from ophamin.registry import Spec

__all__ = ["check_controls"]

_OUTCOMES = {"VALIDATED", "REFUTED", "INCONCLUSIVE", "NOT_APPLICABLE", "ERRORED"}
_DUMB = ("constant", "random", "echo", "error")
_ARM = re.compile(r"(?:^|,)[A-Za-z_][\w-]*=(?=[A-Za-z0-9])")


def check_controls(scenario: ScenarioProtocol, claim: Claim, options: Mapping[str, Any]) -> None:
    """Check that the controls cover truth inside, truth outside of each threshold, and dumb substrates.

    Args:
        scenario: The scenario.
        claim: Its claim under ``options``.
        options: Its options.
    """
    controls = list(scenario.controls())
    names = [c.name for c in controls]
    assert len(set(names)) == len(names), f"controls are named once each: {names}"
    for control in controls:
        _check_control(scenario, control, options)

    assert any(c.kind == "inside" for c in controls), "no control lies inside the claim: it could never be VALIDATED"
    outside, parts = sum(c.kind == "outside" for c in controls), len(claim.parts())
    assert outside >= parts, f"{parts} thresholds need {parts} controls outside, one each; there are {outside}"
    dumb = [c for c in controls if c.kind == "dumb"]
    assert len(dumb) >= len(_DUMB), f"{len(_DUMB)} dumb substrates at least ({', '.join(_DUMB)}), not {len(dumb)}"
    if any(c.substrate.startswith("mock") for c in dumb):
        for word in _DUMB:
            said = any(word in f"{c.name} {c.substrate}" for c in dumb)
            assert said, f"no dumb control is a substrate that gives {word}"


def _check_control(scenario: ScenarioProtocol, control: Control, options: Mapping[str, Any]) -> None:
    what = f"the control {control.name!r}"
    assert isinstance(control, Control), f"{what} is a {type(control).__name__}, not a Control"
    assert control.kind in ("inside", "outside", "dumb", "boundary"), f"{what} has kind {control.kind!r}"
    assert control.expect, f"{what} expects no verdict at all"
    assert control.expect <= _OUTCOMES, f"{what} expects {sorted(control.expect - _OUTCOMES)}, which are no outcomes"
    if control.kind == "inside":
        assert "VALIDATED" in control.expect, f"{what} lies inside the claim and is not expected to be VALIDATED"
        assert "REFUTED" not in control.expect, f"{what} lies inside the claim and may be REFUTED"
    elif control.kind == "outside":
        assert "REFUTED" in control.expect, f"{what} lies outside the claim and is not expected to be REFUTED"
        assert "VALIDATED" not in control.expect, f"{what} lies outside the claim and may be VALIDATED"
    elif control.kind == "dumb" and "VALIDATED" in control.expect:
        assert control.why.strip(), f"{what} may be VALIDATED: say in 'why' that the claim is literally true of it"
    assert control.n is None or control.n >= 0, f"{what} has n {control.n}"
    for spec in _specs(control.substrate.replace("{seed}", "0")):
        try:
            Spec.parse(spec)
        except UsageError as error:
            raise AssertionError(f"{what} has a substrate that is no spec: {error}") from error
    strange = set(control.options) - set(scenario.options)
    assert not strange, f"{what} sets options the scenario does not have: {sorted(strange)}"
    scenario.claim({**options, **control.options})


def _specs(text: str) -> list[str]:
    """One spec, or ``arm=spec,arm=spec``."""
    if not _ARM.match(text):
        return [text]
    return [part for part in _ARM.split(text) if part]
