"""Pillar N against R's lm and against definitions written out in R."""

from __future__ import annotations

from typing import Any

import numpy as np

from ophamin.measuring.pillars.robustness.bootstrap import METHODS, _interval, bootstrap
from ophamin.measuring.pillars.robustness.comparison import corrected_resampled_t
from ophamin.measuring.pillars.robustness.folds import given_folds, splits
from ophamin.measuring.pillars.robustness.jackknife import jackknife
from ophamin.measuring.pillars.robustness.jackknife_plus import jackknife_plus
from ophamin.measuring.pillars.robustness.statistics import statistic_of
from ophamin.measuring.pillars.robustness.validation import cross_validate, make_model

AREA = "robustness"


def _one(data: Any, options: Any) -> dict[str, Any]:
    found = jackknife([np.array(data["x"], dtype=float)], statistic_of(options["statistic"]))
    return {"value": found.value, "bias": found.bias, "se": found.standard_error}


def _two(data: Any, options: Any) -> dict[str, Any]:
    columns, statistic = [np.array(data[c], dtype=float) for c in ("x", "y")], statistic_of(options["statistic"])
    rows, clusters = jackknife(columns, statistic), jackknife(columns, statistic, clusters=data["g"])
    return {
        "value": rows.value, "bias": rows.bias, "se": rows.standard_error, "gbias": clusters.bias,
        "gse": clusters.standard_error,
    }  # fmt: skip


def _corrected_t(data: Any, options: Any) -> dict[str, Any]:
    found = corrected_resampled_t(data["a"], data["b"], test_share=options["share"])
    return {
        "t": found.statistic, "p": found.p_value, "lo": found.lower, "hi": found.upper, "pn": found.naive_p_value
    }  # fmt: skip


def _folds(data: Any, options: Any) -> dict[str, Any]:
    model = make_model("polynomial", degree=options["degree"])
    found = cross_validate(model, data["x"], data["y"], given_folds(data["fold"]), metric=options["metric"])
    return {"per": found.per_fold.tolist(), "mean": found.mean, "sd": found.sd, "w": found.weighted_mean}


def _plus(data: Any, options: Any) -> dict[str, Any]:
    cut = splits("leave-one-out", len(data["y"]))
    low, high = jackknife_plus(make_model("ols"), data["x"], data["y"], [options["x0"]], cut, alpha=options["alpha"])
    return {"lo": float(low[0]), "hi": float(high[0])}


def _ideal(data: Any, options: Any) -> dict[str, Any]:
    # R went through all 5^5 resamples: what a bootstrap without end would say.
    found = bootstrap(
        [np.array(data["x"])],
        statistic_of(options["statistic"]),
        method="percentile",
        level=0.9,
        resamples=60_000,
        seed=3,
    )
    return {"se": found.standard_error, "lo": found.low, "hi": found.high}


def _given(data: Any, options: Any) -> dict[str, Any]:
    # R's own resamples, with the statistic and its variance in each.
    x, drawn, errors = np.array(data["x"]), np.array(data["t"]), np.sqrt(np.array(data["vt"]))
    mean, level = statistic_of("mean"), options["level"]
    value = float(mean.value(x))
    return {m: list(_interval(m, level, value, drawn, errors, [x], mean, None)[:2]) for m in METHODS}


ANSWERS = {
    "jack": _one,
    "jack2": _two,
    "corrt": _corrected_t,
    "cv": _folds,
    "jackplus": _plus,
    "ideal": _ideal,
    "given": _given,
}


def test_agrees(case: list[Any], agrees: Any) -> None:
    agrees(ANSWERS)
