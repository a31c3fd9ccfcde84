"""Diagnostic D as a plug-in: anticipatory failure by conformal prediction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ophamin.measuring.diagnostics.anticipation import Rate, anticipate
from ophamin.measuring.diagnostics.conformal import coverage_law, prediction_intervals
from ophamin.measuring.pillars._columns import complete, labels, numbers, require
from ophamin.measuring.pillars._evidence import OWN, finding, finite
from ophamin.proof.errors import UsageError
from ophamin.proof.types import PillarEvidence
from ophamin.protocols import Columns, OptionSpec, PillarResult
from ophamin.protocols.options import typed_options

__all__ = ["AnticipatoryFailure"]

PARTS = ("calibration", "test")


class AnticipatoryFailure:
    """Whether a system's forecasts, made conformal, call its failures before they come.

    Source: Lei et al. (2018), JASA 113:1094; Papadopoulos et al. (2002); see ``diagnostics.anticipation``.

    Example:
        >>> target = [(i * 7) % 11 for i in range(120)]
        >>> part = ["calibration" if i % 2 else "test" for i in range(120)]
        >>> table = {"target": target, "prediction": [t + 0.1 * (t % 3) for t in target], "part": part}
        >>> result = AnticipatoryFailure().compute(table, seed=0, limit=5.0)
        >>> [e.statistic_name for e in result.evidence][:2]
        ['coverage', 'false_alarm_rate']
    """

    name = "D.anticipatory_failure"
    library = OWN
    columns: Mapping[str, str] = {
        "target": "what came",
        "prediction": "what the system foresaw, by a model fitted on other rows",
        "part": "calibration or test",
        "scale": "optional: predicted spread, above 0; scores are then normalised by it",
    }
    options: Mapping[str, OptionSpec] = {
        "alpha": OptionSpec(0.1, "miss rate of the prediction intervals"),
        "limit": OptionSpec(0.0, "where failure begins, in units of the target"),
        "fails": OptionSpec("above", "above or below the limit"),
        "level": OptionSpec(0.95, "two-sided confidence of the rates"),
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Calibrate on one part, forecast the other.

        Args:
            columns: ``target``, ``prediction``, ``part``, perhaps ``scale``.
            seed: Not used: nothing is drawn.
            **options: Those of :attr:`options`.

        Returns:
            Evidence: coverage, false alarms, misses, foreseen failures, abstentions, width; table ``forecasts``.

        Raises:
            UsageError: Malformed columns or options, or a part of another name.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        alpha, level = given["alpha"], given["level"]
        if not 0 < alpha < 1 or not 0 < level < 1:
            raise UsageError("alpha and level lie between 0 and 1")
        require(self.name, columns, "target", "prediction", "part")
        named = ["target", "prediction", *(["scale"] if "scale" in columns else [])]
        arrays: dict[str, Any] = {n: numbers(self.name, columns, n) for n in named}
        rows, left_out = complete(**arrays, part=labels(self.name, columns, "part"))
        notes = [f"{left_out} rows lack a value and were left out"] if left_out else []
        part = np.array([str(p) for p in rows["part"]])
        other = sorted(set(part.tolist()) - set(PARTS))
        if other:
            raise UsageError(f"a part is calibration or test, not {other[0][:40]!r}")
        before, after = part == "calibration", part == "test"
        if not before.any() or not after.any():
            reason = f"{before.sum()} calibration and {after.sum()} test rows: both are needed"
            return PillarResult([finding(self.name, "coverage", None, n=int(after.sum()))], warnings=[*notes, reason])
        scale = rows.get("scale")
        low, high, width = prediction_intervals(
            rows["target"][before], rows["prediction"][before], rows["prediction"][after], alpha=alpha,
            scale=None if scale is None else scale[before], new_scale=None if scale is None else scale[after],
        )  # fmt: skip
        found = anticipate(low, high, rows["target"][after], limit=given["limit"], fails=given["fails"], level=level)
        n = int(before.sum())
        law = coverage_law(n, alpha)
        method = "split-conformal" if scale is None else "normalised-split-conformal"

        def rate(statistic: str, of: Rate, **detail: Any) -> PillarEvidence:
            bounds: dict[str, Any] = (
                {"low": of.lower, "high": of.upper, "method": "clopper-pearson", "guarantee": "guaranteed"}
                if of.n
                else {}
            )
            return finding(
                self.name, statistic, of.value, n=of.n, library="statsmodels", count=of.count, level=level, **bounds,
                **detail,
            )  # fmt: skip

        evidence = [
            rate("coverage", found.coverage, aimed_at=1 - alpha, expected=law.marginal, conformal=method,
                 expected_q05=law.quantile(0.05), expected_q95=law.quantile(0.95)),
            rate("false_alarm_rate", found.false_alarms),
            rate("miss_rate", found.misses),
            rate("foreseen_rate", found.foreseen),
            rate("abstention_rate", found.abstentions),
            finding(self.name, "threshold", width, n=n, method=method, alpha=alpha, rank=law.k),
        ]  # fmt: skip
        if math.isinf(width):
            notes.append(
                f"{n} calibration rows are too few for alpha {alpha:g}: intervals have no end, all is abstention"
            )
        elif law.below > 0.25:
            notes.append(
                f"one calibration set of {n} covers less than {1 - alpha:.0%} in {law.below:.0%} of all cases; the "
                "guarantee is for the mean over calibration sets"
            )
        if not found.misses.n:
            notes.append("nothing failed in the test rows, so the miss rate is unknown")
        notes.append("holds for rows that are exchangeable: a drift between calibration and test breaks it")
        table: dict[str, list[Any]] = {
            "lower": [finite(v) for v in low],
            "upper": [finite(v) for v in high],
            "call": [
                "fails" if a else "holds" if q else "abstains" for a, q in zip(found.alarm, found.quiet, strict=True)
            ],
            "target": rows["target"][after].tolist(),
        }
        return PillarResult(evidence, {"forecasts": table}, warnings=notes)
