"""What of all that is installed the self-test tries, and why it leaves out the rest.

Every estimator, pillar and rule of this wheel stands in one of the two tables, and a test asks that none is missing:
a new one gets its checks, or its reason.
"""

from __future__ import annotations

from collections.abc import Mapping

from ophamin.measuring.selftest._pieces import all_checks
from ophamin.registry import estimators, pillars

__all__ = ["NOT_SIMULATED", "TRIED_AS", "WHEEL", "not_simulated", "tried", "unknown"]

WHEEL = "ophamin-measuring"

TRIED_AS: Mapping[str, tuple[str, ...]] = {
    "pillar A.confidence_sequence": ("confidence sequence",),
    "pillar A.e_values": ("e-values", "e-process"),
    "pillar A.group_sequential": ("group-sequential",),
    "pillar A.msprt": ("mixture test",),
    "pillar A.sprt": ("Wald SPRT, 0/1", "Wald SPRT, normal"),
    "pillar A.srm": ("sequential allocation",),
    "pillar F.aipw": ("treatment effect",),
    "pillar F.difference_in_means": ("treatment effect",),
    "pillar F.regression": ("treatment effect", "F.regression"),
    "pillar I.meta": ("pooled effect", "I.meta"),
    "pillar M.anova": ("analysis of variance", "M.anova"),
    "pillar M.lmm": ("mixed model",),
    "pillar N.bootstrap": ("bootstrap",),
    "pillar N.compare_learners": ("comparing learners",),
    "pillar N.jackknife_plus": ("jackknife+",),
    "rule interval": ("decision at θ", "decision at δ"),
    "rule sequential": ("sequential rule",),
    "rule exact": ("value",),
}
"""Families of checks by what they try, where their name is another; an estimator and most pillars are a family."""

NOT_SIMULATED: Mapping[str, str] = {
    "pillar A.peeking": "states what looking does to a test, and tests nothing; a reference number holds it",
    "pillar D.posterior": "a sampler that takes seconds per data set; R-hat, ESS and divergences judge every run",
    "pillar F.balance": "describes the arms: no interval, no test",
    "pillar F.e_value": "a closed form of an interval that others state; a reference number holds it",
    "pillar I.leave_one_out": "calls I.meta on all studies but one",
    "pillar I.trim_fill": "an analysis of sensitivity: nothing is said about how often its interval errs",
    "pillar N.cross_validation": "folds share their training rows: it states scores, no interval and no test",
    "pillar N.nested_cv": "states scores, no interval and no test",
    "pillar N.jackknife": "states a standard error, no interval; a reference number holds it",
    "rule point": "only reads old records; its error bound is none",
}
"""Why there is nothing to simulate."""


def _installed() -> list[str]:
    """Everything here that could err at a stated rate, of any wheel."""
    return [
        *(f"estimator {name}" for name in estimators.names()),
        *(f"pillar {name}" for name in pillars.names()),
    ]


def tried(what: str) -> tuple[str, ...]:
    """Families of checks that try it; empty where none does.

    Example:
        >>> tried("estimator mean"), tried("pillar A.msprt"), tried("pillar F.balance")
        (('mean',), ('mixture test',), ())
    """
    families = {check.family for check in all_checks().values()}
    return tuple(f for f in TRIED_AS.get(what, (what.split(" ", 1)[1],)) if f in families)


def unknown() -> list[str]:
    """What is installed, but neither tried nor left out for a reason: plug-ins of others, above all."""
    return sorted(what for what in _installed() if not tried(what) and what not in NOT_SIMULATED)


def not_simulated(mode: str) -> dict[str, str]:
    """What this mode does not try, each with its reason.

    Args:
        mode: ``quick`` or ``full``.

    Returns:
        By plug-in, rule or label of a check.
    """
    dear = {c.label: "too dear for --quick; --full tries it" for c in all_checks().values() if not c.belongs_to(mode)}
    return {**NOT_SIMULATED, **dear}
