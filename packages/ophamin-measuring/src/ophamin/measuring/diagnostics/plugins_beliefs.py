"""Diagnostics D as plug-ins: cognitive inertia and kernel coupling."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ophamin.measuring.diagnostics.coupling import kernel_coupling
from ophamin.measuring.diagnostics.inertia import Slope, cognitive_inertia
from ophamin.measuring.pillars._columns import complete, labels, numbers, require
from ophamin.measuring.pillars._evidence import OWN, finding, finite
from ophamin.proof.errors import UsageError
from ophamin.proof.types import PillarEvidence
from ophamin.protocols import Columns, OptionSpec, PillarResult
from ophamin.protocols.options import typed_options

__all__ = ["CognitiveInertia", "KernelCoupling"]


class CognitiveInertia:
    """How far a system's beliefs move on valid new evidence, as a share of the move Bayes' rule makes.

    Source: Edwards (1968); Phillips & Edwards (1966), J Exp Psychol 72:346; see ``diagnostics.inertia``.

    Example:
        >>> table = {"prior": [0.5] * 6, "posterior": [0.62, 0.73, 0.38, 0.27, 0.6, 0.41],
        ...          "log_likelihood_ratio": [1.0, 2.0, -1.0, -2.0, 0.9, -0.8]}
        >>> round(CognitiveInertia().compute(table, seed=0).evidence[0].statistic_value, 2)
        0.51
    """

    name = "D.cognitive_inertia"
    library = OWN
    columns: Mapping[str, str] = {
        "prior": "probability believed before the evidence",
        "posterior": "probability believed after it",
        "log_likelihood_ratio": "natural log likelihood ratio of the evidence, by the process that made it",
        "group": "optional: independent unit of the row, such as a conversation",
    }
    options: Mapping[str, OptionSpec] = {
        "clip": OptionSpec(1e-4, "beliefs are held this far from 0 and 1"),
        "level": OptionSpec(0.95, "two-sided confidence"),
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Compare the updates with Bayes' rule; columns as of :attr:`columns`.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        named = ("prior", "posterior", "log_likelihood_ratio")
        require(self.name, columns, *named)
        arrays: dict[str, Any] = {n: numbers(self.name, columns, n) for n in named}
        if "group" in columns:
            arrays["group"] = labels(self.name, columns, "group")
        rows, left_out = complete(**arrays)
        notes = [f"{left_out} rows lack a value and were left out"] if left_out else []
        unit = rows["group"].tolist() if "group" in rows else None
        found = cognitive_inertia(rows["prior"], rows["posterior"], rows["log_likelihood_ratio"], unit, **given)

        def item(statistic: str, of: Slope, flip: bool = False) -> PillarEvidence:
            low, high = (1 - of.upper, 1 - of.lower) if flip else (of.lower, of.upper)
            known = not math.isnan(of.se)
            return finding(
                self.name, statistic, 1 - of.value if flip else of.value, low=low, high=high, n=of.n,
                n_groups=of.units, method="cluster-jackknife t" if known else None,
                guarantee="approximate" if known else None, se=finite(of.se), level=given["level"],
            )  # fmt: skip

        evidence = [
            item("inertia", found.update, flip=True),
            item("update_ratio", found.update),
            item("drift", found.drift),
            item("update_ratio_confirming", found.confirming),
            item("update_ratio_disconfirming", found.disconfirming),
        ]
        if math.isnan(found.update.value):
            notes.append("the evidence does not vary, so nothing says how beliefs follow it")
        elif math.isnan(found.update.se) or found.update.units < 20:
            notes.append(f"{found.update.units} independent units: too few for an interval to be relied on")
        if found.clipped:
            notes.append(f"{found.clipped} beliefs lay at 0 or 1 and were held {given['clip']:g} inside")
        return PillarResult(evidence, warnings=notes)


class KernelCoupling:
    """Whether performance that falls with a coupling is lost intrinsically, or by a setting that was not adapted.

    Source: Berger (1982), Technometrics 24:295; see ``diagnostics.coupling``.

    Example:
        >>> table = {"value": [10.0, 10.2, 9.9, 2.0, 2.2, 1.9], "coupling": [0, 0, 0, 1, 1, 1]}
        >>> KernelCoupling().compute(table, seed=0, margin=1.0).tables["couplings"]["verdict"]
        ['intrinsic']
    """

    name = "D.kernel_coupling"
    library = OWN
    columns: Mapping[str, str] = {
        "value": "performance of a run, higher is better",
        "coupling": "strength of the coupling; the lowest is the reference",
        "setting": "optional: calibration setting of the run",
        "group": "optional: independent replicate; its runs of one cell are averaged first",
    }
    options: Mapping[str, OptionSpec] = {
        "margin": OptionSpec(0.0, "loss that is not worth naming, in units of performance"),
        "default": OptionSpec("", "the setting in use; empty: the first"),
        "alpha": OptionSpec(0.05, "chance of any wrong word in the sweep"),
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Judge each coupling.

        Args:
            columns: ``value``, ``coupling``, perhaps ``setting`` and ``group``.
            seed: Not used.
            **options: Those of :attr:`options`.

        Returns:
            Evidence: the loss at each coupling, and where collapse and miscalibration begin; table ``couplings``.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        if not given["margin"] >= 0 or not 0 < given["alpha"] < 0.5:
            raise UsageError("a margin is at least 0, alpha lies between 0 and 0.5")
        require(self.name, columns, "value", "coupling")
        arrays: dict[str, Any] = {n: numbers(self.name, columns, n) for n in ("value", "coupling")}
        arrays |= {n: labels(self.name, columns, n) for n in ("setting", "group") if n in columns}
        rows, left_out = complete(**arrays)
        notes = [f"{left_out} rows lack a value and were left out"] if left_out else []
        try:
            found = kernel_coupling(
                rows["value"], rows["coupling"], rows["setting"].tolist() if "setting" in rows else None,
                rows["group"].tolist() if "group" in rows else None, default=given["default"] or None,
                margin=given["margin"], alpha=given["alpha"],
            )  # fmt: skip
        except UsageError as error:
            nothing = finding(self.name, "loss", None, n=len(rows["value"]))
            return PillarResult([nothing], warnings=[*notes, str(error)])
        n = len(rows["value"])
        evidence = [
            finding(self.name, f"loss[{at.coupling:g}]", at.loss, low=at.lower, high=at.upper, n=n,
                    method="welch, bonferroni" if finite(at.lower) is not None else None,
                    guarantee="approximate" if finite(at.lower) is not None else None, verdict=at.verdict)
            for at in found.levels
        ]  # fmt: skip
        for word, statistic in (("intrinsic", "collapse_onset"), ("miscalibration", "miscalibration_onset")):
            onset = next((at.coupling for at in found.levels if at.verdict == word), None)
            evidence.append(finding(self.name, statistic, onset, n=n, margin=given["margin"], alpha=given["alpha"]))
        table: dict[str, list[Any]] = {
            "coupling": [at.coupling for at in found.levels],
            "verdict": [at.verdict for at in found.levels],
            "loss": [finite(at.loss) for at in found.levels],
            "lower": [finite(at.lower) for at in found.levels],
            "upper": [finite(at.upper) for at in found.levels],
            "least_loss": [finite(at.least_loss) for at in found.levels],
            "best_setting": [at.best_setting for at in found.levels],
        }
        if found.replicates < 3:
            notes.append("some cells hold fewer than three independent replicates: they decide little or nothing")
        if found.flat:
            notes.append(
                "replicates of a cell do not vary at all; if they are one run counted twice, they prove nothing"
            )
        if "setting" not in columns:
            notes.append("one setting was swept, so a loss that another setting would undo counts as intrinsic")
        return PillarResult(evidence, {"couplings": table}, {"reference": found.reference}, notes)
