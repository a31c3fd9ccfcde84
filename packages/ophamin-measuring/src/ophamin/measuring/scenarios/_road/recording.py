"""From a verdict to a record of nine sections, signed, stored and named in the ledger."""

from __future__ import annotations

import gzip
import hashlib
import json
import mimetypes
import platform
import shlex
import shutil
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ophamin import registry
from ophamin.measuring.scenarios._road.cycles import cycle_count
from ophamin.measuring.scenarios._road.deciding import Decided, plain
from ophamin.measuring.scenarios._road.journal import Journal
from ophamin.measuring.scenarios._road.registration import Registered, utc_now
from ophamin.measuring.scenarios._road.remarks import remarks
from ophamin.measuring.scenarios._road.selection import Selection
from ophamin.measuring.scenarios._road.setup import Setup
from ophamin.measuring.scenarios._road.stopping import stop_sentence, stopping_words
from ophamin.proof.git import GitError, git, is_changed
from ophamin.proof.keys import Signer
from ophamin.proof.ledger import Ledger
from ophamin.proof.merkle import leaf_hash, root_hash
from ophamin.proof.project import Project
from ophamin.proof.provenance import prov_json
from ophamin.proof.reading import parse
from ophamin.proof.signed import sign
from ophamin.proof.sources import source_hash
from ophamin.proof.store import Store
from ophamin.proof.types import DatasetRef, EmpiricalProofRecord, PreRegistration, Reproduction, to_json
from ophamin.protocols import RunResult, RunSpec, ScenarioProtocol

__all__ = ["code_of", "command_of", "file_proof", "git_of", "run_spec_of", "seal", "unsigned_body", "write_proof"]

JSON = Any
OBSERVATIONS = "observations.jsonl.gz"
MEDIA_TYPE = "application/x-ndjson"
_OPTIONS = {
    "--n": "n",
    "--seed": "seed",
    "--rule": "rule",
    "--alpha": "alpha",
    "--attempts": "attempts",
    "--error-policy": "error_policy",
    "--timeout": "timeout_s",
}
# What of a RunSpec speaks of this machine only.
_HERE = ("project", "store", "data_root", "key_file", "argv", "fresh")


def write_proof(
    setup: Setup,
    project: Project,
    attempt: Registered,
    selection: Selection,
    rows: bytes,
    decided: Decided,
    signer: Signer,
) -> None:
    """Sign the record and keep it in the journal; from here on every later kill ends in this same proof."""
    body = unsigned_body(
        setup, attempt.plan, selection, rows, decided, attempt.journal,
        root=project.root, key_id=signer.key_id, error_bound=attempt.error_bound(),
    )  # fmt: skip
    seal(body, attempt, signer)


def seal(body: Mapping[str, JSON], attempt: Registered, signer: Signer) -> None:
    """Sign a body and keep the record in the attempt's journal."""
    signed = sign(plain(body), registry.records.get("proof"), signer)
    # In the order of its sections, which is how people read it.
    attempt.journal.keep_proof(json.dumps(signed, allow_nan=False).encode("ascii"))


def unsigned_body(
    setup: Setup,
    plan: Mapping[str, JSON],
    selection: Selection,
    rows: bytes,
    decided: Decided,
    journal: Journal,
    *,
    root: Path,
    key_id: str,
    error_bound: float,
) -> dict[str, JSON]:
    """What is to be signed.

    Args:
        setup: The prepared run.
        plan: What was registered, from the ledger.
        selection: The records.
        rows: The observations.
        decided: Verdict and evidence.
        journal: Where copies of the instruments' files are kept.
        root: Folder of the project, for its commit.
        key_id: Of the key that will sign.
        error_bound: What all attempts at the claim registered by now may err.
    """
    body = _record(setup, root, plan, error_bound, selection, rows, decided, key_id).body()
    body["preregistration"]["related"] = plan["related"]
    if setup.sequential:
        _say_the_stop(setup, selection, body)
    body["verdict"]["reasoning"] = _with_remarks(body)
    body["reproduction"]["run_spec"] = run_spec_of(setup.spec)
    for instrument in setup.instruments:
        instrument.verdict(body)
    body["reproduction"]["artifacts"] = _keep_artifacts(setup, journal)
    return body


def file_proof(setup: Setup, project: Project, ledger: Ledger, attempt: Registered) -> RunResult:
    """Store the signed record beside its observations, name it in the ledger, and drop the journal.

    Each step may be repeated: a record is found by its content, an outcome is written once.
    """
    journal = attempt.journal
    kept = journal.kept_proof()
    assert kept is not None
    record = parse(kept)
    files: dict[str, Path | bytes] = {OBSERVATIONS: gzip.compress(journal.observations.read_bytes(), mtime=0)}
    if journal.artifacts.is_dir():
        files.update({path.name: path for path in sorted(journal.artifacts.iterdir())})
    proofs = Path(setup.spec.store) if setup.spec.store else project.proofs
    path = Store(proofs, project.index if proofs == project.proofs else None).put(
        record, registry.records.get("proof"), files
    )
    proof_id, outcome = record["proof_id"], record["verdict"]["outcome"]
    if not attempt.closed:
        ledger.close(
            attempt.index,
            outcome,
            proof_id=proof_id,
            signature=record["signature"],
            cycles=record["verdict"]["n_planned"],
        )
    journal.remove()
    return RunResult(outcome, record["verdict"]["reasoning"], proof_id, str(path), record)


def _record(
    setup: Setup,
    root: Path,
    plan: Mapping[str, JSON],
    error_bound: float,
    selection: Selection,
    rows: bytes,
    decided: Decided,
    key_id: str,
) -> EmpiricalProofRecord:
    spec = setup.spec
    commit, dirty = git_of(root)
    created = max(utc_now(), plan["preregistered_at"])
    argv = list(spec.argv) or command_of(spec)
    first = setup.arms[0].identity
    environment = _environment(setup, {e.library: e.library_version for e in decided.evidence})
    selected = {
        "n_selected": len(selection.records),
        "content_hash": selection.content_hash,
        "method": selection.method,
        "seed": plan["seed"],
    }
    about = setup.dataset
    datasets = [to_json(DatasetRef(about.name, setup.data_hash, setup.n_records, about.source, about.kind, selected))]
    # No member of the protocol: a corpus may count what gave it no record.
    problems = getattr(setup.corpus, "problems", None)
    if callable(problems) and (left_out := dict(problems())):
        datasets[0]["problems"] = left_out
    data: dict[str, JSON] = {
        "substrate_name": ", ".join(arm.identity.name for arm in setup.arms),
        "substrate_git_commit": first.revision,
        "substrate": to_json(first),
        "datasets": datasets,
        "observations": _observations(rows, decided),
    }
    if len(setup.arms) > 1:
        data["arms"] = [{"arm": arm.name, **to_json(arm.identity)} for arm in setup.arms]
    registered = plan["preregistered_at"]
    return EmpiricalProofRecord(
        identity={"ophamin_version": _ophamin(), "ophamin_git_commit": commit, "created_at": created},
        claim=setup.claim,
        preregistration=PreRegistration(
            config_hash=setup.config_hash,
            data_hash=setup.data_hash,
            analysis_plan=_analysis_plan(setup),
            preregistered_at=registered,
            claim_hash=setup.claim_hash,
            attempt=plan["attempt"],
            alpha_used=plan["alpha_used"],
            error_bound=error_bound,
            seed=plan["seed"],
            seed_origin=plan["seed_origin"],
            plan=plan["plan"],
            code=code_of(setup.spec.scenario, setup.scenario),
            ledger=plan["ledger"],
        ),
        data=data,
        evidence=decided.evidence,
        verdict=decided.verdict,
        reproduction=Reproduction(
            command=shlex.join(argv),
            environment=environment,
            argv=argv,
            seed=plan["seed"],
            working_tree_dirty=dirty,
        ),
        provenance=prov_json(
            claim=to_json(setup.claim),
            plan=plan["plan"],
            substrates={arm.name: to_json(arm.identity) for arm in setup.arms},
            datasets=datasets,
            observations=data["observations"],
            times={
                "register": (registered, registered),
                "run": (registered, created),
                "decide": (created, created),
                "sign": (created, created),
            },
            software={k: v for k, v in environment.items() if k not in ("python", "platform")},
            key_id=key_id,
            registration=plan["ledger"],
        ),
    )


def _with_remarks(body: Mapping[str, JSON]) -> str:
    """The reasoning, and what a reader has to know beside it, one sentence each."""
    stop = stop_sentence(body["verdict"])
    more = [f"{words[0].upper()}{words[1:]}." for words in remarks(body["preregistration"], body["data"]["datasets"])]
    return " ".join([body["verdict"]["reasoning"], *([stop] if stop else []), *more])


def _say_the_stop(setup: Setup, selection: Selection, body: dict[str, JSON]) -> None:
    """Where it stopped and what it saved; and the ids it did not come to, which with the rows are the selection."""
    verdict = body["verdict"]
    n, most = verdict["n_planned"], cycle_count(setup, selection)
    verdict.update(stopping_words(most, n, verdict["outcome"] != "INCONCLUSIVE"))
    reached = n // len(setup.arms)
    body["data"]["datasets"][0]["selection"]["not_reached"] = [r.id for r in selection.records[reached:]]


def _observations(rows: bytes, decided: Decided) -> dict[str, JSON]:
    lines = rows.splitlines(keepends=True)
    return {
        "digest": "sha256:" + hashlib.sha256(rows).hexdigest(),
        "values_digest": decided.values_digest,
        "media_type": MEDIA_TYPE,
        "n_rows": len(lines),
        "merkle_root": root_hash([leaf_hash(line) for line in lines]),
    }


def _analysis_plan(setup: Setup) -> str:
    if setup.exact:
        return "Measure the whole target twice; the value decides if both passes agree (rule exact)."
    ways = "; ".join(
        f"{threshold} by {decision.estimator} ({decision.method or 'auto'}), errors by policy {decision.error_policy}"
        for threshold, decision in setup.claim.parts()
    )
    if setup.sequential:
        return (
            "Look after every unit, or at the registered looks; stop where one of two one-sided processes with θ as "
            f"null reaches its bound for all thresholds, at the latest at n_max, without a last test there: {ways}."
        )
    return f"Decide once, at the planned n, from two one-sided bounds (rule {setup.claim.decision.rule}): {ways}."


def code_of(name: str, scenario: ScenarioProtocol) -> dict[str, JSON]:
    """Distribution of a scenario and the hash of the package its class stands in."""
    name, _, number = registry.scenarios.origin(name).rpartition(" ")
    return {
        "distribution": name or "in-process",
        "version": number if name else "",
        "source_hash": source_hash(type(scenario).__module__),
    }


def _keep_artifacts(setup: Setup, journal: Journal) -> list[dict[str, JSON]]:
    """Copy the instruments' files into the journal, so that they outlive a kill, and bind them by digest."""
    found = [path for instrument in setup.instruments for path in instrument.artifacts()]
    if not found:
        return []
    journal.artifacts.mkdir(exist_ok=True)
    entries = []
    for path in found:
        kept = Path(shutil.copy(path, journal.artifacts / path.name))
        entries.append(
            {
                "name": kept.name,
                "media_type": _media_type(kept.name),
                "digest": "sha256:" + hashlib.sha256(kept.read_bytes()).hexdigest(),
            }
        )
    return entries


def _media_type(name: str) -> str:
    # Whether a machine's own tables know JSON lines differs; a record is the same everywhere.
    if name.endswith(".jsonl"):
        return MEDIA_TYPE
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def run_spec_of(spec: RunSpec) -> dict[str, JSON]:
    """What of a specification another machine needs to run it again; nothing about this one."""
    words: dict[str, JSON] = to_json(spec)
    # What came later and is not used is not said: what was run before would otherwise seem to be another run.
    return {name: value for name, value in words.items() if name not in _HERE and (name != "own_records" or value)}


def command_of(spec: RunSpec) -> list[str]:
    """The command line that says the same as ``spec``."""
    argv = ["ophamin", "run", spec.scenario]
    for arm, substrate in spec.arms.items():
        argv += ["--substrate", substrate if len(spec.arms) == 1 else f"{arm}={substrate}"]
    if spec.corpus:
        argv += ["--corpus", spec.corpus]
    for name, value in spec.options.items():
        argv += ["--set", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
    for role, where in spec.fields.items():
        argv += ["--field", f"{role}={where}"]
    for name in spec.instruments:
        argv += ["--instrument", name]
    default = RunSpec(scenario="", arms={})
    for option, field in _OPTIONS.items():
        if getattr(spec, field) != getattr(default, field):
            argv += [option, str(getattr(spec, field))]
    return argv


def _environment(setup: Setup, libraries: Mapping[str, str]) -> dict[str, str]:
    """Python, the system, and the distributions that had a hand in it; no others."""
    found = {"python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}"}
    origins = [registry.scenarios.origin(setup.spec.scenario)]
    origins += [registry.substrates.origin(registry.Spec.parse(arm.spec).name) for arm in setup.arms]
    origins.append(registry.corpora.origin(registry.Spec.parse(setup.corpus_spec).name))
    origins += [registry.instruments.origin(instrument.name) for instrument in setup.instruments]
    for name in ("ophamin", "ophamin-core", "ophamin-measuring", "numpy", "scipy"):
        number = _installed(name)
        if number:
            found[name] = number
    for origin in origins:
        name, _, number = origin.rpartition(" ")
        if name:
            found[name] = number
    return {**found, **libraries}


@cache
def _installed(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def _ophamin() -> str:
    # Without the meta-package, core's version is the one that fixes the record.
    return _installed("ophamin") or _installed("ophamin-core")


def git_of(folder: Path) -> tuple[str, bool | None]:
    """Commit and dirtiness of the tree ``folder`` stands in; ``("", None)`` where there is none."""
    try:
        commit = git(folder, "rev-parse", "--verify", "HEAD", timeout_s=10)
    except GitError:
        return "", None
    try:
        return commit, is_changed(folder, timeout_s=10)
    except GitError:
        return commit, None
