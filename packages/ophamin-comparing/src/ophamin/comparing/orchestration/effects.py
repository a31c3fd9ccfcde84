"""What the factors of a sweep do to the metric: pillar M, through the registry."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ophamin import registry
from ophamin.proof.errors import OphaminError

__all__ = ["effects_of"]

JSON = Any
PILLAR = "M.effects"
MOST_FACTORS = 6


def effects_of(factors: Sequence[str], assignments: Sequence[dict[str, JSON]], values: Sequence[float]) -> JSON:
    """Main effects, and interactions of pairs where there are runs enough to see them.

    Args:
        factors: Names.
        assignments: Of each finished run.
        values: Observed metric of each.

    Returns:
        ``{"pillar", "order", "found", "notes"}``; where ``found`` is empty, a note says why.
    """
    varied = [f for f in factors if len({_label(a[f]) for a in assignments}) > 1]
    levels = [len({_label(a[f]) for a in assignments}) - 1 for f in varied]
    nothing: dict[str, JSON] = {"pillar": PILLAR, "order": 0, "found": [], "notes": []}
    if PILLAR not in registry.pillars.names():
        return {**nothing, "notes": ["effects need pillar M: pip install 'ophamin-comparing[stats]'"]}
    if not varied or len(varied) > MOST_FACTORS:
        return {**nothing, "notes": [f"pillar M takes 1 to {MOST_FACTORS} factors that vary; there are {len(varied)}"]}
    pairs = sum(a * b for i, a in enumerate(levels) for b in levels[i + 1 :])
    if len(values) <= 1 + sum(levels):
        return {**nothing, "notes": [f"{len(values)} runs leave no spread to judge {sum(levels)} differences by"]}
    order = 2 if len(varied) > 1 and len(values) > 1 + sum(levels) + pairs else 1
    names = ["factor", *(f"factor_{i}" for i in range(2, len(varied) + 1))]
    columns = {n: [_label(a[f]) for a in assignments] for n, f in zip(names, varied, strict=True)}
    try:
        result = registry.pillars.get(PILLAR)().compute({"value": list(values), **columns}, seed=0, order=order)
    except OphaminError as error:
        return {**nothing, "notes": [str(error)]}
    found = [
        {
            "name": _named(e.statistic_name, dict(zip(names, varied, strict=True))),
            "value": e.statistic_value,
            "lower": e.ci_low,
            "upper": e.ci_high,
            "p_value": e.p_value,
            "p_holm": e.detail.get("p_holm"),
            "library": e.library,
            "library_version": e.library_version,
        }
        for e in result.evidence
        if e.statistic_value is not None
    ]
    return {"pillar": PILLAR, "order": order, "found": found, "notes": list(result.warnings)}


def _label(value: JSON) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _named(statistic: str, factors: dict[str, str]) -> str:
    """``factor[b-a]:factor_2[…]`` with the factors' own names; longest placeholder first."""
    for placeholder in sorted(factors, key=len, reverse=True):
        statistic = statistic.replace(f"{placeholder}[", f"\0{factors[placeholder]}[")
    return statistic.replace("\0", "")
