"""Pillar O as plug-ins: EWMA, CUSUM, capability, allocation, streaming drift."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from ophamin.measuring.pillars._columns import complete, labels, numbers
from ophamin.measuring.pillars._evidence import OWN, finding
from ophamin.measuring.pillars._shares import planned
from ophamin.measuring.pillars.observability import drift
from ophamin.measuring.pillars.observability.capability import CPM_FREEDOMS, capability
from ophamin.measuring.pillars.observability.charts import individuals
from ophamin.measuring.pillars.observability.ratio import sample_ratio_mismatch
from ophamin.measuring.pillars.observability.run_length import autocorrelated_arl, autocorrelation, cusum_arl, ewma_arl
from ophamin.measuring.pillars.observability.weighted import cusum, ewma
from ophamin.proof.errors import UsageError
from ophamin.proof.types import PillarEvidence
from ophamin.protocols import Columns, OptionSpec, PillarResult
from ophamin.protocols.options import typed_options

__all__ = ["CapabilityIndices", "CusumChart", "DriftDetector", "EwmaChart", "SampleRatio"]

PROCESS: Mapping[str, OptionSpec] = {
    "target": OptionSpec(None, "in-control mean; default: the mean of phase I"),
    "sigma": OptionSpec(None, "in-control standard deviation; default: from the moving ranges of phase I"),
    "runs": OptionSpec(400, "simulated runs of the ARL under the measured autocorrelation; 0 for none"),
}
SERIES: Mapping[str, str] = {
    "value": "values in order",
    "phase1": "optional: whether target and sigma come from this row; default: all",
}


def _optional(name: str, value: Any) -> float | None:
    if value is None or value == "":
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        raise UsageError(f"option {name!r} is a number, not {value!r}") from None


def _process(
    pillar: str, columns: Columns, given: dict[str, Any]
) -> tuple[Any, float, float, float, list[str]] | tuple[None, float, float, float, list[str]]:
    """Values, target, σ, autocorrelation of phase I, and notes; ``None`` where nothing can be charted."""
    value = numbers(pillar, columns, "value")
    inside = numbers(pillar, columns, "phase1") if "phase1" in columns else np.ones(len(value))
    kept, left_out = complete(value=value, phase1=inside)
    x, mask = kept["value"], kept["phase1"].astype(bool)
    notes = [f"{left_out} rows lack a value and were left out"] if left_out else []
    target, sigma = _optional("target", given.pop("target")), _optional("sigma", given.pop("sigma"))
    if not len(x):
        return None, 0.0, 0.0, 0.0, ["there are no values"]
    if target is None:
        if not mask.any():
            return None, 0.0, 0.0, 0.0, ["phase I is empty, so the target must be given"]
        target = float(x[mask].mean())
    if sigma is None:
        try:
            sigma = individuals(x, phase1=mask).sigma
        except UsageError as error:
            return None, 0.0, 0.0, 0.0, [str(error)]
        notes.append("sigma comes from the moving ranges, which autocorrelation makes too small or too large")
    if not sigma > 0:
        return None, 0.0, 0.0, 0.0, ["phase I has no spread, so nothing can be charted"]
    rho = autocorrelation(x[mask]) if int(mask.sum()) >= 20 else 0.0
    return x, target, sigma, rho, notes


def _run_lengths(
    pillar: str, chart: str, exact: float, rho: float, seed: int, runs: int, **design: Any
) -> tuple[list[PillarEvidence], list[str]]:
    evidence = [finding(pillar, "ARL0", exact, method="integral-equation", **design)]
    if abs(rho) < 0.1 or runs < 2:
        return evidence, []
    arl, error = autocorrelated_arl(chart, min(max(rho, -0.95), 0.95), seed=seed, runs=runs, **design)
    evidence.append(
        finding(pillar, "ARL0_autocorrelated", arl, low=arl - 1.96 * error, high=arl + 1.96 * error,
                method="simulation", guarantee="approximate", seed=seed, rho=rho, runs=runs, **design)
    )  # fmt: skip
    return evidence, [
        f"the values are autocorrelated (lag one {rho:.2f}): on a stable process the chart signals every {arl:.0f} "
        f"points, not every {exact:.0f}"
    ]


class EwmaChart:
    """EWMA chart with its average run length, also under the measured autocorrelation.

    Source: Lucas & Saccucci (1990), Technometrics 32:1; Crowder (1987), Technometrics 29:401.

    Example:
        >>> EwmaChart().compute({"value": [0.0, 5.0, 5.0]}, seed=0, target=0, sigma=1).diagnostics["signals"]
        [1, 2]
    """

    name = "O.ewma"
    library = "scipy"
    columns = SERIES
    options: Mapping[str, OptionSpec] = {
        "lam": OptionSpec(0.2, "weight of the newest value, in (0, 1]"),
        "width": OptionSpec(3.0, "limits in standard deviations of the average"),
        "limits": OptionSpec("time-varying", "time-varying or asymptotic"),
        **PROCESS,
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Draw the chart.

        Args:
            columns: ``value`` and perhaps ``phase1``.
            seed: Of the simulated run lengths.
            **options: Those of :attr:`options`.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        runs = given.pop("runs")
        x, target, sigma, rho, notes = _process(self.name, columns, given)
        if x is None:
            return PillarResult([finding(self.name, "signals", None)], warnings=notes)
        found = ewma(x, target=target, sigma=sigma, **given)
        design = {"lam": given["lam"], "width": given["width"]}
        lengths, cautions = _run_lengths(self.name, "ewma", ewma_arl(0.0, **design), rho, seed, runs, **design)
        item = finding(
            self.name, "signals", len(found.signals), library="scipy", n=len(x), at=found.signals, target=target,
            sigma=sigma,
        )  # fmt: skip
        table = {
            "n": list(range(1, len(x) + 1)), "value": x.tolist(), "ewma": found.ewma.tolist(),
            "lower": found.lower.tolist(), "upper": found.upper.tolist(),
        }  # fmt: skip
        return PillarResult([item, *lengths], {"ewma": table}, {"signals": found.signals}, [*notes, *cautions])


class CusumChart:
    """Tabular CUSUM of both sides with its average run length, also under the measured autocorrelation.

    Source: Page (1954), Biometrika 41:100; Lucas & Crosier (1982), Technometrics 24:199.

    Example:
        >>> CusumChart().compute({"value": [0.0, 3.0, 3.0, 3.0]}, seed=0, target=0, sigma=1).diagnostics["signals"]
        [3]
    """

    name = "O.cusum"
    library = OWN
    columns = SERIES
    options: Mapping[str, OptionSpec] = {
        "k": OptionSpec(0.5, "reference value in standard deviations, half the shift looked for"),
        "h": OptionSpec(5.0, "decision interval in standard deviations"),
        "head_start": OptionSpec(0.0, "where both sums start, in standard deviations; h/2 for a fast initial response"),
        **PROCESS,
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Draw the chart; as ``O.ewma``.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        runs = given.pop("runs")
        x, target, sigma, rho, notes = _process(self.name, columns, given)
        if x is None:
            return PillarResult([finding(self.name, "signals", None)], warnings=notes)
        found = cusum(x, target=target, sigma=sigma, **given)
        lengths, cautions = _run_lengths(self.name, "cusum", cusum_arl(0.0, **given), rho, seed, runs, **given)
        item = finding(self.name, "signals", len(found.signals), n=len(x), at=found.signals, target=target, sigma=sigma)
        table = {
            "n": list(range(1, len(x) + 1)), "value": x.tolist(), "upper_sum": found.upper.tolist(),
            "lower_sum": found.lower.tolist(), "h": [found.h] * len(x),
        }  # fmt: skip
        return PillarResult([item, *lengths], {"cusum": table}, {"signals": found.signals}, [*notes, *cautions])


class CapabilityIndices:
    """Cp, Cpk, Cpm, Pp and Ppk with intervals.

    Source: Montgomery (2013), chapter 8; Bissell (1990), Appl Stat 39:331.

    Example:
        >>> result = CapabilityIndices().compute({"value": [1.0, 2.0, 3.0]}, seed=0, lower=-1, upper=5)
        >>> result.evidence[0].statistic_name, round(result.evidence[0].statistic_value, 2)
        ('Cp', 1.0)
    """

    name = "O.capability"
    library = "scipy"
    columns: Mapping[str, str] = {"value": "values of a stable process"}
    options: Mapping[str, OptionSpec] = {
        "lower": OptionSpec(None, "lower specification limit"),
        "upper": OptionSpec(None, "upper specification limit"),
        "target": OptionSpec(None, "target; default: the middle"),
        "sigma": OptionSpec(None, "within-subgroup standard deviation from a chart; default: the overall one"),
        "level": OptionSpec(0.95, "two-sided confidence"),
        "cpm_freedom": OptionSpec("boyles", f"degrees of freedom of Cpm's interval: {' or '.join(CPM_FREEDOMS)}"),
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Compute the indices; column ``value``.

        Raises:
            UsageError: Malformed columns, no specification limit, or limits the wrong way round.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        limits: dict[str, Any] = {name: _optional(name, given[name]) for name in ("lower", "upper", "target", "sigma")}
        kept, left_out = complete(value=numbers(self.name, columns, "value"))
        x, notes = kept["value"], [f"{left_out} rows lack a value and were left out"] if left_out else []
        if len(x) < 2 or np.ptp(x) == 0:
            reason = "capability needs at least two values that differ"
            return PillarResult([finding(self.name, "Cpk", None, n=len(x))], warnings=[reason])
        if limits["lower"] is None and limits["upper"] is None:
            # Without limits given, the pillar still says what it would need.
            return PillarResult([finding(self.name, "Cpk", None, n=len(x))], warnings=["give lower, upper or both"])
        freedom = given["cpm_freedom"]
        found = capability(x, level=given["level"], cpm_freedom=freedom, **limits)
        common: dict[str, Any] = {"library": "scipy", "n": found.n, "level": given["level"]}
        evidence = [
            finding(self.name, "Cp", found.cp, low=found.cp_interval[0], high=found.cp_interval[1],
                    method="chi-square", guarantee="approximate", **common),
            finding(self.name, "Cpk", found.cpk, low=found.cpk_interval[0], high=found.cpk_interval[1],
                    method="bissell", guarantee="approximate", **common),
            finding(self.name, "Cpm", found.cpm, low=found.cpm_interval[0], high=found.cpm_interval[1],
                    method=freedom, guarantee="approximate", **common),
            finding(self.name, "Pp", found.pp, low=found.pp_interval[0], high=found.pp_interval[1],
                    method="chi-square", guarantee="approximate", **common),
            finding(self.name, "Ppk", found.ppk, low=found.ppk_interval[0], high=found.ppk_interval[1],
                    method="bissell", guarantee="approximate", **common),
            finding(self.name, "expected_share_outside", found.outside, **common),
        ]  # fmt: skip
        notes.append("indices speak of a stable, normal process: draw a chart first")
        return PillarResult(evidence, warnings=notes)


class SampleRatio:
    """Sample-ratio mismatch: did the arms get the shares they were meant to?

    Source: Kohavi, Tang & Xu (2020), *Trustworthy Online Controlled Experiments*, chapter 21.

    Example:
        >>> SampleRatio().compute({"arm": ["a"] * 212 + ["b"] * 171}, seed=0).evidence[0].p_value.__round__(3)
        0.036
    """

    name = "O.srm"
    library = "scipy"
    columns: Mapping[str, str] = {"arm": "the arm each unit was given"}
    options: Mapping[str, OptionSpec] = {
        "plan": OptionSpec("", 'planned shares, e.g. "a=0.5,b=0.5"; default: equal for the arms seen')
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Test the shares; column ``arm``.

        Raises:
            UsageError: Malformed columns or options, or an arm that is not planned.
        """
        text = typed_options(f"pillar {self.name!r}", self.options, options)["plan"]
        seen = Counter(str(a) for a in labels(self.name, columns, "arm") if a is not None)
        plan = planned(text) or dict.fromkeys(seen, 1.0)
        unknown = sorted(set(seen) - set(plan))
        if unknown:
            raise UsageError(f"the arm {unknown[0]!r} is not planned; the plan names {', '.join(plan)}")
        if len(plan) < 2 or not seen:
            reason = "an allocation needs units in at least two planned arms"
            return PillarResult([finding(self.name, "chi_square", None)], warnings=[reason])
        found = sample_ratio_mismatch([seen[a] for a in plan], list(plan.values()))
        item = finding(
            self.name, "chi_square", found.statistic, library="scipy", p_value=found.p_value, n=sum(seen.values()),
            df=found.df, observed=dict(seen), expected=dict(zip(plan, found.expected, strict=True)),
        )  # fmt: skip
        notes = [] if text else ["no plan was given: equal shares are assumed for the arms that were seen"]
        if min(found.expected) < 5:
            notes.append("fewer than 5 units expected in an arm: the p-value is rough")
        return PillarResult([item], warnings=notes)


class DriftDetector:
    """A streaming drift detector of river over a column.

    Source: see ``observability.drift``.

    Example:
        >>> DriftDetector().compute({"value": [0.0] * 300 + [1.0] * 300}, seed=0).diagnostics["changes"]
        [319]
    """

    name = "O.drift"
    library = "river"
    columns: Mapping[str, str] = {"value": "the stream in order; errors 0 and 1 for ddm, eddm and hddm"}
    options: Mapping[str, OptionSpec] = {
        "detector": OptionSpec("adwin", ", ".join(drift.DETECTORS)),
        "parameters": OptionSpec({}, 'of the river class, as JSON, e.g. {"delta": 0.01}'),
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Run the detector.

        Args:
            columns: ``value``.
            seed: For KSWIN.
            **options: Those of :attr:`options`.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        kept, left_out = complete(value=numbers(self.name, columns, "value"))
        notes = [f"{left_out} rows lack a value and were left out"] if left_out else []
        found = drift.detect(kept["value"].tolist(), given["detector"], seed=seed, **given["parameters"])
        item = finding(
            self.name, "changes", len(found.changes), library="river", n=found.n, method=given["detector"], seed=seed,
            at=found.changes, warned_at=found.warnings[:100], parameters=given["parameters"],
        )  # fmt: skip
        notes.append(
            "how often it alarms on a stable stream depends on the stream: calibrate it before it wakes anybody"
        )
        if given["detector"] == "page-hinkley":
            notes.append(
                "its threshold counts in units of the stream: the default of 50 is crossed by noise of standard "
                "deviation 1 every few thousand values"
            )
        return PillarResult([item], {}, {"changes": found.changes, "warnings": found.warnings[:1000]}, notes)
