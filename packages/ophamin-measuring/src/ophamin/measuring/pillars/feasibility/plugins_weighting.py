"""Pillar F as plug-ins: matching, weighting, doubly robust estimators, and the balance they rest on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ophamin.measuring.pillars._evidence import OWN, finding, finite
from ophamin.measuring.pillars.feasibility import doubly_robust
from ophamin.measuring.pillars.feasibility._study import (
    CONFOUNDERS,
    LEVEL,
    LINK,
    STUDY,
    TARGET,
    TRIM,
    Study,
    answer,
    overlap_notes,
    read_study,
)
from ophamin.measuring.pillars.feasibility.balance import Balance, balance
from ophamin.measuring.pillars.feasibility.matching import ERRORS, METRICS, matching
from ophamin.measuring.pillars.feasibility.weighting import FORMS, ipw
from ophamin.protocols import Columns, OptionSpec, PillarResult
from ophamin.protocols.options import typed_options

__all__ = ["Aipw", "BalanceDiagnostics", "Ipw", "Ipwra", "Matching"]

OBSERVED = "causal only if the confounders named are all there are, and no row's treatment touches another's outcome"


def _overlap(study: Study, target: str, link: str) -> dict[str, Any]:
    """Overlap in three numbers, beside every weighted estimate."""
    found = balance(study.treatment, study.confounders, target=target, link=link)
    return {
        "propensity_min": finite(np.min(found.score)) if len(found.score) else None,
        "propensity_max": finite(np.max(found.score)) if len(found.score) else None,
        "effective_treated": finite(found.effective_treated),
        "effective_untreated": finite(found.effective_control),
    }


class Matching:
    """Nearest-neighbour matching with replacement, ties averaged, Abadie–Imbens standard errors.

    Source: Abadie & Imbens (2006), Econometrica 74:235, and (2016), 84:781, for an estimated score.

    Example:
        >>> table = {"outcome": [1.0, 2.0, 4.0, 5.0, 1.5, 2.5, 6.0, 6.0], "treatment": [0, 0, 0, 0, 1, 1, 1, 1],
        ...          "confounder": [1, 2, 3, 4, 1, 2, 3, 4]}
        >>> Matching().compute(table, seed=0).evidence[0].statistic_value
        1.0
    """

    name = "F.matching"
    library = OWN
    columns = STUDY
    options: Mapping[str, OptionSpec] = {
        "target": TARGET,
        "neighbours": OptionSpec(1, "nearest rows of the other arm; ties all count"),
        "metric": OptionSpec("mahalanobis", ", ".join(METRICS)),
        "bias_adjusted": OptionSpec(False, "correct neighbours by least squares for what they still differ in"),
        "errors": OptionSpec("robust", f"{ERRORS[0]}, or {ERRORS[1]} as R's Match by default"),
        "tolerance": OptionSpec(0.0, "squared distance beyond the last neighbour's that is still a tie"),
        "link": LINK,
        "score_known": OptionSpec(False, "whether the standard error takes the propensity score as known"),
        "variance_neighbours": OptionSpec(0, "others of its arm a row's variance is from; 0: 2, and 1 on the score"),
        "level": LEVEL,
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Match; columns ``outcome``, ``treatment``, ``confounder`` ….

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        study = read_study(self.name, columns)
        others = given.pop("variance_neighbours") or None
        scored: dict[str, Any] = {"propensity_library": "statsmodels"} if given["metric"] == "score" else {}
        found = matching(study.outcome, study.treatment, study.confounders, variance_neighbours=others, **given)
        told = [*overlap_notes(study)]
        if given["metric"] == "score":
            told.append("the propensity model must be right")
        elif not given["bias_adjusted"]:
            told.append("with several continuous confounders matches are not close: bias remains")
        return answer(
            self.name, found, study, library=OWN, method=f"{given['neighbours']}-nearest {given['metric']} matching",
            level=given["level"], assumptions=[*told, OBSERVED],
            **scored,
        )  # fmt: skip


class Ipw:
    """Inverse probability weighting, Hájek's or Horvitz and Thompson's.

    Source: Hirano, Imbens & Ridder (2003), Econometrica 71:1161.

    Example:
        >>> table = {"outcome": [1.0, 2.0, 4.0, 5.0, 1.5, 2.5, 6.0, 6.0], "treatment": [0, 0, 0, 1, 1, 0, 1, 1],
        ...          "confounder": [1, 2, 3, 4, 1, 2, 3, 4]}
        >>> round(Ipw().compute(table, seed=0).evidence[0].statistic_value, 2)
        0.76
    """

    name = "F.ipw"
    library = OWN
    columns = STUDY
    options: Mapping[str, OptionSpec] = {
        "target": TARGET,
        "form": OptionSpec("hajek", f"{FORMS[0]} (weights sum to 1 in each arm) or {FORMS[1]}"),
        "link": LINK,
        "trim": TRIM,
        "weights_known": OptionSpec(False, "whether the standard error takes the weights as known"),
        "level": LEVEL,
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Weight; columns ``outcome``, ``treatment``, ``confounder`` ….

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        study = read_study(self.name, columns)
        found = ipw(study.outcome, study.treatment, study.confounders, **given)
        return answer(
            self.name, found, study, library=OWN, method=f"inverse probability weighting, {given['form']}",
            level=given["level"], assumptions=["the propensity model must be right", OBSERVED],
            diagnostics=_overlap(study, given["target"], given["link"]), propensity_library="statsmodels",
        )  # fmt: skip


class Ipwra:
    """Regression adjustment with inverse-probability weights: right if one of the two models is.

    Source: Wooldridge (2007), J Econometrics 141:1281.

    Example:
        >>> table = {"outcome": [1.0, 2.0, 4.0, 5.0, 1.5, 2.5, 6.0, 6.0], "treatment": [0, 0, 0, 1, 1, 0, 1, 1],
        ...          "confounder": [1, 2, 3, 4, 1, 2, 3, 4]}
        >>> round(Ipwra().compute(table, seed=0).evidence[0].statistic_value, 2)
        0.73
    """

    name = "F.ipwra"
    library = OWN
    columns = STUDY
    options: Mapping[str, OptionSpec] = {"target": TARGET, "link": LINK, "trim": TRIM, "level": LEVEL}

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Estimate; columns ``outcome``, ``treatment``, ``confounder`` ….

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        study = read_study(self.name, columns)
        found = doubly_robust.ipwra(study.outcome, study.treatment, study.confounders, **given)
        return answer(
            self.name, found, study, library=OWN, method="IPWRA", level=given["level"],
            assumptions=["the propensity or the outcome model must be right", OBSERVED],
            diagnostics=_overlap(study, given["target"], given["link"]), propensity_library="statsmodels",
        )  # fmt: skip


class Aipw:
    """Augmented inverse probability weighting: right if one of the two models is.

    Source: Robins, Rotnitzky & Zhao (1994), JASA 89:846.

    Example:
        >>> table = {"outcome": [1.0, 2.0, 4.0, 5.0, 1.5, 2.5, 6.0, 6.0], "treatment": [0, 0, 0, 1, 1, 0, 1, 1],
        ...          "confounder": [1, 2, 3, 4, 1, 2, 3, 4]}
        >>> round(Aipw().compute(table, seed=0).evidence[0].statistic_value, 2)
        0.68
    """

    name = "F.aipw"
    library = OWN
    columns = STUDY
    options: Mapping[str, OptionSpec] = {
        "link": LINK,
        "trim": TRIM,
        "weighted": OptionSpec(False, "whether outcome models weight rows as is best if they are wrong (Stata: wnls)"),
        "efficient": OptionSpec(False, "whether the standard error takes both models as right and known"),
        "level": LEVEL,
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Estimate the ATE; columns ``outcome``, ``treatment``, ``confounder`` ….

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        study = read_study(self.name, columns)
        found = doubly_robust.aipw(study.outcome, study.treatment, study.confounders, **given)
        return answer(
            self.name, found, study, library=OWN, level=given["level"],
            method="AIPW, weighted outcome models" if given["weighted"] else "AIPW",
            assumptions=["the propensity or the outcome model must be right", OBSERVED],
            diagnostics=_overlap(study, "ate", given["link"]), propensity_library="statsmodels",
        )  # fmt: skip


class BalanceDiagnostics:
    """Standardised mean differences before and after weighting, effective sample sizes, overlap.

    Source: Austin & Stuart (2015), Statistics in Medicine 34:3661.

    Example:
        >>> table = {"treatment": [0, 0, 0, 1, 1, 0, 1, 1], "confounder": [1, 2, 3, 4, 1, 2, 3, 4]}
        >>> [e.statistic_name for e in BalanceDiagnostics().compute(table, seed=0).evidence][:2]
        ['largest_smd_before', 'largest_smd_after']
    """

    name = "F.balance"
    library = OWN
    columns: Mapping[str, str] = {"treatment": STUDY["treatment"], **CONFOUNDERS}
    options: Mapping[str, OptionSpec] = {"target": TARGET, "link": LINK}

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Look at balance; columns ``treatment``, ``confounder`` …. Tables ``balance`` and ``scores``.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        length = len(next(iter(columns.values()), []))
        table = {name: values for name, values in columns.items() if name in self.columns}
        study = read_study(self.name, {**table, "outcome": [0.0] * length} if table else {})
        found = balance(study.treatment, study.confounders, **given)
        n = len(study.treatment)
        tables: dict[str, Columns] = {
            "balance": {
                "confounder": list(study.names),
                "smd_before": [finite(v) for v in found.before],
                "smd_after": [finite(v) for v in found.after],
                "variance_ratio": [finite(v) for v in found.variance_ratio],
            },
            "scores": {
                "treatment": [int(v) for v in study.treatment],
                "score": [finite(v) for v in found.score],
                "weight": [finite(v) for v in found.weights],
            },
        }
        return PillarResult(_balance_evidence(self.name, found, n), tables, warnings=[*study.notes, *found.notes])


def _balance_evidence(pillar: str, found: Balance, n: int) -> list[Any]:
    def largest(values: Any) -> float:
        good = np.abs(values[np.isfinite(values)])
        return float(good.max()) if len(good) else math.nan

    low, high = found.common
    return [
        finding(pillar, "largest_smd_before", largest(found.before), n=n),
        finding(pillar, "largest_smd_after", largest(found.after), n=n),
        finding(pillar, "effective_size_treated", found.effective_treated, n=n),
        finding(pillar, "effective_size_untreated", found.effective_control, n=n),
        finding(pillar, "overlap_coefficient", found.overlap, n=n, bins=20),
        finding(
            pillar, "share_outside_common_support", found.outside, n=n, score_from=finite(low), score_to=finite(high)
        ),
    ]
