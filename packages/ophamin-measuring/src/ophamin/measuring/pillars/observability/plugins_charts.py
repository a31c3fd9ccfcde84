"""Pillar O as plug-ins: Shewhart charts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ophamin.measuring.pillars._columns import complete, labels, numbers
from ophamin.measuring.pillars._evidence import OWN
from ophamin.measuring.pillars.observability import charts
from ophamin.measuring.pillars.observability._chart_result import (
    LEVEL,
    RULES,
    SIGMAS,
    chart_evidence,
    chart_table,
    nothing,
)
from ophamin.measuring.pillars.observability.charts import Chart
from ophamin.proof.errors import UsageError
from ophamin.protocols import Columns, OptionSpec, PillarResult
from ophamin.protocols.options import typed_options

__all__ = ["CChart", "Individuals", "NpChart", "PChart", "UChart", "XbarChart"]

PHASE1 = "optional: whether the limits come from this row; default: all"


def _phase1(pillar: str, columns: Columns, m: int) -> Any:
    """The column ``phase1`` as floats, missing NaN; ones where there is none."""
    return numbers(pillar, columns, "phase1") if "phase1" in columns else np.ones(m)


def _left_out(count: int) -> list[str]:
    return [f"{count} rows lack a value and were left out"] if count else []


def _result(pillar: str, drawn: Sequence[Chart], rules: str, notes: list[str]) -> PillarResult:
    evidence, tables, signals = [], {}, {}
    for chart in drawn:
        found, at, cautions = chart_evidence(pillar, chart, rules if chart is drawn[0] else "none")
        evidence += found
        notes = [*notes, *cautions]
        tables[chart.name], signals[chart.name] = chart_table(chart), at
    return PillarResult(evidence, tables, {"signals": signals}, notes)


class XbarChart:
    """X̄ chart with its R or s chart; subgroups may differ in size.

    Source: Montgomery (2013), *Introduction to Statistical Quality Control*, chapter 6.

    Example:
        >>> table = {"value": [1.0, 1.2, 0.9, 1.1, 1.0, 1.3], "subgroup": [1, 1, 2, 2, 3, 3]}
        >>> XbarChart().compute(table, seed=0).diagnostics["signals"]["xbar"]["beyond_limits"]
        []
    """

    name = "O.xbar"
    library = OWN
    columns: Mapping[str, str] = {
        "value": "measured values",
        "subgroup": "rational subgroup of each value, in order",
        "phase1": PHASE1,
    }
    options: Mapping[str, OptionSpec] = {
        "spread": OptionSpec("range", f"sigma by {', '.join(charts.SIGMA_METHODS)}; R chart for ranges, else s chart"),
        "sigmas": SIGMAS,
        "level": LEVEL,
        "rules": RULES,
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Draw the charts.

        Args:
            columns: ``value``, ``subgroup`` and perhaps ``phase1``, where a subgroup belongs to phase I if its first
                value does.
            seed: Not used.
            **options: Those of :attr:`options`.

        Returns:
            Evidence per chart (centre, points beyond, σ, rules); tables ``xbar`` and ``R`` or ``s``.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        value = numbers(self.name, columns, "value")
        kept, left_out = complete(
            value=value, subgroup=labels(self.name, columns, "subgroup"), phase1=_phase1(self.name, columns, len(value))
        )
        names = kept["subgroup"].tolist()
        first: dict[Any, bool] = {}
        for name, inside in zip(names, kept["phase1"].tolist(), strict=True):
            first.setdefault(name, bool(inside))
        sizes = Counter(names)
        if not any(inside and sizes[name] > 1 for name, inside in first.items()):
            evidence, warnings = nothing(self.name, "no subgroup of phase I holds two values; see O.individuals")
            return PillarResult(evidence, warnings=warnings)
        common: dict[str, Any] = {
            "phase1": np.array(list(first.values())), "sigma_method": given["spread"], "sigmas": given["sigmas"],
            "level": given["level"] or None,
        }  # fmt: skip
        drawn = [charts.xbar(kept["value"], names, **common)]
        notes = _left_out(left_out)
        if min(sizes.values()) < 2:
            notes.append("a subgroup of one value has no spread: the R or s chart is not drawn")
        else:
            spread = charts.r_chart if given["spread"].startswith("range") else charts.s_chart
            drawn.append(spread(kept["value"], names, **common))
        return _result(self.name, drawn, given["rules"], notes)


class Individuals:
    """Individuals and moving-range charts.

    Source: Montgomery (2013), section 6.4; NIST/SEMATECH e-Handbook, 6.3.2.2.

    Example:
        >>> result = Individuals().compute({"value": [49.6, 47.6, 49.9, 51.3, 47.8]}, seed=0)
        >>> round(result.evidence[0].statistic_value, 2)
        49.24
    """

    name = "O.individuals"
    library = OWN
    columns: Mapping[str, str] = {"value": "values in order", "phase1": PHASE1}
    options: Mapping[str, OptionSpec] = {
        "sigmas": SIGMAS,
        "span": OptionSpec(2, "values in each moving range"),
        "spread": OptionSpec("moving-range", f"sigma of the individuals by {' or '.join(charts.INDIVIDUAL_METHODS)}"),
        "rules": RULES,
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Draw the charts; columns ``value`` and perhaps ``phase1``.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        value = numbers(self.name, columns, "value")
        kept, left_out = complete(value=value, phase1=_phase1(self.name, columns, len(value)))
        mask = kept["phase1"].astype(bool)
        rules, method = given.pop("rules"), given.pop("spread")
        notes = _left_out(left_out)
        try:
            drawn = [
                charts.individuals(kept["value"], phase1=mask, sigma_method=method, **given),
                charts.moving_range(kept["value"], phase1=mask, **given),
            ]
        except UsageError as error:
            if len(mask) >= max(2, given["span"]) and mask.sum() >= given["span"]:
                raise
            evidence, warnings = nothing(self.name, str(error))
            return PillarResult(evidence, warnings=warnings)
        return _result(self.name, drawn, rules, notes)


class _CountChart:
    """What the four charts of counts share."""

    name = ""
    library = OWN
    sized = True
    columns: Mapping[str, str] = {
        "count": "nonconforming units, or nonconformities, of each subgroup",
        "size": "units inspected in each subgroup",
        "phase1": PHASE1,
    }
    options: Mapping[str, OptionSpec] = {"sigmas": SIGMAS, "level": LEVEL, "rules": RULES}

    def _chart(self, count: Any, size: Any, limits: Mapping[str, Any]) -> Chart:
        raise AttributeError(f"{type(self).__name__} draws no chart")  # pragma: no cover - every subclass has its own

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Draw the chart; columns ``count``, ``size`` (not for c) and perhaps ``phase1``.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        count = numbers(self.name, columns, "count")
        size = numbers(self.name, columns, "size") if self.sized else np.ones(len(count))
        kept, left_out = complete(count=count, size=size, phase1=_phase1(self.name, columns, len(count)))
        mask = kept["phase1"].astype(bool)
        if not mask.any():
            evidence, warnings = nothing(self.name, "there is no subgroup in phase I")
            return PillarResult(evidence, warnings=warnings)
        limits = {"phase1": mask, "sigmas": given["sigmas"], "level": given["level"] or None}
        chart = self._chart(kept["count"], kept["size"], limits)
        notes = _left_out(left_out)
        if (
            limits["level"] is None
            and float(chart.center.mean() * (kept["size"].mean() if chart.name in ("p", "u") else 1)) < 5
        ):
            notes.append("fewer than 5 expected per subgroup: normal limits are rough, the lower one most of all")
        return _result(self.name, [chart], given["rules"], notes)


class PChart(_CountChart):
    """p chart: shares of nonconforming units.

    Source: Montgomery (2013), section 7.2.

    Example:
        >>> PChart().compute({"count": [12, 15, 8], "size": [50, 50, 50]}, seed=0).evidence[0].statistic_name
        'p_center'
    """

    name = "O.p"

    def _chart(self, count: Any, size: Any, limits: Mapping[str, Any]) -> Chart:
        return charts.p_chart(count, size, **limits)


class NpChart(_CountChart):
    """np chart: numbers of nonconforming units.

    Source: Montgomery (2013), section 7.2.

    Example:
        >>> NpChart().compute({"count": [12, 15, 8], "size": [50, 50, 50]}, seed=0).evidence[0].statistic_name
        'np_center'
    """

    name = "O.np"

    def _chart(self, count: Any, size: Any, limits: Mapping[str, Any]) -> Chart:
        return charts.np_chart(count, size, **limits)


class CChart(_CountChart):
    """c chart: nonconformities in units of one size.

    Source: Montgomery (2013), section 7.3.

    Example:
        >>> CChart().compute({"count": [21, 24, 16]}, seed=0).evidence[0].statistic_name
        'c_center'
    """

    name = "O.c"
    sized = False
    columns: Mapping[str, str] = {"count": "nonconformities of each unit", "phase1": PHASE1}

    def _chart(self, count: Any, size: Any, limits: Mapping[str, Any]) -> Chart:
        return charts.c_chart(count, **limits)


class UChart(_CountChart):
    """u chart: nonconformities per unit.

    Source: Montgomery (2013), section 7.3.

    Example:
        >>> UChart().compute({"count": [10, 12, 8], "size": [5, 5, 5]}, seed=0).evidence[0].statistic_name
        'u_center'
    """

    name = "O.u"

    def _chart(self, count: Any, size: Any, limits: Mapping[str, Any]) -> Chart:
        return charts.u_chart(count, size, **limits)
