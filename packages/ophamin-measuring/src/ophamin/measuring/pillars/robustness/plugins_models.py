"""Pillar N as plug-ins: cross-validation, nested cross-validation, comparing learners, jackknife+."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ophamin.measuring.pillars._columns import complete, labels, numbers, require
from ophamin.measuring.pillars._evidence import OWN, finding, finite
from ophamin.measuring.pillars.robustness.comparison import corrected_resampled_t
from ophamin.measuring.pillars.robustness.folds import SCHEMES, Split, given_folds, splits
from ophamin.measuring.pillars.robustness.jackknife_plus import jackknife_plus
from ophamin.measuring.pillars.robustness.validation import METRICS, MODELS, cross_validate, make_model, nested
from ophamin.proof.errors import UsageError
from ophamin.protocols import Columns, OptionSpec, PillarResult
from ophamin.protocols.options import typed_options

__all__ = ["CompareLearners", "CrossValidation", "JackknifePlus", "NestedCrossValidation"]

FEATURES: Mapping[str, str] = {"feature": "a predictor", **{f"feature_{i}": "optional: another" for i in range(2, 13)}}
ROWS: Mapping[str, str] = {
    "target": "what is predicted",
    **FEATURES,
    "group": "for the group schemes: the group of a row, never split",
    "fold": "optional: the fold of each row, instead of a scheme",
}
FOLDS: Mapping[str, OptionSpec] = {
    "scheme": OptionSpec("k-fold", ", ".join(SCHEMES)),
    "folds": OptionSpec(5, "k"),
    "repeats": OptionSpec(10, "for the scheme repeated"),
    "shuffle": OptionSpec(True, "whether rows are shuffled first; rows in time order then mix past and future"),
    "metric": OptionSpec("mse", ", ".join(METRICS)),
}
MODEL: Mapping[str, OptionSpec] = {
    "model": OptionSpec("ols", ", ".join(MODELS)),
    "degree": OptionSpec(2, "for polynomial"),
    "penalty": OptionSpec(1.0, "for ridge and logistic"),
}


def _rows(pillar: str, columns: Columns) -> tuple[Any, Any, Mapping[str, Any], list[str]]:
    """Features (n, p), target, further columns and what was left out."""
    require(pillar, columns, "target", "feature")
    arrays: dict[str, Any] = {
        name: numbers(pillar, columns, name) for name in ("target", *(f for f in FEATURES if f in columns))
    }
    arrays |= {name: labels(pillar, columns, name) for name in ("group", "fold") if name in columns}
    kept, left_out = complete(**arrays)
    features = np.column_stack([kept[name] for name in FEATURES if name in kept])
    notes = [f"{left_out} rows lack a value and were left out"] if left_out else []
    return features, kept["target"], kept, notes


def _splits(given: Mapping[str, Any], rows: Mapping[str, Any], target: Any, seed: int) -> list[Split]:
    if "fold" in rows:
        return given_folds(np.array([str(f) for f in rows["fold"]]))
    groups = rows["group"].tolist() if "group" in rows else None
    return splits(
        given["scheme"], len(target), folds=given["folds"], repeats=given["repeats"], shuffle=given["shuffle"],
        seed=seed, target=target, groups=groups,
    )  # fmt: skip


def _typed(metric: str, target: Any) -> Any:
    """Classes as whole numbers for the metrics of classes."""
    return target.astype(int) if metric in ("accuracy", "log_loss") else target


def _nothing(pillar: str, metric: str, reason: str) -> PillarResult:
    return PillarResult([finding(pillar, f"cv_{metric}", None)], warnings=[reason])


class CrossValidation:
    """Cross-validated score of a model, fold by fold.

    Source: Stone (1974), JRSS B 36:111; scikit-learn's splitters and metrics.

    Example:
        >>> table = {"target": [1.0, 2.1, 2.9, 4.2, 5.0, 6.1], "feature": [1, 2, 3, 4, 5, 6]}
        >>> result = CrossValidation().compute(table, seed=0, scheme="leave-one-out")
        >>> round(result.evidence[0].statistic_value, 3)
        0.014
    """

    name = "N.cross_validation"
    library = "scikit-learn"
    columns = ROWS
    options: Mapping[str, OptionSpec] = {**MODEL, **FOLDS}

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Cross-validate.

        Args:
            columns: ``target``, ``feature`` …, perhaps ``group`` and ``fold``.
            seed: Of the shuffling.
            **options: Those of :attr:`options`.

        Returns:
            Evidence: mean score, and the score of all test predictions together; tables ``folds`` and ``predictions``.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        features, target, rows, notes = _rows(self.name, columns)
        metric = given["metric"]
        if len(target) < 3:
            return _nothing(self.name, metric, f"{len(target)} rows are too few to cross-validate")
        model = make_model(given["model"], degree=given["degree"], penalty=given["penalty"])
        cut = _splits(given, rows, target, seed)
        found = cross_validate(model, features, _typed(metric, target), cut, metric=metric)
        common: dict[str, Any] = {"library": "scikit-learn", "n": len(target), "seed": seed}
        scheme = "given folds" if "fold" in rows else given["scheme"]
        evidence = [
            finding(self.name, f"cv_{metric}", found.mean, method=scheme, model=given["model"], sd=finite(found.sd),
                    se=finite(found.se), splits=len(cut), **common),
            finding(self.name, f"pooled_{metric}", found.pooled, method=scheme, model=given["model"], **common),
        ]  # fmt: skip
        notes.append("the spread over folds is no standard error: training sets overlap")
        if scheme in ("k-fold", "repeated") and "group" in columns:
            notes.append("groups are split over folds by this scheme; the scheme group keeps them together")
        folds: dict[str, list[Any]] = {
            "fold": list(range(1, len(cut) + 1)),
            metric: [finite(s) for s in found.per_fold],
            "train_rows": found.train_sizes,
            "test_rows": found.test_sizes,
        }
        tables = {"folds": folds, "predictions": {"prediction": [finite(p) for p in found.predictions]}}
        return PillarResult(evidence, tables, warnings=notes)


class NestedCrossValidation:
    """Nested cross-validation: the penalty is chosen inside each training set, so the choice is paid for.

    Source: Varma & Simon (2006), BMC Bioinformatics 7:91.

    Example:
        >>> table = {"target": [float(i % 7) for i in range(40)], "feature": [float(i % 5) for i in range(40)]}
        >>> NestedCrossValidation().compute(table, seed=0).evidence[0].statistic_name
        'nested_mse'
    """

    name = "N.nested_cv"
    library = "scikit-learn"
    columns = ROWS
    options: Mapping[str, OptionSpec] = {
        "model": OptionSpec("ridge", "ridge or logistic"),
        "penalties": OptionSpec((0.01, 0.1, 1.0, 10.0, 100.0), "candidates, as a JSON list"),
        "inner_folds": OptionSpec(5, "folds inside each training set"),
        **FOLDS,
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Cross-validate, nested.

        Args:
            columns: As of ``N.cross_validation``.
            seed: Of the shuffling.
            **options: Those of :attr:`options`.

        Returns:
            Evidence: the nested score, and the best flat one, which is too good; table ``outer``.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        features, target, rows, notes = _rows(self.name, columns)
        metric, penalties = given["metric"], [float(p) for p in given["penalties"]]
        if len(target) < 10:
            return _nothing(self.name, metric, f"{len(target)} rows are too few to cross-validate within folds")
        target = _typed(metric, target)
        candidates = [make_model(given["model"], penalty=p) for p in penalties]
        outer = _splits(given, rows, target, seed)

        def inner(number: int, train: Any) -> Sequence[Split]:
            return splits("k-fold", len(train), folds=given["inner_folds"], seed=seed + 1 + number)

        found = nested(candidates, features, target, outer, inner, metric=metric)
        common: dict[str, Any] = {"library": "scikit-learn", "n": len(target), "seed": seed, "model": given["model"]}
        evidence = [
            finding(self.name, f"nested_{metric}", found.mean, sd=finite(found.sd), splits=len(outer), **common),
            finding(self.name, f"flat_best_{metric}", found.flat_best, **common),
        ]
        notes.append("the flat best was chosen on the very folds it is scored on; the nested score is the honest one")
        table: dict[str, list[Any]] = {
            "fold": list(range(1, len(outer) + 1)),
            metric: [finite(s) for s in found.outer],
            "penalty": [penalties[i] for i in found.chosen],
        }
        return PillarResult(evidence, {"outer": table}, warnings=notes)


class CompareLearners:
    """Two learners on the same splits, by the corrected resampled t test.

    Source: Nadeau & Bengio (2003), Machine Learning 52:239.

    Example:
        >>> table = {"score": [0.8, 0.82, 0.79], "other": [0.83, 0.86, 0.85]}
        >>> round(CompareLearners().compute(table, seed=0, test_share=0.5).evidence[0].p_value, 3)
        0.09
    """

    name = "N.compare_learners"
    library = OWN
    columns: Mapping[str, str] = {
        "score": "score of the first learner on each split",
        "other": "score of the second on the same splits",
    }
    options: Mapping[str, OptionSpec] = {
        "test_share": OptionSpec(0.25, "test rows over training rows of a split, e.g. 0.25 for five folds"),
        "level": OptionSpec(0.95, "two-sided confidence"),
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Compare; columns ``score`` and ``other``.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        kept, left_out = complete(
            score=numbers(self.name, columns, "score"), other=numbers(self.name, columns, "other")
        )
        notes = [f"{left_out} splits lack a score and were left out"] if left_out else []
        if len(kept["score"]) < 2:
            nothing = finding(self.name, "score_difference", None, n=len(kept["score"]))
            return PillarResult([nothing], warnings=["a comparison needs at least two splits"])
        found = corrected_resampled_t(kept["score"], kept["other"], **given)
        if math.isnan(found.statistic):
            notes.append("the difference is the same on every split, so nothing says how it varies")
        bounds: dict[str, Any] = {} if math.isnan(found.statistic) else {"low": found.lower, "high": found.upper}
        item = finding(
            self.name, "score_difference", found.difference, **bounds, p_value=found.p_value, n=found.df + 1,
            method="corrected-resampled-t", guarantee="approximate", level=given["level"], df=found.df,
            naive_p_value=finite(found.naive_p_value),
        )  # fmt: skip
        notes.append("this speaks of the learners on training sets of this size, not of one fitted model")
        return PillarResult([item], warnings=notes)


class JackknifePlus:
    """Prediction intervals for new rows by the jackknife+ or CV+.

    Source: Barber, Candès, Ramdas & Tibshirani (2021), Ann Stat 49:486.

    Example:
        >>> table = {"target": [float(i) for i in range(30)], "feature": [float(i) for i in range(30)]}
        >>> table["target"][-1] = None
        >>> result = JackknifePlus().compute(table, seed=0)
        >>> result.evidence[0].statistic_name
        'mean_width'
    """

    name = "N.jackknife_plus"
    library = OWN
    columns: Mapping[str, str] = {"target": "what is predicted; rows without it are the new ones", **FEATURES}
    options: Mapping[str, OptionSpec] = {
        **MODEL,
        "alpha": OptionSpec(0.1, "miss rate aimed at; at most twice that is guaranteed"),
        "folds": OptionSpec(0, "folds of CV+; 0: leave one out"),
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Predict the rows without a target.

        Args:
            columns: ``target``, ``feature`` ….
            seed: Of the shuffling of CV+.
            **options: Those of :attr:`options`.

        Returns:
            Evidence: the mean width; table ``intervals`` with the rows predicted.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        require(self.name, columns, "target", "feature")
        target = numbers(self.name, columns, "target")
        features = np.column_stack([numbers(self.name, columns, f) for f in FEATURES if f in columns])
        whole, known = ~np.isnan(features).any(axis=1), ~np.isnan(target)
        train, new = np.flatnonzero(whole & known), np.flatnonzero(whole & ~known)
        if len(train) < 5 or not len(new):
            reason = f"{len(train)} rows to learn from and {len(new)} to predict: at least 5 and 1 are needed"
            return PillarResult([finding(self.name, "mean_width", None, n=len(train))], warnings=[reason])
        scheme = "k-fold" if given["folds"] else "leave-one-out"
        cut = splits(scheme, len(train), folds=given["folds"] or 5, seed=seed)
        model = make_model(given["model"], degree=given["degree"], penalty=given["penalty"])
        if given["model"] in ("logistic", "dummy-prior"):
            raise UsageError("the jackknife+ predicts numbers: ols, polynomial, ridge or dummy-mean")
        lower, upper = jackknife_plus(model, features[train], target[train], features[new], cut, alpha=given["alpha"])
        notes = [f"coverage of at least {1 - 2 * given['alpha']:.0%} is guaranteed, {1 - given['alpha']:.0%} is usual"]
        if not np.isfinite(upper).all():
            notes.append(f"{len(train)} rows are too few for alpha {given['alpha']:g}: the intervals have no end")
        item = finding(
            self.name, "mean_width", float((upper - lower).mean()), n=len(train), guarantee="guaranteed", seed=seed,
            method="cv+" if given["folds"] else "jackknife+", alpha=given["alpha"], model=given["model"],
        )  # fmt: skip
        table: dict[str, list[Any]] = {
            "row": [int(i) + 1 for i in new],
            "lower": [finite(v) for v in lower],
            "upper": [finite(v) for v in upper],
        }
        return PillarResult([item], {"intervals": table}, warnings=notes)
