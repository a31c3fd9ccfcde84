"""Pillar A as plug-ins: confidence sequences and group-sequential boundaries."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ophamin.measuring.pillars._columns import complete, numbers, require
from ophamin.measuring.pillars._evidence import OWN, finding, finite
from ophamin.measuring.pillars.adaptive import sequences
from ophamin.measuring.pillars.adaptive.futility import futility_boundaries
from ophamin.measuring.pillars.adaptive.group_sequential import (
    DESIGNS,
    SPENDING,
    design_boundaries,
    spending_boundaries,
)
from ophamin.measuring.pillars.adaptive.peeking import conditional_power
from ophamin.proof.errors import UsageError
from ophamin.protocols import Columns, OptionSpec, PillarResult
from ophamin.protocols.options import typed_options

__all__ = ["ConfidenceSequence", "GroupSequential"]

METHODS = ("bernoulli", "betting", "empirical-bernstein", "hoeffding", "sub-gaussian", "quantile")


class ConfidenceSequence:
    """Interval that holds at every n at once: of a proportion, a bounded or sub-Gaussian mean, or a quantile.

    Source: Howard, Ramdas, McAuliffe & Sekhon (2021), Ann Stat 49:1055; Howard & Ramdas (2022), Bernoulli 28:1704;
    Waudby-Smith & Ramdas (2024), JRSS B 86:1.

    Example:
        >>> item = ConfidenceSequence().compute({"value": [1] * 700 + [0] * 300}, seed=0).evidence[0]
        >>> round(item.ci_low, 4), round(item.ci_high, 4)
        (0.6516, 0.7459)
    """

    name = "A.confidence_sequence"
    library = OWN
    columns: Mapping[str, str] = {"value": "observations in the order they came"}
    options: Mapping[str, OptionSpec] = {
        "method": OptionSpec("bernoulli", ", ".join(METHODS)),
        "alpha": OptionSpec(0.05, "of both sides together, or of each with sides=1"),
        "sides": OptionSpec(2, "1 or 2"),
        "low": OptionSpec(0.0, "for bounded means: lower end of the registered support"),
        "high": OptionSpec(1.0, "for bounded means: upper end"),
        "sigma": OptionSpec(1.0, "for sub-gaussian: known scale"),
        "q": OptionSpec(0.5, "for quantile: which one"),
        "t_opt": OptionSpec(100.0, "n at which the bounds are about tightest"),
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Bounds after every observation (for a quantile: at 1, 2, 4 … n).

        Args:
            columns: ``value``.
            seed: Not used.
            **options: Those of :attr:`options`.

        Returns:
            Evidence: the interval at the end; table ``path``.

        Raises:
            UsageError: Malformed columns or options, or a value outside the support.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        kept, left_out = complete(x=numbers(self.name, columns, "value"))
        values, notes = kept["x"], [f"{left_out} rows lack a value and were left out"] if left_out else []
        if not len(values):
            return PillarResult(
                [finding(self.name, given["method"], None, n=0)], warnings=["there are no observations"]
            )
        found = self._sequence(values, given)
        statistic = {"bernoulli": "proportion", "quantile": f"quantile_{given['q']:g}"}.get(given["method"], "mean")
        item = finding(
            self.name, statistic, found.estimate[-1], low=found.lower[-1], high=found.upper[-1], n=len(values),
            method=f"confidence-sequence-{given['method']}", guarantee="guaranteed", alpha=given["alpha"],
            sides=given["sides"], t_opt=given["t_opt"],
        )  # fmt: skip
        path = {
            "n": [int(n) for n in found.n],
            "estimate": found.estimate.tolist(),
            "lower": [finite(b) for b in found.lower],
            "upper": [finite(b) for b in found.upper],
        }
        if given["method"] == "sub-gaussian":
            notes.append("valid for observations as light-tailed as a normal law of the stated scale")
        return PillarResult([item], {"path": path}, warnings=notes)

    @staticmethod
    def _sequence(values: Any, given: Mapping[str, Any]) -> sequences.ConfidenceSequence:
        common = {"alpha": given["alpha"], "sides": given["sides"]}
        bounded = {**common, "support": (given["low"], given["high"])}
        match given["method"]:
            case "bernoulli":
                return sequences.bernoulli_sequence(values, t_opt=given["t_opt"], **common)
            case "betting":
                return sequences.betting_sequence(values, **bounded)
            case "empirical-bernstein":
                return sequences.empirical_bernstein_sequence(values, **bounded)
            case "hoeffding":
                return sequences.hoeffding_sequence(values, **bounded)
            case "sub-gaussian":
                return sequences.subgaussian_sequence(values, sigma=given["sigma"], t_opt=given["t_opt"], **common)
            case "quantile":
                looks = [2**i for i in range(int(math.log2(len(values))) + 1)]
                return sequences.quantile_sequence(
                    values, q=given["q"], t_opt=given["t_opt"], looks=[*looks, len(values)], **common
                )
        raise UsageError(f"a confidence sequence is {', '.join(METHODS)}, not {given['method']!r}")


class GroupSequential:
    """Boundaries for a few looks by a classical design or a spending function, and what the looks so far say.

    Source: Lan & DeMets (1983), Biometrika 70:659; Jennison & Turnbull (2000), *Group Sequential Methods*.

    Example:
        >>> result = GroupSequential().compute({"information": [0.5, 1.0], "z": [1.5, 2.3]}, seed=0)
        >>> result.diagnostics["stopped_at_look"]
        2
    """

    name = "A.group_sequential"
    library = "scipy"
    columns: Mapping[str, str] = {
        "information": "information so far over the registered maximum, rising, at most 1",
        "z": "optional: the statistic at each look",
    }
    options: Mapping[str, OptionSpec] = {
        "boundary": OptionSpec("spending", f"spending, or a design whose looks were all planned: {', '.join(DESIGNS)}"),
        "spending": OptionSpec("obrien-fleming", ", ".join(SPENDING)),
        "rho": OptionSpec(3.0, "power of the spending function power"),
        "gamma": OptionSpec(-4.0, "of the spending function hwang-shih-decani"),
        "delta": OptionSpec(0.25, "of the design wang-tsiatis: 0 is O'Brien-Fleming, 0.5 Pocock"),
        "alpha": OptionSpec(0.05, "over all looks, of both sides together when two-sided"),
        "sides": OptionSpec(2, "1 or 2"),
        "futility": OptionSpec(0.1, "conditional power below which going on is called futile; it does not bind"),
        "beta": OptionSpec(0.0, "for one side: chance to give up a real effect, spent as alpha is; 0: none"),
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Compute the boundaries and hold the looks against them.

        Args:
            columns: ``information`` and perhaps ``z``.
            seed: Not used.
            **options: Those of :attr:`options`.

        Returns:
            Evidence: the critical value of the last look; table ``looks``.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        require(self.name, columns, "information")
        information = numbers(self.name, columns, "information")
        if not len(information) or np.isnan(information).any():
            reason = "a boundary needs the information of every look"
            return PillarResult([finding(self.name, "critical_z", None)], warnings=[reason])
        bounds = self._bounds(information, given)
        looks: dict[str, list[Any]] = {
            "information": bounds.information.tolist(),
            "critical_z": [finite(z) for z in bounds.z],
            "nominal_p": bounds.nominal_p.tolist(),
            "alpha_spent": bounds.spent.tolist(),
        }
        notes, stopped = [], None
        if given["beta"]:
            spending = {k: given[k] for k in ("spending", "rho", "gamma")}
            low = futility_boundaries(bounds, beta=given["beta"], **spending)
            looks["futility_z"], looks["beta_spent"] = [finite(z) for z in low.z], low.spent.tolist()
            notes.append("the boundaries of futility do not bind: alpha is kept whether or not they are heeded")
        if "z" in columns:
            z = numbers(self.name, columns, "z")
            looks["z"] = [finite(v) for v in z]
            height = np.abs(z) if given["sides"] == 2 else z
            crossed = np.flatnonzero(height >= bounds.z)
            if given["beta"] and (given_up := np.flatnonzero(z < low.z)).size:
                notes.append(f"look {int(given_up[0]) + 1} lies below its boundary of futility")
            stopped = int(crossed[0]) + 1 if len(crossed) else None
            seen = np.flatnonzero(~np.isnan(z))
            if stopped is None and len(seen) and bounds.information[seen[-1]] < 1:
                last = int(seen[-1])
                power = conditional_power(float(height[last]), float(bounds.information[last]), float(bounds.z[-1]))
                looks["conditional_power"] = [power if i == last else None for i in range(len(z))]
                if power < given["futility"]:
                    notes.append(f"conditional power is {power:.1%} under the current trend: going on looks futile")
        item = finding(
            self.name, "critical_z", bounds.z[-1], library="scipy", method=given["boundary"], alpha=given["alpha"],
            sides=given["sides"], spent=float(bounds.spent[-1]), stopped_at_look=stopped,
        )  # fmt: skip
        return PillarResult([item], {"looks": looks}, {"stopped_at_look": stopped}, notes)

    @staticmethod
    def _bounds(information: Any, given: Mapping[str, Any]) -> Any:
        alpha, sides = given["alpha"], given["sides"]
        if given["boundary"] == "spending":
            return spending_boundaries(
                information.tolist(), alpha=alpha, sides=sides, spending=given["spending"], rho=given["rho"],
                gamma=given["gamma"],
            )  # fmt: skip
        design, delta = given["boundary"], given["delta"]
        return design_boundaries(information.tolist(), alpha=alpha, sides=sides, design=design, delta=delta)
