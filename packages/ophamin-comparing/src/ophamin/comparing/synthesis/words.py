"""What the commands of this room say to programs and to people."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ophamin.comparing._show import printable
from ophamin.comparing.drift.proofs import Part
from ophamin.comparing.index import Entry, Problem
from ophamin.comparing.synthesis.correction import Correction
from ophamin.comparing.synthesis.diagnosis import Diagnosis
from ophamin.comparing.synthesis.summary import Flip, Summary
from ophamin.comparing.synthesis.trajectory import Point, Trajectory

__all__ = [
    "analysis_json",
    "analysis_text",
    "correction_json",
    "correction_text",
    "diagnosis_json",
    "diagnosis_text",
    "problems_json",
    "summary_json",
    "summary_text",
]

JSON = Any
MOST_FLIPS = 20
_HASH = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{20,}\b")


def problems_json(problems: Sequence[Problem]) -> list[dict[str, str]]:
    """Files that are no proof of the index."""
    return [{"state": item.state, "path": str(item.path), "reason": item.reason} for item in problems]


def _entry(entry: Entry) -> dict[str, JSON]:
    return {
        "proof_id": entry.proof_id,
        "outcome": entry.outcome,
        "created_at": entry.created_at,
        "revision": entry.revision,
        "path": str(entry.path),
        "verified": entry.verified,
    }


def _pairs(differs: Mapping[str, tuple[str, str]]) -> dict[str, list[str]]:
    return {name: list(both) for name, both in differs.items()}


def _short(text: str) -> str:
    """Enough of a hash to tell two apart."""
    return _HASH.sub(r"\1…", text)


def _number(value: object) -> str:
    return "none" if value is None else f"{value:.4g}" if isinstance(value, float) else _short(str(value))


def _table(header: Sequence[str], rows: Sequence[Sequence[object]], indent: str = "  ") -> Iterator[str]:
    cells = [tuple(header), *(tuple(printable(cell) for cell in row) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    for row in cells:
        yield (indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip()


def _lines(lines: Iterator[str]) -> str:
    return "\n".join(lines)


# --- summarize


def summary_json(found: Summary) -> dict[str, JSON]:
    """Plain JSON values."""
    return {
        "n_proofs": found.n_proofs,
        "n_series": found.n_series,
        "by_verdict": found.by_verdict,
        "latest": found.latest,
        "by_scenario": found.by_scenario,
        "by_tier": found.by_tier,
        "by_revision": found.by_revision,
        "flips": [_flip(flip) for flip in found.flips],
    }


def _flip(flip: Flip) -> dict[str, JSON]:
    return {
        "claim": flip.after.claim,
        "series": asdict(flip.after.key),
        "before": _entry(flip.before),
        "after": _entry(flip.after),
        "differs": _pairs(flip.differs),
    }


def summary_text(found: Summary) -> str:
    """Tables of counts, then the latest flips."""
    return _lines(_summary_lines(found))


def _summary_lines(found: Summary) -> Iterator[str]:
    proofs = "1 proof" if found.n_proofs == 1 else f"{found.n_proofs} proofs"
    yield f"{proofs} in {found.n_series} series: {_counts(found.by_verdict)}"
    yield f"the latest of each series: {_counts(found.latest)}"
    groups = (("scenario", found.by_scenario), ("tier", found.by_tier), ("system and revision", found.by_revision))
    for word, counts in groups:
        if counts:
            rows = [(_short(name), *(n.get(o, 0) for o in _OUTCOMES)) for name, n in counts.items()]
            yield ""
            yield from _table((word.upper(), *_OUTCOMES), rows, "")
    yield ""
    flips = "1 flip" if len(found.flips) == 1 else f"{len(found.flips)} flips"
    yield flips + (f", the last {MOST_FLIPS}:" if len(found.flips) > MOST_FLIPS else "")
    for flip in found.flips[-MOST_FLIPS:]:
        yield printable(f"{flip.before.outcome} -> {flip.after.outcome}  {flip.after.claim}")
        between = f"{flip.before.revision or 'unknown'} -> {flip.after.revision or 'unknown'}"
        yield printable(f"  {_short(between)}  ({flip.before.proof_id[:12]} -> {flip.after.proof_id[:12]})")
        others = {name: both for name, both in flip.differs.items() if name != "revision"}
        if others:
            yield printable(f"  also differs: {_both(others)}")


_OUTCOMES = ("VALIDATED", "REFUTED", "INCONCLUSIVE")


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in counts.items()) or "none"


def _both(differs: Mapping[str, tuple[str, str]]) -> str:
    return "; ".join(f"{name} {_short(a)} -> {_short(b)}" for name, (a, b) in differs.items())


# --- analyze


def analysis_json(found: Sequence[Trajectory]) -> dict[str, JSON]:
    """Plain JSON values."""
    return {
        "trajectories": [
            {
                "claim": one.claim,
                "series": asdict(one.key),
                "metric": one.metric,
                "comparator": one.comparator,
                "threshold": one.theta,
                "smallest_difference": one.smallest_difference,
                "points": [{**_entry(p.entry), **_value(p.part), "facts": dict(p.entry.facts)} for p in one.points],
                "differs": {name: list(values) for name, values in one.differs.items()},
            }
            for one in found
        ]
    }


def _value(part: Part) -> dict[str, JSON]:
    bounds = part.bounds
    names = ("value", "lower", "upper", "lower_confidence", "upper_confidence")
    return {name: None if bounds is None else getattr(bounds, name) for name in names} | {"exact": part.exact}


def analysis_text(found: Sequence[Trajectory]) -> str:
    """One table per series."""
    return _lines(line for one in found for line in _trajectory_lines(one))


def _trajectory_lines(one: Trajectory) -> Iterator[str]:
    yield printable(one.claim)
    yield printable(f"  {one.metric} {one.comparator} {_number(one.theta)}  of {_short(one.key.substrate)}")
    rows = [_point(point) for point in one.points]
    yield from _table(("REVISION", "DECIDED", "VALUE", "INTERVAL", "VERDICT", "PROOF"), rows)
    for name, values in one.differs.items():
        shown = ", ".join(map(_short, values[:6])) + (", …" if len(values) > 6 else "")
        yield printable(f"  differs: {name}: {shown}")


def _point(point: Point) -> tuple[str, ...]:
    entry, part = point.entry, point.part
    value, interval = "none", ""
    if part.bounds is not None:
        value = _number(part.bounds.value)
        interval = "exact" if part.exact else f"[{_number(part.bounds.lower)}, {_number(part.bounds.upper)}]"
        held = {c for c in (part.bounds.lower_confidence, part.bounds.upper_confidence) if c is not None and c < 1}
        interval += f" each {' and '.join(f'{100 * c:.4g} %' for c in sorted(held))}" if held else ""
    shown = entry.outcome + ("" if entry.verified else ", signer unknown")
    return (
        _short(entry.revision)[:16] or "unknown",
        entry.created_at[:19],
        value,
        interval,
        shown,
        entry.proof_id[:12],
    )


# --- diagnose


def diagnosis_json(found: Diagnosis) -> dict[str, JSON]:
    """Plain JSON values."""
    proof = found.proof
    return {
        "proof_id": proof.proof_id,
        "claim": proof.claim,
        "series": asdict(proof.key),
        "outcome": proof.outcome,
        "reasoning": found.reasoning,
        "verified": proof.verified,
        "facts": dict(proof.facts),
        "thresholds": [
            {
                "metric": bound.part.metric,
                "comparator": bound.part.comparator,
                "threshold": bound.part.theta,
                "smallest_difference": bound.part.smallest_difference,
                **_value(bound.part),
                "outcome": bound.outcome,
                "slack": bound.slack,
                "would_change": bound.would,
                "p_validated": bound.p_validated,
                "p_refuted": bound.p_refuted,
            }
            for bound in found.bounds
        ],
        "siblings": [{**_entry(entry), "differs": _pairs(differs)} for entry, differs in found.siblings],
        "cousins": [{**_entry(entry), "differs": _pairs(differs)} for entry, differs in found.cousins],
        "more": list(found.more),
    }


def diagnosis_text(found: Diagnosis) -> str:
    """The verdict, what stands between it and another one, its neighbours."""
    return _lines(_diagnosis_lines(found))


def _diagnosis_lines(found: Diagnosis) -> Iterator[str]:
    proof = found.proof
    yield printable(f"{proof.outcome}  {proof.claim}")
    yield printable(f"  {found.reasoning}")
    for bound in found.bounds:
        part = bound.part
        where = "no value" if part.bounds is None else _number(part.bounds.value)
        if part.bounds is not None and not part.exact:
            where += f" [{_number(part.bounds.lower)}, {_number(part.bounds.upper)}]"
        yield printable(f"  {part.metric} = {where} against {part.comparator} {_number(part.theta)}: {bound.outcome}")
        yield printable(f"    would change it: {bound.would}")
        if bound.p_validated is not None and bound.p_refuted is not None:
            yield f"    least α to validate {bound.p_validated:.3g}, to refute {bound.p_refuted:.3g}"
    for words in found.more:
        yield printable(f"  more: {words}")
    n = len(found.siblings)
    yield f"  {n} other {'proof' if n == 1 else 'proofs'} of its series"
    for entry, differs in found.siblings:
        yield printable(f"    {entry.outcome}  {entry.proof_id[:12]}  {entry.created_at[:19]}  {_both(differs)}")
    if found.cousins:
        yield f"  the same claim in {len(found.cousins)} other series, the latest of each:"
    for entry, differs in found.cousins:
        yield printable(f"    {entry.outcome}  {entry.proof_id[:12]}  {entry.created_at[:19]}  {_both(differs)}")


# --- correct


def correction_json(found: Correction) -> dict[str, JSON]:
    """Plain JSON values."""
    return {
        "method": found.method,
        "alpha": found.alpha,
        "m": found.m,
        "missing": found.missing,
        "bound": found.bound,
        "claims": [
            {
                "proof_id": one.proof.proof_id,
                "claim": one.proof.claim,
                "series": asdict(one.proof.key),
                "outcome": one.proof.outcome,
                "corrected": one.outcome,
                "p_validated": one.p_validated,
                "p_refuted": one.p_refuted,
                "adjusted_validated": one.adjusted_validated,
                "adjusted_refuted": one.adjusted_refuted,
                "exact": one.exact,
                "note": one.note,
            }
            for one in found.claims
        ],
    }


def correction_text(found: Correction) -> str:
    """One line per claim, the changed ones marked."""
    return _lines(_correction_lines(found))


def _correction_lines(found: Correction) -> Iterator[str]:
    missing = f", {found.missing} of them without a proof here" if found.missing else ""
    yield f"{found.m} claims{missing}, {found.method} at α {found.alpha:g} each way: {found.bound}"
    for one in found.claims:
        weakened = "" if one.outcome == one.proof.outcome else f" (was {one.proof.outcome})"
        yield printable(f"{one.outcome}{weakened}  {one.proof.claim}  ({one.proof.proof_id[:12]})")
        if one.exact:
            yield "  the whole target was measured, so it is not counted"
        else:
            yield (
                f"  p {one.p_validated:.3g} to validate, adjusted {one.adjusted_validated:.3g}; "
                f"{one.p_refuted:.3g} to refute, adjusted {one.adjusted_refuted:.3g}"
            )
        if one.note:
            yield printable(f"  {one.note}")
    yield ("note: the family is what lies here; the error rate holds if it was closed before its results were known")
