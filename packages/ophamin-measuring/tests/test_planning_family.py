"""Plans of families: against decisions corrected by the family's own code, and against closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ophamin.measuring.decision import Member, correct_family, decide
from ophamin.measuring.decision._families import CORRECTIONS
from ophamin.measuring.planning import plan_claim, plan_family
from ophamin.proof.errors import UsageError
from ophamin.proof.types import Claim, CoPrimary, Decision, Threshold
from ophamin.protocols import EstimatorCall

ALPHA = 0.05


def claim_of(theta: float = 0.9, delta: float = 0.05, estimator: str = "proportion", **more: Any) -> Claim:
    return Claim(
        "", "", "", "", Threshold("m", ">=", theta), Decision(estimator=estimator, smallest_difference=delta, **more)
    )


def test_a_family_of_one_is_the_claim_alone() -> None:
    found, alone = plan_family([claim_of()], m=1), plan_claim(claim_of())
    assert (found.n, found.power_validate, found.power_refute) == (alone.n, alone.power_validate, alone.power_refute)
    assert found.first_alpha == ALPHA
    assert found.validated is not None
    assert found.validated.each == pytest.approx(alone.power_validate, abs=0.02)
    assert found.validated.each == found.validated.all == found.validated.any


@pytest.mark.parametrize("correction", CORRECTIONS)
def test_each_claim_keeps_its_power_when_no_other_holds(correction: str) -> None:
    found = plan_family([claim_of()], m=10, correction=correction)
    harmonic = sum(1 / i for i in range(1, 11)) if correction == "by" else 1
    assert found.first_alpha == pytest.approx(ALPHA / 10 / harmonic)
    alone = plan_claim(claim_of(), alpha=found.first_alpha)
    assert (found.n, found.power_validate) == (alone.n, alone.power_validate)
    # A p-value just at that level survives beside nine that show nothing, one above it does not.
    for factor, outcome in ((0.999, "VALIDATED"), (1.001, "INCONCLUSIVE")):
        members = [Member("a", "VALIDATED", found.first_alpha * factor)]
        members += [Member(f"b{i}", "INCONCLUSIVE") for i in range(9)]
        assert correct_family(members, alpha=ALPHA, method=correction)[0].outcome == outcome


@pytest.mark.parametrize("correction", CORRECTIONS)
def test_the_power_of_a_whole_family_is_what_its_corrected_p_values_show(correction: str) -> None:
    from scipy.stats import norm

    claim, m, runs = claim_of(0.0, 0.5, "mean"), 6, 4000
    # Of a normal mean with so many rows the t test is the z test, which can be drawn at once.
    found = plan_family([claim], m=m, correction=correction, n=4000, assumptions={"m": {"sd": 14.0}})
    z = np.random.default_rng(3).normal(0.5 * np.sqrt(4000) / 14, 1, (runs, m))
    won = np.array([[p <= ALPHA for p in CORRECTIONS[correction](row)] for row in norm.sf(z).tolist()])
    assert found.validated is not None
    shown = won.mean(), won.all(axis=1).mean(), won.any(axis=1).mean()
    # Both sides are simulated: four standard errors of a share of 4,000 and one of 10,000.
    assert shown == pytest.approx((found.validated.each, found.validated.all, found.validated.any), abs=0.04)
    assert found.refuted == found.validated
    if correction != "bonferroni":  # whose levels do not rise
        assert (found.power_validate or 0) < found.validated.each - 0.02
    assert found.validated.all < found.validated.each < found.validated.any


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["share", "bounded mean"])
def test_simulated_families_decide_as_planned(kind: str) -> None:
    """m claims are decided one by one at α, then corrected by Holm, as a sweep does it."""
    m, theta, delta = 5, 0.7, 0.15
    claim = claim_of(theta, delta) if kind == "share" else claim_of(theta, delta, "mean", support=[0, 1])
    found, alone = plan_family([claim], m=m), plan_claim(claim)
    assert found.n is not None
    assert alone.n is not None
    assert found.n > 1.1 * alone.n
    runs = 300 if kind == "share" else 80

    def share(alike: bool) -> tuple[float, float]:
        first = every = 0
        for run in range(runs):
            rng = np.random.default_rng([run, alike])
            members = []
            for i in range(m):
                truth = theta + delta if alike or i == 0 else 0.1
                rows = (rng.random(found.n) < truth).astype(int).tolist()
                call = EstimatorCall("m", claim.decision.estimator, {"value": rows, "status": ["ok"] * len(rows)}, {})
                part = decide(claim.threshold, claim.decision, call, alpha_validate=ALPHA, alpha_refute=ALPHA, seed=run)
                members.append(Member(str(i), part.outcome, part.p_validated, part.p_refuted))
            won = [c.outcome == "VALIDATED" for c in correct_family(members, alpha=ALPHA)]
            first += won[0]
            every += all(won)
        return first / runs, every / runs

    assert found.validated is not None
    error = 4 * np.sqrt(0.25 / runs) if kind == "share" else 0.17  # that plan is itself a simulation of 400
    assert share(False)[0] == pytest.approx(found.power_validate, abs=error)
    assert share(True) == pytest.approx((found.validated.each, found.validated.all), abs=error)


def test_stakes_are_tuned_for_the_claim_and_compared_with_the_family() -> None:
    claim = claim_of(0.5, 0.15, "mean", support=[0, 1])
    own = plan_claim(claim, n=150, alpha=ALPHA / 20, smallest=False)
    corrected = plan_claim(claim, n=150, share=1 / 20, smallest=False)
    # A bet tuned for 0.05 and held to 0.0025 is a worse bet than one tuned for 0.0025.
    assert (corrected.power_validate or 0) < (own.power_validate or 0) - 0.02


def test_the_neediest_of_unlike_claims_sets_the_n() -> None:
    near, far = claim_of(0.9, 0.03), claim_of(0.9, 0.08)
    found = plan_family([near, far, claim_of(0.5, 0.2)])
    needs = [p.n for p in found.plans]
    assert found.m == 3
    assert found.n == needs[0] == max(n for n in needs if n is not None)
    assert found.power_validate == plan_claim(near, n=found.n, alpha=ALPHA / 3).power_validate
    exact = Claim("", "", "", "", Threshold("m", "==", 1), Decision(rule="exact", estimator="value"))
    assert plan_family([near, far, exact]).first_alpha == ALPHA / 2
    alone = plan_family([exact], m=4)
    assert (alone.m, alone.n, alone.validated) == (0, None, None)


def test_a_co_primary_claim_is_one_claim_of_its_family() -> None:
    first, second = claim_of(0.9, 0.05), claim_of(0.8, 0.1)
    both = Claim("", "", "", "", first.threshold, first.decision,
                 co_primary=[CoPrimary(Threshold("k", ">=", 0.8), second.decision)])  # fmt: skip
    found, alone = plan_family([both], m=4), plan_claim(both, alpha=ALPHA / 4)
    assert (found.n, found.power_validate, found.power_refute) == (alone.n, alone.power_validate, alone.power_refute)


def test_a_large_family_is_planned_at_once() -> None:
    found = plan_family([claim_of()], m=2000)
    assert found.validated is not None
    assert found.n is not None
    assert (found.power_validate or 0) >= 0.8
    assert 0 <= found.validated.all <= found.validated.each <= found.validated.any <= 1


def test_what_makes_no_family() -> None:
    for wrong, words in (
        ({"claims": []}, "from its claims"),
        ({"claims": [claim_of(), claim_of()], "m": 2}, "from its claims"),
        ({"claims": [claim_of()], "m": 0}, "1 to 10000"),
        ({"claims": [claim_of()], "m": 3, "correction": "sidak"}, "holm"),
        ({"claims": [claim_of(), claim_of(alpha=0.01)]}, "different alphas"),
        ({"claims": [claim_of(rule="sequential")], "m": 5}, "divided by 5"),
    ):
        with pytest.raises(UsageError, match=words):
            plan_family(**wrong)  # type: ignore[arg-type]
