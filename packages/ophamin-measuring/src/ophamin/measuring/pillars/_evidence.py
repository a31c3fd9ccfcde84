"""One number with who computed it and how: evidence as a pillar writes it."""

from __future__ import annotations

import math
from functools import cache
from importlib.metadata import version
from typing import Any, Literal

from ophamin.proof.types import PillarEvidence

__all__ = ["OWN", "finding", "finite"]

OWN = "ophamin-measuring"
"""Library of what is written here from its paper."""

_version = cache(version)


def finite(value: Any) -> float | None:
    """A plain float, or ``None`` where there is no number to tell (NaN, ±∞, ``None``)."""
    if value is None:
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def finding(
    pillar: str,
    statistic: str,
    value: Any,
    *,
    library: str = OWN,
    low: Any = None,
    high: Any = None,
    p_value: Any = None,
    effect_size: Any = None,
    n: int | None = None,
    n_groups: int | None = None,
    method: str | None = None,
    guarantee: Literal["guaranteed", "approximate"] | None = None,
    seed: int | None = None,
    **detail: Any,
) -> PillarEvidence:
    """Evidence in role ``secondary``, attributed to the installed version of ``library``.

    Args:
        pillar: The pillar's name.
        statistic: The field's name of the number.
        value: The number; what is not finite is written as ``None``.
        library: Distribution that computed it; default: this wheel, for methods written from their paper.
        low: Lower bound, ``None`` or not finite when there is none.
        high: Upper bound, likewise.
        p_value: p-value in [0, 1].
        effect_size: Standardised effect.
        n: Observations used.
        n_groups: Independent units.
        method: Interval method or test, e.g. ``wald``.
        guarantee: ``guaranteed`` or ``approximate``, with an interval.
        seed: Where chance took part.
        **detail: Plain JSON values a reader recomputing by hand would want (level, degrees of freedom…).
    """
    return PillarEvidence(
        pillar=pillar, statistic_name=statistic, statistic_value=finite(value), library=library,
        library_version=_version(library), ci_low=finite(low), ci_high=finite(high), p_value=finite(p_value),
        effect_size=finite(effect_size), detail=detail, n=n, n_groups=n_groups, interval_method=method,
        guarantee=guarantee, role="secondary", seed=seed,
    )  # fmt: skip
