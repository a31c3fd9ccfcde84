"""One audit: register the gates, run the tools side by side, put their findings into a signed record."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ophamin import registry
from ophamin.auditing import duplicates
from ophamin.auditing._counts import summarise
from ophamin.auditing._quoting import command_line
from ophamin.auditing.cache import Cache
from ophamin.auditing.examining import Done, examine_with
from ophamin.auditing.gates import claim_of, decide, parse
from ophamin.auditing.record import AUDIT
from ophamin.auditing.scope import changed_since, keep_only, load_baseline, mark_new
from ophamin.auditing.target import Target, text
from ophamin.proof.canonical import digest
from ophamin.proof.claims import attempt_key, claim_hash
from ophamin.proof.errors import UsageError
from ophamin.proof.keys import Keyring
from ophamin.proof.ledger import Ledger
from ophamin.proof.project import Project
from ophamin.proof.signed import sign
from ophamin.proof.store import Store
from ophamin.proof.types import Claim, to_json
from ophamin.protocols import Auditor, Settings, SubstrateIdentity

__all__ = ["Audited", "audit"]

JSON = Any


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
    jobs: int | None = None,
    baseline: str = "",
    changed: str = "",
    cached: bool = True,
    key_file: Path | None = None,
    progress: Callable[[Done], None] | None = None,
) -> Audited:
    """Audit a file or a tree, sign the record and store it.

    Args:
        path: What to audit.
        settings: Of the project whose ledger and store are used.
        tools: Auditors by name; default: every installed one.
        gates: Claims on the counts, such as ``high == 0``; registered before the tools run.
        isolated: Ignore the audited project's own settings of the tools.
        timeout_s: Longest each tool may take, seconds.
        jobs: Tools at a time; default, and at most: the cores.
        baseline: An earlier audit record (file or id): findings it does not have are marked new.
        changed: A git revision: only findings in files that differ from it count.
        cached: Whether earlier results of an unchanged target may stand for a run; under a gate they may stand for
            the first of the two passes only, so that every verdict rests on a run made after the registration.
        key_file: Signing key; default: ``$OPHAMIN_SIGN_KEY`` or the installation's own.
        progress: Told of each tool that is done.

    Raises:
        UsageError: No such path, no Python file in it, an unknown metric or revision, or no time at all.
        UnknownPlugin: No such tool.
        LimitError: More findings than a record holds.
        KeyPolicyError: The key cannot be used.
    """
    target = Target.at(path)
    if not target.sources():
        # Nothing was looked at, so "no findings" would say nothing, and a gate on it would hold.
        raise UsageError(f"no Python file under {path}; name a folder or a file with code")
    if not 0 < timeout_s < math.inf:
        raise UsageError(f"a timeout is a number of seconds above 0, not {timeout_s:g}")
    if jobs is not None and jobs < 1:
        raise UsageError(f"at least 1 tool runs at a time, not {jobs}; leave out --jobs for one per core")
    names = list(dict.fromkeys(tools)) or _by_default()
    auditors = {name: _auditor(name, isolated) for name in names}
    thresholds = [parse(gate, names, bool(baseline)) for gate in gates]
    since = load_baseline(settings, baseline) if baseline else None
    only = changed_since(target, changed) if changed else None
    signer = Keyring().signer(key_file)  # before the tools run: a key that cannot be used costs nothing yet
    where = f"./{path}" if str(path).startswith("-") else str(path)
    command = ["ophamin", "audit", where, "--timeout", f"{timeout_s:g}", *(["--isolated"] if isolated else [])]
    command += ["--jobs", str(jobs)] if jobs is not None else []
    command += ["--tools", ",".join(names)] if tools else []
    command += [word for gate in gates for word in ("--gate", gate)]
    command += ["--baseline", baseline] if baseline else []
    command += ["--changed", only.revision] if only else []
    command += [] if cached else ["--no-cache"]
    revision, dirty = target.revision()
    inputs_hash = target.inputs_hash()
    body: dict[str, JSON] = {
        "schema_version": AUDIT.version,
        "identity": {"ophamin_version": _family_version(), "ophamin_git_commit": "", "code": _code(names)},
        "target": {
            "target_path": text(target.path),
            "target_content_hash": target.content_hash(),
            "path": target.name,
            "inputs_hash": inputs_hash,
            "n_sources": len(target.sources()),
            "revision": revision,
            "dirty": dirty,
        },
    }
    if target.environments:
        body["target"]["environments"] = [target.relative(folder) for folder in target.environments]
    if only:
        body["target"]["changed"] = {"asked": only.asked, "revision": only.revision, "files": list(only.files)}
    reproduction = {"command": command_line(command), "argv": [text(w) for w in command]}
    cache = Cache(target, inputs_hash) if cached else None

    def examined(passes: int) -> list[list[dict[str, JSON]]]:
        lists = examine_with(auditors, target, timeout_s, passes, jobs=jobs, cache=cache, progress=progress)
        if cache and cache.ran and target.inputs_hash() == inputs_hash:
            cache.keep()
        for pillars in lists:
            if only:
                keep_only(pillars, only.files)
        return lists

    def sections(pillars: list[dict[str, JSON]]) -> dict[str, JSON]:
        duplicates.mark(pillars)
        compared = {"baseline": mark_new(pillars, since)} if since else {}
        return {"pillars": pillars, **compared, "summary": summarise(pillars), "reproduction": reproduction}

    if not thresholds:
        (pillars,) = examined(1)
        body |= sections(pillars)
        body["identity"]["captured_at"] = _now()
        record = sign(body, AUDIT, signer)
        return Audited(record, _store(settings).put(record, AUDIT), "")

    config: dict[str, JSON] = {"tools": names, "isolated": isolated, "timeout_s": timeout_s}
    config |= {"gates": [str(t) for t in thresholds]}
    config |= {"baseline": since.audit_id} if since else {}
    config |= {"changed": [only.revision, *only.files]} if only else {}
    claim = claim_of(thresholds, target.name)
    ledger = Ledger(Project(Path(settings.project)).ledger_dir)
    registered = _register(ledger, claim, target, inputs_hash, digest(config))
    with _outcome_on_failure(ledger, registered["ledger"]["index"]):
        # Rule exact: the whole target, and a second pass that says the same.
        first, pillars = examined(2)
        unchanged = target.inputs_hash() == inputs_hash
        digests = [_findings_digest(p) for p in (first, pillars)]
        body |= sections(pillars)
        verdict = decide(thresholds, pillars, digests, unchanged, since.tools if since else ())
        if earlier := [p["pillar_name"] for p in first if p.get("cache", {}).get("hit")]:
            verdict["first_pass_cached"] = earlier
        body |= {
            "claim": to_json(claim),
            "preregistration": registered,
            "pre_registered_metric": thresholds[0].metric,
            "verdict": verdict,
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
