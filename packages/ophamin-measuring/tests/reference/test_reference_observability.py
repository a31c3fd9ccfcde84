"""Pillar O against NIST, published tables, R's qcc and spc, MOA and river's documentation."""

from __future__ import annotations

from typing import Any

import numpy as np

from ophamin.measuring.pillars.observability import charts, run_length
from ophamin.measuring.pillars.observability.constants import constants
from ophamin.measuring.pillars.observability.drift import detect
from ophamin.measuring.pillars.observability.ratio import sample_ratio_mismatch
from ophamin.measuring.pillars.observability.weighted import cusum, ewma

PILLAR = "O"
SHIFTS = "shifts"


def _constants(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    low, high = case["options"]["n"]
    return {f"{k}[{n}]": v for n in range(low, high + 1) for k, v in constants(n).table().items()}


def _phase1(frame: Any, options: dict[str, Any]) -> Any:
    first, last = options["phase1_samples"]
    names = frame["sample"].drop_duplicates()
    return ((names >= first) & (names <= last)).to_numpy()


def _xbar(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    options = case["options"]
    chart = charts.xbar(
        frame["diameter"], frame["sample"].tolist(), phase1=_phase1(frame, options),
        level=options.get("confidence_level"),
    )  # fmt: skip
    return {
        "center": chart.center[0],
        "LCL": chart.lower[0],
        "UCL": chart.upper[0],
        "sigma_hat": chart.sigma,
        "beyond_limits": [chart.labels[i] for i in chart.beyond],
        "last_mean": chart.points[-1],
    }


def _r(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    chart = charts.r_chart(frame["diameter"], frame["sample"].tolist(), phase1=_phase1(frame, case["options"]))
    return {"center": chart.center[0], "LCL": chart.lower[0], "UCL": chart.upper[0]}


def _individuals(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    chart, ranges = charts.individuals(frame["flow"]), charts.moving_range(frame["flow"])
    return {"center": chart.center[0], "LCL": chart.lower[0], "UCL": chart.upper[0], "MRbar": ranges.center[0]}


def _counts(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    phase1 = frame["trial"].to_numpy(bool) if "phase1" in case["options"] else None
    match case["method"]:
        case "p_chart":
            chart = charts.p_chart(frame["D"], frame["size"], phase1=phase1)
        case "np_chart":
            chart = charts.np_chart(frame["D"], 50, phase1=phase1)
        case "c_chart":
            chart = charts.c_chart(frame["x"], phase1=phase1)
        case _:
            chart = charts.u_chart(frame["x"], frame["size"], phase1=phase1)
    inside = [int(i) + 1 for i in chart.beyond if chart.phase1[i]]
    return {"center": chart.center[0], "LCL": chart.lower[0], "UCL": chart.upper[0], "beyond_limits": inside}


def _ewma(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    options = case["options"]
    found = ewma(
        frame["x"], target=options["target"], sigma=options["sigma"], lam=options["lam"], width=options["L"],
        limits=options["limits"],
    )  # fmt: skip
    varying = options["limits"] == "time-varying"
    return {
        "ewma": found.ewma.tolist(),
        "UCL": found.upper.tolist() if varying else found.upper[0],
        "LCL": found.lower.tolist() if varying else found.lower[0],
        "n_signals": len(found.signals),
    }


def _cusum(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    found = cusum(frame["x"], target=case["options"]["target"], k=case["options"]["k"], h=case["options"]["h"])
    return {
        "C_plus": found.upper.tolist(),
        "C_minus": found.lower.tolist(),
        "first_signal_group": found.signals[0] + 1,
    }


def _arl(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    options = case["options"]
    shifts = options[SHIFTS]
    if case["method"] == "shewhart_arl":
        return {f"n{n}[{s:g}]": run_length.shewhart_arl(s, width=options["L"], n=n) for n in (1, 5) for s in shifts}
    if case["method"] == "cusum_arl":
        return {f"ARL[{s:g}]": run_length.cusum_arl(s, k=options["k"], h=options["h"]) for s in shifts}
    return {f"ARL[{s:g}]": run_length.ewma_arl(s, lam=options["lam"], width=options["L"]) for s in shifts}


def _srm(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    found = sample_ratio_mismatch(case["options"]["observed"], case["options"]["expected_ratio"])
    return {"chi2": found.statistic, "df": found.df, "p": found.p_value}


NAMES = {"ADWIN": "adwin", "PageHinkley": "page-hinkley", "KSWIN": "kswin", "DDM": "ddm", "EDDM": "eddm"}


def _drift(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    name = case["method"].removeprefix("drift_")
    skipped = ("stream_column", "index_base")
    parameters = {k: v for k, v in case["options"].items() if k not in skipped}
    found = detect(
        np.asarray(frame[case["options"]["stream_column"]], float).tolist(),
        NAMES.get(name, name.lower().replace("_", "-")),
        **parameters,
    )
    return {
        "change_indices": found.changes,
        "first_change_index": found.changes[0] if found.changes else None,
        "first_warning_in_docs": found.warnings[0] if found.warnings else None,
    }


ANSWERS = {
    "spc_constants": _constants,
    "xbar_chart": _xbar,
    "xbar_chart_monitor": _xbar,
    "r_chart": _r,
    "individuals_chart": _individuals,
    **dict.fromkeys(("p_chart", "np_chart", "c_chart", "u_chart"), _counts),
    "ewma_chart": _ewma,
    "cusum_chart": _cusum,
    **dict.fromkeys(("cusum_arl", "ewma_arl", "shewhart_arl"), _arl),
    "srm_chi2": _srm,
    **{f"drift_{n}": _drift for n in ("ADWIN", "PageHinkley", "KSWIN", "DDM", "EDDM", "HDDM_A", "HDDM_W")},
}


def test_agrees(case: dict[str, Any], agrees: Any) -> None:
    agrees(ANSWERS)
