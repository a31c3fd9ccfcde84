"""Which registrations in the ledger are attempts at a claim, and what they and their relatives have spent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ophamin.measuring.decision import alpha_for
from ophamin.measuring.scenarios._road.cycles import TRIES
from ophamin.measuring.scenarios._road.setup import Setup
from ophamin.proof.errors import UsageError
from ophamin.proof.ledger import Attempt, Ledger

__all__ = ["alpha_used", "attempts_of", "counts", "error_bound", "kinship", "related"]

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


def counts(setup: Setup, outcome: str | None, end: Mapping[str, JSON] | None) -> bool:
    """Whether anyone may have learnt something about the metric from a registration that ended so.

    What has no row did not, nor what was found not applicable by its first tries; after many cycles that is
    an attempt like any other. A process that was killed said nothing of its cycles, and its journal may be
    resumed: it counts, also when it was resumed with a journal that had lost its rows meanwhile.
    """
    end = end or {}
    cycles = end.get("cycles")
    if cycles is None or end.get("resumed"):
        return True
    if outcome == "NOT_APPLICABLE":
        return bool(cycles > TRIES * len(setup.arms))
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
        float(a.value["alpha_used"]) for a in tried if a.index == index or counts(setup, a.outcome, a.outcome_value)
    ]
    return math.fsum(spent)


def kinship(setup: Setup) -> dict[str, JSON]:
    """What a registration tells of its claim, so that later ones can find their relatives."""
    return {
        "scenario": setup.spec.scenario,
        "metrics": sorted({threshold.metric for threshold, _ in setup.claim.parts()}),
        "substrates": [[arm.identity.kind, arm.identity.name] for arm in setup.arms],
        "data_hash": setup.data_hash,
        "source": setup.source,
    }


def related(setup: Setup, ledger: Ledger) -> dict[str, JSON]:
    """Other claims of the same scenario on the same metric, systems and corpus: how many, and their α."""
    own, ends = kinship(setup), {}
    kin: dict[int, Mapping[str, JSON]] = {}
    for entry in ledger.entries():
        value = entry.value
        if value.get("type") == "registration":
            if value.get("attempt_key") != setup.attempt_key and _is_kin(own, value):
                kin[entry.index] = value
        elif value.get("type") in ("outcome", "resumption"):
            ends[value.get("registration")] = value
    spent = [
        float(value.get("alpha_used", 0.0))
        for index, value in kin.items()
        if counts(setup, ends.get(index, {}).get("outcome"), ends.get(index))
    ]
    return {"registrations": len(spent), "alpha_spent": math.fsum(spent)}


def _is_kin(own: Mapping[str, JSON], other: Mapping[str, JSON]) -> bool:
    return (
        own["scenario"] == other.get("scenario")
        and own["substrates"] == other.get("substrates")
        and not set(own["metrics"]).isdisjoint(other.get("metrics") or ())
        and (own["data_hash"] == other.get("data_hash") or own["source"] == other.get("source"))
    )
