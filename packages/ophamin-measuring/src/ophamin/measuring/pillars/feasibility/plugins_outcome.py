"""Pillar F as plug-ins: estimators that model the outcome or compare within strata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ophamin.measuring.pillars._evidence import OWN, finite
from ophamin.measuring.pillars.feasibility import regression as least_squares
from ophamin.measuring.pillars.feasibility._study import (
    LEVEL,
    LINK,
    STUDY,
    TARGET,
    answer,
    overlap_notes,
    read_study,
)
from ophamin.measuring.pillars.feasibility.standardisation import g_formula
from ophamin.measuring.pillars.feasibility.stratification import Strata, cells, score_strata, stratify
from ophamin.proof.errors import UsageError
from ophamin.protocols import Columns, OptionSpec, PillarResult
from ophamin.protocols.options import typed_options

__all__ = ["DifferenceInMeans", "GFormula", "Lin", "Regression", "Stratification"]

RANDOM = "causal only if treatment was given at random, and no row's treatment touches another's outcome"
OBSERVED = "causal only if the confounders named are all there are, and no row's treatment touches another's outcome"
ERRORS = OptionSpec("HC2", f"standard errors: {', '.join(least_squares.ERRORS)}")


class DifferenceInMeans:
    """Mean outcome of the treated minus that of the rest.

    Source: Welch (1947), Biometrika 34:28.

    Example:
        >>> table = {"outcome": [1.0, 2.0, 3.0, 4.0, 5.0, 7.0], "treatment": [0, 0, 0, 1, 1, 1]}
        >>> round(DifferenceInMeans().compute(table, seed=0).evidence[0].statistic_value, 3)
        3.333
    """

    name = "F.difference_in_means"
    library = OWN
    columns: Mapping[str, str] = {name: STUDY[name] for name in ("outcome", "treatment")}
    options: Mapping[str, OptionSpec] = {
        "errors": OptionSpec("welch", f"standard errors: welch, {', '.join(least_squares.ERRORS)}"),
        "level": LEVEL,
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Compare the means; columns ``outcome`` and ``treatment``.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        study = read_study(self.name, {k: v for k, v in columns.items() if k in self.columns}, confounders=False)
        found = least_squares.difference_in_means(study.outcome, study.treatment, **given)
        library = OWN if given["errors"] == "welch" else "statsmodels"
        return answer(
            self.name, found, study, library=library, method="difference in means", level=given["level"],
            assumptions=[RANDOM],
        )  # fmt: skip


class Lin:
    """Lin's adjustment of an experiment by centred covariates and their products with the treatment.

    Source: Lin (2013), Annals of Applied Statistics 7:295.

    Example:
        >>> table = {"outcome": [1.0, 2.5, 3.0, 4.0, 5.5, 7.0, 8.0], "treatment": [0, 1] * 3 + [0],
        ...          "confounder": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]}
        >>> round(Lin().compute(table, seed=0).evidence[0].statistic_value, 3)
        0.125
    """

    name = "F.lin"
    library = "statsmodels"
    columns = STUDY
    options: Mapping[str, OptionSpec] = {"errors": ERRORS, "level": LEVEL}

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Adjust; columns ``outcome``, ``treatment``, ``confounder`` ….

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        study = read_study(self.name, columns)
        found = least_squares.lin(study.outcome, study.treatment, study.confounders, **given)
        return answer(
            self.name, found, study, library="statsmodels", method="Lin's interacted regression", level=given["level"],
            assumptions=[*overlap_notes(study), "covariates must have been measured before treatment", RANDOM],
        )  # fmt: skip


class Regression:
    """Coefficient of the treatment in an additive least-squares regression.

    Source: Angrist (1998), Econometrica 66:249.

    Example:
        >>> table = {"outcome": [1.0, 2.5, 3.0, 4.0, 5.5, 7.0], "treatment": [0, 1, 0, 1, 0, 1],
        ...          "confounder": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]}
        >>> round(Regression().compute(table, seed=0).evidence[0].statistic_value, 3)
        0.208
    """

    name = "F.regression"
    library = "statsmodels"
    columns = STUDY
    options: Mapping[str, OptionSpec] = {"errors": ERRORS, "level": LEVEL}

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Regress; columns ``outcome``, ``treatment``, ``confounder`` ….

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        study = read_study(self.name, columns)
        found = least_squares.regression(study.outcome, study.treatment, study.confounders, **given)
        averaged = "where the effect differs between rows this is a variance-weighted average of it, not the ATE"
        return answer(
            self.name, found, study, library="statsmodels", method="additive regression", level=given["level"],
            assumptions=[*overlap_notes(study), averaged, OBSERVED],
        )  # fmt: skip


class Stratification:
    """Differences within strata, standardised: cells of the confounders, or quantiles of the propensity score.

    Source: Cochran (1968), Biometrics 24:295; Rosenbaum & Rubin (1984), JASA 79:516.

    Example:
        >>> table = {"outcome": [1.0, 2.0, 4.0, 5.0, 1.5, 2.0, 6.0, 6.5], "treatment": [0, 0, 0, 0, 1, 1, 1, 1],
        ...          "confounder": [0, 0, 1, 1, 0, 0, 1, 1]}
        >>> Stratification().compute(table, seed=0, by="cells").evidence[0].statistic_value
        1.0
    """

    name = "F.stratification"
    library = OWN
    columns = STUDY
    options: Mapping[str, OptionSpec] = {
        "by": OptionSpec("score", "strata are cells (each combination of values) or quantiles of the score"),
        "strata": OptionSpec(5, "how many quantiles"),
        "target": TARGET,
        "one_sided": OptionSpec("refuse", "a stratum without one arm: refuse an answer, or drop it"),
        "link": LINK,
        "level": LEVEL,
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Stratify; columns ``outcome``, ``treatment``, ``confounder`` …. Table ``strata``.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        if given["by"] not in ("cells", "score"):
            raise UsageError(f"strata are made by cells or by score, not by {given['by']!r}")
        study = read_study(self.name, columns)
        notes: tuple[str, ...] = ()
        place: Any = cells(study.confounders)
        if given["by"] == "score":
            place, notes = score_strata(study.treatment, study.confounders, strata=given["strata"], link=given["link"])
        lost = place is None
        found: Strata = stratify(
            study.outcome, study.treatment, np.arange(len(study.outcome)) if lost else place,
            target=given["target"], one_sided="refuse" if lost else given["one_sided"], level=given["level"],
        )  # fmt: skip
        table: dict[str, list[Any]] = {
            "treated": [int(v) for v in found.treated],
            "untreated": [int(v) for v in found.untreated],
            "difference": [finite(v) for v in found.difference],
            "weight": [finite(v) for v in found.weight],
        }
        told = [*notes, OBSERVED]
        if given["by"] == "score":
            told.insert(
                0, f"{given['strata']} strata leave some confounding in; that the score is estimated is not counted"
            )
        return answer(
            self.name, found.effect, study, library=OWN, method=f"stratification by {given['by']}",
            level=given["level"], assumptions=told, tables={} if lost else {"strata": table},
        )  # fmt: skip


class GFormula:
    """The parametric g-formula: predictions under each treatment, averaged over everybody.

    Rows without an outcome are averaged over too.

    Source: Hernán & Robins, *Causal Inference: What If*, chapter 13.

    Example:
        >>> table = {"outcome": [1.0, 2.5, 3.0, 4.0, 5.5, 7.0, 8.0], "treatment": [0, 1] * 3 + [0],
        ...          "confounder": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]}
        >>> round(GFormula().compute(table, seed=0).evidence[0].statistic_value, 3)
        0.125
    """

    name = "F.g_formula"
    library = "statsmodels"
    columns: Mapping[str, str] = {**STUDY, "outcome": "the outcome; rows without it are averaged over all the same"}
    options: Mapping[str, OptionSpec] = {
        "interactions": OptionSpec(("all",), "confounders whose product with the treatment is in the model; JSON list"),
        "outcome_model": OptionSpec("linear", "linear, or logistic for outcomes 0 and 1"),
        "target": TARGET,
        "level": LEVEL,
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Standardise; columns ``outcome``, ``treatment``, ``confounder`` ….

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        study = read_study(self.name, columns, open_outcome=True)
        wanted = [str(name) for name in given.pop("interactions")]
        unknown = [w for w in wanted if w != "all" and not any(_is_of(n, w) for n in study.names)]
        if unknown:
            raise UsageError(f"interactions name confounders of the table, or all; {unknown[0]!r} is none")
        chosen = [i for i, n in enumerate(study.names) if "all" in wanted or any(_is_of(n, w) for w in wanted)]
        known = ~np.isnan(study.outcome)
        found = g_formula(
            study.outcome[known], study.treatment[known], study.confounders[known], interactions=chosen,
            others=study.confounders[~known], others_treatment=study.treatment[~known], **given,
        )  # fmt: skip
        told = ["the outcome model must be right", *overlap_notes(study), OBSERVED]
        if not known.all():
            told.insert(0, f"{int((~known).sum())} rows without an outcome are averaged over, not fitted")
        return answer(
            self.name, found, study, library="statsmodels", method=f"g-formula, {given['outcome_model']}",
            level=given["level"], assumptions=told,
        )  # fmt: skip


def _is_of(column: str, confounder: str) -> bool:
    """Whether a column is a confounder or one of its categories."""
    return column == confounder or column.startswith(f"{confounder}=")
