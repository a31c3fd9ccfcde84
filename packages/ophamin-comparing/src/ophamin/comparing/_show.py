"""A drift as JSON values, as text and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from ophamin.comparing.drift import Bounds, Drift, Pair, PartDrift, Proof, Unmatched
from ophamin.proof.printable import printable as visible

__all__ = ["printable", "to_json", "to_markdown", "to_text"]

JSON = Any
LONGEST = 300
# Markup inside a line, and what GitHub makes a link of.
_MARKS = re.compile(r"[\\`*\[\]~$#|!@]|(?<![^\W_])_|_(?![^\W_])|:(?=//|[A-Za-z_+-][\w+-]*:)|(?<=[wW]{3})\.")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def printable(value: object) -> str:
    """Text on one line that cannot steer a terminal, clipped."""
    text = str(value)
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text) - LONGEST:,} more characters)"
    return visible(text)


def to_json(drift: Drift) -> dict[str, JSON]:
    """Plain JSON values."""
    return {
        "transition": drift.transition,
        "n_differences": sum(len(pair.parts) for pair in drift.pairs),
        "alpha": drift.alpha,
        "correction": drift.correction,
        "family": drift.family,
        "pairs": [
            {
                "transition": pair.transition,
                "claim": pair.before.claim,
                "series": asdict(pair.before.key),
                "before": _proof(pair.before),
                "after": _proof(pair.after),
                "parts": [_part(part) for part in pair.parts],
                "differs": {name: list(both) for name, both in pair.differs.items()},
            }
            for pair in drift.pairs
        ],
        "before_only": [_unmatched(item) for item in drift.before_only],
        "after_only": [_unmatched(item) for item in drift.after_only],
        "superseded": [_proof(proof) for proof in drift.superseded],
    }


def _proof(proof: Proof) -> dict[str, JSON]:
    return {
        "proof_id": proof.proof_id,
        "outcome": proof.outcome,
        "created_at": proof.created_at,
        "path": None if proof.path is None else str(proof.path),
        "verified": proof.verified,
    }


def _part(part: PartDrift) -> dict[str, JSON]:
    return {
        "metric": part.before.metric,
        "comparator": part.before.comparator,
        "threshold": part.before.theta,
        "before": None if part.before.bounds is None else part.before.bounds.value,
        "after": None if part.after.bounds is None else part.after.bounds.value,
        "difference": None if part.difference is None else asdict(part.difference),
        "smallest_difference": part.before.smallest_difference,
        "method": part.method,
        "paired": part.effect.paired,
        "adjusted_p": None
        if part.corrected is None
        else dict(zip(("worse", "better", "equivalent"), part.corrected, strict=True)),
        "equivalent": part.equivalent,
        "transition": part.transition,
    }


def _unmatched(item: Unmatched) -> dict[str, JSON]:
    near = None if item.nearest is None else item.nearest.proof_id
    differs = {name: list(both) for name, both in (item.differs or {}).items()}
    return {**_proof(item.proof), "claim": item.proof.claim, "nearest": near, "differs": differs}


def to_text(drift: Drift) -> str:
    """Lines for a terminal."""
    return "\n".join(printable(line) for line in _lines(drift))


def _lines(drift: Drift) -> Iterator[str]:
    for pair in drift.pairs:
        yield f"{pair.transition}: {pair.before.claim}"
        yield f"  {pair.before.outcome} -> {pair.after.outcome}  ({pair.before.key.substrate})"
        for part in pair.parts:
            yield f"  {_change(part)}"
            yield f"    {part.method}"
        if pair.differs:
            yield f"  differs: {_both(pair.differs)}"
    for side, items in (("before", drift.before_only), ("after", drift.after_only)):
        for item in items:
            yield f"only {side}: {item.proof.outcome}: {item.proof.claim}  ({item.proof.proof_id[:12]})"
            if item.nearest is not None:
                yield f"  not compared with {item.nearest.proof_id[:12]}: {_both(item.differs or {})}"
    for proof in drift.superseded:
        yield f"not compared, a later proof of the series is there: {proof.proof_id[:12]} {proof.outcome}"
    yield f"{len(drift.pairs)} series compared{_held(drift)}; {_count(drift)}"


def _held(drift: Drift) -> str:
    """How often a difference may be called one by chance."""
    differences = [part.difference for pair in drift.pairs for part in pair.parts if part.difference is not None]
    rates = {1 - c for d in differences for c in (d.lower_confidence, d.upper_confidence) if c is not None and c < 1}
    if not rates:
        return ""
    whose = "its difference is" if len(differences) == 1 else f"each of the {len(differences)} differences is"
    held = " or ".join(f"{100 * rate:.3g} %" for rate in sorted(rates))
    if drift.correction == "none" or not drift.family:
        family = "nothing corrects for how many are looked at"
    else:
        of_what = "chance of any wrong regression" if drift.correction == "holm" else "share of wrong regressions"
        name = {"holm": "Holm", "bh": "Benjamini–Hochberg", "by": "Benjamini–Yekutieli"}[drift.correction]
        family = f"{name} over {drift.family} holds the {of_what} to {100 * drift.alpha:.3g} %"
    return f"; {whose} held to {held} per side; {family}"


def _count(drift: Drift) -> str:
    found: dict[str, int] = {}
    for pair in drift.pairs:
        found[pair.transition] = found.get(pair.transition, 0) + 1
    return ", ".join(f"{n} {name}" for name, n in found.items()) or "nothing to compare"


def _change(part: PartDrift) -> str:
    values = [_number(None if b is None else b.value) for b in (part.before.bounds, part.after.bounds)]
    said = f"{part.before.metric}: {values[0]} -> {values[1]}"
    if part.difference is not None:
        said += f", difference {_number(part.difference.value, '+')} {_bounds(part.difference)}"
    smallest = part.before.smallest_difference
    if smallest is None:
        said += ", and nothing registered says what matters"
    else:
        said += f", worth knowing from {_number(smallest)}"
    return f"{said}: {called(part)}"


def called(part: PartDrift) -> str:
    """The class of a difference, and of one that is none whether it was shown to be none."""
    if part.transition != "unchanged" or part.difference is None or part.before.smallest_difference is None:
        return part.transition
    return "equivalent" if part.equivalent else "neither a difference nor equivalence is shown"


def _bounds(found: Bounds) -> str:
    if found.lower is None and found.upper is None:
        return ""
    confidence = {c for c in (found.lower_confidence, found.upper_confidence) if c is not None and c < 1}
    at = f" each {' and '.join(f'{100 * c:.4g} %' for c in sorted(confidence))} one-sided" if confidence else ""
    return f"[{_number(found.lower, '+')}, {_number(found.upper, '+')}]{at}"


def _number(value: float | None, sign: str = "") -> str:
    return "none" if value is None else f"{value:{sign}.4g}"


def _both(differs: Mapping[str, tuple[str, str]]) -> str:
    return "; ".join(f"{name} {_short(a)} -> {_short(b)}" for name, (a, b) in differs.items())


def _short(text: str) -> str:
    """Enough of a hash to tell two apart."""
    return re.sub(r"\b([0-9a-f]{12})[0-9a-f]{20,}\b", r"\1…", text)


def to_markdown(drift: Drift) -> str:
    """A table for a pull request; every text of a record shows as itself."""
    header = ("change", "claim", "verdict", "metric", "before", "after", "difference", "how")
    lines = ["# Drift", "", f"| {' | '.join(header)} |", f"|{' --- |' * len(header)}"]
    for pair in drift.pairs:
        lines += [f"| {' | '.join(map(_escape, row))} |" for row in _rows(pair)]
    notes = [line.strip() for line in _lines(drift) if line.startswith(("only", "not compared", "  not compared"))]
    notes += [f"{pair.before.claim} differs: {_both(pair.differs)}" for pair in drift.pairs if pair.differs]
    return "\n".join([*lines, "", *(f"- note: {_escape(note)}" for note in notes), "", f"Result: {_count(drift)}."])


def _rows(pair: Pair) -> Iterator[tuple[str, ...]]:
    for part in pair.parts:
        values = [_number(None if b is None else b.value) for b in (part.before.bounds, part.after.bounds)]
        shown = "none"
        if part.difference is not None:
            shown = f"{_number(part.difference.value, '+')} {_bounds(part.difference)}"
        verdict = f"{pair.before.outcome} → {pair.after.outcome}"
        yield (pair.transition, pair.before.claim, verdict, part.before.metric, *values, shown, part.method)


def _escape(text: str) -> str:
    one_line = re.sub("[&<>]", lambda m: _ENTITIES[m[0]], " ".join(printable(text).split()))
    return _MARKS.sub(r"\\\g<0>", one_line)
