"""A sweep of claims: registered as a family, measured anywhere, signed here, one record at the end."""

from __future__ import annotations

import contextlib
import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ophamin import registry
from ophamin.comparing._signed import Kept, identity, keep, reproduction, signer_of
from ophamin.comparing.orchestration._files import allow_files
from ophamin.comparing.orchestration._ledger_view import LedgerView
from ophamin.comparing.orchestration.design import ordered
from ophamin.comparing.orchestration.effects import effects_of
from ophamin.comparing.orchestration.executors import check_executor
from ophamin.comparing.orchestration.family import corrected, p_values
from ophamin.comparing.orchestration.journal import SweepJournal
from ophamin.comparing.orchestration.record import SWEEP
from ophamin.comparing.orchestration.runner import Cell, CellResult, ExperimentRunner
from ophamin.comparing.orchestration.work import Limits, Outcome
from ophamin.proof.canonical import digest
from ophamin.proof.errors import IntegrityError, MissingDependency, UnknownRecord, UsageError
from ophamin.proof.keys import Keyring
from ophamin.proof.ledger import Ledger
from ophamin.proof.printable import text
from ophamin.proof.project import Project
from ophamin.proof.signed import SignedRecord, Verification, read, verify
from ophamin.proof.store import Store
from ophamin.proof.types import to_json
from ophamin.protocols import Progress, RunSpec, Settings, SweepSpec

__all__ = ["cell_spec", "run_sweep"]

JSON = Any
Report = Callable[[Progress], None]
ID_LENGTH = 64
# What of a specification speaks of this machine only.
_HERE = ("project", "store", "data_root", "key_file", "argv", "fresh")


@dataclass(frozen=True)
class _Planned:
    block: int
    assignment: Mapping[str, JSON]
    spec: RunSpec
    run: str
    key: str


def cell_spec(base: RunSpec, assignment: Mapping[str, JSON]) -> RunSpec:
    """A run with some of its fields set.

    Args:
        base: The run.
        assignment: Field → value; ``options.NAME``, ``arms.NAME`` and ``fields.NAME`` set one entry.

    Raises:
        UsageError: A run has no such field.

    Example:
        >>> cell_spec(RunSpec("metric", {"main": "mock"}), {"n": 50, "options.limit": 2}).options
        {'limit': 2}
    """
    for name, value in assignment.items():
        field, dot, entry = name.partition(".")
        known = getattr(base, field, None)
        if field not in RunSpec.__dataclass_fields__ or field in _HERE or isinstance(known, Mapping) != bool(dot):
            raise UsageError(
                f"a factor is a field of a run, such as n, corpus, options.NAME or arms.NAME, not {name!r}"
            )
        if isinstance(known, Mapping):
            value = {**known, entry: value}
        elif field in ("n", "seed", "attempts") and isinstance(value, float):
            value = round(value)
        changed: dict[str, JSON] = {field: value}
        base = replace(base, **changed)
    return base


def run_sweep(
    spec: SweepSpec,
    *,
    progress: Report | None = None,
    executor: str = "process",
    workers: int | None = None,
    parquet: Path | None = None,
) -> Kept:
    """Run every cell that is not finished yet, and sign what the sweep found.

    All cells are registered before the first is dispatched, and the ledger hears that they are one family. A worker
    gets a ticket and returns an unsigned body with its observations; verifying and signing happen here. The same call
    after a kill goes on where it was.

    Args:
        spec: The sweep; its base names project, store and key.
        progress: Told of counts and time.
        executor: ``serial``, ``process``, ``dask`` or ``dask=tcp://host:port``.
        workers: Processes; ``None``: as many as CPUs.
        parquet: Also write the table of cells there.

    Returns:
        The ``sweep/1.0`` record and where it lies.

    Raises:
        UsageError: The sweep makes no sense, or another one of this project is running.
        IntegrityError: A proof of a finished cell does not verify.
        MissingDependency: No wheel that runs scenarios is installed.
    """
    if "scenario-cell" not in registry.runners.names():
        raise MissingDependency("a sweep of scenarios", "ophamin-measuring", "ophamin-comparing[stats]")
    if spec.retries < 0:
        raise UsageError(f"a failed cell is tried again 0 times or more, not {spec.retries}")
    check_executor(executor, workers)
    write = _parquet_writer(parquet) if parquet is not None else None
    if spec.blocks > 1 and spec.base.attempts < spec.blocks:
        # Each block is an attempt at the same claim, so they share its α from the beginning.
        spec = replace(spec, base=replace(spec.base, attempts=spec.blocks))
    stated = _stated(spec)
    seed = int(digest(stated).removeprefix("sha256:")[:8], 16)
    order = ordered(spec, seed)
    runner: Any = registry.runners.get("scenario-cell")
    key_file = Path(spec.base.key_file) if spec.base.key_file else None
    signer = signer_of(key_file)
    project = Project(Path(spec.base.project)) if spec.base.project else Project.find()
    store = Store(Path(spec.base.store) if spec.base.store else project.proofs, project.index)
    with ExitStack() as stack:
        journal = stack.enter_context(SweepJournal(project.state / "sweeps"))
        desk = runner.desk(spec.base)
        stack.callback(desk.close)
        planned = _plan(spec, order, desk)
        results, index = _run(spec, planned, desk, runner.work, journal, store, stated, progress, executor, workers)
    checked = _Checker(store, Ledger(project.ledger_dir, create=False))
    cells = [_cell(i, p, r, desk, checked) for i, (p, r) in enumerate(zip(planned, results, strict=True))]
    proofs = Counter(cell["proof_id"] for cell in cells if cell["proof_id"])
    for proof_id, times in proofs.items():
        if times > 1:
            raise IntegrityError(f"{times} cells name the proof {proof_id}; delete {journal.path} and run again")
    factors = [*spec.ranges, *spec.grid]
    alpha = spec.base.alpha
    cells = [{**cell, **more} for cell, more in zip(cells, corrected(cells, alpha), strict=True)]
    body = {
        "schema_version": "sweep/1.0",
        "identity": identity(),
        "plan": {
            "design": spec.design,
            "blocks": spec.blocks,
            "seed": seed,
            "spec": stated,
            "ledger_index": index,
        },
        "factors": factors,
        "cells": cells,
        "family": {"method": "holm", "alpha": alpha, "m": sum(not cell["exact"] for cell in cells)},
        "effects": _effects(factors, cells),
        "summary": dict(Counter(cell["corrected"] for cell in cells)),
        "reproduction": reproduction(list(spec.base.argv) or ["ophamin", *sys.argv[1:]]),
    }
    kept = keep(body, SWEEP, Settings(project=str(project.root), store=str(store.root)), signer)
    if write is not None:
        try:
            write(kept.record)
        except OSError as error:
            raise UsageError(f"{parquet}: {error.strerror or error}; the record itself is kept: {kept.path}") from error
    return kept


def _parquet_writer(path: Path) -> Callable[[Mapping[str, JSON]], None]:
    """What writes the table; that it can is found out before anything runs."""
    try:
        from ophamin.comparing.orchestration.table import write_parquet
    except ImportError as error:
        raise MissingDependency("the table of a sweep", "pandas", "ophamin-comparing[table]") from error
    folder = path.absolute().parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UsageError(f"{path}: no table can be written there; name a file in a folder that is there")
    return partial(write_parquet, path=path)


def _stated(spec: SweepSpec) -> dict[str, JSON]:
    """The sweep in words that hold on any machine."""
    words: dict[str, JSON] = to_json(spec)
    words["base"] = {
        name: value
        for name, value in words["base"].items()
        # What came later and is not used is not said: a sweep of before is the same sweep.
        if name not in _HERE and (name != "own_records" or value)
    }
    return words


def _plan(spec: SweepSpec, order: Sequence[tuple[int, Mapping[str, JSON]]], desk: Any) -> list[_Planned]:
    planned: dict[str, _Planned] = {}
    for block, assignment in order:
        one = cell_spec(replace(spec.base, argv=(), fresh=False), assignment)
        run = desk.key(one)
        key = digest([run, block])
        if key in planned:
            raise UsageError(
                f"cells {dict(planned[key].assignment)} and {dict(assignment)} are the same run; take out the factor "
                "that changes nothing"
            )
        planned[key] = _Planned(block, assignment, one, run, key)
    return list(planned.values())


def _run(
    spec: SweepSpec,
    planned: Sequence[_Planned],
    desk: Any,
    work: str,
    journal: SweepJournal,
    store: Store,
    stated: Mapping[str, JSON],
    progress: Report | None,
    executor: str,
    workers: int | None,
) -> tuple[list[CellResult], int]:
    """Register what is open, run it; the results, and where the ledger says they are a family."""
    _take_up(planned, desk, journal, store)
    open_ones = [p for p in planned if journal.cells.get(p.key, {}).get("state") != "done"]
    # Each registered run holds the lock of its journal until it is signed.
    allow_files(len(open_ones))
    family = digest([stated, [p.key for p in planned]])
    known = journal.cells.get(family, {}).get("index")
    if known is None:
        known = desk.announce({"type": "sweep", "family": family, "m": len(planned), "method": "holm"})
        journal.write({"cell": family, "state": "family", "index": known})
    tickets: dict[str, JSON] = {}
    for one in open_ones:
        ticket = desk.register(one.spec)
        journal.write({"cell": one.key, "state": "registered", "index": ticket["index"]})
        if ticket["signed"]:
            journal.write({"cell": one.key, "state": "done", "tries": 1, "value": _kept(desk.sign(ticket, None))})
        else:
            tickets[one.key] = ticket

    def finish(cell: Cell, parcel: JSON) -> JSON:
        return _kept(desk.sign(tickets[cell.key], parcel))

    def abandon(cell: Cell, outcome: Outcome) -> None:
        ended = "NOT_APPLICABLE" if outcome.kind == "NotApplicable" else "ERRORED"
        desk.give_up(tickets[cell.key], ended, outcome.error)

    experiment = ExperimentRunner(
        journal, executor=executor, workers=workers, retries=spec.retries,
        limits=Limits(spec.time_s, spec.cpu_s, spec.memory_mb), progress=progress,
    )  # fmt: skip
    cells = [Cell(p.key, tickets.get(p.key)) for p in planned]
    return experiment.run(cells, work, finish=finish, abandon=abandon), known


def _take_up(planned: Sequence[_Planned], desk: Any, journal: SweepJournal, store: Store) -> None:
    """What was filed just before a kill counts as finished; a proof that is gone does not."""
    for one in planned:
        known = journal.cells.get(one.key, {})
        if known.get("state") == "registered":
            found = desk.recover(known["index"])
            if found is not None:
                journal.write({"cell": one.key, "state": "done", "value": _kept(found)})
        elif known.get("state") == "done" and _proof_of(known.get("value"), store) is None:
            journal.write({"cell": one.key, "state": "lost"})


def _proof_of(value: JSON, store: Store) -> Path | None:
    """Where the proof lies that the journal names, wherever the project has been moved to; ``None`` when it is gone."""
    named = value.get("proof_id") if isinstance(value, dict) else None
    if not isinstance(named, str) or len(named) != ID_LENGTH:
        return None
    with contextlib.suppress(UnknownRecord, UsageError):
        return store.path(named)
    return None


def _kept(result: Any) -> dict[str, JSON]:
    return {"outcome": result.outcome, "proof_id": result.proof_id}


class _Checker:
    """Verifies the proofs of a sweep against the ledger, which is read once, and the store."""

    def __init__(self, store: Store, ledger: Ledger) -> None:
        self._store, self._view, self._keyring = store, LedgerView(ledger), Keyring()
        self._kinds = [registry.records.get("proof")]

    def look(self, value: Mapping[str, JSON]) -> tuple[SignedRecord, Verification]:
        """Read and verify the proof that is named."""
        record = read(self._store.path(value["proof_id"]), self._kinds)
        return record, verify(record, self._keyring, ledger=self._view.of(record), store=self._store)


def _cell(position: int, planned: _Planned, result: CellResult, desk: Any, checker: _Checker) -> dict[str, JSON]:
    """A row of the record, from the verified proof and not from the journal."""
    row = {
        "cell": planned.key,
        "block": planned.block,
        "position": position,
        "assignment": dict(planned.assignment),
        "tries": result.tries,
        "reused": result.reused,
        "error": text(result.error)[:400],
    }
    if result.state != "done":
        empty = {"metric": "", "observed_value": None, "lower": None, "upper": None, "exact": False}
        return {**row, "outcome": "FAILED", "proof_id": "", **empty, "p_validated": 1.0, "p_refuted": 1.0}
    record, found = checker.look(result.value)
    bad = next((check for check in found.checks if check.state == "bad"), None)
    why = f"{bad.name} is bad: {bad.detail}" if bad is not None else ""
    if not why and not found.ok:
        why = "nobody known signed it"
    # The journal is not signed: which proof belongs to which cell is for the proof to say.
    if not why and not (record.id == result.value["proof_id"] and desk.fits(planned.run, record.object)):
        why = "it is another run's proof"
    if why:
        raise IntegrityError(f"{record.path}: {why}; delete it and run the sweep again")
    proof = record.object
    verdict = proof["verdict"]
    interval = verdict.get("interval") or {}
    validated, refuted = p_values(proof, planned.spec.alpha / planned.spec.attempts)
    return {
        **row,
        "outcome": verdict["outcome"],
        "proof_id": record.id,
        "metric": verdict["threshold"]["metric"],
        "observed_value": verdict["observed_value"],
        "lower": interval.get("lower"),
        "upper": interval.get("upper"),
        "exact": (proof["claim"].get("decision") or {}).get("rule") == "exact",
        "p_validated": validated,
        "p_refuted": refuted,
    }


def _effects(factors: Sequence[str], cells: Sequence[Mapping[str, JSON]]) -> JSON:
    with_value = [cell for cell in cells if cell["observed_value"] is not None]
    if len({cell["metric"] for cell in with_value}) > 1:
        note = "the cells measure different metrics, so no factor has an effect on one of them"
        return {"pillar": "M.effects", "order": 0, "found": [], "notes": [note]}
    return effects_of(factors, [dict(c["assignment"]) for c in with_value], [c["observed_value"] for c in with_value])
