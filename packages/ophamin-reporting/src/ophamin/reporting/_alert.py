"""A regression alert in words, versions 1.0 and 1.1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ophamin.reporting._document import Badge, Block, Code, Facts, Note, Page, Section, Table
from ophamin.reporting._reach import at, objects, words
from ophamin.reporting._text import MISSING, clip, number, shown

__all__ = ["alert_page"]

JSON = Any
MOST = 200
CLASSES = ("regression", "recovery", "lateral", "unchanged")
_FAMILIES = {
    "holm": "Holm: the chance of any wrong finding",
    "bh": "Benjamini–Hochberg: the share of wrong findings",
    "by": "Benjamini–Yekutieli: the share of wrong findings, whatever the dependence",
    "none": "none",
}


def alert_page(record: Mapping[str, JSON]) -> Page:
    """The page of a regression alert; never raises, whatever its shape."""
    transitions = objects(record.get("transitions"))
    counts = {name: sum(t.get("transition_class") == name for t in transitions) for name in CLASSES}
    sections = [
        Section("What changed", [Facts([(k, number(v)) for k, v in counts.items()]), _transitions(transitions)]),
        *_differences(transitions),
        Section("Without a partner", _unmatched(record)),
        *_problems(record),
        Section("How it was compared", [_settings(record)]),
    ]
    if at(record, "reproduction", "command") is not None:
        sections.append(Section("Do it again", [Code(shown(at(record, "reproduction", "command")))]))
    compared = f"{len(transitions):,} series" if len(transitions) != 1 else "one series"
    return Page(
        kind="regression-alert",
        record_id=words(record.get("alert_id")),
        heading=clip(f"{shown(record.get('before_root'))} → {shown(record.get('after_root'))}"),
        badge=_badge(counts),
        lead="",
        sections=sections,
        summary=(f"{counts['regression']:,} regressions", MISSING, compared),
    )


def _badge(counts: Mapping[str, int]) -> Badge:
    found = counts["regression"]
    if found:
        return Badge(
            f"{found:,} regression{'' if found == 1 else 's'}",
            "a verdict went from VALIDATED to REFUTED, or a bound of a difference lies beyond what was registered",
            "bad",
        )
    if not any(counts.values()):
        return Badge("nothing compared", "no proof on one side has a partner on the other", "open")
    return Badge("no regression", "which says only that none was shown", "good")


def _transitions(transitions: list[Mapping[str, JSON]]) -> Table:
    def rank(t: Mapping[str, JSON]) -> int:
        found = t.get("transition_class")
        return CLASSES.index(found) if found in CLASSES else len(CLASSES)

    rows = [
        (
            shown(t.get("transition_class")),
            shown(t.get("claim") or t.get("pair_key")),
            f"{shown(t.get('before_verdict'))} → {shown(t.get('after_verdict'))}",
            shown(t.get("threshold_metric")),
            number(t.get("before_observed")),
            number(t.get("after_observed")),
            f"{shown(t.get('before_commit'))} → {shown(t.get('after_commit'))}",
        )
        for t in sorted(transitions, key=rank)[:MOST]
    ]
    header = ("change", "claim", "verdict", "metric", "before", "after", "revision")
    return Table("Each series, worst first", header, rows, _more(len(transitions)))


def _differences(transitions: list[Mapping[str, JSON]]) -> list[Section]:
    """Version 1.1 only: each difference with its bounds, and how they were found."""
    deltas = [(t, d) for t in transitions for d in objects(t.get("deltas"))]
    rows = [
        (
            shown(d.get("metric")),
            shown(t.get("claim")),
            f"{number(at(d, 'difference', 'value'))} [{number(at(d, 'difference', 'lower'))}, "
            f"{number(at(d, 'difference', 'upper'))}]",
            number(d.get("smallest_difference")),
            f"{shown(d.get('transition'))}{', shown to be equivalent' if d.get('equivalent') is True else ''}",
            shown(d.get("method")),
        )
        for t, d in deltas[:MOST]
    ]
    header = ("metric", "claim", "after − before", "worth knowing from", "change", "how")
    return [Section("Differences", [Table("Each difference", header, rows, _more(len(deltas)))])] if deltas else []


def _unmatched(record: Mapping[str, JSON]) -> list[Block]:
    listed = objects(record.get("unmatched"))
    rows = [
        (f"only {shown(u.get('side'))}", shown(u.get("claim")), shown(u.get("verdict")), shown(u.get("pair_key")))
        for u in listed[:MOST]
    ]
    if not listed:  # version 1.0 has two lists of keys
        for side in ("before", "after"):
            keys = record.get(f"unmatched_in_{side}")
            rows += [(f"only {side}", MISSING, MISSING, shown(key)) for key in (keys if isinstance(keys, list) else [])]
    if not rows:
        return [Note("Every proof of either side has a partner on the other.")]
    more = _more(max(len(listed), len(rows)))
    return [Table("Proofs of one side only", ("side", "claim", "verdict", "key"), rows[:MOST], more)]


def _problems(record: Mapping[str, JSON]) -> list[Section]:
    found = objects(record.get("problems"))
    rows = [(shown(p.get("state")), shown(p.get("path")), shown(p.get("reason"))) for p in found[:MOST]]
    table = Table("Not compared, or not fully trusted", ("state", "file", "why"), rows, _more(len(found)))
    return [Section("Files that were left out", [table])] if rows else []


def _settings(record: Mapping[str, JSON]) -> Facts:
    method = words(at(record, "settings", "correction"))
    return Facts(
        [
            ("proofs before", number(record.get("n_before"))),
            ("proofs after", number(record.get("n_after"))),
            ("superseded by a later proof of the same series", number(len(objects(record.get("superseded"))))),
            ("correction for the number of differences", _FAMILIES.get(method, method or "none")),
            ("differences corrected for", number(at(record, "settings", "family"))),
            ("alpha of the family", number(at(record, "settings", "alpha"))),
            ("made at", shown(record.get("generated_at"))),
        ]
    )


def _more(n: int) -> str:
    return f"… and {n - MOST:,} more" if n > MOST else ""
