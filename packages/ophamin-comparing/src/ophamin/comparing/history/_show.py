"""Histories, bisections and cost gates as text and as plain JSON values."""

from __future__ import annotations

from typing import Any

from ophamin.comparing._show import printable
from ophamin.comparing.history.bisect import Bisection
from ophamin.comparing.history.cost_gate import SIDES, GateResult, SystemResult
from ophamin.comparing.history.history import History
from ophamin.comparing.history.measuring import Measured
from ophamin.comparing.history.revisions import Moving, Revision

__all__ = ["bisection_json", "bisection_text", "gate_json", "gate_text", "history_json", "history_text"]

JSON = Any
ONE_FLIP = "one flip between the ends is assumed, not shown"


def history_json(found: History) -> dict[str, JSON]:
    """Plain JSON values."""
    return {
        "outcome": found.outcome,
        "exit_code": found.exit_code,
        **_where(found.moved),
        "revisions": [_measured(point) for point in found.points],
        "flips": [
            {
                "before": flip.before.revision.commit,
                "after": flip.after.revision.commit,
                "from": flip.before.outcome,
                "to": flip.after.outcome,
                "between": [point.revision.commit for point in flip.between],
            }
            for flip in found.flips
        ],
        "n_measured_now": sum(not point.again for point in found.points),
        "seconds": round(found.seconds, 3),
    }


def history_text(found: History) -> str:
    """A table, a line a revision, and the flips below."""
    lines = [_row("commit", "date", "verdict", _metric(found), "interval", "n", "subject")]
    lines += [_line(point) for point in found.points]
    for flip in found.flips:
        gap = f", {len(flip.between)} undecided or skipped between" if flip.between else ""
        lines.append(
            f"flip: {flip.before.outcome} at {flip.before.revision.commit[:12]} -> {flip.after.outcome} at "
            f"{flip.after.revision.commit[:12]}{gap}: {printable(flip.after.revision.subject)}"
        )
    count = sum(point.proof is not None for point in found.points)
    each = f"{count} of {len(found.points)} revisions measured"
    lines.append(f"{each}; each verdict errs with its own alpha, and nothing corrects for their number")
    if found.own_records:
        lines.append("each on records of its own: comparisons between them are unpaired, and they can be pooled")
    return "\n".join(lines)


def bisection_json(found: Bisection) -> dict[str, JSON]:
    """Plain JSON values."""
    return {
        "outcome": found.outcome,
        "exit_code": found.exit_code,
        **_where(found.moved),
        "good": found.revisions[0].commit,
        "bad": found.revisions[-1].commit,
        "n_candidates": len(found.revisions) - 1,
        "first_bad": [_revision(revision) for revision in found.first_bad],
        "reason": found.reason,
        "assumption": ONE_FLIP,
        "alpha_step": found.alpha_step,
        "error_bound": found.error_bound,
        "undecided": found.undecided,
        "runs": [_measured(run) for run in found.runs],
    }


def bisection_text(found: Bisection) -> str:
    """A line a run, and the answer last."""
    lines = [_row("commit", "date", "verdict", "value", "interval", "n", "subject"), *map(_line, found.runs)]
    if found.first_bad:
        lines.append(
            f"{len(found.revisions) - 1} candidates, alpha {found.alpha_step:.3g} a decision; together they err with "
            f"at most {found.error_bound:.3g}; {ONE_FLIP}"
        )
    lines.append(printable(found.reason))
    lines += [f"  {revision.commit} {printable(revision.subject)}" for revision in found.first_bad]
    return "\n".join(lines)


def gate_json(found: GateResult) -> dict[str, JSON]:
    """Plain JSON values; ``exit_code`` included."""
    rule = found.rule
    return {
        "outcome": found.outcome,
        "exit_code": found.exit_code,
        **{side: found.commits[side] for side in SIDES},
        "attempt": found.attempt,
        "rule": {
            "margin": rule.margin,
            "alpha": rule.alpha,
            "looks": list(rule.looks),
            "levels": list(rule.levels),
            "noise_limit": rule.noise_limit,
            "inner_s": found.spec.inner_s,
        },
        "systems": [_system(found, system) for system in found.systems],
        "remarks": list(found.remarks),
    }


def _system(found: GateResult, system: SystemResult) -> dict[str, JSON]:
    looks = [{name: getattr(look, name) for name in look.__dataclass_fields__} for look in system.looks]
    return {
        "name": system.name,
        "substrate": system.spec,
        "outcome": system.outcome,
        "reason": found.reason(system),
        "rounds_to_tell": found.rule.rounds_to_tell(system.looks[-1]) if system.outcome == "INCONCLUSIVE" else None,
        "base_s": system.base_s,
        "head_s": system.head_s,
        "looks": looks,
    }


def gate_text(found: GateResult) -> str:
    """A line a system, and how it was decided below."""
    rule = found.rule
    lines = [f"{printable(system.name)}: {system.outcome}: {found.reason(system)}" for system in found.systems]
    looks = ", ".join(map(str, rule.looks))
    attempt = f", attempt {found.attempt}" if found.attempt > 1 else ""
    lines.append(
        f"{found.commits['base'][:12]} against {found.commits['head'][:12]}: 10 %-trimmed t on log ratios of the least "
        f"times, looks after {looks} rounds, alpha {rule.alpha:.3g} over all of them{attempt}"
    )
    return "\n".join([*lines, *map(printable, found.remarks)])


def _where(moved: Moving) -> dict[str, JSON]:
    return {"repository": str(moved.repository), "arms": dict(moved.arms), "moving": list(moved.names)}


def _revision(revision: Revision) -> dict[str, JSON]:
    return {"commit": revision.commit, "date": revision.date, "subject": revision.subject}


def _measured(point: Measured) -> dict[str, JSON]:
    row = {**_revision(point.revision), "outcome": point.outcome}
    if point.proof is None or point.part is None:
        return {**row, "reason": point.skipped}
    bounds, verdict = point.part.bounds, point.proof.body["verdict"]
    return {
        **row,
        "metric": point.part.metric,
        "value": None if bounds is None else bounds.value,
        "lower": None if bounds is None else bounds.lower,
        "upper": None if bounds is None else bounds.upper,
        "n_used": verdict.get("n_used"),
        "attempt": point.proof.body["preregistration"].get("attempt"),
        "alpha_used": point.alpha_used,
        "proof_id": point.proof.proof_id,
        "path": None if point.proof.path is None else str(point.proof.path),
        "measured_before": point.again,
    }


def _metric(found: History) -> str:
    return next((point.part.metric for point in found.points if point.part is not None), "value")


def _line(point: Measured) -> str:
    revision = point.revision
    if point.proof is None or point.part is None:
        return _row(revision.commit[:12], revision.date[:10], "SKIPPED", "-", "-", "-", point.skipped)
    bounds = point.part.bounds
    value = "-" if bounds is None else f"{bounds.value:.4g}"
    interval = "-" if bounds is None else f"[{_end(bounds.lower)}, {_end(bounds.upper)}]"
    n = str(point.proof.body["verdict"].get("n_used") or "-")
    return _row(revision.commit[:12], revision.date[:10], point.outcome, value, interval, n, revision.subject)


def _end(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _row(commit: str, date: str, verdict: str, value: str, interval: str, n: str, subject: str) -> str:
    return f"{commit:<12}  {date:<10}  {verdict:<12}  {value:>9}  {interval:<20}  {n:>6}  {printable(subject)}".rstrip()
