"""Measuring one revision once: what was measured is found again, what cannot be measured is skipped with its reason."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ophamin import registry
from ophamin.comparing.drift.proofs import Part, Proof, proof_of
from ophamin.comparing.history.journal import Journal
from ophamin.comparing.history.revisions import Moving, Revision
from ophamin.proof.canonical import digest
from ophamin.proof.errors import MissingDependency, NotApplicable, SubstrateFailure, UnknownRecord, UsageError
from ophamin.proof.ledger import Ledger
from ophamin.proof.project import Project
from ophamin.proof.store import Store
from ophamin.proof.types import to_json
from ophamin.protocols import Progress, RunSpec, Settings
from ophamin.registry.gathering import gather

__all__ = ["Bench", "Measured", "folder_of", "key_of", "stated", "words_of"]

JSON = Any
Report = Callable[[Progress], None]
# What of a RunSpec speaks of this machine only, and stands in no record.
_HERE = ("project", "store", "data_root", "key_file", "argv", "fresh")


class _TimeIsUp(Exception):
    """The revision took longer than it was given."""


@dataclass(frozen=True)
class Measured:
    """What is known of one revision.

    Args:
        revision: Which.
        proof: Its proof; ``None`` when it was skipped.
        skipped: Why it was, or "".
        again: Whether it was measured by an earlier process, so that nothing was run for it now.
        refused: Whether the request made no sense there, which costs nothing to find and is not remembered.
    """

    revision: Revision
    proof: Proof | None = None
    skipped: str = ""
    again: bool = False
    refused: bool = False

    @property
    def outcome(self) -> str:
        """The verdict, or ``SKIPPED``."""
        return self.proof.outcome if self.proof is not None else "SKIPPED"

    @property
    def part(self) -> Part | None:
        """The claim's own threshold with what was observed."""
        return self.proof.parts[0] if self.proof is not None else None

    @property
    def alpha_used(self) -> float | None:
        """α of the attempt that decided."""
        return None if self.proof is None else self.proof.body["preregistration"].get("alpha_used")


def folder_of(settings: Settings) -> Path:
    """Where the journals of this room lie."""
    return Project(Path(settings.project)).state / "history"


def key_of(what: str, spec: RunSpec, moved: Moving, *more: JSON) -> str:
    """Name of the journal: the same request finds it again, whatever range of revisions it asks for."""
    return digest([what, to_json(stated(spec)), str(moved.repository), list(moved.names), *more])[7:31]


class Bench:
    """Runs the scenario at revisions, one after the other, each at most once.

    Args:
        spec: The run; its arms are those of ``moved``.
        moved: The arms and the repository they move in.
        settings: Of the project.
        journal: What was measured before.
        limit_s: Longest one revision may take, seconds; looked at after every cycle.
        progress: Told of the cycles of each run.

    Raises:
        UsageError: The limit is no number of seconds.
        MissingDependency: There is no runner.
    """

    def __init__(
        self,
        spec: RunSpec,
        moved: Moving,
        settings: Settings,
        journal: Journal,
        *,
        limit_s: float,
        progress: Report | None = None,
    ) -> None:
        if not limit_s > 0:  # nor a number that is none, which nothing is ever longer than
            raise UsageError(f"a revision may take a positive number of seconds, not {limit_s:g}")
        if "scenario" not in registry.runners.names():
            raise MissingDependency("measuring revisions", "ophamin-measuring", "ophamin-comparing[stats]")
        self._run = registry.runners.get("scenario")
        self._spec, self._moved, self._settings, self._journal = spec, moved, settings, journal
        self._limit_s, self._progress = limit_s, progress
        project = Project(Path(settings.project))
        self._ledger_folder = project.ledger_dir
        proofs = Path(spec.store) if spec.store else project.proofs
        self._store = Store(proofs, project.index if proofs == project.proofs else None)

    def measure(self, revision: Revision, nth: int = 1, **changed: JSON) -> Measured:
        """Measure a revision, unless that was done.

        Args:
            revision: Which.
            nth: Which try at it; each is a registration of its own.
            **changed: Fields of the run that differ from the bench's, such as ``alpha``.

        Raises:
            IntegrityError: Its stored proof is not what was signed.
            OphaminError: Whatever is no fault of the revision: no corpus, no key, no such scenario.
        """
        spec = replace(self._spec, arms=self._moved.at(revision.commit), **changed)
        step = (revision.commit, nth)
        found = self._known(step, spec, revision)
        if found is not None:
            return found
        # Read only: opening it for writing would close what a process in another container is at.
        self._journal.begin(step, ledger_size=Ledger(self._ledger_folder, create=False).size)
        began = time.monotonic()

        def tick(progress: Progress) -> None:
            if self._progress is not None:
                self._progress(progress)
            unfinished = progress.total is None or progress.done < progress.total
            if unfinished and time.monotonic() - began > self._limit_s:
                raise _TimeIsUp

        try:
            result = self._run(spec, progress=tick)
        except _TimeIsUp:
            reason = f"timed out after {self._limit_s:g} s; what was measured is kept, and --retry goes on from there"
        except (SubstrateFailure, NotApplicable) as error:
            reason = str(error)
        except UsageError as error:
            return Measured(revision, skipped=str(error), refused=True)
        else:
            self._journal.end(step, proof_id=result.proof_id)
            return Measured(revision, proof_of(result.record, Path(result.path)))
        self._journal.end(step, skipped=reason)
        return Measured(revision, skipped=reason)

    def _known(self, step: tuple[str, int], spec: RunSpec, revision: Revision) -> Measured | None:
        line = self._journal.step(step)
        if line is None:
            return None
        if "proof_id" in line:
            proof = self._stored(line["proof_id"], spec)
            return None if proof is None else Measured(revision, proof, again=True)
        if "skipped" in line:
            return Measured(revision, skipped=line["skipped"], again=True)
        # Begun, and not ended: the process was killed, perhaps after the run had filed its proof.
        ledger = Ledger(self._ledger_folder, create=False)
        for index in range(line["ledger_size"], ledger.size):
            if proof_id := ledger.entry(index).value.get("proof_id"):
                proof = self._stored(proof_id, spec)
                if proof is not None:
                    self._journal.end(step, proof_id=proof.proof_id)
                    return Measured(revision, proof, again=True)
        return None

    def _stored(self, proof_id: str, spec: RunSpec) -> Proof | None:
        """The proof of that id, if it is stored, whole, and of this very run."""
        try:
            path = self._store.path(proof_id)
        except UnknownRecord:
            return None
        [found], _ = gather(self._settings, [str(path)])
        if found.bad:
            found.verification.require()
        record = found.record.object
        if record["reproduction"].get("run_spec") != stated(spec):
            return None
        return proof_of(record, path, verified=found.verification.ok)


def stated(spec: RunSpec) -> Mapping[str, JSON]:
    """The specification as a record states it."""
    words = {name: value for name, value in to_json(spec).items() if name not in _HERE}
    # What came later and is not used is not said: what was measured before is found again.
    return words if spec.own_records else {name: value for name, value in words.items() if name != "own_records"}


_OPTIONS = {
    "--corpus": "corpus",
    "--n": "n",
    "--rule": "rule",
    "--alpha": "alpha",
    "--error-policy": "error_policy",
    "--timeout": "timeout_s",
}


def words_of(command: str, spec: RunSpec, **options: JSON) -> list[str]:
    """The command line that says the same as a specification.

    Args:
        command: ``history`` or ``bisect``.
        spec: The run.
        **options: Further options by name; ``True`` is a flag, and what is false is left out.
    """
    words = ["ophamin", command, spec.scenario]
    words += [f"--{name}={value}" for name, value in options.items() if value and value is not True]
    words += [f"--{name}" for name, value in options.items() if value is True]
    for arm, text in spec.arms.items():
        words += ["--substrate", f"{arm}={text}"]
    for option, given in (("--set", spec.options), ("--field", spec.fields)):
        for name, value in given.items():
            words += [option, f"{name}={value}"]
    for name in spec.instruments:
        words += ["--instrument", name]
    if spec.own_records:
        words += ["--records", "own"]
    default = RunSpec(scenario="", arms={})
    for option, field in _OPTIONS.items():
        if getattr(spec, field) != getattr(default, field):
            words += [option, str(getattr(spec, field))]
    return words
