"""Pillar I as plug-ins: small-study effects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ophamin.measuring.pillars._evidence import OWN, finding, finite
from ophamin.measuring.pillars.synthesis import bias
from ophamin.measuring.pillars.synthesis._studies import (
    LEVEL,
    STUDIES,
    read_studies,
)
from ophamin.protocols import Columns, OptionSpec, PillarResult
from ophamin.protocols.options import typed_options

__all__ = ["SmallStudy", "TrimFill"]


class SmallStudy:
    """Egger's regression and Begg's rank correlation: do small studies show other effects than large ones?

    Source: Egger et al. (1997), BMJ 315:629; Begg & Mazumdar (1994), Biometrics 50:1088.

    Example:
        >>> table = {"effect": [0.1, 0.3, 0.35, 0.9], "variance": [0.01, 0.03, 0.05, 0.2]}
        >>> [e.statistic_name for e in SmallStudy().compute(table, seed=0).evidence]
        ['egger_intercept', 'egger_slope', 'begg_tau']
    """

    name = "I.small_study"
    library = "statsmodels"
    columns: Mapping[str, str] = {**STUDIES, "n": "for predictors of n: observations of each study"}
    options: Mapping[str, OptionSpec] = {
        "model": OptionSpec("classic", f"how effects are regressed: {', '.join(bias.MODELS)}"),
        "predictor": OptionSpec("se", f"on what: {', '.join(bias.PREDICTORS)}"),
        "method": OptionSpec("REML", "estimator of tau2 of the mixed model"),
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Test the funnel; columns as of ``I.meta``.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        rows, notes = read_studies(self.name, columns, *(["n"] if "n" in columns else []))
        y, v = rows["effect"], rows["variance"]
        if len(y) < 3 or np.ptp(v) == 0:
            reason = "tests of small-study effects need at least three studies whose precision differs"
            return PillarResult([finding(self.name, "egger_intercept", None)], warnings=[reason])
        regression, ranks = bias.egger(y, v, sizes=rows.get("n"), **given), bias.begg(y, v)
        library = "statsmodels" if given["model"] == "classic" else OWN
        tested: dict[str, Any] = {"t" if given["model"] == "classic" else "z": finite(regression.statistic)}
        evidence = [
            finding(
                self.name, "egger_intercept", regression.intercept, library=library, p_value=regression.p_value,
                n=len(y), method=f"{given['model']} {given['predictor']}", se=finite(regression.se), df=regression.df,
                **tested,
            ),
            finding(self.name, "egger_slope", regression.slope, library=library, n=len(y)),
            finding(self.name, "begg_tau", ranks.tau, library="scipy", p_value=ranks.p_value, n=len(y)),
        ]  # fmt: skip
        if len(y) < 10:
            notes.append(f"{len(y)} studies: with fewer than 10 these tests find little")
        notes.append("an asymmetric funnel has other causes than publication bias, heterogeneity first of all")
        return PillarResult(evidence, warnings=notes)


class TrimFill:
    """Trim and fill: how many studies a symmetric funnel would still hold, and the pooled effect with them.

    Source: Duval & Tweedie (2000), Biometrics 56:455.

    Example:
        >>> table = {"effect": [0.1, 0.3, 0.35, 0.9], "variance": [0.01, 0.03, 0.05, 0.2]}
        >>> TrimFill().compute(table, seed=0).evidence[0].statistic_name
        'missing_studies'
    """

    name = "I.trim_fill"
    library = OWN
    columns = STUDIES
    options: Mapping[str, OptionSpec] = {
        "method": OptionSpec("FE", "how the centre is found, an estimator of tau2"),
        "estimator": OptionSpec("L0", ", ".join(bias.ESTIMATORS)),
        "side": OptionSpec("", "left or right; default: by the slope of Egger's regression"),
        "level": LEVEL,
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Trim and fill; columns as of ``I.meta``.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        rows, notes = read_studies(self.name, columns)
        y, v = rows["effect"], rows["variance"]
        if len(y) < 3:
            return PillarResult(
                [finding(self.name, "missing_studies", None)], warnings=["trim and fill needs at least three studies"]
            )
        side = given.pop("side") or None
        found = bias.trim_and_fill(y, v, side=side, **given)
        pooled = found.pooled
        evidence = [
            finding(self.name, "missing_studies", found.missing, n=len(y), side=found.side, method=given["estimator"]),
            finding(
                self.name, "filled_pooled_effect", pooled.estimate, low=pooled.lower, high=pooled.upper,
                p_value=pooled.p_value, n=len(y), method=f"{given['method']} z", guarantee="approximate",
                level=given["level"],
            ),
        ]  # fmt: skip
        notes.append("filled-in studies were never made: this shows how much asymmetry could matter, not the truth")
        filled = [*([False] * len(y)), *([True] * found.missing)]
        table = {"effect": found.effect.tolist(), "variance": found.variance.tolist(), "filled": filled}
        return PillarResult(evidence, {"funnel": table}, warnings=notes)
