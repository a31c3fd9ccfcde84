"""Contradictions between the sections of a proof, decided from the object alone.

Called only for records that fit their schema, so required fields are there and have their types; every field
that version 1.1 added may be absent.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from ophamin.proof.claims import claim_hash
from ophamin.proof.decision import combine, outcome

__all__ = ["check_proof", "proof_cases"]

JSON = Any
Section = Mapping[str, JSON]

_TOLERANCE = 1e-9
_REAL_VERSION = re.compile(r"v?(?:[0-9]+!)?[0-9]+(?:\.[0-9]+)*[-._+a-zA-Z0-9]*\Z")
_UNDECIDED = "none:"


class _Threshold(NamedTuple):
    """A threshold as read; the dataclass would cost every reader the import of all of them."""

    metric: str
    comparator: str
    value: JSON
    units: str

    def __str__(self) -> str:
        return f"{self.metric} {self.comparator} {self.value} {self.units}".rstrip()


def check_proof(record: Mapping[str, JSON]) -> list[str]:
    """Contradictions in a proof of any readable version.

    Version 1.0 promises little: equal thresholds, and an outcome that its observed value does not deny.

    Args:
        record: A proof that fits its schema.

    Returns:
        One sentence per contradiction; empty when consistent.
    """
    problems = list(_thresholds(record))
    if _decided_by_point(record):
        return problems + list(_point_outcome(record))
    for check in _CHECKS:
        problems.extend(check(record))
    return problems


def proof_cases(record: Mapping[str, JSON]) -> list[dict[str, JSON]]:
    """One row per threshold of the claim, with its own outcome; the joint outcome leads when there are several."""
    verdict, parts = record["verdict"], _parts(record)
    rows = [{"name": str(_threshold(record["claim"]["threshold"])), "outcome": verdict["outcome"]}]
    if len(parts) > 1:
        rows[0]["name"] += " (and all of its co-primaries)"
        rows += [
            {"name": str(_threshold(c["threshold"])), "outcome": v["outcome"]}
            for c, v in zip(record["claim"]["co_primary"], verdict.get("co_primary") or [], strict=False)
        ]
    return [{**row, "message": verdict["reasoning"]} for row in rows]


def _decided_by_point(record: Section) -> bool:
    """Rule ``point`` only reads version 1.0, in its own form or migrated."""
    if record["schema_version"] == "1.0":
        return True
    return "migrated_from" in record and (record["claim"].get("decision") or {}).get("rule") == "point"


def _threshold(section: Section) -> _Threshold:
    return _Threshold(section["metric"], section["comparator"], section["value"], section["units"])


def _same(left: JSON, right: JSON) -> bool:
    """Equal as JSON, type-sensitively."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_same(value, right[name]) for name, value in left.items())
    if isinstance(left, list):
        return len(left) == len(right) and all(map(_same, left, right))
    # Of equal floats only the two zeros are written differently.
    return bool(left == right) and (left != 0.0 or repr(left) == repr(right))


def _thresholds(record: Section) -> Iterator[str]:
    if not _same(record["claim"]["threshold"], record["verdict"]["threshold"]):
        yield "the verdict's threshold is not the claim's"


def _point_outcome(record: Section) -> Iterator[str]:
    verdict, threshold = record["verdict"], _threshold(record["claim"]["threshold"])
    stated, observed = verdict["outcome"], verdict["observed_value"]
    try:
        expected = outcome(threshold, observed, observed, "point")
    except ValueError as error:
        yield f"the outcome cannot be recomputed: {error}"
        return
    # INCONCLUSIVE says less than the value would; it denies nothing.
    if stated not in (expected, "INCONCLUSIVE"):
        yield f"the outcome is {stated}, but {observed!r} against {threshold} is {expected}"


# --- 1.1: the interval decides


def _parts(record: Section) -> list[tuple[_Threshold, Section, Section]]:
    """(threshold, decision, where its value and interval stand) of every threshold, the claim's own first."""
    claim, verdict = record["claim"], record["verdict"]
    parts = [(_threshold(claim["threshold"]), claim.get("decision") or {}, verdict)]
    stated = verdict.get("co_primary") or []
    for index, co in enumerate(claim.get("co_primary") or []):
        where = stated[index] if index < len(stated) else {}
        parts.append((_threshold(co["threshold"]), co.get("decision") or {}, where))
    return parts


def _bounds(where: Section, rule: str) -> tuple[JSON, JSON]:
    interval = where.get("interval")
    if interval is None:
        # Only an exact value decides without an interval.
        value = where.get("observed_value") if rule == "exact" else None
        return value, value
    return interval.get("lower"), interval.get("upper")


def _outcome(record: Section) -> Iterator[str]:
    verdict = record["verdict"]
    claimed = [c["threshold"]["metric"] for c in record["claim"].get("co_primary") or []]
    stated = verdict.get("co_primary") or []
    if [c["metric"] for c in stated] != claimed:
        yield "the verdict's co-primary parts are not the claim's, in its order"
        return
    undecided = (verdict.get("decided_by") or "").startswith(_UNDECIDED)
    outcomes: list[str] = []
    for index, (threshold, decision, where) in enumerate(_parts(record)):
        rule = decision.get("rule") or "interval"
        if rule == "point":
            yield f"{threshold.metric}: rule 'point' only reads records of version 1.0"
            return
        lower, upper = _bounds(where, rule)
        try:
            expected = outcome(threshold, lower, upper, rule)
        except ValueError as error:
            yield f"{threshold.metric}: the outcome cannot be recomputed: {error}"
            return
        if rule == "exact" and where.get("interval") is None and verdict.get("n_unmeasured") and not undecided:
            yield f"{threshold.metric}: an exact rule with unmeasured cycles needs the range they leave open"
        outcomes.append(expected)
        if index and where["outcome"] != expected and not (undecided and where["outcome"] == "INCONCLUSIVE"):
            yield f"{threshold.metric}: the outcome is {where['outcome']}, but {_range(lower, upper)} is {expected}"
    if undecided:
        if verdict["outcome"] != "INCONCLUSIVE":
            yield f"the outcome is {verdict['outcome']}, although it was decided by {verdict['decided_by']!r:.80}"
        return
    total = combine(outcomes)
    if verdict["outcome"] != total:
        yield f"the outcome is {verdict['outcome']}, but rule and interval give {total}"


def _range(lower: JSON, upper: JSON) -> str:
    return f"[{lower}, {upper}]"


def _confidence(record: Section) -> Iterator[str]:
    """No bound may be held to less than the alpha this attempt was given."""
    alpha = record["preregistration"].get("alpha_used")
    if alpha is None:
        return
    for threshold, decision, where in _parts(record):
        interval = where.get("interval")
        if interval is None or (decision.get("rule") or "interval") == "exact":
            continue
        if interval.get("level") is None:
            yield f"{threshold.metric}: the interval does not say its level"
        for name, least in (("level", 1 - 2 * alpha), ("lower_confidence", 1 - alpha), ("upper_confidence", 1 - alpha)):
            stated = interval.get(name)
            if stated is not None and stated < least - _TOLERANCE:
                yield f"{threshold.metric}: the interval's {name} is {stated}, below the {least:.6g} of this attempt"


def _primary_evidence(record: Section) -> Iterator[str]:
    primaries = [e for e in record["evidence"] if e.get("role", "primary") == "primary"]
    if not primaries:
        yield "no evidence has the role primary"
        return
    taken: dict[str, int] = {}
    for index, (threshold, _, where) in enumerate(_parts(record)):
        # A metric may have several thresholds (>= and <=): its k-th one answers to its k-th evidence.
        nth = taken.get(threshold.metric, 0)
        taken[threshold.metric] = nth + 1
        named = [e for e in primaries if e["statistic_name"] == threshold.metric][nth:]
        if index and not named:
            yield f"{threshold.metric}: no primary evidence carries that statistic"
            continue
        evidence = (named or primaries)[0]
        if not _same(where.get("observed_value"), evidence["statistic_value"]):
            yield f"{threshold.metric}: the observed value is not its primary evidence's"
        interval = where.get("interval") or {}
        for side, name in (("lower", "ci_low"), ("upper", "ci_high")):
            if not _same(interval.get(side), evidence.get(name)):
                yield f"{threshold.metric}: the {side} bound is not its primary evidence's {name}"


def _attribution(record: Section) -> Iterator[str]:
    for index, evidence in enumerate(record["evidence"]):
        if not evidence["library"].strip():
            yield f"evidence[{index}] names no library"
        if not _REAL_VERSION.match(evidence["library_version"]):
            yield f"evidence[{index}]: {evidence['library_version']!r:.40} is no installed version"


def _times(record: Section) -> Iterator[str]:
    try:
        created = _instant(record["identity"]["created_at"])
        registered = _instant(record["preregistration"]["preregistered_at"])
    except ValueError as error:
        yield f"not a moment in UTC: {error}"
        return
    if created < registered:
        yield "the record was created before it was preregistered"


def _instant(text: str) -> tuple[datetime, str]:
    """A UTC time of ISO-8601 as something that sorts; ``fromisoformat`` differs between Pythons on the rest."""
    whole, fraction = text[:19], text[19:].removesuffix("Z").removesuffix("+00:00").lstrip(".")
    return datetime.fromisoformat(whole), fraction.ljust(9, "0")


def _counts(record: Section) -> Iterator[str]:
    verdict = record["verdict"]
    names = ("n_planned", "n_used", "n_errors", "n_unmeasured")
    if any(name not in verdict for name in names):
        return
    planned, *rest = (verdict[name] for name in names)
    if sum(rest) != planned:
        yield f"{planned} cycles were planned, but {' + '.join(map(str, rest))} are accounted for"


def _stop(record: Section) -> Iterator[str]:
    """Only a sequential rule stops early, and only where it decides; what it planned then is what it measured."""
    verdict, sequential = record["verdict"], (record["claim"].get("decision") or {}).get("rule") == "sequential"
    names = ("n_max", "stopped_at", "cycles_saved", "n_planned")
    left = _not_reached(record)
    if left and not sequential:
        yield "it leaves out records that were selected, which only a sequential rule may"
    if any(name not in verdict for name in names):
        if left:
            yield "it leaves out records that were selected and does not say where it stopped"
        return
    most, stopped, saved, planned = (verdict[name] for name in names)
    if not sequential:
        yield "it speaks of stopping early, which only a sequential rule may"
    if stopped != planned or saved != most - stopped or saved < 0:
        yield f"it stopped at {stopped} of {most} cycles, but {planned} were planned and {saved} saved"
    registered = (record["preregistration"].get("plan") or {}).get("n_planned")
    if registered not in (None, most):
        yield f"n_max is {most}, but {registered} cycles were registered"
    if saved and verdict["outcome"] == "INCONCLUSIVE":
        yield f"it stopped {saved} cycles early without being decided"


def _not_reached(record: Section) -> JSON:
    datasets = record["data"].get("datasets") or [{}]
    return (datasets[0].get("selection") or {}).get("not_reached") or []


def _alpha(record: Section) -> Iterator[str]:
    registered, decision = record["preregistration"], record["claim"].get("decision") or {}
    alpha, used = decision.get("alpha"), registered.get("alpha_used")
    if alpha is None or used is None or decision.get("rule") == "exact":
        return
    # A JSON integer may be written 2.0.
    attempt, attempts = int(registered.get("attempt", 1)), int(decision.get("attempts") or 1)
    if attempts > 1:
        expected, words = alpha / attempts, f"alpha / {attempts}"
        if attempt > attempts:
            yield f"attempt {attempt} of {attempts} registered ones"
    else:
        expected, words = math.ldexp(alpha, 1 - min(attempt, 2000)), f"alpha / 2^{attempt - 1}"
    if not math.isclose(used, expected, rel_tol=_TOLERANCE):
        yield f"alpha_used is {used}, but attempt {attempt} has {words} = {expected:.6g}"


def _claim_hash(record: Section) -> Iterator[str]:
    stated = record["preregistration"].get("claim_hash")
    if stated and stated != claim_hash(record["claim"]):
        yield "the claim is not the one that was preregistered: its hash differs"


def _error_bound(record: Section) -> Iterator[str]:
    """The errors of all attempts so far are at least this one's."""
    registered = record["preregistration"]
    stated, used = registered.get("error_bound"), registered.get("alpha_used")
    if stated is None or used is None or (record["claim"].get("decision") or {}).get("rule") == "exact":
        return
    if stated < used - _TOLERANCE:
        yield f"error_bound is {stated}, less than the alpha_used of this attempt, {used}"


def _decided_by(record: Section) -> Iterator[str]:
    stated, rule = record["verdict"].get("decided_by"), (record["claim"].get("decision") or {}).get("rule")
    if stated and rule and stated != rule and not stated.startswith(_UNDECIDED):
        yield f"it was decided by {stated!r:.80}, but rule {rule!r:.40} was registered"


def _value_in_interval(record: Section) -> Iterator[str]:
    """These intervals always hold their own point estimate."""
    for evidence in record["evidence"]:
        if evidence.get("interval_method") not in ("clopper-pearson", "t") or evidence.get("role") != "primary":
            continue
        value, low, high = evidence["statistic_value"], evidence.get("ci_low"), evidence.get("ci_high")
        if not isinstance(value, (int, float)):
            continue
        if (low is not None and value < low - _TOLERANCE) or (high is not None and value > high + _TOLERANCE):
            yield f"{evidence['statistic_name']}: {value} lies outside its own interval {_range(low, high)}"


def _data(record: Section) -> Iterator[str]:
    """The data measured are those registered, and no more cycles are spoken of than there are rows."""
    datasets, registered = record["data"].get("datasets") or [{}], record["preregistration"].get("data_hash")
    if registered and datasets[0].get("content_hash") not in (None, registered):
        yield "the dataset is not the one that was preregistered: content_hash and data_hash differ"
    # The n of an evidence may well be greater: a row may hold several cases.
    rows, planned = (record["data"].get("observations") or {}).get("n_rows"), record["verdict"].get("n_planned")
    if rows is not None and planned is not None and planned > rows:
        yield f"n_planned is {planned}, but there are {rows} rows"


_CHECKS = (
    _outcome,
    _confidence,
    _primary_evidence,
    _attribution,
    _times,
    _counts,
    _stop,
    _alpha,
    _claim_hash,
    _error_bound,
    _decided_by,
    _value_in_interval,
    _data,
)
