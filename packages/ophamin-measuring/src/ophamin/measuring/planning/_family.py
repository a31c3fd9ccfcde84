"""Plans of claims whose verdicts are corrected together: the cells of a sweep, or any family closed at registration.

In a family a claim is still decided at its own α, and its p-value is then compared with a smaller level. Whatever the
other claims show, that level is never below the first one of the correction (α/m for Holm), so an n planned there
gives each claim its power under any dependence. Where the others hold as well, Holm's later steps are easier; how much
that helps is told too, for independent claims.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ophamin.measuring.planning._assume import Floats
from ophamin.measuring.planning._plan import Plan, plan_claim
from ophamin.proof.errors import UsageError
from ophamin.proof.types import Claim

__all__ = ["LARGEST", "FamilyPlan", "Together", "plan_family"]

LARGEST = 10_000
"""No family is planned for more claims than this."""
CELLS = 4_000_000
"""Simulated p-values: 10,000 families of up to 400 claims, fewer of larger ones."""
KNOTS = 16
"""Levels at which a claim's power is computed; between them it is interpolated in the logarithm of the level."""

# Shares of α that the p-values in order are compared with.
_STEPS: Mapping[str, Callable[[Floats], Floats]] = {
    "holm": lambda i: 1 / (len(i) - i + 1),
    "hochberg": lambda i: 1 / (len(i) - i + 1),
    "bonferroni": lambda i: np.full(len(i), 1 / len(i)),
    "bh": lambda i: i / len(i),
    "by": lambda i: i / len(i) / (1 / i).sum(),
}
_DOWN = ("holm", "bonferroni")
"""Step-down: from the least p-value on, until one fails. The others are step-up."""


@dataclass(frozen=True)
class Together:
    """Power of a family whose claims are all true alike (or all false alike) and independent.

    Args:
        each: Chance that one given claim is decided; the average power.
        all: Chance that all are; the conjunctive power.
        any: Chance that at least one is; the disjunctive power.
    """

    each: float
    all: float
    any: float


@dataclass(frozen=True)
class FamilyPlan:
    """What a family of m claims needs.

    Args:
        m: Claims that are corrected together; exact ones are not counted.
        correction: ``holm``, ``hochberg``, ``bonferroni``, ``bh`` or ``by``.
        alpha: α of the family, each way.
        first_alpha: What the p-value of a claim has to reach whatever the other claims show.
        n: Rows of each claim, so that the neediest has its power; ``None`` when all are exact.
        power_validate: Least power of a claim to be VALIDATED when its truth lies δ inside θ, whatever the others show.
        power_refute: The same to be REFUTED, at δ outside.
        validated: Power if all truths lie δ inside and the claims are independent; every claim is taken for the one
            of least power, so unlike claims have at least this.
        refuted: The same if all truths lie δ outside.
        plans: One plan per claim given, at ``first_alpha``.
    """

    m: int
    correction: str
    alpha: float
    first_alpha: float
    n: int | None
    power_validate: float | None
    power_refute: float | None
    validated: Together | None
    refuted: Together | None
    plans: tuple[Plan, ...]


def plan_family(
    claims: Sequence[Claim],
    *,
    m: int | None = None,
    correction: str = "holm",
    power: float = 0.8,
    n: int | None = None,
    expected_error_rate: float = 0.0,
    alpha: float | None = None,
    assumptions: Mapping[str, Mapping[str, Any]] | None = None,
    smallest: bool = True,
) -> FamilyPlan:
    """Plan n so that each claim of a family has its power after the correction.

    Source: Holm (1979), Scand. J. Statist. 6:65; the kinds of power: Senn & Bretz (2007), Pharm. Stat. 6:161.

    Args:
        claims: The claims, or one claim and ``m`` where all are like it.
        m: Claims like the one given.
        correction: As of :func:`ophamin.measuring.decision.correct_family`.
        power: Target of each claim, both ways.
        n: Rows each claim will have; ``None`` asks for it.
        expected_error_rate: Share of cycles expected to fail, in [0, 1).
        alpha: α of the family; default that of its claims.
        assumptions: By metric, what a plan assumes.
        smallest: For a given n, also search the smallest difference it can settle.

    Raises:
        UsageError: As :func:`ophamin.measuring.planning.plan_claim`; a sequential claim, which stops at its own α; or
            claims of different α.

    Example:
        >>> from ophamin.proof.types import Decision, Threshold
        >>> decision = Decision(estimator="proportion", smallest_difference=0.05)
        >>> found = plan_family([Claim("", "", "", "", Threshold("accuracy", ">=", 0.9), decision)], m=8)
        >>> found.first_alpha, found.n, found.power_validate >= 0.8
        (0.00625, 502, True)
        >>> found.validated.any > found.validated.each > found.power_validate
        True
    """
    if correction not in _STEPS:
        raise UsageError(f"no correction of a family is called {correction!r}; use {', '.join(_STEPS)}")
    if not claims or (m is not None and len(claims) > 1):
        raise UsageError("a family is planned from its claims, or from one claim and m, the number of claims like it")
    counted = [claim for claim in claims if claim.decision.rule != "exact"]
    size = len(counted) if m is None else m if counted else 0
    if m is not None and not 1 <= m <= LARGEST:
        raise UsageError(f"a family has 1 to {LARGEST} claims, not {m}")
    if any(claim.decision.rule == "sequential" for claim in counted) and size > 1:
        raise UsageError(
            f"a sequential claim stops at its own alpha, not at the family's; plan and run each with alpha divided by "
            f"{size}, and no correction is needed"
        )
    levels = {claim.decision.alpha for claim in counted} if alpha is None else {alpha}
    if len(levels) > 1:
        raise UsageError("the claims of the family have different alphas; say which one the family is held to")
    level = levels.pop() if levels else claims[0].decision.alpha
    steps = _STEPS[correction](np.arange(1.0, size + 1))
    first = float(steps[0]) if size else 1.0

    def planned(claim: Claim, rows: int | None, share: float, *, search: bool = False) -> Plan:
        return plan_claim(
            claim, power=power, n=rows, expected_error_rate=expected_error_rate, alpha=level, share=share,
            assumptions=assumptions, smallest=search,
        )  # fmt: skip

    plans = tuple(planned(claim, n, first, search=smallest) for claim in claims)
    rows = max((p.n for p in plans if p.n is not None), default=None)
    if not counted or rows is None:
        return FamilyPlan(size, correction, level, level * first, None, None, None, None, None, plans)
    at_n = plans if len(counted) == 1 and len(claims) == 1 else tuple(planned(c, rows, first) for c in counted)
    shares = np.unique(np.geomspace(steps[0], steps[-1], KNOTS) if size > KNOTS else steps)
    curves = [[planned(claim, rows, float(share)) for share in shares] for claim in counted]
    return FamilyPlan(
        size, correction, level, level * first, rows,
        _least([p.power_validate for p in at_n]), _least([p.power_refute for p in at_n]),
        _together(shares, [[p.power_validate for p in curve] for curve in curves], steps, correction),
        _together(shares, [[p.power_refute for p in curve] for curve in curves], steps, correction),
        plans,
    )  # fmt: skip


def _least(powers: Sequence[float | None]) -> float | None:
    known = [p for p in powers if p is not None]
    return min(known) if known and len(known) == len(powers) else None


def _together(
    shares: Floats, curves: Sequence[Sequence[float | None]], steps: Floats, correction: str
) -> Together | None:
    """Simulated with one seed: sorted p-values of independent claims against the levels of the correction."""
    if any(p is None for curve in curves for p in curve):
        return None
    power = np.array(curves, dtype=np.float64).min(axis=0)
    # P(p ≤ level) at every level; it never falls as the level rises, whatever noise a simulated power has.
    reached = np.interp(np.log(steps), np.log(shares), np.maximum.accumulate(power))
    m = len(steps)
    ordered = np.sort(np.random.default_rng(0).random((max(400, min(10_000, CELLS // m)), m)), axis=1)
    below = ordered <= reached
    if correction in _DOWN:
        rejected = np.logical_and.accumulate(below, axis=1).sum(axis=1)
    else:
        rejected = np.where(below, np.arange(1, m + 1), 0).max(axis=1)
    return Together(float(rejected.mean()) / m, float((rejected == m).mean()), float((rejected > 0).mean()))
