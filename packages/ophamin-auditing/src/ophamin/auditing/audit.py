"""One audit: register the gates, run the tools side by side, put their findings into a signed record."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ophamin import registry
from ophamin.auditing._counts import pillar_counts, summarise
from ophamin.auditing.gates import claim_of, decide, parse
from ophamin.auditing.record import AUDIT
from ophamin.auditing.target import Target, text
from ophamin.auditing.tools._examine import pillar_entry
from ophamin.auditing.tools._run import Running, running
from ophamin.proof.canonical import digest
from ophamin.proof.claims import attempt_key, claim_hash
from ophamin.proof.errors import LimitError, UsageError
from ophamin.proof.keys import Keyring
from ophamin.proof.ledger import Ledger
from ophamin.proof.project import Project
from ophamin.proof.schemas import violations
from ophamin.proof.signed import sign
from ophamin.proof.store import Store
from ophamin.proof.types import Claim, to_json
from ophamin.protocols import Auditor, Settings, SubstrateIdentity

__all__ = ["Audited", "audit", "examine_with"]

JSON = Any
MAX_FINDINGS = 40_000
"""More would pass the limits every reader of records has (a million values, 64 MiB)."""


@dataclass(frozen=True)
class Audited:
    """What an audit left behind.

    Args:
        record: The signed record.
        path: Its ``record.json`` in the store.
        outcome: Of the gates; "" when there were none.
    """

    record: Mapping[str, JSON]
    path: Path
    outcome: str


def audit(
    path: Path | str,
    settings: Settings,
    *,
    tools: Sequence[str] = (),
    gates: Sequence[str] = (),
    isolated: bool = False,
    timeout_s: float = 300.0,
    key_file: Path | None = None,
) -> Audited:
    """Audit a file or a tree, sign the record and store it.

    Args:
        path: What to audit.
        settings: Of the project whose ledger and store are used.
        tools: Auditors by name; default: every installed one.
        gates: Claims on the counts, such as ``high == 0``; registered before the tools run.
        isolated: Ignore the audited project's own settings of the tools.
        timeout_s: Longest each tool may take, seconds.
        key_file: Signing key; default: ``$OPHAMIN_SIGN_KEY`` or the installation's own.

    Raises:
        UsageError: No such path, no Python file in it, an unknown metric, or no time at all.
        UnknownPlugin: No such tool.
        LimitError: More findings than a record holds.
        KeyPolicyError: The key cannot be used.
    """
    target = Target.at(path)
    if not target.sources():
        # Nothing was looked at, so "no findings" would say nothing, and a gate on it would hold.
        raise UsageError(f"no Python file under {path}; name a folder or a file with code")
    if not timeout_s > 0:
        raise UsageError(f"a timeout is more than 0 seconds, not {timeout_s:g}")
    names = list(dict.fromkeys(tools)) or _by_default()
    auditors = {name: _auditor(name, isolated) for name in names}
    thresholds = [parse(gate, names) for gate in gates]
    signer = Keyring().signer(key_file)  # before the tools run: a key that cannot be used costs nothing yet
    command = ["ophamin", "audit", str(path), "--timeout", f"{timeout_s:g}", *(["--isolated"] if isolated else [])]
    command += [word for name in tools for word in ("--tool", name)]
    command += [word for gate in gates for word in ("--gate", gate)]
    revision, dirty = target.revision()
    body: dict[str, JSON] = {
        "schema_version": AUDIT.version,
        "identity": {"ophamin_version": _family_version(), "ophamin_git_commit": "", "code": _code(names)},
        "target": {
            "target_path": text(target.path),
            "target_content_hash": target.content_hash(),
            "path": target.name,
            "inputs_hash": target.inputs_hash(),
            "n_sources": len(target.sources()),
            "revision": revision,
            "dirty": dirty,
        },
    }
    reproduction = {"command": text(shlex.join(command)), "argv": [text(w) for w in command]}
    if not thresholds:
        (pillars,) = examine_with(auditors, target, timeout_s)
        body |= {"pillars": pillars, "summary": summarise(pillars), "reproduction": reproduction}
        body["identity"]["captured_at"] = _now()
        record = sign(body, AUDIT, signer)
        return Audited(record, _store(settings).put(record, AUDIT), "")

    config = {"tools": names, "isolated": isolated, "timeout_s": timeout_s, "gates": [str(t) for t in thresholds]}
    claim = claim_of(thresholds, target.name)
    ledger = Ledger(Project(Path(settings.project)).ledger_dir)
    registered = _register(ledger, claim, target, body["target"]["inputs_hash"], digest(config))
    with _outcome_on_failure(ledger, registered["ledger"]["index"]):
        # Rule exact: the whole target, and a second pass that says the same.
        pillars, again = examine_with(auditors, target, timeout_s, passes=2)
        unchanged = target.inputs_hash() == body["target"]["inputs_hash"]
        verdict = decide(thresholds, pillars, [_findings_digest(p) for p in (pillars, again)], unchanged)
        body |= {
            "pillars": pillars,
            "summary": summarise(pillars),
            "claim": to_json(claim),
            "preregistration": registered,
            "pre_registered_metric": thresholds[0].metric,
            "verdict": verdict,
            "reproduction": reproduction,
        }
        # Clocks go backwards; the ledger's order decides.
        body["identity"]["captured_at"] = max(_now(), registered["preregistered_at"])
        record = sign(body, AUDIT, signer)
        stored = _store(settings).put(record, AUDIT)
    ledger.close(registered["ledger"]["index"], verdict["outcome"], proof_id=record["audit_id"])
    return Audited(record, stored, verdict["outcome"])


def _by_default() -> list[str]:
    """Every installed auditor; one that has to be set up first is run once it is, or when it is named."""
    asked = {name: getattr(registry.auditors.get(name), "by_default", None) for name in registry.auditors.names()}
    return [name for name, ready in asked.items() if ready is None or ready()]


def _auditor(name: str, isolated: bool) -> Auditor:
    auditor = registry.auditors.get(name)()
    if isolated:
        if not hasattr(auditor, "isolated"):
            raise UsageError(f"the auditor {name!r} always uses a project's settings; leave out --isolated")
        auditor.isolated = True
    return auditor


def examine_with(
    auditors: Mapping[str, Auditor], target: Target, timeout_s: float, passes: int = 1
) -> list[list[dict[str, JSON]]]:
    """Run auditors side by side, at most one per core.

    Args:
        auditors: By name.
        target: What to audit.
        timeout_s: Longest each may take, seconds.
        passes: How many times each is run.

    Returns:
        Per pass, the record's ``pillars`` in the order of ``auditors``, with fingerprints.

    Raises:
        LimitError: More findings than a record holds.
    """
    jobs = [(name, auditor) for _ in range(passes) for name, auditor in auditors.items()]
    audit_of = Running()
    running.set(audit_of)
    executor = ThreadPoolExecutor(max_workers=max(1, min(len(jobs), _cores())))
    try:
        futures = [executor.submit(copy_context().run, _guarded, n, a, target, timeout_s) for n, a in jobs]
        entries = [future.result() for future in futures]
    except BaseException:
        # Most of all Ctrl-C: the tools do not see it, so they are stopped here.
        executor.shutdown(wait=False, cancel_futures=True)
        audit_of.stop()
        raise
    finally:
        executor.shutdown(wait=True)
        running.set(None)
    lists = [entries[i : i + len(auditors)] for i in range(0, len(entries), len(auditors))]
    found = sum(len(entry["findings"]) for entry in lists[0])
    if found > MAX_FINDINGS:
        raise LimitError(
            f"{found} findings are more than the {MAX_FINDINGS} of a record; audit a smaller path or select fewer rules"
        )
    return lists


def _guarded(name: str, auditor: Auditor, target: Target, timeout_s: float) -> dict[str, JSON]:
    try:
        entry = dict(auditor.audit(target.path, timeout_s=timeout_s))
        findings = [dict(finding) for finding in entry["findings"]]
        _fingerprint(findings, target)
        entry |= {"findings": findings, **pillar_counts(entry["status"], findings)}
        entry = {"complete": entry["status"] == "ok", "rules": {}, "warnings": [], "extra": {}, **entry}
        if problems := _unfit(name, entry):
            raise ValueError("; ".join(problems))
    except Exception as error:  # noqa: BLE001 - a foreign auditor may raise anything; its failure is one tool's result
        reason = f"the auditor {name} failed: {type(error).__name__}: {error}"
        return pillar_entry(name, target, "error", error_message=reason)
    for finding in findings:
        entry["rules"].setdefault(finding["rule_id"], {"name": "", "url": ""})
    return entry


def _unfit(name: str, entry: Mapping[str, JSON]) -> list[str]:
    """Why an entry cannot stand in a record."""
    schema = {"$ref": "#/$defs/pillar", "$defs": AUDIT.schema["$defs"]}
    problems = violations(entry, schema)
    if not problems and {entry["pillar_name"], *(f["pillar_name"] for f in entry["findings"])} != {name}:
        problems = ["it speaks for another pillar"]
    if entry["status"] != "ok" and (entry["findings"] or entry["complete"]):
        problems.append("it did not finish, but has findings or is called complete")
    return problems


def _fingerprint(findings: Sequence[dict[str, JSON]], target: Target) -> None:
    """Name each finding by tool, rule, path and the text of its line, so that moved lines keep their names."""
    seen: Counter[tuple[str, ...]] = Counter()
    for finding in findings:
        line = target.line(finding["path"], finding["line"])
        key = (finding["pillar_name"], finding["rule_id"], finding["path"], line)
        finding["fingerprint"] = digest([*key, seen[key]]).removeprefix("sha256:")
        seen[key] += 1


def _findings_digest(pillars: Sequence[Mapping[str, JSON]]) -> str:
    """What two passes must agree on: not the times."""
    return digest([[p["pillar_name"], p["tool_version"], p["status"], p["complete"], p["findings"]] for p in pillars])


def _register(ledger: Ledger, claim: Claim, target: Target, data_hash: str, config_hash: str) -> dict[str, JSON]:
    """Put the claim into the ledger; the record's section ``preregistration``."""
    # The content is the revision: a commit says nothing about uncommitted changes.
    key = attempt_key(claim, [SubstrateIdentity("audit", target.name, config_hash, data_hash)])
    fixed = {"claim_hash": claim_hash(claim), "config_hash": config_hash, "data_hash": data_hash, "alpha_used": 0.0}
    with ledger.exclusive():
        attempt = len(ledger.attempts(key)) + 1
        at = _now()
        entry = {"scenario": "audit", "attempt_key": key, "attempt": attempt, "registered_at": at, **fixed}
        place = ledger.register(entry)
    return {
        **fixed,
        "analysis_plan": "count the findings of the named tools on the whole target, twice; rule exact",
        "sweep_grid": {},
        "preregistered_at": at,
        "timing": "before_data",
        "attempt": attempt,
        "error_bound": 0.0,  # nothing is sampled
        "ledger": place.to_dict(),
    }


@contextmanager
def _outcome_on_failure(ledger: Ledger, index: int) -> Iterator[None]:
    try:
        yield
    except Exception:
        ledger.close(index, "ERRORED")
        raise
    except BaseException:
        ledger.close(index, "ABORTED", reason="interrupted")
        raise


def _store(settings: Settings) -> Store:
    return Store(Path(settings.store), Project(Path(settings.project)).index)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _family_version() -> str:
    try:
        return version("ophamin")
    except PackageNotFoundError:
        return version("ophamin-core")


def _code(names: Sequence[str]) -> list[dict[str, str]]:
    """Distributions whose code made the record: ours, and those of the auditors."""
    ours = {"ophamin-auditing": version("ophamin-auditing"), "ophamin-core": version("ophamin-core")}
    for name in names:
        distribution, _, installed = registry.auditors.origin(name).partition(" ")
        if installed:
            ours[distribution] = installed
    return [{"distribution": d, "version": v} for d, v in sorted(ours.items())]
