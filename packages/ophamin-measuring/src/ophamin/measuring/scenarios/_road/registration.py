"""Registering an attempt before its first cycle, or finding the one an interrupted process left behind.

What was registered is read from the ledger, whose entries lead to its root, and never from the journal: a
journal only says which registration it belongs to and names the records, whose hash the ledger has.
"""

from __future__ import annotations

import datetime
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ophamin.measuring.decision._stopping import looks_of
from ophamin.measuring.scenarios._road.apart import others_of
from ophamin.measuring.scenarios._road.attempts import alpha_used, attempts_of, counts, error_bound
from ophamin.measuring.scenarios._road.cycles import UNMEASURED_RETRIES, cycle_count
from ophamin.measuring.scenarios._road.deciding import plain
from ophamin.measuring.scenarios._road.journal import (
    Journal,
    is_left,
    journal_folder,
    journals_of,
    keep_selection,
    kept_selection,
)
from ophamin.measuring.scenarios._road.kinship import kinship, related
from ophamin.measuring.scenarios._road.planned import Wanted, power_of, wanted_units
from ophamin.measuring.scenarios._road.selection import Selection, by_ids, select
from ophamin.measuring.scenarios._road.setup import Setup, payload_hash
from ophamin.proof.canonical import digest
from ophamin.proof.errors import IntegrityError, UsageError
from ophamin.proof.ledger import Attempt, Ledger, LedgerRef

__all__ = ["Registered", "register", "utc_now"]

JSON = Any


@dataclass(frozen=True)
class Registered:
    """An attempt whose registration is in the ledger.

    Args:
        setup: The prepared run.
        ledger: Where it is registered.
        journal: Its journal, locked by this process.
        selection: The records; ``None`` when the attempt was decided already and only has to be filed.
        index: Of the registration in the ledger.
        plan: What was registered, from the ledger.
        resumed: Whether an interrupted process began it.
        closed: Whether the ledger has its outcome already.
    """

    setup: Setup
    ledger: Ledger
    journal: Journal
    selection: Selection | None
    index: int
    plan: Mapping[str, JSON]
    resumed: bool = False
    closed: bool = False

    def error_bound(self) -> float:
        """What all attempts at the claim registered by now may err, this one and later ones included."""
        return error_bound(self.setup, self.ledger, self.index)

    def leave(self, outcome: str, error: BaseException) -> None:
        """Tell the ledger how an attempt ended that has no verdict, and what rows it leaves behind."""
        reason = (str(error) or type(error).__name__)[:400].encode("utf-8", "backslashreplace").decode("utf-8")
        cycles, root = self.journal.rows_root()
        self.ledger.close(self.index, outcome, reason=reason, cycles=cycles, rows_root=root, resumed=self.resumed)
        if outcome == "ABORTED" and not cycles and not self.resumed:
            # Nothing was learnt, so it is no attempt; resumed later, it would be one beside another of its number.
            self.journal.remove()


def utc_now() -> str:
    """The time as ISO-8601 UTC, to the microsecond."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="microseconds")


def register(setup: Setup, ledger: Ledger, journals: Path) -> Registered:
    """Resume the interrupted attempt of this very run, or register a new one.

    Nobody else counts attempts, draws records or registers meanwhile: two runs of one claim at once become
    two attempts, on different records.

    A run that was interrupted and could say so is resumed only with the rows it had then. A killed one could
    not: its journal is trusted up to what the ledger knows, which is the records but not the rows, and the
    record says how often it was resumed.

    Raises:
        UsageError: No fresh record is left, the registered attempts are spent, or α is above the first one's.
        IntegrityError: The journal of the interrupted attempt is not as it was left.
        LedgerError: An entry was rewritten since the ledger was opened.
        LeakageError: The system was trained on a selected record.
    """
    journals.mkdir(parents=True, exist_ok=True)
    with ledger.exclusive():
        ledger.check()
        attempts = attempts_of(setup, ledger)
        given_up = []
        for folder in journals_of(journals, setup.run_key):
            journal = Journal.adopt(folder)
            if journal is None:
                continue
            if setup.spec.fresh:
                given_up.append(journal)
                continue
            try:
                found = _resume(setup, ledger, journal, attempts)
            except BaseException:
                journal.close()
                raise
            if found is not None:
                return found
            journal.remove()
        try:
            begun = _begin(setup, ledger, journals, attempts)
        except BaseException:
            # What is given up for a new attempt is not lost when there can be none.
            for journal in given_up:
                journal.close()
            raise
        for journal in given_up:
            journal.remove()
        return begun


def _resume(setup: Setup, ledger: Ledger, journal: Journal, attempts: Sequence[Attempt]) -> Registered | None:
    name = journal.plan.get("journal")
    mine = [a for a in attempts if a.value.get("journal") == name and a.value["config_hash"] == setup.config_hash]
    if not mine:
        return None
    attempt = mine[-1]
    if journal.kept_proof() is not None:
        closed = attempt.outcome not in (None, "ABORTED")
        if not closed:
            ledger.resume(attempt.index)
        return Registered(setup, ledger, journal, None, attempt.index, {}, resumed=True, closed=closed)
    if attempt.outcome not in (None, "ABORTED"):
        return None
    ids = journal.plan.get("ids")
    if not isinstance(ids, list) or digest(ids) != attempt.value["selection_hash"]:
        raise _changed(journal, "its records are not those that were registered")
    _check_rows(ledger, attempt.index, journal)
    records = by_ids(setup, ids)
    units = [setup.unit(record) for record in records]
    selection = Selection(
        records, units, attempt.value["selection_hash"], attempt.value["selection_method"], len(set(units))
    )
    _admit(setup, selection)
    if attempt.outcome == "ABORTED":
        ledger.resume(attempt.index)
    wanted = _wanted(setup, float(attempt.value["alpha_used"]))
    plan = _plan(setup, ledger, attempt.index, selection, wanted)
    return Registered(setup, ledger, journal, selection, attempt.index, plan, resumed=True)


def _check_rows(ledger: Ledger, index: int, journal: Journal) -> None:
    """Whether the journal still begins with the rows it had when an interrupted run last said so."""
    ends = [e.value for e in ledger.about(index) if "rows_root" in e.value]
    if ends:
        cycles = ends[-1]["cycles"]
        if journal.rows_root(cycles) != (cycles, ends[-1]["rows_root"]):
            raise _changed(journal, f"its first {cycles} rows are not those it had when it was interrupted")


def _changed(journal: Journal, what: str) -> IntegrityError:
    return IntegrityError(
        f"the journal {journal.folder} was changed after the run was interrupted: {what}; "
        "restore it from a copy, or give the attempt up with --fresh"
    )


def _begin(setup: Setup, ledger: Ledger, journals: Path, attempts: Sequence[Attempt]) -> Registered:
    earlier = [a for a in attempts if counts(len(setup.arms), a.outcome, a.outcome_value)]
    number, alpha = len(earlier) + 1, alpha_used(setup, earlier)
    spec = setup.spec
    # What is measured whole is measured anew by each attempt: its chance lies in the measuring, not in the drawing.
    whole = setup.exact or (setup.design.whole and spec.n is None)
    if spec.own_records and whole:
        raise UsageError("this claim measures the whole corpus, so no run of it has records of its own; draw a sample")
    others = others_of(setup, ledger) if spec.own_records else []
    used, payloads = (set[str](), set[str]()) if whole else _used(journals, [*earlier, *others])
    # Other revisions drew by the hash of the claim alone; what is left after such a draw is drawn by another lot.
    drawn_for = digest([setup.claim_hash, setup.attempt_key]) if spec.own_records else setup.claim_hash
    seed = spec.seed if spec.seed is not None else _derived_seed(drawn_for, number, len(attempts))
    if not 0 <= seed < 2**32:
        raise UsageError(f"a seed lies between 0 and 2**32 − 1, not {seed}")
    open_ones = (a.outcome in (None, "ABORTED") and is_left(journals, a.value["journal"]) for a in earlier)
    wanted = _wanted(setup, alpha)
    cycles = None if wanted.n_units is None else wanted.n_units * setup.design.cycles_per_unit
    selection = select(setup, cycles, seed, used, payloads, interrupted=any(open_ones), own=spec.own_records)
    _admit(setup, selection)
    ids = [record.id for record in selection.records]
    stimuli_hash = keep_selection(journals, ids, [payload_hash(record) for record in selection.records])
    now = utc_now()
    name = digest([setup.run_key, number, seed, selection.content_hash, now])
    entry = {
        "type": "registration",
        "registered_at": now,
        **kinship(setup),
        "claim_hash": setup.claim_hash,
        "attempt_key": setup.attempt_key,
        "attempt": number,
        "attempts": spec.attempts,
        "alpha": spec.alpha,
        "alpha_used": alpha,
        # Attempts at one claim share the error they may make; each adds its own.
        "error_bound": 0.0 if setup.exact else math.fsum([*(float(a.value["alpha_used"]) for a in earlier), alpha]),
        "seed": seed,
        "seed_origin": "derived" if spec.seed is None else "chosen",
        "config_hash": setup.config_hash,
        "selection_hash": selection.content_hash,
        "selection_method": selection.method,
        "stimuli_hash": stimuli_hash,
        "n_planned": cycle_count(setup, selection),
        "related": related(setup, ledger),
        "journal": name,
    }
    journal = Journal.create(journal_folder(journals, setup.run_key, number, name), {"journal": name, "ids": ids})
    try:
        index = ledger.register(entry).index
        return Registered(setup, ledger, journal, selection, index, _plan(setup, ledger, index, selection, wanted))
    except BaseException:
        journal.close()
        raise


def _wanted(setup: Setup, alpha: float) -> Wanted:
    design = setup.design
    return wanted_units(setup.claim, setup.spec.n, alpha, design.assumptions, whole=design.whole)


def _plan(setup: Setup, ledger: Ledger, index: int, selection: Selection, wanted: Wanted) -> dict[str, JSON]:
    """What the ledger says was registered, and what follows from it."""
    entry, size = ledger.entry(index), ledger.size
    value, alpha = entry.value, float(entry.value["alpha_used"])
    design = setup.design
    got = selection.n_units // max(len(setup.strata), 1) // design.cycles_per_unit
    resumptions = sum(e.value.get("type") == "resumption" for e in ledger.about(index))
    place = LedgerRef(
        ledger.log_id, index, entry.leaf_hash, size, ledger.root_hash, list(ledger.inclusion(index, size))
    )
    return {
        "attempt": value["attempt"],
        "alpha_used": alpha,
        "seed": value["seed"],
        "seed_origin": value["seed_origin"],
        "preregistered_at": value["registered_at"],
        "related": value["related"],
        "ledger": place.to_dict(),
        "plan": {
            "n_planned": value["n_planned"],
            "n_units": selection.n_units,
            "n_units_for_power": wanted.n_needed,
            **plain(power_of(setup.claim, got, alpha, design.assumptions)),
            "stopping": _stopping(setup),
            "underpowered": None if wanted.n_needed is None else got < wanted.n_needed,
            "unmeasured_retries": UNMEASURED_RETRIES,
            "resumptions": resumptions,
            "notes": list(wanted.notes),
        },
    }


def _stopping(setup: Setup) -> str:
    if setup.exact:
        return "exact: the whole target, twice"
    if not setup.sequential:
        return "fixed n"
    looks = looks_of(setup.claim.decision)
    when = "after every unit" if looks is None else f"at {', '.join(map(str, looks.n))} units"
    return f"sequential: looks {when}; n_planned is the maximum"


def _admit(setup: Setup, selection: Selection) -> None:
    for arm in setup.arms:
        admit = getattr(arm.bare, "admit", None)
        if admit is not None:
            admit(selection.records)


def _used(journals: Path, earlier: Sequence[Attempt]) -> tuple[set[str], set[str]]:
    """Ids and payload hashes of all records that these attempts measured."""
    ids: set[str] = set()
    payloads: set[str] = set()
    for attempt in earlier:
        kept = kept_selection(journals, attempt.value["stimuli_hash"])
        if kept is None:
            raise UsageError(
                f"nobody knows any more which records attempt {attempt.value['attempt']} at this claim measured: "
                f"restore {journals / 'selections'} from a copy, or state another claim"
            )
        reached = _reached(attempt, len(kept[0]))
        ids.update(kept[0][:reached])
        payloads.update(kept[1][:reached])
    return ids, payloads


def _reached(attempt: Attempt, n: int) -> int:
    """How many of its ``n`` records an attempt came to: all, unless it was decided before."""
    cycles, planned = (attempt.outcome_value or {}).get("cycles"), attempt.value["n_planned"]
    if attempt.outcome not in ("VALIDATED", "REFUTED", "INCONCLUSIVE") or cycles is None or not planned:
        return n
    return math.ceil(n * int(cycles) / int(planned))


def _derived_seed(claim_hash: str, attempt: int, registrations: int) -> int:
    """Nobody picks it: 32 bits of the hash of claim and attempt.

    Registrations that taught nobody anything are no attempts, but draw anew all the same.
    """
    words = f"{claim_hash}:{attempt}" if registrations == attempt - 1 else f"{claim_hash}:{attempt}:{registrations}"
    return int.from_bytes(hashlib.sha256(words.encode("ascii")).digest()[:4], "big")
