"""The history record: what a system does at many revisions, signed, for entry-point group ``ophamin.records``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from ophamin.comparing._signed import identity, reproduction, time_problems
from ophamin.comparing.history.gate_rule import dependence, noise, trimmed_mean
from ophamin.comparing.history.history import flips_in, worst
from ophamin.proof.decision import outcome
from ophamin.proof.kinds import Kind
from ophamin.proof.types import Threshold
from ophamin.protocols import RecordKind

__all__ = ["HISTORY", "check_history", "history_body"]

JSON = Any
Record = Mapping[str, JSON]
VERSION = "history/1.0"
# What speaks of this machine or of this process only.
_HERE = ("repository", "exit_code", "n_measured_now", "seconds")
_HERE_OF_A_ROW = ("path", "measured_before")
_OWN = {
    "history": ("revisions", "flips"),
    "bisect": ("good", "bad", "first_bad", "alpha_step", "error_bound", "undecided", "runs"),
    "cost-gate": ("base", "head", "rule", "systems"),
}


def history_body(command: str, request: Record, found: Record, argv: Sequence[str]) -> dict[str, JSON]:
    """The body of a record.

    Args:
        command: ``history``, ``bisect`` or ``cost-gate``.
        request: What was asked, as plain JSON.
        found: What the command prints with ``--json``.
        argv: The command line.
    """

    def row(point: Record) -> dict[str, JSON]:
        return {name: value for name, value in point.items() if name not in _HERE_OF_A_ROW}

    result = {name: value for name, value in found.items() if name not in (*_HERE, "outcome")}
    for name in ("revisions", "runs"):
        if name in result:
            result[name] = [row(point) for point in result[name]]
    return {
        "schema_version": VERSION,
        "identity": identity(),
        "command": command,
        "outcome": found["outcome"],
        "request": dict(request),
        "result": result,
        "reproduction": reproduction(argv),
    }


def check_history(record: Record) -> list[str]:
    """Contradictions between the sections of a history record.

    Args:
        record: A record that fits its schema.

    Returns:
        One sentence each; empty when consistent.
    """
    problems, result, command = time_problems(record), record["result"], record["command"]
    if lacking := [name for name in _OWN[command] if name not in result]:
        return [*problems, f"the result of a {command} lacks {', '.join(lacking)}"]
    return [*problems, *_CHECKS[command](record["outcome"], result)]


def _check_revisions(stated: str, result: Record) -> Iterator[str]:
    points = result["revisions"]
    outcomes = [point["outcome"] for point in points]
    if stated != worst(outcomes):
        yield "the outcome is not that of its revisions"
    flips = [(points[i]["commit"], points[j]["commit"], outcomes[i], outcomes[j]) for i, j in flips_in(outcomes)]
    if flips != [(f["before"], f["after"], f["from"], f["to"]) for f in result["flips"]]:
        yield "the flips are not those of its revisions"
    yield from _check_rows(points)


def _check_rows(points: Sequence[Record]) -> Iterator[str]:
    for point in points:
        if (point["outcome"] == "SKIPPED") == ("proof_id" in point):
            yield f"revision {point['commit'][:12]} has a proof although it was skipped, or none although it was not"


def _check_bisection(stated: str, result: Record) -> Iterator[str]:
    runs, suspects = result["runs"], [revision["commit"] for revision in result["first_bad"]]
    yield from _check_rows(runs)
    ends = (result["good"], result["bad"])
    if suspects:
        spent = math.fsum(run.get("alpha_used") or 0.0 for run in runs if run["commit"] not in ends)
        if not math.isclose(spent, result["error_bound"], rel_tol=1e-9, abs_tol=1e-12):
            yield "the error bound is not the sum of what its decisions spent"
        decided = {run["commit"]: run["outcome"] for run in runs}
        if decided.get(suspects[-1]) != "REFUTED":
            yield "the last suspect was not found bad"
        if any(decided.get(commit) == "VALIDATED" for commit in suspects):
            yield "a suspect was found good"
    undecided = result["undecided"] and len(suspects) != 1
    if (stated == "FOUND") != (bool(suspects) and not undecided) or (stated == "UNDECIDED") != undecided:
        yield "the outcome does not follow from the runs"


def _check_gate(stated: str, result: Record) -> Iterator[str]:
    rule, systems = result["rule"], result["systems"]
    if stated != worst([system["outcome"] for system in systems]):
        yield "the outcome is not that of its systems"
    threshold = Threshold("cost_ratio", "<=", 1 + rule["margin"])
    for system in systems:
        base, head = system["base_s"], system["head_s"]
        if system["outcome"] != system["looks"][-1]["outcome"]:
            yield f"{system['name']!r:.80}: its outcome is not that of its last look"
        for look in system["looks"]:
            n = look["rounds"]
            if n > len(base) or len(base) != len(head) or not all(t > 0 for t in (*base, *head)):
                yield f"{system['name']!r:.80}: a look has not the times of its rounds"
                break
            mean, error, _ = trimmed_mean([math.log(h / b) for b, h in zip(base[:n], head[:n], strict=True)])
            spread = noise(base[:n], head[:n])
            known = math.isclose(math.exp(mean), look["ratio"], rel_tol=1e-9)
            if not known or not math.isclose(spread, look["spread"], rel_tol=1e-9, abs_tol=1e-12):
                yield f"{system['name']!r:.80}: a look does not follow from the times"
            # Records from before it was allowed for have none.
            if "rho" in look and not math.isclose(dependence(base[:n], head[:n]), look["rho"], abs_tol=1e-9):
                yield f"{system['name']!r:.80}: the autocorrelation of a look is not that of its rounds"
            undecidable = look["noisy"] or error == 0
            follows = "INCONCLUSIVE" if undecidable else outcome(threshold, look["lower"], look["upper"])
            if look["noisy"] != (look["spread"] > rule["noise_limit"]) or look["outcome"] != follows:
                yield f"{system['name']!r:.80}: what a look says does not follow from its bounds"


_CHECKS = {"history": _check_revisions, "bisect": _check_bisection, "cost-gate": _check_gate}


def history_cases(record: Record) -> list[dict[str, JSON]]:
    """One row a revision or a system."""
    result = record["result"]
    if record["command"] == "cost-gate":
        return [{"name": s["name"], "outcome": s["outcome"], "message": s["reason"]} for s in result["systems"]]
    points = result["revisions"] if record["command"] == "history" else result["runs"]
    return [{"name": p["commit"], "outcome": p["outcome"], "message": p.get("reason") or p["subject"]} for p in points]


HISTORY: RecordKind = cast(
    "RecordKind",
    Kind(
        name="history",
        id_field="history_id",
        version=VERSION,
        schemas={VERSION: Path(__file__).parent / "schema" / "history-1.0.json"},
        checker=check_history,
        lister=history_cases,
    ),
)
"""The history record; writes and reads 1.0, no earlier form is known."""
