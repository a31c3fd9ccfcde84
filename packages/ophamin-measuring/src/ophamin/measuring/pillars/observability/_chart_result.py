"""A chart as evidence and a table: what the plug-ins of pillar O share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ophamin.measuring.pillars._evidence import OWN, finding, finite
from ophamin.measuring.pillars.observability.charts import Chart
from ophamin.measuring.pillars.observability.rules import SETS, violations
from ophamin.proof.types import PillarEvidence
from ophamin.protocols import OptionSpec

__all__ = ["LEVEL", "RULES", "SIGMAS", "chart_evidence", "chart_table", "nothing"]

RULES = OptionSpec("none", f"runs rules: {', '.join(SETS)}; each adds false alarms")
LEVEL = OptionSpec(0.0, "limits at quantiles of the statistic's own law, of this two-sided confidence; 0: by sigmas")
SIGMAS = OptionSpec(3.0, "width of the limits in standard errors")


def nothing(pillar: str, reason: str) -> tuple[list[PillarEvidence], list[str]]:
    """Evidence that no chart can be drawn, and why."""
    return [finding(pillar, "points_beyond_limits", None)], [reason]


def chart_table(chart: Chart) -> dict[str, list[Any]]:
    """Points, centre and limits, ready to be drawn."""
    return {
        "subgroup": [str(name) for name in chart.labels],
        "point": chart.points.tolist(),
        "center": chart.center.tolist(),
        "lower": [finite(v) for v in chart.lower],
        "upper": [finite(v) for v in chart.upper],
        "phase1": chart.phase1.tolist(),
    }


def chart_evidence(
    pillar: str, chart: Chart, rules: str, library: str = OWN
) -> tuple[list[PillarEvidence], dict[str, list[int]], list[str]]:
    """Evidence of one chart, its signals by rule (positions from 0), and cautions."""
    signals = {name: [int(i) for i in at] for name, at in violations(chart.z, rules).items()}
    beyond = [int(i) for i in chart.beyond]
    m = len(chart.points)
    one_limit = bool((chart.upper == chart.upper[0]).all() and (chart.lower == chart.lower[0]).all())
    evidence = [
        finding(pillar, f"{chart.name}_center", chart.center[0], library=library, n=m),
        finding(
            pillar, f"{chart.name}_beyond_limits", len(beyond), library=library, n=m, at=beyond,
            lower=finite(chart.lower[0]) if one_limit else None, upper=finite(chart.upper[0]) if one_limit else None,
        ),
    ]  # fmt: skip
    if chart.sigma == chart.sigma:
        evidence.append(finding(pillar, f"{chart.name}_sigma", chart.sigma, library=library, n=m))
    evidence += [
        finding(pillar, f"{chart.name}_{name}", len(at), library=library, n=m, at=at, rule=SETS[rules][name][0])
        for name, at in signals.items()
    ]
    cautions = _cautions(chart, beyond)
    return evidence, {"beyond_limits": beyond, **signals}, cautions


def _cautions(chart: Chart, beyond: Sequence[int]) -> list[str]:
    notes = []
    inside = [i for i in beyond if chart.phase1[i]]
    if inside:
        notes.append(f"{len(inside)} points of phase I lie beyond the {chart.name} limits they helped to set")
    if int(chart.phase1.sum()) < 20:
        notes.append(f"{chart.name} limits from {int(chart.phase1.sum())} points are rough; 20 to 25 are usual")
    if not (chart.spread > 0).all():
        notes.append(f"the {chart.name} chart has no spread: its limits say nothing")
    return notes
