"""From a store of proofs to a signed record of where a metric changed: what ``ophamin changes`` does."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ophamin.comparing._signed import Kept, identity, keep, reproduction, signer_of
from ophamin.comparing.drift.proofs import Proof
from ophamin.comparing.series.points import Series, series_of
from ophamin.comparing.series.record import CHANGE_POINTS
from ophamin.comparing.series.watching import Look, scan_family, watch
from ophamin.proof.errors import UsageError
from ophamin.proof.reading import read_object
from ophamin.proof.store import Store
from ophamin.protocols import Settings

__all__ = ["report_changes"]

JSON = Any


def report_changes(
    proofs: Sequence[Proof],
    metric: str,
    settings: Settings,
    *,
    alpha: float = 0.05,
    watched: bool = False,
    order: Sequence[str] = (),
    seed: int = 0,
    key_file: Path | None = None,
) -> Kept:
    """Look for change points of a metric in every series of a set of proofs, and keep a signed record.

    Args:
        proofs: Verified proofs.
        metric: Name of the metric.
        settings: Of the project.
        alpha: Chance that anything is shown where nothing changed: of this scan of all series (Holm), or of all scans
            for ever when watched.
        watched: Whether the series are scanned again as they grow. Earlier watched scans of the metric are counted
            from the records in the project's store, and each may spend only its share of α.
        order: Revisions from old to new; default: by the time of measuring.
        seed: Of the permutations.
        key_file: Signing key.

    Raises:
        UsageError: No proof has the metric.
    """
    signer = signer_of(key_file)
    every = series_of(proofs, order)
    found = [s for s in every if s.metric == metric]
    if not found:
        names = sorted({s.metric for s in every})
        near = get_close_matches(metric, names, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names[:20]) or 'none'}"
        raise UsageError(f"no proof here has a metric called {metric!r}; {hint}")
    looks = _watched(found, settings, metric, alpha, seed) if watched else _family(found, alpha, seed)
    body = {
        "schema_version": "change-points/1.0",
        "identity": identity(),
        "metric": metric,
        "settings": {"alpha": alpha, "watched": watched, "seed": seed},
        "series": [_row(s, look) for s, look in zip(found, looks, strict=True)],
        "summary": {"series": len(found), "changed": sum(bool(look.scan.changes) for look in looks)},
        "reproduction": reproduction(["ophamin", *sys.argv[1:]]),
    }
    return keep(body, CHANGE_POINTS, settings, signer)


def _family(found: Sequence[Series], alpha: float, seed: int) -> list[Look]:
    asked = {str(i): (s.values, s.se) for i, s in enumerate(found)}
    return list(scan_family(asked, alpha=alpha, seed=seed).values())


def _watched(found: Sequence[Series], settings: Settings, metric: str, alpha: float, seed: int) -> list[Look]:
    """Each scan has a share of α, and each series in it an equal part of that.

    Counted are the scans, not those of each series: were every new series a first look, each would bring an α of its
    own, and the scans of a metric that gains series would spend more than α together.
    """
    number = 1
    for row in Store(Path(settings.store)).rows("change-points"):
        if not row.problem:
            record = read_object(row.location)
            number += bool(record.get("metric") == metric and record.get("settings", {}).get("watched"))
    return [watch(s.values, s.se, look=number, alpha=alpha / len(found), seed=seed) for s in found]


def _row(series: Series, look: Look) -> dict[str, JSON]:
    scan = look.scan
    errors = series.se
    return {
        "key": asdict(series.key),
        "comparator": series.comparator,
        "theta": series.theta,
        "points": [{**asdict(p), "se": p.se if errors else None} for p in series.points],
        "left_out": list(series.left_out),
        "look": look.number,
        "alpha": scan.alpha,
        "family_alpha": look.family_alpha,
        "p_value": scan.p_value,
        "corrected_p": look.corrected_p,
        "rho": scan.rho,
        "n": scan.n,
        "problem": scan.problem,
        "changes": [asdict(c) for c in scan.changes],
    }
