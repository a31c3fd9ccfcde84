"""Conformal prediction against R's conformalInference and the law of its coverage."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import norm

from ophamin.measuring.diagnostics.conformal import coverage_law, prediction_intervals, threshold

PILLAR = "D"


def _split(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    options = case["options"]
    features = [options["x"]] if "x" in options else ["horsepower", "weight", "year"]
    y = frame[options.get("y", "mpg")].to_numpy(float)
    x = np.column_stack([np.ones(len(y)), frame[features].to_numpy(float)])
    part = frame["part"]
    train, calib, test = (np.flatnonzero(part == p) for p in ("train", "calib", "test"))
    predicted = x @ np.linalg.lstsq(x[train], y[train], rcond=None)[0]
    low, high, width = prediction_intervals(y[calib], predicted[calib], predicted[test], alpha=options["alpha"])
    found = {
        "k": coverage_law(len(calib), options["alpha"]).k, "half_width": width,
        "test_coverage": float(((low <= y[test]) & (y[test] <= high)).mean()),
        "lo_first3": low[:3].tolist(), "up_first3": high[:3].tolist(),
    }  # fmt: skip
    return {k: v for k, v in found.items() if k in case["expected"]}


def _law(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    found = coverage_law(case["options"]["n_calib"], case["options"]["alpha"])
    return {
        "k": found.k, "marginal_coverage": found.marginal, "beta_a": found.a, "beta_b": found.b, "sd": found.sd,
        "q05": found.quantile(0.05), "q95": found.quantile(0.95),
    }  # fmt: skip


def _simulation(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    rng = np.random.default_rng(5)
    # The coverage of ±q by a standard normal case is known, so only the calibration sets are drawn.
    q = [
        threshold(np.abs(rng.normal(size=case["options"]["n_calib"])), case["options"]["alpha"]) for _ in range(20_000)
    ]
    covered = 2 * norm.cdf(q) - 1
    return {"mean_coverage": float(covered.mean()), "sd_coverage": float(covered.std(ddof=1))}


ANSWERS = {"split_conformal": _split, "conformal_coverage_law": _law, "conformal_coverage_simulation": _simulation}


def test_agrees(case: dict[str, Any], agrees: Any) -> None:
    agrees(ANSWERS)
