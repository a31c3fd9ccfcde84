"""Running the auditors of one audit side by side, longest first."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

from ophamin.auditing._counts import pillar_counts
from ophamin.auditing.cache import Cache, caching, really
from ophamin.auditing.record import AUDIT
from ophamin.auditing.target import Target
from ophamin.auditing.tools._examine import pillar_entry
from ophamin.auditing.tools._run import Running, running
from ophamin.proof.canonical import digest
from ophamin.proof.errors import LimitError
from ophamin.proof.schemas import violations
from ophamin.protocols import Auditor

__all__ = ["MAX_FINDINGS", "Done", "examine_with"]

JSON = Any
MAX_FINDINGS = 40_000
"""More would pass the limits every reader of records has (a million values, 64 MiB)."""
USUAL_COST = 10.0
"""Of an auditor that does not say how long it takes, in the measure of the others."""


@dataclass(frozen=True, slots=True)
class Done:
    """One tool is done, with all its runs: what progress shows.

    Args:
        name: The auditor.
        entry: Its entry of ``pillars``, of the last run.
        wall_s: Seconds since the audit began.
        left: Tools that are not done yet.
        runs: How often it ran: under a gate twice.
    """

    name: str
    entry: Mapping[str, JSON]
    wall_s: float
    left: int
    runs: int = 1


def examine_with(
    auditors: Mapping[str, Auditor],
    target: Target,
    timeout_s: float,
    passes: int = 1,
    *,
    jobs: int | None = None,
    cache: Cache | None = None,
    progress: Callable[[Done], None] | None = None,
) -> list[list[dict[str, JSON]]]:
    """Run auditors side by side, at most one per core, those that take longest first.

    Longest first ends at most a third later than the best order there is (R. L. Graham, *Bounds on Multiprocessing
    Timing Anomalies*, SIAM Journal on Applied Mathematics 17 (2), 1969), and costs nothing to find.

    Args:
        auditors: By name.
        target: What to audit.
        timeout_s: Longest each may take, seconds.
        passes: How many times each is run; in the last one each really runs, whatever the cache has.
        jobs: How many at a time; default, and at most: the cores.
        cache: Earlier results; default: none.
        progress: Told of each tool that is done, from the thread that called.

    Returns:
        Per pass, the record's ``pillars`` in the order of ``auditors``, with fingerprints.

    Raises:
        LimitError: More findings than a record holds.
    """
    order = [(number, name) for number in range(passes) for name in auditors]
    longest_first = sorted(order, key=lambda job: -float(getattr(auditors[job[1]], "cost", USUAL_COST)))
    workers = max(1, min(len(order), _cores(), jobs or len(order)))
    audit_of = Running()
    running.set(audit_of)
    caching.set(cache)
    executor = ThreadPoolExecutor(max_workers=workers)
    began = time.perf_counter()
    try:
        futures = {}
        for number, name in longest_first:
            anew = number > 0
            run = copy_context().run
            futures[number, name] = executor.submit(run, _guarded, name, auditors[name], target, timeout_s, anew)
        if progress:
            _report(futures, passes, began, progress)
        entries = [futures[job].result() for job in order]
    except BaseException:
        # Most of all Ctrl-C: the tools do not see it, so they are stopped here.
        executor.shutdown(wait=False, cancel_futures=True)
        audit_of.stop()
        raise
    finally:
        executor.shutdown(wait=True)
        running.set(None)
        caching.set(None)
    lists = [entries[i : i + len(auditors)] for i in range(0, len(entries), len(auditors))]
    found = sum(len(entry["findings"]) for entry in lists[-1])
    if found > MAX_FINDINGS:
        raise LimitError(
            f"{found} findings are more than the {MAX_FINDINGS} of a record; audit a smaller path or select fewer rules"
        )
    return lists


def _report(
    futures: Mapping[tuple[int, str], Any], passes: int, began: float, progress: Callable[[Done], None]
) -> None:
    names = {future: name for (_, name), future in futures.items()}
    runs_left = Counter(names.values())
    for future in as_completed(names):
        name = names[future]
        runs_left -= Counter([name])  # what comes to nothing is no longer there
        if name not in runs_left:
            entry = futures[passes - 1, name].result()
            progress(Done(name, entry, time.perf_counter() - began, len(runs_left), passes))


def _guarded(name: str, auditor: Auditor, target: Target, timeout_s: float, anew: bool) -> dict[str, JSON]:
    if anew:
        really()
    cache = caching.get()
    try:
        entry = dict(auditor.audit(target.path, timeout_s=timeout_s))
        hit = bool(entry.get("cache", {}).get("hit"))
        findings = [dict(finding) for finding in entry["findings"]]
        if not hit:
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
    if cache:
        cache.note(name, {**entry, "findings": [dict(f) for f in findings]})
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


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
