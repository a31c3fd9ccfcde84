"""Pillar N against R's boot, published tables and cross-validation by hand in R."""

from __future__ import annotations

from typing import Any

import numpy as np

from ophamin.measuring.pillars.robustness.bootstrap import bootstrap
from ophamin.measuring.pillars.robustness.folds import given_folds, splits
from ophamin.measuring.pillars.robustness.jackknife import infinitesimal_error, jackknife
from ophamin.measuring.pillars.robustness.statistics import statistic_of
from ophamin.measuring.pillars.robustness.validation import cross_validate, make_model, nested

PILLAR = "N"


def _loocv(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    x, y = frame["horsepower"].to_numpy(float), frame["mpg"].to_numpy(float)
    cut = splits("leave-one-out", len(y))
    return {
        f"mse[{d}]": cross_validate(make_model("polynomial", degree=d), x, y, cut).mean
        for d in case["options"]["degrees"]
    }


def _kfold(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    options = case["options"]
    auto, cut = (frame[0], given_folds(frame[1][options["fold_column"]])) if isinstance(frame, list) else (frame, None)
    cut = cut or splits("k-fold", len(auto), folds=5, shuffle=False)
    model = make_model("polynomial", degree=2)
    found = cross_validate(model, auto["horsepower"], auto["mpg"], cut, metric=options["metric"])
    return {
        "per_fold": found.per_fold.tolist(), "mean": found.mean, "sd": found.sd, "se": found.se, "pooled": found.weighted_mean,
    }  # fmt: skip


def _group(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    cut = splits("leave-one-group-out", len(frame), groups=frame["Subject"].tolist())
    found = cross_validate(make_model("ols"), frame["Days"], frame["Reaction"], cut)
    return {"mean": found.mean, "sd": found.sd, "pooled": found.pooled, "n_folds": len(cut)}


def _nested(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    auto, folds = frame
    features = auto[case["options"]["features"]].to_numpy(float)
    penalties = case["options"]["lambdas"]
    found = nested(
        [make_model("ridge", penalty=p) for p in penalties], features, auto["mpg"], given_folds(folds["outer"]),
        lambda number, train: given_folds(folds[f"inner{number}"].to_numpy()[train]),
    )  # fmt: skip
    return {
        "best_lambda": [penalties[i] for i in found.chosen],
        "outer_mse": found.outer.tolist(),
        "nested_mean": found.mean,
        "nested_sd": found.sd,
        "nonnested_curve": found.flat.tolist(),
        "nonnested_best": found.flat_best,
        "inner_curve_outer0": found.inner[0].tolist(),
    }


def _bootstrap_se(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    if "group" in case["options"]:
        x = frame.loc[frame["group"] == case["options"]["group"], "survival"].to_numpy(float)
        mean, median = (
            bootstrap([x], statistic_of(s), method="percentile", resamples=40_000, seed=1) for s in ("mean", "median")
        )
        classic = float(x.std(ddof=1) / np.sqrt(len(x)))
        return {
            "mean": mean.value, "se_mean_classic": classic, "se_mean_boot": mean.standard_error,
            "median": median.value, "se_median_boot": median.standard_error,
        }  # fmt: skip
    x, y = frame["horsepower"].to_numpy(float), frame["mpg"].to_numpy(float)
    slope, intercept = (
        bootstrap([x, y], statistic_of(s), method="percentile", resamples=20_000, seed=1)
        for s in ("slope", "intercept")
    )
    residual = y - intercept.value - slope.value * x
    sigma2, centred = float(residual @ residual) / (len(x) - 2), float(((x - x.mean()) ** 2).sum())
    return {
        "intercept": intercept.value, "slope": slope.value, "boot_se_intercept": intercept.standard_error,
        "boot_se_slope": slope.standard_error, "classic_se_slope": float(np.sqrt(sigma2 / centred)),
        "classic_se_intercept": float(np.sqrt(sigma2 * (1 / len(x) + x.mean() ** 2 / centred))),
    }  # fmt: skip


def _jackknife(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    found = jackknife([frame["LSAT"], frame["GPA"]], statistic_of("correlation"))
    return {"theta": found.value, "bias": found.bias, "se": found.standard_error}


def _city(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    data, ratio = [frame["x"].to_numpy(float), frame["u"].to_numpy(float)], statistic_of("ratio")
    left = jackknife(data, ratio)
    bca, percentile = (bootstrap(data, ratio, method=m, resamples=40_000, seed=1) for m in ("bca", "percentile"))
    return {
        "theta": left.value, "jack_se": left.standard_error, "jack_bias": left.bias,
        "infinitesimal_jack_se": infinitesimal_error(data, ratio), "boot_se": bca.standard_error,
        "boot_bias": bca.bias, "bca.lo": bca.low, "bca.hi": bca.high, "percentile.lo": percentile.low,
        "percentile.hi": percentile.high,
    }  # fmt: skip


ANSWERS = {
    "loocv": _loocv,
    "kfold_cv": _kfold,
    "group_cv": _group,
    "nested_cv": _nested,
    "bootstrap_se": _bootstrap_se,
    "jackknife": _jackknife,
    "bootstrap_ci": _city,
}


def test_agrees(case: dict[str, Any], agrees: Any) -> None:
    agrees(ANSWERS)
