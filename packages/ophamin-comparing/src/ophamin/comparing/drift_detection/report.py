"""From files to signed records: what ``ophamin drift`` does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ophamin.comparing._signed import Kept, identity, keep, reproduction, signer_of
from ophamin.comparing.drift.family import Correction
from ophamin.comparing.drift_detection.record import DRIFT_SCAN, TABLE_DRIFT
from ophamin.comparing.drift_detection.streams import Stream
from ophamin.proof.printable import text
from ophamin.protocols import Settings

__all__ = ["report_stream", "report_table"]

JSON = Any


def report_stream(
    stream: Stream,
    source: Mapping[str, str],
    settings: Settings,
    *,
    detector: str,
    config: Mapping[str, JSON],
    rate: float | None = None,
    reference: Stream | int | None = None,
    seed: int = 0,
    key_file: Path | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> Kept:
    """Scan a stream and keep a signed ``DriftScan``.

    Args:
        stream: What to scan.
        source: Where it came from: ``kind`` and ``name``.
        settings: Of the project.
        detector: Name of the detector.
        config: Its parameters.
        rate: Alarm budget per point.
        reference: Points in which nothing drifted: another stream, or how many from the beginning of this one, which
            are then not scanned.
        seed: Of the calibration.
        key_file: Signing key.
        progress: Told how far the calibration is.

    Raises:
        UsageError: The detector cannot read the stream, or the budget has no reference.
    """
    from ophamin.comparing.drift_detection.detectors import detector_named
    from ophamin.comparing.drift_detection.scan import scan, stream_hash

    signer = signer_of(key_file)
    first = reference if isinstance(reference, int) else 0
    known = reference.values if isinstance(reference, Stream) else stream.values[:first] if first else None
    watched = detector_named(detector)
    found = scan(
        stream.values[first:], watched, seed=seed, config=config, rate=rate, reference=known, progress=progress
    )
    budget = None
    if found.budget is not None and found.reference is not None and known is not None:
        b, r = found.budget, found.reference
        budget = {
            "rate": b.rate,
            "outcome": b.outcome,
            "knob": watched.knob,
            "mean": b.mean,
            "scale": b.scale,
            "alpha": 0.05,
            "error_bound": b.error_bound,
            "tried": [
                {"value": t.value, "alarms": t.alarms, "points": t.points, "upper": t.upper, "fresh": t.fresh}
                for t in b.tried
            ],
            "reference": {
                "hash": stream_hash(known),
                "n": len(known),
                "method": r.method,
                "block": r.block,
                "model_based": r.model_based,
            },
            "seed": seed,
        }
    who = identity()
    body = {
        "schema_version": 3,
        **who,
        "detector_name": found.detector,
        "detector_config": dict(found.config),
        "stream_name": stream.name,
        # A file may be called by bytes that are no UTF-8, which no record can hold.
        "source": {name: text(value) for name, value in source.items()},
        "n_samples": len(stream.values),
        "n_missing": stream.missing,
        "first_sample": first,
        "stream_hash": stream_hash(stream.values),
        "events": [
            {
                "sample_index": first + i,
                "detector_name": found.detector,
                "value_at_event": stream.values[first + i],
                "detail": {},
            }
            for i in found.events
        ],
        "budget": budget,
        "reproduction": reproduction(["ophamin", *sys.argv[1:]]),
    }
    return keep(body, DRIFT_SCAN, settings, signer)


def report_table(
    reference: Path,
    current: Path,
    settings: Settings,
    *,
    alpha: float = 0.05,
    smallest: float = 0.1,
    method: Correction = "by",
    group: str | None = None,
    seed: int = 0,
    key_file: Path | None = None,
) -> Kept:
    """Compare two tables and keep a signed ``table-drift`` record.

    Args:
        reference: Rows taken as they should be.
        current: Rows to compare.
        settings: Of the project.
        alpha: As ``table_drift`` takes it, like the next four.
        smallest: Smallest effect that matters.
        method: Correction over the columns.
        group: Column of the unit of drawing.
        seed: Of what is drawn.
        key_file: Signing key.

    Raises:
        UsageError: A table cannot be read, or they have no column in common.
    """
    from ophamin.comparing.drift_detection.table import read_table, table_drift

    signer = signer_of(key_file)
    (before, before_digest), (after, after_digest) = read_table(reference), read_table(current)
    found = table_drift(before, after, alpha=alpha, smallest=smallest, method=method, group=group, seed=seed)
    columns = [
        {
            "name": c.name,
            "kind": c.kind,
            "n": list(c.n),
            "effect": c.distance.effect,
            "lower": c.lower,
            "upper": c.upper,
            "slack": c.distance.slack,
            "p_equal": c.distance.p_equal,
            "p_beyond": c.p_beyond,
            "p_within": c.p_within,
            "p_drift": c.p_drift,
            "p_stable": c.p_stable,
            "psi": c.distance.psi,
            "wasserstein": c.distance.wasserstein,
            "energy": c.distance.energy,
            "state": c.state,
        }
        for c in found.columns
    ]
    joint = found.joint
    body = {
        "schema_version": "table-drift/1.0",
        "identity": identity(),
        "reference": {"source": text(reference), "digest": before_digest, "n_rows": len(before)},
        "current": {"source": text(current), "digest": after_digest, "n_rows": len(after)},
        "settings": {"alpha": alpha, "smallest": smallest, "method": method, "group": group, "seed": seed},
        "units": list(found.units),
        "columns": columns,
        "only_reference": list(found.only_reference),
        "only_current": list(found.only_current),
        "skipped": [{"name": name, "reason": reason} for name, reason in found.skipped],
        "joint": joint
        and {
            "method": "maximum mean discrepancy, Gaussian kernel, permutation",
            "value": joint.value,
            "p": joint.p,
            "rows": list(joint.rows),
            "columns": joint.columns,
        },
        "summary": {
            "drift": [c["name"] for c in columns if c["state"] == "drift"],
            "stable": sum(c["state"] == "stable" for c in columns),
            "undecided": sum(c["state"] == "undecided" for c in columns),
        },
        "reproduction": reproduction(["ophamin", *sys.argv[1:]]),
    }
    return keep(body, TABLE_DRIFT, settings, signer)
