"""The ``RegressionAlertRecord``, for entry-point group ``ophamin.records``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from ophamin.comparing._signed import time_problems
from ophamin.comparing.drift.alert import class_of, place, summary_of
from ophamin.comparing.drift.classes import of_difference, of_verdicts, worst
from ophamin.comparing.drift.family import adjusted
from ophamin.comparing.drift.mover import Bounds
from ophamin.proof.kinds import Kind
from ophamin.protocols import RecordKind

__all__ = ["REGRESSION_ALERT", "alert_cases", "check_alert"]

JSON = Any
Object = Mapping[str, JSON]
_TESTS = ("worse", "better", "equivalent")


def check_alert(record: Object) -> list[str]:
    """Contradictions between the parts of an alert: what can be derived is derived again.

    Args:
        record: A record that fits its schema.

    Returns:
        One sentence each; empty when consistent.
    """
    problems = list(_old_problems(record))
    # A later minor adds fields; what 1.1 promised of its own holds in it too.
    if record["schema_version"] == "regression-alert/1.0":
        return [*problems, *_class_problems_1_0(record)]
    return [*problems, *_problems(record)]


def _old_problems(record: Object) -> Iterator[str]:
    """What every version promises."""
    keys = [t["pair_key"] for t in record["transitions"]]
    if keys != sorted(keys):
        yield "the transitions are not sorted by their key"
    for t in record["transitions"]:
        if not t["pair_key"].startswith(f"{t['family']}|{t['threshold_metric']}|"):
            yield f"the key {t['pair_key']!r:.120} is not that of its family and metric"
    for side in ("before", "after"):
        if record[f"n_{side}"] < len(record["transitions"]) + len(record[f"unmatched_in_{side}"]):
            yield f"n_{side} is less than the proofs that are listed"


def _class_problems_1_0(record: Object) -> Iterator[str]:
    """Version 1.0 classes by verdicts alone, and calls every way to REFUTED a regression."""
    for t in record["transitions"]:
        before, after = t["before_verdict"], t["after_verdict"]
        wanted = "unchanged" if before == after else "lateral"
        if before != after and after == "REFUTED":
            wanted = "regression"
        elif (before, after) == ("REFUTED", "VALIDATED"):
            wanted = "recovery"
        if t["transition_class"] != wanted:
            yield f"the class of {t['pair_key']!r:.120} does not follow from its verdicts"


def _problems(record: Object) -> Iterator[str]:
    transitions = record["transitions"]
    yield from time_problems(record, "", "generated_at")
    if [place(t) for t in transitions] != sorted(place(t) for t in transitions):
        yield "the transitions are not sorted by key and proofs"
    if record["summary"] != summary_of(transitions):
        yield "the summary does not count the transitions"
    yield from _count_problems(record)
    yield from _family_problems(record)
    for t in transitions:
        yield from _transition_problems(t, record["settings"]["alpha"])


def _count_problems(record: Object) -> Iterator[str]:
    transitions, ids = record["transitions"], {}
    for side in ("before", "after"):
        alone = [u for u in record["unmatched"] if u["side"] == side]
        earlier = [s for s in record["superseded"] if s["side"] == side]
        if sorted(u["pair_key"] for u in alone) != list(record[f"unmatched_in_{side}"]):
            yield f"unmatched_in_{side} does not list what is unmatched"
        if record[f"n_{side}"] != len(transitions) + len(alone) + len(earlier):
            yield f"n_{side} does not count the proofs that are listed"
        ids[side] = [t[f"{side}_proof_id"] for t in transitions] + [x["proof_id"] for x in (*alone, *earlier)]
        if len(set(ids[side])) != len(ids[side]):
            yield f"a proof of the side {side!r} is listed twice"


def _family_problems(record: Object) -> Iterator[str]:
    """Every corrected p-value, again from the plain ones."""
    family = [d["p_values"] for t in record["transitions"] for d in t["deltas"] if d["p_values"] is not None]
    if record["settings"]["family"] != len(family):
        yield "settings.family does not count the differences that have p-values"
    for test in _TESTS:
        wanted = adjusted([p[test]["p"] for p in family], record["settings"]["correction"])
        if not all(
            math.isclose(a, p[test]["adjusted"], rel_tol=1e-9, abs_tol=1e-300)
            for a, p in zip(wanted, family, strict=True)
        ):
            yield f"the p-values of {test!r} are not corrected over the family as stated"


def _transition_problems(t: Object, alpha: float) -> Iterator[str]:
    name = f"{t['pair_key']!r:.120}"
    deltas: Sequence[Object] = t["deltas"]
    for d in deltas:
        yield from _delta_problems(d, name, alpha)
    found = worst([of_verdicts(t["before_verdict"], t["after_verdict"]), *(d["transition"] for d in deltas)])
    if t["transition_class"] != class_of(found):
        yield f"the class of {name} does not follow from its verdicts and differences"
    if deltas:
        for side in ("before", "after"):
            stated = deltas[0][side]
            if t[f"{side}_observed"] != (None if stated is None else stated["value"]):
                yield f"{side}_observed of {name} is not the value of its first difference"


def _delta_problems(d: Object, name: str, alpha: float) -> Iterator[str]:
    before, after, p = d["before"], d["after"], d["p_values"]
    difference = None if d["difference"] is None else Bounds(**{k: d["difference"][k] for k in Bounds.__annotations__})
    if difference is not None and (before is None or after is None):
        yield f"a difference of {name} has a side without a value"
    elif difference is not None and not math.isclose(
        # Paired, it is the mean of differences; the same number but for rounding, which is relative to the values.
        difference.value, after["value"] - before["value"],
        abs_tol=1e-9 * max(abs(before["value"]), abs(after["value"]), 1e-300), rel_tol=1e-9,
    ):  # fmt: skip
        yield f"a difference of {name} is not after minus before"
    if d["certain"] and p is not None:
        yield f"a difference of {name} is certain and has p-values"
    worse, better = (d["certain"] if p is None else p[test]["adjusted"] <= alpha for test in _TESTS[:2])
    delta = d["smallest_difference"]
    if d["transition"] != of_difference(d["comparator"], difference, delta, worse=worse, better=better):
        yield f"what a difference of {name} is called does not follow from its bounds and p-values"
    if p is None:
        equivalent = d["certain"] and difference is not None and delta is not None and abs(difference.value) < delta
    else:
        equivalent = p["equivalent"]["adjusted"] <= alpha
    if d["equivalent"] != equivalent:
        yield f"whether the sides of {name} are equivalent does not follow from its p-values"


def alert_cases(record: Object) -> list[dict[str, JSON]]:
    """One row per transition, and one per proof without a partner."""
    rows = [
        {
            "name": f"{t.get('claim') or t['pair_key']} ({t['pair_key']})",
            "outcome": t["transition_class"],
            "message": f"{t['before_verdict']} -> {t['after_verdict']}{_values(t)}",
        }
        for t in record["transitions"]
    ]
    for side in ("before", "after"):
        rows += [
            {
                "name": key if isinstance(key, str) else f"unmatched {i}",
                "outcome": "unmatched",
                "message": f"only {side}",
            }
            for i, key in enumerate(record[f"unmatched_in_{side}"])
        ]
    return rows


def _values(t: Object) -> str:
    said = []
    for d in t.get("deltas", ()):
        found = d["difference"]
        if found is not None:
            low, high = ("none" if b is None else f"{b:+.4g}" for b in (found["lower"], found["upper"]))
            said.append(f"; {d['metric']} {found['value']:+.4g} [{low}, {high}], {d['transition']}")
    if not said and t["before_observed"] is not None and t["after_observed"] is not None:
        said = [f"; {t['threshold_metric']} {t['before_observed']:.4g} -> {t['after_observed']:.4g}"]
    return "".join(said)


_SCHEMAS = Path(__file__).parent / "schema"

REGRESSION_ALERT: RecordKind = cast(
    "RecordKind",
    Kind(
        name="regression-alert",
        id_field="alert_id",
        version="regression-alert/1.1",
        schemas={f"regression-alert/{minor}": _SCHEMAS / f"regression-alert-{minor}.json" for minor in ("1.0", "1.1")},
        checker=check_alert,
        lister=alert_cases,
    ),
)
"""What changed between two sets of proofs, ``regression-alert/1.1``; reads 1.0."""
