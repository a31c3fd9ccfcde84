"""The engine: one claim walks the whole road, in the order DESIGN.md settles, and nothing goes backwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from ophamin.measuring.scenarios._road.checks import check_store
from ophamin.measuring.scenarios._road.deciding import decide
from ophamin.measuring.scenarios._road.journal import parse_rows
from ophamin.measuring.scenarios._road.measuring import measure_rows
from ophamin.measuring.scenarios._road.recording import file_proof, write_proof
from ophamin.measuring.scenarios._road.registration import Registered, register
from ophamin.measuring.scenarios._road.selection import Selection
from ophamin.measuring.scenarios._road.setup import Setup, prepare
from ophamin.proof.errors import NotApplicable, SubstrateFailure
from ophamin.proof.keys import Keyring
from ophamin.proof.ledger import Ledger
from ophamin.proof.project import Project
from ophamin.protocols import Progress, RunResult, RunSpec

__all__ = ["run_scenario"]

Report = Callable[[Progress], None]


def run_scenario(spec: RunSpec, *, progress: Report | None = None) -> RunResult:
    """Register a claim, run it, decide it from its interval, and store the signed record.

    An interrupted run of the same specification is resumed as the same attempt, unless ``spec.fresh``.

    Args:
        spec: All that defines the run.
        progress: Told of counts and time about ten times a second; never of a running result.

    Returns:
        The outcome and where its record lies.

    Raises:
        UsageError: The request makes no sense, no sample can validate the claim, no fresh record is left, or
            proofs cannot be kept.
        CorpusUnavailable: The corpus is not there.
        LeakageError: The system was trained on a selected record.
        NotApplicable: The system cannot give an observable the scenario asks for; no proof is written.
        SubstrateFailure: The system could not be started or died.
        KeyPolicyError: The signing key may not be used.
    """
    project = Project(Path(spec.project)) if spec.project else Project.find()
    with ExitStack() as stack:
        setup = prepare(spec, stack)
        # A key that may not be used is found before the run, not after it.
        signer = Keyring().signer(Path(spec.key_file) if spec.key_file else None)
        check_store(Path(spec.store) if spec.store else project.proofs)
        ledger = Ledger(project.ledger_dir)
        attempt = register(setup, ledger, project.journals)
        stack.callback(attempt.journal.close)
        if attempt.selection is not None:
            with ExitStack() as around:
                try:
                    for instrument in setup.instruments:
                        around.enter_context(instrument.scenario(spec))
                except BaseException as error:
                    attempt.leave("ABORTED", error)
                    raise
                digests = _measure(setup, attempt, attempt.selection, progress)
            try:
                raw = attempt.journal.end()
                rows = parse_rows(raw)
                decided = decide(setup, rows, float(attempt.plan["alpha_used"]), attempt.plan["seed"], digests)
                write_proof(setup, project, attempt, attempt.selection, raw, decided, signer)
            except BaseException as error:
                # What was measured is whole: the same command decides it once the cause is gone.
                attempt.leave("ABORTED", error)
                raise
        return file_proof(setup, project, ledger, attempt)


def _measure(setup: Setup, attempt: Registered, selection: Selection, progress: Report | None) -> Mapping[str, str]:
    """Run all cycles that are not in the journal yet; under rule exact, then all of them once more.

    Returns:
        ``{"second_pass": digest}`` under rule exact, else nothing.
    """
    journal = attempt.journal
    try:
        return measure_rows(
            setup, selection, float(attempt.plan["alpha_used"]), int(attempt.plan["seed"]), journal, progress
        )
    except NotApplicable as error:
        attempt.leave("NOT_APPLICABLE", error)
        journal.remove()
        raise
    except SubstrateFailure as error:
        kept = len(journal.lines())
        if kept:
            attempt.leave("ABORTED", error)
            raise SubstrateFailure(
                f"{error}; {kept} cycles are kept, and the same command goes on from there"
            ) from error
        attempt.leave("ERRORED", error)
        journal.remove()
        raise
    except BaseException as error:
        attempt.leave("ABORTED", error)
        raise
