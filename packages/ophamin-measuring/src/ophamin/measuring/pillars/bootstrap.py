"""Bootstrap intervals, wrapping ``scipy.stats.bootstrap``."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
from scipy.stats import DegenerateDataWarning, bootstrap

from ophamin.proof.errors import UsageError
from ophamin.proof.types import PillarEvidence
from ophamin.protocols import Columns, OptionSpec, PillarResult
from ophamin.protocols.options import typed_options

__all__ = ["Bootstrap"]

_STATISTICS: dict[str, Any] = {"mean": np.mean, "median": np.median}
_METHODS: dict[str, Any] = {"percentile": "percentile", "basic": "basic", "bca": "BCa"}


class Bootstrap:
    """Resampling interval of a mean or median; groups, where given, are what is resampled.

    Source: Efron & Tibshirani (1993), *An Introduction to the Bootstrap*; BCa: Efron (1987), JASA 82:171.

    Example:
        >>> result = Bootstrap().compute({"value": [94, 197, 16, 38, 99, 141, 23]}, seed=1, method="percentile")
        >>> round(result.evidence[0].statistic_value, 2)
        86.86
    """

    name = "N.bootstrap"
    library = "scipy"
    columns: Mapping[str, str] = {
        "value": "the numbers to resample",
        "group": "optional: the independent unit, resampled whole through its mean",
    }
    options: Mapping[str, OptionSpec] = {
        "statistic": OptionSpec("mean", "mean or median"),
        "method": OptionSpec("bca", "percentile, basic or bca"),
        "confidence": OptionSpec(0.95, "one-sided, of each bound; the interval is two-sided at 2·confidence − 1"),
        "resamples": OptionSpec(9999, "bootstrap samples B, at least 100"),
    }

    def compute(
        self,
        columns: Columns,
        *,
        seed: int,
        **options: Any,
    ) -> PillarResult:
        """Bootstrap one statistic.

        Args:
            columns: ``value`` (``None`` is missing) and optionally ``group``.
            seed: Seed of the resampling.
            **options: Those of :attr:`options`.

        Returns:
            One evidence item; without an interval, and with a warning that says why, when there are
            fewer than two units or they are all equal.

        Raises:
            UsageError: An unknown statistic, method or option, or a number out of range.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        statistic, method = given["statistic"], given["method"].lower()
        confidence, resamples = given["confidence"], given["resamples"]
        if statistic not in _STATISTICS or method not in _METHODS:
            raise UsageError(f"{self.name} bootstraps a mean or median by percentile, basic or bca")
        if not 0.5 < confidence < 1 or resamples < 100:
            raise UsageError("a one-sided confidence lies between 0.5 and 1, and resamples are at least 100")
        notes = []
        units = _units(columns)
        if not np.isfinite(units).all():
            raise UsageError("column 'value' holds a value that is not finite")
        value = float(_STATISTICS[statistic](units)) if len(units) else None
        low = high = error = None
        if len(units) < 2:
            notes.append(f"{len(units)} unit(s): a bootstrap needs at least 2")
        elif np.ptp(units) == 0:
            notes.append("all units are equal, so resampling shows no spread")
        else:
            low, high, error = _resample(units, statistic, method, confidence, resamples, seed)
            if low is None:
                notes.append(f"the {method} interval does not exist for these values; percentile may")
        if method == "bca" and 2 <= len(units) < 50:
            notes.append("BCa with fewer than 50 units errs more often than it states")
        evidence = PillarEvidence(
            pillar=self.name,
            statistic_name=statistic,
            statistic_value=value,
            library=self.library,
            library_version=version("scipy"),
            ci_low=low,
            ci_high=high,
            detail={"method": method, "resamples": resamples, "standard_error": error, "confidence": confidence},
            n=sum(v is not None for v in columns["value"]),
            n_groups=len(units),
            interval_method=f"bootstrap-{method}",
            guarantee="approximate",
            role="secondary",
            seed=seed,
        )
        return PillarResult([evidence], warnings=notes)


def _units(columns: Columns) -> np.ndarray:
    if "value" not in columns:
        raise UsageError("the bootstrap needs a column 'value'")
    values, groups = columns["value"], columns.get("group")
    members: dict[Any, list[float]] = {}
    for i, v in enumerate(values):
        if v is not None:
            key = (i,) if groups is None or groups[i] is None else groups[i]
            members.setdefault(key, []).append(float(v))
    return np.array([math.fsum(v) / len(v) for v in members.values()], dtype=np.float64)


def _resample(
    units: np.ndarray, statistic: str, method: str, confidence: float, resamples: int, seed: int
) -> tuple[float | None, float | None, float | None]:
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        # Both are said by the returned NaN, which becomes a typed warning of ours.
        warnings.simplefilter("ignore", DegenerateDataWarning)
        result = bootstrap(
            (units,), _STATISTICS[statistic], n_resamples=resamples, confidence_level=2 * confidence - 1,
            method=_METHODS[method], rng=np.random.default_rng(seed), vectorized=True, axis=-1,
            batch=max(1, min(resamples, 2_000_000 // len(units))),
        )  # fmt: skip
    low, high = (float(b) if math.isfinite(b) else None for b in result.confidence_interval)
    return low, high, float(result.standard_error) if math.isfinite(result.standard_error) else None
