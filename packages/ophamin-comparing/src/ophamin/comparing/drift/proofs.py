"""What a comparison needs of a proof, read out of the record: which series it belongs to, and its parts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ophamin.comparing.drift.mover import Bounds
from ophamin.proof.claims import claim_hash
from ophamin.proof.errors import SchemaError

__all__ = ["Part", "Proof", "SeriesKey", "proof_of"]

JSON = Any
Object = Mapping[str, JSON]
_LARGEST = 1e150


@dataclass(frozen=True)
class SeriesKey:
    """What two proofs must share to be points of one series.

    The revision of the system is left out on purpose: that is what changes along a series.

    Args:
        claim: Digest of the whole claim: words, thresholds, decisions.
        scenario: Name of the scenario, "" when the record does not say.
        substrate: Kind and name of the system of each arm.
        corpus: Content hash of each dataset.
    """

    claim: str
    scenario: str
    substrate: str
    corpus: str

    def differences(self, other: SeriesKey) -> dict[str, tuple[str, str]]:
        """Fields that differ, with both values."""
        mine, theirs = asdict(self), asdict(other)
        return {name: (mine[name], theirs[name]) for name in mine if mine[name] != theirs[name]}


@dataclass(frozen=True)
class Part:
    """One threshold of the claim, with what was observed.

    Args:
        metric: Name of the metric.
        comparator: One of ``>= <= > < ==``.
        theta: θ.
        outcome: Of this part; "" when the record states none.
        bounds: Value and bounds; ``None`` when no finite value was observed.
        exact: Whether the value is the whole target's, so that it is its own bounds.
        smallest_difference: δ as registered, in units of the metric; ``None`` when none was, and for a
            quantile, whose δ is a share of exceedances.
        estimator: Name of the estimator.
        support: Registered ends of one value, for means.
    """

    metric: str
    comparator: str
    theta: JSON
    outcome: str
    bounds: Bounds | None
    exact: bool = False
    smallest_difference: float | None = None
    estimator: str = ""
    support: JSON = None


@dataclass(frozen=True)
class Proof:
    """A proof as a point of its series.

    Args:
        proof_id: Its id.
        key: The series it belongs to.
        claim: The claim's statement.
        outcome: Of the whole claim.
        created_at: When it was decided.
        facts: What may differ inside a series and is then said: revision, seed, n, versions…
        parts: The claim's own threshold, then its co-primaries.
        body: The record as read.
        path: Where it was read from.
        verified: Whether a known signer stands behind it.
    """

    proof_id: str
    key: SeriesKey
    claim: str
    outcome: str
    created_at: str
    facts: Mapping[str, str]
    parts: tuple[Part, ...]
    body: Object
    path: Path | None = None
    verified: bool = True


def proof_of(record: Object, path: Path | None = None, *, verified: bool = True) -> Proof:
    """Read what a comparison needs out of a proof.

    Args:
        record: A proof that fits its schema, of any readable version.
        path: Where it was read from; its observations lie beside it.
        verified: Whether a known signer stands behind it.

    Raises:
        SchemaError: A field this version compares is not shaped as it knows.

    Example:
        >>> proof_of(record).key.scenario  # doctest: +SKIP
        'throughput-ceiling'
    """
    try:
        return Proof(
            _text(record["proof_id"]),
            _key(record),
            _text(record["claim"]["statement"]),
            _text(record["verdict"]["outcome"]),
            _text(record["identity"]["created_at"]),
            _facts(record),
            tuple(_parts(record)),
            record,
            path,
            verified,
        )
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        # A later minor version may have given an optional field another shape inside.
        raise SchemaError(f"a field of this proof is not shaped as this version knows ({error})") from error


def _key(record: Object) -> SeriesKey:
    data = record["data"]
    # One system stands in ``substrate``, several in ``arms``.
    arms = data.get("arms") or [{"name": data["substrate_name"], **(data.get("substrate") or {})}]
    systems = (" ".join(str(arm.get(k) or "") for k in ("arm", "kind", "name")).strip() for arm in arms)
    corpora = (f"{d['name']} {d['content_hash']}" for d in data["datasets"])
    return SeriesKey(claim_hash(record["claim"]), _scenario(record), "; ".join(systems), "; ".join(corpora))


def _scenario(record: Object) -> str:
    how = record["reproduction"]
    stated = (how.get("run_spec") or {}).get("scenario")
    if isinstance(stated, str):
        return stated
    argv = how.get("argv") or []
    return str(argv[argv.index("run") + 1]) if "run" in argv[:-1] else ""


def _facts(record: Object) -> dict[str, str]:
    data, registered, verdict = record["data"], record["preregistration"], record["verdict"]
    substrate = data.get("substrate") or {}
    found = {
        "schema version": record["schema_version"],
        "ophamin version": record["identity"]["ophamin_version"],
        "revision": substrate.get("revision") or data["substrate_git_commit"],
        "uncommitted changes": substrate.get("dirty"),
        "configuration": substrate.get("config_hash") or registered["config_hash"],
        "seed": registered.get("seed"),
        "attempt": registered.get("attempt"),
        "alpha": registered.get("alpha_used"),
        "n used": verdict.get("n_used"),
        "errors": verdict.get("n_errors"),
        "unmeasured": verdict.get("n_unmeasured"),
        "libraries": ", ".join(sorted({f"{e['library']} {e['library_version']}" for e in record["evidence"]})),
        "interval methods": ", ".join(sorted({str(e.get("interval_method") or "") for e in record["evidence"]})),
    }
    return {name: str(value) for name, value in found.items() if value not in (None, "")}


def _parts(record: Object) -> Iterator[Part]:
    claim, verdict = record["claim"], record["verdict"]
    version_1_0 = record["schema_version"] == "1.0"
    yield _part(claim["threshold"], claim.get("decision"), verdict, "point" if version_1_0 else "interval")
    for co, where in zip(claim.get("co_primary") or [], verdict.get("co_primary") or [], strict=False):
        yield _part(co["threshold"], co.get("decision"), where, "interval")


def _part(threshold: Object, decision: Object | None, where: Object, default_rule: str) -> Part:
    decision = decision or {}
    rule, interval = decision.get("rule") or default_rule, where.get("interval") or {}
    value = _number(where.get("observed_value"))
    level = interval.get("level")
    one_sided = None if level is None else (1 + level) / 2
    exact = rule == "exact" and not interval
    estimator = decision.get("estimator") or ""
    bounds = Bounds(
        value or 0.0,
        value if exact else _number(interval.get("lower")),
        value if exact else _number(interval.get("upper")),
        1.0 if exact else _or(_number(interval.get("lower_confidence")), one_sided),
        1.0 if exact else _or(_number(interval.get("upper_confidence")), one_sided),
    )
    return Part(
        threshold["metric"],
        threshold["comparator"],
        threshold["value"],
        where.get("outcome") or "",
        None if value is None else bounds,
        exact,
        None if estimator == "quantile" else _number(decision.get("smallest_difference")),
        estimator,
        decision.get("support"),
    )


def _text(value: JSON) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is no text")
    return value


def _number(value: JSON) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    # Sums and squares of what is left stay finite.
    return number if math.isfinite(number) and abs(number) <= _LARGEST else None


def _or(value: float | None, default: float | None) -> float | None:
    return default if value is None else value
