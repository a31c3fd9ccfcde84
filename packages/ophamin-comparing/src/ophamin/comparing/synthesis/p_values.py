"""The p-values a proof states of its thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["levels_of"]

JSON = Any
Levels = tuple[float | None, float | None]


def levels_of(record: Mapping[str, JSON]) -> list[Levels]:
    """For each threshold of a proof, least α at which it is VALIDATED and at which it is REFUTED.

    Args:
        record: A proof whose sections agree.

    Returns:
        The claim's own threshold first; ``None`` where its primary evidence states none.
    """
    claim = record["claim"]
    metrics = [claim["threshold"]["metric"], *(c["threshold"]["metric"] for c in claim.get("co_primary") or [])]
    primaries = [e for e in record["evidence"] if e.get("role", "primary") == "primary"]
    taken: dict[str, int] = {}
    found: list[Levels] = []
    for index, metric in enumerate(metrics):
        # As core pairs them: the k-th threshold on a metric answers to the k-th evidence of that name.
        nth = taken.get(metric, 0)
        taken[metric] = nth + 1
        named = [e for e in primaries if e["statistic_name"] == metric][nth:]
        evidence = (named or ([] if index else primaries) or [{}])[0]
        detail = evidence.get("detail")
        detail = detail if isinstance(detail, Mapping) else {}
        found.append((_p(detail.get("p_validated")), _p(detail.get("p_refuted"))))
    return found


def _p(value: JSON) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        return None
    return float(value)
