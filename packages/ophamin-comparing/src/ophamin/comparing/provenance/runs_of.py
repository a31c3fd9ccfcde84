"""What of a record a tracking server shows: parameters, metrics, tags and a table.

Nothing is invented: a bound the record does not have is no metric, never 0. What is too long is cut and said.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ophamin.proof.claims import claim_hash
from ophamin.proof.errors import OphaminError
from ophamin.proof.recordkind import RecordKind

__all__ = ["Shown", "shown_of"]

JSON = Any
Object = Mapping[str, JSON]
# What MLflow's SQL store takes.
LONGEST = 6000
LONGEST_NAME = 250
_NOT_A_NAME = re.compile(r"[^\w\-. /]", re.ASCII)
_COUNTS = ("n_planned", "n_used", "n_errors", "n_unmeasured")


@dataclass
class Shown:
    """A record as a tracking server takes it.

    Args:
        name: Of the run.
        params: Parameters by name.
        metrics: Finite numbers by name; interval bounds as ``NAME.lower`` and ``NAME.upper``.
        tags: Claim and record digests and the verdict.
        cases: Rows of the kind's cases.
        started_at: ISO-8601.
        ended_at: ISO-8601.
        lost: What could not be carried over.
    """

    name: str
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    cases: list[Object] = field(default_factory=list)
    started_at: str = ""
    ended_at: str = ""
    lost: list[str] = field(default_factory=list)


def shown_of(record: Object, kind: RecordKind) -> Shown:
    """What a tracking server shows of a record.

    Args:
        record: As read.
        kind: Of it.
    """
    claim, verdict = _object(record.get("claim")), _object(record.get("verdict"))
    registered, identity = _object(record.get("preregistration")), _object(record.get("identity"))
    spec = _object(_object(record.get("reproduction")).get("run_spec"))
    record_id = str(record[kind.id_field])
    scenario = str(spec.get("scenario") or kind.name)
    shown = Shown(f"{scenario} {record_id[:12]}")
    shown.ended_at = str(identity.get("created_at") or identity.get("captured_at") or "")
    shown.started_at = str(registered.get("preregistered_at") or shown.ended_at)
    for name, value in _params(claim, registered, _object(record.get("data")), spec):
        _put(shown, shown.params, name, _text(value))
    for name, number in _metrics(record, claim, verdict):
        if isinstance(number, (int, float)) and not isinstance(number, bool) and math.isfinite(number):
            shown.metrics[_name(name)] = float(number)
    tags = {
        "ophamin.kind": kind.name,
        "ophamin.record_id": record_id,
        "ophamin.record_digest": f"sha256:{record_id}",
        "ophamin.schema_version": record.get("schema_version"),
        "ophamin.outcome": verdict.get("outcome"),
        "ophamin.claim_digest": claim_hash(claim) if claim else None,
        "ophamin.observations_digest": _object(_object(record.get("data")).get("observations")).get("digest"),
        "mlflow.note.content": verdict.get("reasoning"),
        "mlflow.source.git.commit": identity.get("ophamin_git_commit") or None,
    }
    for name, value in tags.items():
        if value is not None:
            _put(shown, shown.tags, name, _text(value))
    try:
        shown.cases = [dict(case) for case in kind.cases(record)]
    except (OphaminError, LookupError, TypeError) as error:
        shown.lost.append(f"the cases ({error})")
    return shown


def _params(claim: Object, registered: Object, data: Object, spec: Object) -> Iterator[tuple[str, JSON]]:
    threshold, decision, plan = (
        _object(x) for x in (claim.get("threshold"), claim.get("decision"), registered.get("plan"))
    )
    yield "claim", claim.get("statement")
    yield "metric", threshold.get("metric")
    yield "threshold", f"{threshold.get('comparator')} {threshold.get('value')}" if threshold else None
    yield "estimator", decision.get("estimator")
    yield "smallest_difference", decision.get("smallest_difference")
    yield "alpha", registered.get("alpha_used")
    yield "attempt", registered.get("attempt")
    yield "seed", registered.get("seed")
    yield "n_planned", plan.get("n_planned")
    yield "scenario", spec.get("scenario")
    yield "substrate", data.get("substrate_name")
    yield "revision", _object(data.get("substrate")).get("revision") or data.get("substrate_git_commit")
    datasets = [_object(d) for d in data.get("datasets") or ()]
    yield "corpus", ", ".join(str(d.get("name")) for d in datasets)
    yield "corpus_digest", ", ".join(str(d.get("content_hash")) for d in datasets)
    for name, value in _object(spec.get("options")).items():
        yield f"option.{name}", value


def _metrics(record: Object, claim: Object, verdict: Object) -> Iterator[tuple[str, JSON]]:
    parts = [(_object(claim.get("threshold")).get("metric"), verdict)]
    parts += [(_object(co).get("metric"), _object(co)) for co in verdict.get("co_primary") or ()]
    for metric, part in parts:
        if metric:
            interval = _object(part.get("interval"))
            yield str(metric), part.get("observed_value")
            yield f"{metric}.lower", interval.get("lower")
            yield f"{metric}.upper", interval.get("upper")
    for name in _COUNTS:
        yield name, verdict.get(name)
    for evidence in record.get("evidence") or ():
        found = _object(evidence)
        if found.get("role", "primary") != "primary":  # the primary one is the verdict's
            base = f"{found.get('pillar')}.{found.get('statistic_name')}"
            yield base, found.get("statistic_value")
            yield f"{base}.lower", found.get("ci_low")
            yield f"{base}.upper", found.get("ci_high")
            yield f"{base}.p_value", found.get("p_value")


def _put(shown: Shown, into: dict[str, str], name: str, text: str) -> None:
    if not text:
        return
    if len(text) > LONGEST:
        shown.lost.append(f"{name} beyond {LONGEST:,} characters")
        text = f"{text[: LONGEST - 1]}…"
    into[_name(name)] = text


def _text(value: JSON) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _name(name: str) -> str:
    """As MLflow takes names: letters, digits and ``_-. /``, and no path that leads out or is empty."""
    clean = "/".join(part for part in _NOT_A_NAME.sub("_", name).split("/") if part.strip(". "))
    return clean[:LONGEST_NAME] or "_"


def _object(value: JSON) -> Object:
    return value if isinstance(value, Mapping) else {}
