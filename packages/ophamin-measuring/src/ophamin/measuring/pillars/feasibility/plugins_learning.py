"""Pillar F as plug-ins: double machine learning by econml (extra ``causal``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ophamin.measuring.pillars._evidence import finding, finite
from ophamin.measuring.pillars.feasibility._study import LEVEL, STUDY, Study, read_study
from ophamin.proof.errors import UsageError
from ophamin.protocols import Columns, OptionSpec, PillarResult
from ophamin.protocols.options import typed_options

if TYPE_CHECKING:
    from ophamin.measuring.pillars.feasibility.learning import Learned

__all__ = ["CausalForest", "LinearDml"]

OBSERVED = "causal only if the confounders named are all there are, and no row's treatment touches another's outcome"
FOLDS = OptionSpec(5, "of the cross-fitting")


class LinearDml:
    """Partially linear model by double machine learning.

    Source: Chernozhukov et al. (2018), Econometrics Journal 21:C1.

    Example:
        >>> table = {"outcome": [float((7 * i) % 11 + i % 2) for i in range(60)],
        ...          "treatment": [i % 2 for i in range(60)], "confounder": [float((3 * i) % 7) for i in range(60)]}
        >>> LinearDml().compute(table, seed=0).evidence[0].library
        'econml'
    """

    name = "F.linear_dml"
    library = "econml"
    columns: Mapping[str, str] = {
        **STUDY,
        "treatment": "the treatment: 0 and 1, or any numbers",
        "fold": "optional: the fold of each row, instead of folds at random",
        "modifier": "optional: a number that the effect varies with, linearly; it is controlled for, too",
    }
    options: Mapping[str, OptionSpec] = {
        "nuisance": OptionSpec("linear", "how outcome and treatment are predicted: linear or forest"),
        "treatment_model": OptionSpec("auto", "auto, discrete (0 and 1) or continuous"),
        "folds": FOLDS,
        "level": LEVEL,
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Estimate; columns ``outcome``, ``treatment``, ``confounder`` …, perhaps ``fold`` and ``modifier``.

        Returns:
            Evidence: the average effect; with a modifier the table ``effects``, of the complete rows.

        Raises:
            UsageError: Malformed columns or options.
            MissingDependency: econml is not installed.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        models = {"auto": None, "discrete": True, "continuous": False}
        if given["treatment_model"] not in models:
            raise UsageError(f"a treatment model is auto, discrete or continuous, not {given['treatment_model']!r}")
        more = [name for name in ("fold", "modifier") if name in columns]
        study = read_study(self.name, columns, *more, binary=False)
        from ophamin.measuring.pillars.feasibility.learning import linear_dml

        folds: Any = given["folds"]
        if "fold" in study.more:
            fold = study.more["fold"]
            folds = [(np.flatnonzero(fold != f), np.flatnonzero(fold == f)) for f in np.unique(fold)]
            if len(folds) < 2:
                raise UsageError("the column fold names at least two folds")
        found = linear_dml(
            study.outcome, study.treatment, study.confounders, modifiers=study.more.get("modifier"), folds=folds,
            nuisance=given["nuisance"],
            discrete=models[given["treatment_model"]], seed=seed, level=given["level"],
        )  # fmt: skip
        varies = "modifier" in study.more
        told = ["outcome and treatment must be predicted well", OBSERVED]
        told.insert(0, "the effect is linear in the modifier" if varies else "one effect for all rows is assumed")
        item = _average(self.name, found, study, "double machine learning, partially linear", given["level"], seed)
        table = {"modifier": [finite(v) for v in study.more["modifier"]], **_effects(found)} if varies else {}
        return PillarResult([item], {"effects": table} if varies else {}, warnings=[*study.notes, *found.notes, *told])


class CausalForest:
    """Effects that vary with the confounders, by a causal forest: the average and one for each row.

    Source: Athey, Tibshirani & Wager (2019), Annals of Statistics 47:1148.

    Example:
        >>> table = {"outcome": [float((7 * i) % 11 + i % 2) for i in range(60)],
        ...          "treatment": [i % 2 for i in range(60)], "confounder": [float((3 * i) % 7) for i in range(60)]}
        >>> result = CausalForest().compute(table, seed=0, trees=8, nuisance="linear")
        >>> len(result.tables["effects"]["effect"])
        60
    """

    name = "F.causal_forest"
    library = "econml"
    columns = STUDY
    options: Mapping[str, OptionSpec] = {
        "trees": OptionSpec(500, "a multiple of 4"),
        "nuisance": OptionSpec("forest", "how outcome and treatment are predicted: linear or forest"),
        "folds": FOLDS,
        "level": LEVEL,
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Estimate; columns ``outcome``, ``treatment``, ``confounder`` …. Table ``effects``, of the complete rows.

        Raises:
            UsageError: Malformed columns or options.
            MissingDependency: econml is not installed.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        study = read_study(self.name, columns)
        from ophamin.measuring.pillars.feasibility.learning import causal_forest

        found = causal_forest(study.outcome, study.treatment, study.confounders, seed=seed, **given)
        item = _average(self.name, found, study, "causal forest, doubly robust average", given["level"], seed)
        spread = finding(
            self.name, "sd_of_effects", float(np.std(found.effects)) if len(found.effects) else None,
            library="econml", n=len(study.outcome), seed=seed,
        )  # fmt: skip
        told = ["intervals of single effects are pointwise, and hold for large forests only", OBSERVED]
        return PillarResult([item, spread], {"effects": _effects(found)}, warnings=[*study.notes, *found.notes, *told])


def _effects(found: Learned) -> dict[str, list[Any]]:
    """The effect of each row with its pointwise interval."""
    return {
        "effect": [finite(v) for v in found.effects],
        "lower": [finite(v) for v in found.effects_lower],
        "upper": [finite(v) for v in found.effects_upper],
    }


def _average(pillar: str, found: Learned, study: Study, method: str, level: float, seed: int) -> Any:
    return finding(
        pillar, "treatment_effect", found.estimate, library="econml", low=found.lower, high=found.upper,
        p_value=found.p_value, n=len(study.outcome), method=method, seed=seed, level=level, se=finite(found.se),
        guarantee="approximate" if finite(found.se) is not None else None, target="ate",
    )  # fmt: skip
