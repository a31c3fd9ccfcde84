"""Commits pooled up to a registered maximum in words, version 1.0."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ophamin.reporting._document import Badge, Block, Code, Facts, Note, Page, PathChart, Section, Table
from ophamin.reporting._reach import at, objects, words
from ophamin.reporting._text import MISSING, clip, measured, number, percent, shown
from ophamin.reporting.charts.interval import IntervalPart
from ophamin.reporting.charts.trajectory import Trajectory, TrajectoryPoint

__all__ = ["cumulative_page"]

JSON = Any
Object = Mapping[str, JSON]
MOST = 200
_OUTCOMES = {
    "VALIDATED": ("the claim holds for all values that the pooled interval leaves open", "good"),
    "REFUTED": ("the claim fails for all values that the pooled interval leaves open", "bad"),
    "INCONCLUSIVE": ("what the commits say together decides nothing", "open"),
}


def cumulative_page(record: Object) -> Page:
    """The page of a look at pooled commits; never raises, whatever its shape."""
    said, result, points = at(record, "registration"), at(record, "result"), objects(record.get("points"))
    stated = shown(at(result, "outcome"))
    meaning, tone = _OUTCOMES.get(stated, ("this is no verdict this version knows", "plain"))
    path = _path(said, result, points)
    part = IntervalPart(
        path.metric, path.comparator, path.theta, at(result, "value"), at(result, "lower"), at(result, "upper"),
        outcome=clip(stated, 40),
    )  # fmt: skip
    sections = [
        Section("Pooled, commit by commit", [*_pooled(result, path), _steps(points, path.theta)]),
        Section("Whether they share one truth", [_drift(said, result)]),
        *_left_out(record),
        Section("What was registered", [_registered(said)]),
    ]
    if at(record, "reproduction", "command") is not None:
        sections.append(Section("Do it again", [Code(shown(at(record, "reproduction", "command")))]))
    return Page(
        kind="cumulative",
        record_id=words(record.get("cumulative_id")),
        heading=f"{path.name}, pooled over {len(points):,} commit{'' if len(points) == 1 else 's'}",
        badge=Badge(clip(stated, 40), meaning, tone),
        lead=_lead(said, result),
        sections=sections,
        parts=[part],
        summary=(measured(part.value, part.theta), _span(part.lower, part.upper, part.theta), _total(points)),
    )


def _path(said: JSON, result: JSON, points: list[Object]) -> Trajectory:
    steps = [
        TrajectoryPoint(*(at(p, "step", name) for name in ("n", "value", "lower", "upper")))
        for p in points
        if isinstance(p.get("step"), Mapping)
    ]
    return Trajectory(
        shown(at(said, "metric")),
        shown(at(said, "comparator")),
        at(said, "theta"),
        steps,
        at(said, "max_n"),
        at(result, "crossed"),
        clip(shown(at(result, "outcome")), 40),
    )


def _lead(said: JSON, result: JSON) -> str:
    where = f"look {number(at(said, 'look'))}, {percent(at(result, 'fraction'))} of the registered maximum"
    if at(result, "one_truth") is False:
        return f"Not pooled, for {shown(at(result, 'reason'))} ({where})."
    crossed = at(result, "crossed")
    if isinstance(crossed, int) and not isinstance(crossed, bool):
        return f"Decided at commit {number(crossed + 1)} ({where})."
    return f"Undecided{' at the maximum' if at(result, 'ended') is True else ''} ({where})."


def _pooled(result: JSON, path: Trajectory) -> list[Block]:
    if at(result, "one_truth") is False:
        return [Note("What differs from commit to commit by more than chance is not averaged.", "open")]
    return [PathChart(path)]


def _steps(points: list[Object], theta: JSON) -> Table:
    rows = [
        (
            shown(p.get("revision"))[:12],
            shown(p.get("created_at"))[:19],
            f"{measured(p.get('value'), theta)} ± {number(p.get('se'))}",
            number(p.get("n")),
            measured(at(p, "step", "value"), theta),
            _span(at(p, "step", "lower"), at(p, "step", "upper"), theta),
            number(at(p, "step", "boundary")),
            number(at(p, "step", "spent")),
        )
        for p in points[-MOST:]
    ]
    header = ("commit", "measured", "its own value", "n", "pooled", "interval", "boundary (standard errors)", "α spent")
    more = f"… and {len(points) - MOST:,} before them" if len(points) > MOST else ""
    return Table("Each commit, and what all up to it say together", header, rows, more)


def _span(lower: JSON, upper: JSON, theta: JSON) -> str:
    return MISSING if lower is None and upper is None else f"{measured(lower, theta)} to {measured(upper, theta)}"


def _total(points: list[Object]) -> str:
    sizes = [p.get("n") for p in points]
    return number(sum(sizes)) if all(type(n) is int for n in sizes) else MISSING


def _drift(said: JSON, result: JSON) -> Facts:
    alpha = at(said, "drift_alpha")
    each = number(alpha / 2) if type(alpha) is float else MISSING
    return Facts(
        [
            ("heterogeneity (Cochran's Q)", f"p = {number(at(result, 'heterogeneity_p'))}"),
            ("change point", f"p = {number(at(result, 'change_p'))}"),
            ("each held to", each),
        ]
    )


def _left_out(record: Object) -> list[Section]:
    reasons = Counter(shown(row.get("reason")) for row in objects(record.get("left_out")))
    rows = [(reason, number(count)) for reason, count in sorted(reasons.items())[:MOST]]
    table = Table("Commits of the series that are not pooled", ("why", "how many"), rows)
    return [Section("Left out", [table])] if rows else []


def _registered(said: JSON) -> Facts:
    earlier = "pooled too: α does not hold for what they say" if at(said, "include_earlier") is True else "left out"
    return Facts(
        [
            ("looking ends at", f"{number(at(said, 'max_n'))} observations"),
            ("α over all looks, two-sided", number(at(said, "alpha_used"))),
            ("spent by", shown(at(said, "spending"))),
            ("attempt at this series", number(at(said, "attempt"))),
            ("commits from before", f"{number(at(said, 'points_there'))}, {earlier}"),
            ("registered at", shown(at(said, "registered_at"))),
            ("entry of the ledger", f"{number(at(said, 'index'))} of log {shown(at(said, 'ledger', 'log_id'))[:16]}"),
            ("claim", shown(at(said, "series", "claim"))),
            ("scenario", shown(at(said, "series", "scenario"))),
            ("system", shown(at(said, "series", "substrate"))),
            ("corpus", shown(at(said, "series", "corpus"))),
        ]
    )
