"""Registering an attempt before its first cycle, or finding the one a killed process left behind."""

from __future__ import annotations

import datetime
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ophamin.measuring.decision import alpha_for
from ophamin.measuring.scenarios._road.cycles import UNMEASURED_RETRIES, cycle_count
from ophamin.measuring.scenarios._road.deciding import plain
from ophamin.measuring.scenarios._road.journal import (
    Journal,
    journal_folder,
    journals_of,
    keep_selection,
    kept_selection,
)
from ophamin.measuring.scenarios._road.planned import Wanted, power_of, wanted_units
from ophamin.measuring.scenarios._road.selection import Selection, by_ids, select
from ophamin.measuring.scenarios._road.setup import Setup
from ophamin.proof.canonical import digest
from ophamin.proof.errors import UsageError
from ophamin.proof.ledger import Attempt, Ledger, LedgerRef

__all__ = ["Registered", "register", "utc_now"]

JSON = Any


@dataclass(frozen=True)
class Registered:
    """An attempt whose registration is in the ledger.

    Args:
        journal: Its journal, locked by this process.
        selection: The records; ``None`` when the attempt was decided already and only has to be filed.
        index: Of the registration in the ledger.
        resumed: Whether a killed process began it.
        closed: Whether the ledger has its outcome already.
    """

    journal: Journal
    selection: Selection | None
    index: int
    resumed: bool = False
    closed: bool = False

    @property
    def plan(self) -> Mapping[str, JSON]:
        """What was registered."""
        return self.journal.plan


def utc_now() -> str:
    """The time as ISO-8601 UTC, to the microsecond."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="microseconds")


def register(setup: Setup, ledger: Ledger, journals: Path) -> Registered:
    """Resume the interrupted attempt of this very run, or register a new one.

    Nobody else counts attempts, draws records or registers meanwhile: two runs of one claim at once become
    two attempts, on different records.

    Raises:
        UsageError: No fresh record is left, or the registered attempts are spent.
        LeakageError: The system was trained on a selected record.
    """
    journals.mkdir(parents=True, exist_ok=True)
    with ledger.exclusive():
        attempts = list(ledger.attempts(setup.attempt_key))
        for folder in journals_of(journals, setup.run_key):
            journal = Journal.adopt(folder)
            if journal is None:
                continue
            if setup.spec.fresh:
                journal.remove()
                continue
            found = _resume(setup, ledger, journal, attempts)
            if found is not None:
                return found
            journal.remove()
        return _begin(setup, ledger, journals, attempts)


def _resume(setup: Setup, ledger: Ledger, journal: Journal, attempts: Sequence[Attempt]) -> Registered | None:
    plan = journal.plan
    # Killed between the ledger's append and the journal's note of it: the ledger knows.
    mine = [
        a for a in attempts if a.value.get("journal") == plan["journal"] and a.value["config_hash"] == setup.config_hash
    ]
    if not mine:
        return None
    attempt = mine[-1]
    if journal.kept_proof() is not None:
        closed = attempt.outcome not in (None, "ABORTED")
        if not closed:
            ledger.resume(attempt.index)
        return Registered(journal, None, attempt.index, resumed=True, closed=closed)
    if attempt.outcome not in (None, "ABORTED"):
        return None
    records = by_ids(setup, plan["ids"])
    selection = Selection(
        records, plan["units"], plan["selection_hash"], plan["selection_method"], len(set(plan["units"]))
    )
    _admit(setup, selection)
    if attempt.outcome == "ABORTED":
        ledger.resume(attempt.index)
    if "ledger" not in plan:
        journal.update(ledger=_reference(ledger, attempt.index))
    return Registered(journal, selection, attempt.index, resumed=True)


def _reference(ledger: Ledger, index: int) -> dict[str, JSON]:
    entry = ledger.entry(index)
    size = ledger.size
    return LedgerRef(
        ledger.log_id, index, entry.leaf_hash, size, ledger.root_hash, list(ledger.inclusion(index, size))
    ).to_dict()


def _counts(attempt: Attempt) -> bool:
    """Whether anyone may have learnt something about the metric from it."""
    if attempt.outcome == "NOT_APPLICABLE":
        return False
    # A process that was killed said nothing of its cycles, and its journal may be resumed: it counts.
    return not (attempt.outcome in ("ERRORED", "ABORTED") and (attempt.outcome_value or {}).get("cycles") == 0)


def _begin(setup: Setup, ledger: Ledger, journals: Path, attempts: Sequence[Attempt]) -> Registered:
    earlier = [a for a in attempts if _counts(a)]
    number, alpha = len(earlier) + 1, _alpha_used(setup, earlier)
    spec = setup.spec
    used = set() if setup.exact else _used(journals, ledger, earlier)
    seed = spec.seed if spec.seed is not None else _derived_seed(setup.claim_hash, number, len(attempts))
    if not 0 <= seed < 2**32:
        raise UsageError(f"a seed lies between 0 and 2**32 − 1, not {seed}")
    wanted = wanted_units(setup.claim, spec.n, alpha)
    selection = select(setup, wanted.n_units, seed, used)
    _admit(setup, selection)
    ids = [record.id for record in selection.records]
    keep_selection(journals, ids)
    now = utc_now()
    n_planned = cycle_count(setup, selection)
    name = digest([setup.run_key, number, seed, selection.content_hash, now])
    words = {
        "journal": name,
        "attempt": number,
        "alpha_used": alpha,
        # Attempts at one claim share the error they may make; each adds its own.
        "error_bound": 0.0 if setup.exact else math.fsum([*(float(a.value["alpha_used"]) for a in earlier), alpha]),
        "seed": seed,
        "seed_origin": "derived" if spec.seed is None else "chosen",
        "ids": ids,
        "units": list(selection.units),
        "selection_hash": selection.content_hash,
        "selection_method": selection.method,
        "preregistered_at": now,
        "plan": _plan_section(setup, wanted, selection, alpha, n_planned),
    }
    journal = Journal.create(journal_folder(journals, setup.run_key, number, name), words)
    entry = {
        "type": "registration",
        "registered_at": now,
        "scenario": spec.scenario,
        "claim_hash": setup.claim_hash,
        "attempt_key": setup.attempt_key,
        "attempt": number,
        "attempts": spec.attempts,
        "alpha_used": alpha,
        "seed": seed,
        "config_hash": setup.config_hash,
        "data_hash": setup.data_hash,
        "selection_hash": selection.content_hash,
        "n_planned": n_planned,
        "journal": name,
    }
    try:
        reference = ledger.register(entry)
        journal.update(ledger=reference.to_dict())
    except BaseException:
        journal.close()
        raise
    return Registered(journal, selection, reference.index)


def _plan_section(setup: Setup, wanted: Wanted, selection: Selection, alpha: float, n_planned: int) -> dict[str, JSON]:
    got = selection.n_units // max(len(setup.strata), 1)
    return {
        "n_planned": n_planned,
        "n_units": selection.n_units,
        "n_units_for_power": wanted.n_needed,
        **plain(power_of(setup.claim, got, alpha)),
        "stopping": "exact: the whole target, twice" if setup.exact else "fixed n",
        "underpowered": None if wanted.n_needed is None else got < wanted.n_needed,
        "unmeasured_retries": UNMEASURED_RETRIES,
        "notes": list(wanted.notes),
    }


def _admit(setup: Setup, selection: Selection) -> None:
    for arm in setup.arms:
        admit = getattr(arm.bare, "admit", None)
        if admit is not None:
            admit(selection.records)


def _alpha_used(setup: Setup, earlier: Sequence[Attempt]) -> float:
    registered = setup.spec.attempts
    if earlier:
        first = int(earlier[0].value.get("attempts", 1))
        if registered != first:
            raise UsageError(
                f"the first attempt at this claim registered {first} attempt{'s' if first > 1 else ''} in advance, so "
                f"this one cannot register {registered}; leave --attempts at {first}, or state another claim"
            )
    return alpha_for(setup.spec.alpha, len(earlier) + 1, registered)


def _used(journals: Path, ledger: Ledger, earlier: Sequence[Attempt]) -> set[str]:
    used: set[str] = set()
    for attempt in earlier:
        ids = kept_selection(journals, attempt.value["selection_hash"])
        if ids is None:
            raise UsageError(
                f"nobody knows any more which records attempt {attempt.value['attempt']} at this claim measured: "
                f"restore {journals / 'selections'} from a copy, or state another claim"
            )
        used.update(ids)
    return used


def _derived_seed(claim_hash: str, attempt: int, registrations: int) -> int:
    """Nobody picks it: 32 bits of the hash of claim and attempt.

    Registrations that taught nobody anything are no attempts, but draw anew all the same.
    """
    words = f"{claim_hash}:{attempt}" if registrations == attempt - 1 else f"{claim_hash}:{attempt}:{registrations}"
    return int.from_bytes(hashlib.sha256(words.encode("ascii")).digest()[:4], "big")
