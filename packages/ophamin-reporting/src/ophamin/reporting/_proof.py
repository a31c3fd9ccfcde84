"""A proof in words, version 1.0 or 1.1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ophamin.proof.decision import outcome
from ophamin.proof.types import Threshold
from ophamin.reporting._document import Badge, Block, Chart, Code, Facts, Note, Page, Raw, Section, Table
from ophamin.reporting._reach import at, objects, words
from ophamin.reporting._text import MISSING, clip, measured, number, percent, shown
from ophamin.reporting.charts.interval import IntervalPart

__all__ = ["proof_page", "verdict_badge"]

JSON = Any
Object = Mapping[str, JSON]
MOST_ROWS = 200
_VERDICTS = {
    "VALIDATED": Badge("VALIDATED", "the claim holds for every value the interval leaves open", "good"),
    "REFUTED": Badge("REFUTED", "the claim fails for every value the interval leaves open", "bad"),
    "INCONCLUSIVE": Badge(
        "INCONCLUSIVE", "the interval leaves open whether the claim holds; nothing is decided", "open"
    ),
}
_BARE = {
    "exact": {
        "VALIDATED": "the whole target was measured, and the claim holds on it",
        "REFUTED": "the whole target was measured, and the claim fails on it",
        "INCONCLUSIVE": "the whole target was not measured, or not twice with the same result; nothing is decided",
    },
    "point": {
        "VALIDATED": "the observed value meets the threshold; no interval stands behind it",
        "REFUTED": "the observed value misses the threshold; no interval stands behind it",
        "INCONCLUSIVE": "nothing is decided",
    },
}


def verdict_badge(stated: JSON, rule: str = "interval") -> Badge:
    """The verdict and what it means under this decision rule."""
    badge = _VERDICTS.get(stated) if isinstance(stated, str) else None
    if badge is None:
        return Badge(shown(stated), "this is no verdict this version knows")
    return Badge(badge.word, _BARE.get(rule, {}).get(badge.word, badge.meaning), badge.tone)


def proof_page(record: Mapping[str, JSON]) -> Page:
    """The page of an Empirical Proof Record; never raises, whatever its shape."""
    verdict, rule = at(record, "verdict"), _rule(record)
    parts = list(_parts(record, rule))
    statement = words(at(record, "claim", "statement")) or "a claim without a statement"
    first = parts[0]
    return Page(
        kind="proof",
        record_id=words(record.get("proof_id")),
        heading=clip(statement),
        badge=verdict_badge(at(verdict, "outcome"), rule),
        lead=clip(words(at(verdict, "reasoning"))),
        sections=[
            Section("The decision", [Chart(parts), _interval_table(parts), *_worth(record, rule)]),
            Section("The claim", [_claim(record)]),
            _evidence(record),
            Section("Registration", [_registration(record)]),
            _data(record),
            _reproduction(record),
            Section("Where it comes from", [_provenance(record)]),
        ],
        parts=parts,
        summary=(measured(first.value, first.theta), _span(first, rule), number(at(verdict, "n_used"))),
    )


def _rule(record: Object) -> str:
    # Version 1.0 compared the bare value.
    return words(at(record, "claim", "decision", "rule")) or ("point" if _is_1_0(record) else "interval")


def _is_1_0(record: Object) -> bool:
    return record.get("schema_version") == "1.0"


def _parts(record: Object, rule: str) -> Iterator[IntervalPart]:
    """The claim's own threshold, then its co-primaries."""
    claim, verdict = at(record, "claim"), at(record, "verdict")
    many = objects(at(claim, "co_primary"))
    decided = objects(at(verdict, "co_primary"))
    joint = words(at(verdict, "outcome"))
    first = _part(at(claim, "threshold"), verdict, rule, joint)
    # Of several thresholds the record states the outcome of each but the first.
    yield replace(first, outcome=_own_outcome(first, rule, joint)) if many else first
    for index, co in enumerate(many[: MOST_ROWS - 1]):
        where = decided[index] if index < len(decided) else {}
        own_rule = words(at(co, "decision", "rule")) or "interval"
        yield _part(at(co, "threshold"), where, own_rule, words(at(where, "outcome")))


def _own_outcome(part: IntervalPart, rule: str, joint: str) -> str:
    if joint == "INCONCLUSIVE" and part.lower is None and part.upper is None and part.has_interval:
        return joint
    bounds = (part.lower, part.upper) if part.has_interval else (part.value, part.value)
    try:
        return outcome(Threshold(part.metric, part.comparator, part.theta), *bounds, rule)
    except (ValueError, OverflowError):  # the record is not what its schema promises
        return ""


def _part(threshold: JSON, where: JSON, rule: str, decided: str) -> IntervalPart:
    interval = at(where, "interval")
    lower, upper = at(interval, "lower"), at(interval, "upper")
    level = at(interval, "level")
    one_sided = (1 + level) / 2 if isinstance(level, float) else None
    exact = rule == "exact"  # nothing was sampled: bounds, where they differ, are of what was not seen
    return IntervalPart(
        metric=shown(at(threshold, "metric")),
        comparator=shown(at(threshold, "comparator")),
        theta=at(threshold, "value"),
        value=at(where, "observed_value"),
        lower=lower,
        upper=upper,
        lower_confidence=None if exact else _or(at(interval, "lower_confidence"), one_sided),
        upper_confidence=None if exact else _or(at(interval, "upper_confidence"), one_sided),
        units=words(at(threshold, "units")),
        outcome=clip(decided, 40),
        has_interval=lower != upper if exact else interval is not None or rule != "point",
    )


def _or(value: JSON, default: JSON) -> JSON:
    return default if value is None else value


def _span(part: IntervalPart, rule: str) -> str:
    if not part.has_interval:
        return "none (bare point)" if rule == "point" else "none needed"
    return f"{measured(part.lower, part.theta)} to {measured(part.upper, part.theta)}"


def _bound(value: JSON, confidence: JSON, theta: JSON) -> str:
    if value is None:
        return "none"
    at_level = f" ({percent(confidence)} one-sided)" if confidence is not None else ""
    return f"{measured(value, theta)}{at_level}"


def _interval_table(parts: list[IntervalPart]) -> Table:
    rows = []
    for part in parts:
        sides = ((part.lower, part.lower_confidence), (part.upper, part.upper_confidence))
        bounds = [_bound(*side, part.theta) if part.has_interval else MISSING for side in sides]
        rows.append((part.name, measured(part.value, part.theta), *bounds, part.outcome or MISSING))
    bounded = any(part.has_interval for part in parts)
    return Table(
        f"Observed values{' with two one-sided bounds' if bounded else ''}, against their thresholds",
        ("threshold", "observed", "lower bound", "upper bound", "outcome"),
        rows,
    )


def _worth(record: Object, rule: str) -> Iterator[Block]:
    registered, verdict = at(record, "preregistration"), at(record, "verdict")
    plan = at(registered, "plan")
    yield Note(f"If this claim were false, how often would this procedure say VALIDATED? {_error(record, rule)}")
    if at(plan, "underpowered") is True:
        yield Note("This run was underpowered, and that was known beforehand: INCONCLUSIVE was likely.", "open")
    yield Facts(
        [
            ("attempt", _attempt(record)),
            ("cycles planned", number(at(verdict, "n_planned"))),
            ("used", number(at(verdict, "n_used"))),
            ("errors of the system", number(at(verdict, "n_errors"))),
            ("unmeasured", number(at(verdict, "n_unmeasured"))),
            ("decided by", shown(at(verdict, "decided_by"))),
            ("power planned", _power(plan)),
        ]
    )


def _error(record: Object, rule: str) -> str:
    if _is_1_0(record):
        return "Not known: a record of version 1.0 compares a bare value with its threshold."
    rules = [rule, *(at(co, "decision", "rule") for co in objects(at(record, "claim", "co_primary")))]
    if all(each == "exact" for each in rules):
        return "Never: it says VALIDATED only where the whole target was measured, twice, with the same result."
    bound = at(record, "preregistration", "error_bound")
    if percent(bound) == MISSING:
        return "Not known: the record does not say."
    kinds = {e.get("guarantee") for e in objects(record.get("evidence")) if e.get("role", "primary") == "primary"}
    if kinds == {"guaranteed"}:
        return f"At most {percent(bound)} of the time, whatever the distribution, if the units are independent."
    return f"About {percent(bound)} of the time, if the assumptions of the interval method hold (approximate)."


def _attempt(record: Object) -> str:
    attempt, alpha = at(record, "preregistration", "attempt"), at(record, "preregistration", "alpha_used")
    return MISSING if attempt is None else f"{number(attempt)}, decided at α = {number(alpha)}"


def _power(plan: JSON) -> str:
    inside, outside = at(plan, "power_validate_at"), at(plan, "power_refute_at")
    if inside is None and outside is None:
        return MISSING
    return f"{_power_at(inside)} to validate; {_power_at(outside)} to refute"


def _power_at(planned: JSON) -> str:
    """``0.95 where accuracy is 0.95``, from ``{"power": …, "truth": {metric: value}}``."""
    truth = at(planned, "truth")
    if not isinstance(truth, Mapping):
        return shown(planned)
    where = ", ".join(f"{shown(metric)} is {number(value)}" for metric, value in list(truth.items())[:20])
    power = at(planned, "power")
    return f"{f'{power:.3g}' if isinstance(power, float) else number(power)} where {where}"


def _claim(record: Object) -> Facts:
    claim = at(record, "claim")
    decision = at(claim, "decision")
    return Facts(
        [
            ("operationalization", shown(at(claim, "operationalization"))),
            ("H0", shown(at(claim, "h0"))),
            ("H1", shown(at(claim, "h1"))),
            ("speaks of", shown(at(decision, "target"))),
            ("independent unit", shown(at(decision, "group"))),
            ("smallest difference worth knowing", number(at(decision, "smallest_difference"))),
            ("an errored cycle counts as", shown(at(decision, "error_policy"))),
        ]
    )


def _evidence(record: Object) -> Section:
    found = objects(record.get("evidence"))
    rows = [
        (
            shown(e.get("statistic_name")),
            number(e.get("statistic_value")),
            f"{number(e.get('ci_low'))} to {number(e.get('ci_high'))}",
            number(e.get("p_value")),
            number(e.get("n"))
            if e.get("n") == e.get("n_groups")
            else f"{number(e.get('n'))} in {number(e.get('n_groups'))}",
            shown(e.get("interval_method")),
            shown(e.get("guarantee")),
            shown(e.get("role", "primary")),
            f"{shown(e.get('library'))} {shown(e.get('library_version'))}",
            shown(e.get("cross_check")),
        )
        for e in found[:MOST_ROWS]
    ]
    header = (
        "statistic",
        "value",
        "interval",
        "p",
        "n (units)",
        "method",
        "guarantee",
        "role",
        "library",
        "cross-check",
    )
    more = f"… and {len(found) - MOST_ROWS:,} more" if len(found) > MOST_ROWS else ""
    return Section("Evidence", [Table("Computed numbers, each with the library that computed it", header, rows, more)])


def _registration(record: Object) -> Facts:
    registered = at(record, "preregistration")
    ledger = at(registered, "ledger")
    place = MISSING
    if at(ledger, "index") is not None:
        place = f"entry {number(at(ledger, 'index'))} of log {shown(at(ledger, 'log_id'))}"
    timing = {"before_data": " (before the data)", "after_data": " (AFTER the data)"}
    return Facts(
        [
            (
                "registered at",
                shown(at(registered, "preregistered_at")) + timing.get(shown(at(registered, "timing")), ""),
            ),
            ("decided at", shown(at(record, "identity", "created_at"))),
            ("in the ledger", place),
            ("analysis plan", shown(at(registered, "analysis_plan"))),
            ("seed", f"{shown(at(registered, 'seed')).replace(',', '')} ({shown(at(registered, 'seed_origin'))})"),
            ("family", shown(at(registered, "family"))),
            ("claim hash", shown(at(registered, "claim_hash"))),
            ("configuration hash", shown(at(registered, "config_hash"))),
            ("data hash", shown(at(registered, "data_hash"))),
        ]
    )


def _data(record: Object) -> Section:
    data = at(record, "data")
    substrate, observations = at(data, "substrate"), at(data, "observations")
    rows = [
        (
            shown(d.get("name")),
            shown(d.get("kind")),
            number(d.get("n_records")),
            number(at(d, "selection", "n_selected")),
            shown(at(d, "selection", "method")),
            shown(d.get("source")),
            shown(d.get("content_hash")),
        )
        for d in objects(at(data, "datasets"))[:MOST_ROWS]
    ]
    header = ("corpus", "kind", "records", "selected", "how", "source", "content hash")
    dirty = {True: "yes", False: "no"}.get(at(substrate, "dirty"), "unknown") if substrate else MISSING
    return Section(
        "System and data",
        [
            Facts(
                [
                    ("system under test", shown(at(data, "substrate_name"))),
                    ("kind", shown(at(substrate, "kind"))),
                    ("revision", shown(_or(at(substrate, "revision"), at(data, "substrate_git_commit")))),
                    ("uncommitted changes", dirty),
                    ("configuration hash", shown(at(substrate, "config_hash"))),
                    ("observations", _observations(observations)),
                ]
            ),
            Table("What it was measured on", header, rows),
        ],
    )


def _observations(observations: JSON) -> str:
    if at(observations, "digest") is None:
        return MISSING
    return f"{number(at(observations, 'n_rows'))} rows, {shown(at(observations, 'digest'))}"


def _reproduction(record: Object) -> Section:
    how = at(record, "reproduction")
    environment = at(how, "environment")
    versions = environment.items() if isinstance(environment, Mapping) else ()
    lines = [f"{shown(name)} {shown(version)}" for name, version in list(versions)[:MOST_ROWS]]
    facts = [
        ("Ophamin", shown(at(record, "identity", "ophamin_version"))),
        *((f"file {shown(a.get('name'))}", shown(a.get("digest"))) for a in objects(at(how, "artifacts"))[:MOST_ROWS]),
    ]
    installed = [Raw("Versions it ran with", "\n".join(lines))] if lines else []
    return Section("Do it again", [Code(shown(at(how, "command"))), Facts(facts), *installed])


def _provenance(record: Object) -> Facts:
    graph = record.get("provenance")
    counts = [
        f"{len(items):,} {kind}"
        for kind, items in (graph.items() if isinstance(graph, Mapping) else ())
        if isinstance(items, Mapping) and kind != "prefix" and items
    ]
    agents = at(graph, "agent")
    named = ", ".join(str(name) for name in agents) if isinstance(agents, Mapping) else ""
    return Facts(
        [
            ("W3C PROV", clip(", ".join(counts), 600) or "an empty graph"),
            ("agents", shown(named)),
            ("source commit", shown(at(record, "identity", "ophamin_git_commit"))),
        ]
    )
