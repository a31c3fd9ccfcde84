"""Which registrations in the ledger are attempts at a claim, and what they have spent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ophamin.measuring.decision import alpha_for
from ophamin.measuring.scenarios._road.cycles import TRIES
from ophamin.measuring.scenarios._road.setup import Setup
from ophamin.proof.errors import UsageError
from ophamin.proof.ledger import Attempt, Ledger

__all__ = ["alpha_used", "attempts_of", "counts", "error_bound"]

JSON = Any


def attempts_of(setup: Setup, ledger: Ledger) -> list[Attempt]:
    """All registrations of this claim over this corpus, in order.

    A corpus is the same by content or by place: a copy elsewhere is no other corpus, nor is the same file
    with one row more, nor a copy of that.
    """
    left = {a.index: a for a in ledger.attempts(setup.attempt_key)}
    hashes, sources, found = {setup.data_hash}, {setup.source}, []
    while same := [a for a in left.values() if a.value["data_hash"] in hashes or a.value["source"] in sources]:
        for attempt in same:
            found.append(left.pop(attempt.index))
            hashes.add(attempt.value["data_hash"])
            sources.add(attempt.value["source"])
    return sorted(found, key=lambda a: a.index)


def counts(arms: int, outcome: str | None, end: Mapping[str, JSON] | None) -> bool:
    """Whether anyone may have learnt something about the metric from a registration that ended so.

    What has no row did not, nor what was found not applicable by its first tries; after many cycles that is
    an attempt like any other. A process that was killed said nothing of its cycles, and its journal may be
    resumed: it counts, also when it was resumed with a journal that had lost its rows meanwhile.

    Args:
        arms: How many systems were compared.
        outcome: As the ledger has it; ``None`` while it is open.
        end: The entry that says so.
    """
    end = end or {}
    cycles = end.get("cycles")
    if not isinstance(cycles, int) or end.get("resumed"):
        return True
    if outcome == "NOT_APPLICABLE":
        return cycles > TRIES * arms
    return not (outcome in ("ERRORED", "ABORTED") and cycles == 0)


def alpha_used(setup: Setup, earlier: Sequence[Attempt]) -> float:
    """α of the attempt after ``earlier``.

    Raises:
        UsageError: The registered attempts are spent, or this one asks for more than the first had.
    """
    registered, alpha = setup.spec.attempts, setup.spec.alpha
    if earlier:
        first = int(earlier[0].value.get("attempts", 1))
        if registered != first:
            raise UsageError(
                f"the first attempt at this claim registered {first} attempt{'s' if first > 1 else ''} in advance, so "
                f"this one cannot register {registered}; leave --attempts at {first}, or state another claim"
            )
        most = float(earlier[0].value.get("alpha", alpha))
        if alpha > most and not setup.exact:
            raise UsageError(
                f"alpha of the first attempt at this claim was {most:g}; a later one takes at most that, not {alpha:g}"
            )
    return alpha_for(alpha, len(earlier) + 1, registered)


def error_bound(setup: Setup, ledger: Ledger, index: int) -> float:
    """How often a false claim is VALIDATED by one of its attempts registered so far, at most.

    Attempts at one claim share the error they may make, and each adds its own: those before this one,
    this one, and those registered while it was interrupted.
    """
    if setup.exact:
        return 0.0
    tried = attempts_of(setup, ledger)
    spent = [
        float(a.value["alpha_used"])
        for a in tried
        if a.index == index or counts(len(setup.arms), a.outcome, a.outcome_value)
    ]
    return math.fsum(spent)
