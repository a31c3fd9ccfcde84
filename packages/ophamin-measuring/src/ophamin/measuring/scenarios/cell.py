"""One run in three steps, for many machines: registered and signed here, measured anywhere.

The one who registers holds ledger, journal and key. Whoever measures gets a ticket, which is plain JSON, and gives
back a parcel: the unsigned body and the observations it was decided from. Nothing of a parcel is believed: what was
registered is compared, digests are computed again, and the verdict is decided again from the rows.
"""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from ophamin.measuring.scenarios._road.checks import check_store
from ophamin.measuring.scenarios._road.deciding import decide, plain
from ophamin.measuring.scenarios._road.journal import Journal, parse_rows
from ophamin.measuring.scenarios._road.measuring import measure_rows
from ophamin.measuring.scenarios._road.recording import code_of, file_proof, git_of, seal, unsigned_body
from ophamin.measuring.scenarios._road.registration import Registered, register
from ophamin.measuring.scenarios._road.selection import Selection, by_ids
from ophamin.measuring.scenarios._road.setup import prepare
from ophamin.proof.canonical import digest
from ophamin.proof.errors import IntegrityError, NotApplicable, SubstrateFailure, UsageError
from ophamin.proof.keys import Keyring
from ophamin.proof.ledger import Ledger
from ophamin.proof.project import Project
from ophamin.proof.reading import parse
from ophamin.proof.store import Store
from ophamin.proof.types import to_json
from ophamin.protocols import Progress, RunResult, RunSpec

__all__ = ["CellDesk", "ScenarioCell", "measure", "scenario_cell"]

JSON = Any
_SAME = ("claim_hash", "config_hash", "data_hash")


class CellDesk:
    """Where runs are registered and signed; the key stays here.

    Args:
        spec: Says project, store and key; the rest of it is not used.

    Example:
        >>> desk = CellDesk(RunSpec("metric", {"main": "mock"}))  # doctest: +SKIP
        >>> ticket = desk.register(spec)  # doctest: +SKIP
        >>> desk.sign(ticket, measure(ticket)).outcome  # doctest: +SKIP
        'VALIDATED'
    """

    def __init__(self, spec: RunSpec) -> None:
        self._project = Project(Path(spec.project)) if spec.project else Project.find()
        self._proofs = Path(spec.store) if spec.store else self._project.proofs
        self._signer = Keyring().signer(Path(spec.key_file) if spec.key_file else None)
        check_store(self._proofs)
        self._ledger = Ledger(self._project.ledger_dir)
        self._held: dict[str, Registered] = {}
        self._seen: dict[str, dict[str, JSON]] = {}

    def key(self, spec: RunSpec) -> str:
        """Hash of all a run depends on: claim, options, systems, corpus and the scenario's code."""
        with ExitStack() as stack:
            setup = prepare(spec, stack)
            code = code_of(spec.scenario, setup.scenario)
            key = digest([setup.run_key, spec.alpha, spec.attempts, code])
            registered = {what: getattr(setup, what) for what in _SAME}
            # A seed that nobody chose is derived from the claim, and the record says so.
            origin = {"seed_origin": "derived"} if spec.seed is None else {"seed_origin": "chosen", "seed": spec.seed}
            # The claim holds α, the attempts and the rule; its hash, by which attempts are counted, does not.
            self._seen[key] = {"claim": plain(to_json(setup.claim)), **plain({**registered, **origin, "code": code})}
            return key

    def fits(self, key: str, proof: Mapping[str, JSON]) -> bool:
        """Whether a proof is of the claim, systems, corpus, seed and code of a run.

        Args:
            key: As ``key`` returned it.
            proof: A verified one.
        """
        stated = {**proof["preregistration"], "claim": proof["claim"]}
        return all(stated.get(what) == value for what, value in self._seen[key].items())

    def register(self, spec: RunSpec) -> dict[str, JSON]:
        """Register a run, or take up the one an interrupted process left; its journal stays locked until it is signed.

        Returns:
            The ticket. ``signed`` says that only filing is left.
        """
        with ExitStack() as stack:
            setup = prepare(spec, stack)
            attempt = register(setup, self._ledger, self._project.journals)
        name = str(attempt.journal.plan["journal"])
        selection = attempt.selection
        # The records themselves are read again by whoever measures.
        self._held[name] = replace(attempt, selection=None)
        shipped = replace(spec, project="", store="", key_file="", fresh=False)
        return {
            "journal": name,
            "index": attempt.index,
            "signed": selection is None,
            "spec": to_json(shipped),
            "plan": plain(attempt.plan),
            "ids": [record.id for record in selection.records] if selection is not None else [],
            "selection": [selection.content_hash, selection.method] if selection is not None else [],
            "key_id": self._signer.key_id,
            **{what: getattr(setup, what) for what in _SAME},
        }

    def sign(self, ticket: Mapping[str, JSON], parcel: Mapping[str, JSON] | None) -> RunResult:
        """Check what came back, sign it, store it and name it in the ledger.

        Args:
            ticket: As given out.
            parcel: As ``measure`` returned it; ``None`` for a ticket that says ``signed``.

        Raises:
            IntegrityError: The parcel is not of this ticket, or contradicts itself.
        """
        attempt = self._held[ticket["journal"]]
        if parcel is not None:
            body = self._checked(ticket, attempt, parcel)
            journal = attempt.journal
            journal.begin()
            if parcel["rows"]:
                journal.append(parcel["rows"])
            journal.end()
            for name, data in parcel["artifacts"].items():
                journal.artifacts.mkdir(exist_ok=True)
                (journal.artifacts / name).write_bytes(data)
            seal(body, attempt, self._signer)
        result = file_proof(attempt.setup, self._project, self._ledger, attempt)
        del self._held[ticket["journal"]]
        return result

    def _checked(self, ticket: Mapping[str, JSON], attempt: Registered, parcel: Mapping[str, JSON]) -> dict[str, JSON]:
        body, raw, setup, plan = dict(parcel["body"]), parcel["rows"], attempt.setup, attempt.plan
        registered = body["preregistration"]
        rows = parse_rows(raw)
        stated = {entry["name"]: entry["digest"] for entry in body["reproduction"]["artifacts"]}
        found = {name: "sha256:" + hashlib.sha256(data).hexdigest() for name, data in parcel["artifacts"].items()}
        wanted = {name: plan[name] for name in ("attempt", "alpha_used", "seed", "ledger")}
        again = decide(setup, rows, float(plan["alpha_used"]), plan["seed"], parcel["digests"]).verdict
        value, stored = plain(again.observed_value), body["verdict"]["observed_value"]
        same = value == stored or (None not in (value, stored) and math.isclose(value, stored, rel_tol=1e-9))
        for what, fits in (
            ("its claim is not the registered one", body["claim"] == plain(to_json(setup.claim))),
            ("it is of another registration", all(plain(registered[k]) == plain(v) for k, v in wanted.items())),
            ("it has records that were not registered", {row["record"] for row in rows} <= set(ticket["ids"])),
            (
                "its observations are not those it speaks of",
                body["data"]["observations"]["digest"] == "sha256:" + hashlib.sha256(raw).hexdigest(),
            ),
            ("its files are not those it speaks of", stated == found and all(Path(n).name == n for n in found)),
            ("its verdict does not follow from its observations", again.outcome == body["verdict"]["outcome"] and same),
        ):
            if not fits:
                raise IntegrityError(f"what the worker returned is refused: {what}; measure it on a machine you trust")
        commit, dirty = git_of(self._project.root)
        body["identity"] = {**body["identity"], "ophamin_git_commit": commit}
        body["preregistration"] = {**registered, "error_bound": attempt.error_bound()}
        body["reproduction"] = {**body["reproduction"], "working_tree_dirty": dirty}
        return body

    def give_up(self, ticket: Mapping[str, JSON], outcome: str, reason: str) -> None:
        """Tell the ledger that a run ended without a verdict.

        Args:
            ticket: As given out.
            outcome: ``NOT_APPLICABLE``, ``ERRORED`` or ``ABORTED``.
            reason: Why, in a sentence.
        """
        attempt = self._held.pop(ticket["journal"], None)
        if attempt is None:
            return
        error: Exception = NotApplicable(reason) if outcome == "NOT_APPLICABLE" else SubstrateFailure(reason)
        attempt.leave(outcome, error)
        if outcome == "ABORTED":
            attempt.journal.close()
        else:
            attempt.journal.remove()

    def recover(self, index: int) -> RunResult | None:
        """The result of a registration that was filed before anybody else heard of it; ``None`` when it was not."""
        for entry in self._ledger.about(index):
            value = entry.value
            if value.get("type") == "outcome" and value.get("proof_id"):
                path = Store(self._proofs).path(value["proof_id"])
                record = parse(path.read_bytes())
                return RunResult(value["outcome"], record["verdict"]["reasoning"], value["proof_id"], str(path), record)
        return None

    def announce(self, entry: Mapping[str, JSON]) -> int:
        """Append an entry about several runs to the ledger, e.g. which ones form a family; returns its index."""
        return self._ledger.append(entry).index

    def close(self) -> None:
        """Let go of what was registered and not signed; the same runs can take it up again."""
        while self._held:
            _, attempt = self._held.popitem()
            attempt.journal.close()


def measure(ticket: Mapping[str, JSON], *, progress: Callable[[Progress], None] | None = None) -> dict[str, JSON]:
    """Measure and decide a registered run; needs neither its ledger nor its key.

    Args:
        ticket: From ``CellDesk.register``.
        progress: Told of counts and time.

    Returns:
        The parcel: ``body`` (unsigned), ``rows``, ``artifacts`` by name, and ``digests`` of a second pass.

    Raises:
        UsageError: This machine sees another claim, system or corpus than was registered.
    """
    spec = RunSpec(**ticket["spec"])
    plan = ticket["plan"]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ophamin-cell-")))
        setup = prepare(spec, stack)
        for what in _SAME:
            if getattr(setup, what) != ticket[what]:
                raise UsageError(
                    f"this machine sees another {what.removesuffix('_hash')} than was registered; give workers the "
                    "same versions, systems and corpora as the machine that registers"
                )
        records = by_ids(setup, ticket["ids"])
        units = [setup.unit(record) for record in records]
        content_hash, method = ticket["selection"]
        selection = Selection(records, units, content_hash, method, len(set(units)))
        journal = Journal.create(folder / "journal", {"journal": ticket["journal"]})
        stack.callback(journal.close)
        alpha, seed = float(plan["alpha_used"]), int(plan["seed"])
        with ExitStack() as around:
            for instrument in setup.instruments:
                around.enter_context(instrument.scenario(spec))
            digests = measure_rows(setup, selection, alpha, seed, journal, progress)
        raw = journal.end()
        decided = decide(setup, parse_rows(raw), alpha, seed, digests)
        body = unsigned_body(
            setup, plan, selection, raw, decided, journal, root=Path.cwd(), key_id=ticket["key_id"], error_bound=0.0
        )
        kept = sorted(journal.artifacts.iterdir()) if journal.artifacts.is_dir() else []
        return {
            "body": plain(body),
            "rows": raw,
            "artifacts": {path.name: path.read_bytes() for path in kept},
            "digests": dict(digests),
        }


class ScenarioCell:
    """The runner ``scenario-cell``: called, it takes all three steps in this process.

    Example:
        >>> from ophamin import registry
        >>> registry.runners.get("scenario-cell").work
        'ophamin.measuring.scenarios.cell:measure'
    """

    work = "ophamin.measuring.scenarios.cell:measure"
    """Import path of the step that may be taken elsewhere."""

    def desk(self, spec: RunSpec) -> CellDesk:
        """Where runs of this project are registered and signed."""
        return CellDesk(spec)

    def __call__(self, spec: RunSpec, *, progress: Callable[[Progress], None] | None = None) -> RunResult:
        """Register, measure and sign one run."""
        desk = CellDesk(spec)
        try:
            ticket = desk.register(spec)
            return desk.sign(ticket, None if ticket["signed"] else measure(ticket, progress=progress))
        finally:
            desk.close()


scenario_cell = ScenarioCell()
