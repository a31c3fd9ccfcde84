"""Pillar I against metafor and published tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from ophamin.measuring.pillars.synthesis import bias, effects, tables
from ophamin.measuring.pillars.synthesis.pooling import pool
from ophamin.measuring.pillars.synthesis.sequence import cumulative, leave_one_out

PILLAR = "I"


def _meta(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    got: dict[str, Any] = {}
    for name in case["options"]["methods"]:
        method, _, hk = name.partition("_")
        found = pool(frame["yi"], frame["vi"], method=method, test="knapp-hartung" if hk else "z")
        got |= {
            f"{name}.est": found.estimate,
            f"{name}.se": found.se,
            f"{name}.lo": found.lower,
            f"{name}.hi": found.upper,
            f"{name}.p": found.p_value,
            f"{name}.tau2": found.tau2,
            f"{name}.Q": found.q,
            f"{name}.Qp": found.q_p_value,
            f"{name}.I2": found.i2,
            f"{name}.H2": found.h2,
        }
    return got


def _cumulative(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    keys = [k.strip() for k in case["options"]["order_by"].split(",")]
    order = np.lexsort([frame[k] for k in reversed(keys)]).tolist()
    found = cumulative(frame["yi"], frame["vi"], order=order, method=case["options"]["method"])
    return {
        "order": [i + 1 for i in found.order],
        "est": [p.estimate for p in found.pooled],
        "se": [p.se for p in found.pooled],
        "lo": [p.lower for p in found.pooled],
        "hi": [p.upper for p in found.pooled],
        "p": [p.p_value for p in found.pooled],
        "tau2": [p.tau2 for p in found.pooled],
        "I2": [0.0 if np.isnan(p.i2) else p.i2 for p in found.pooled],
    }


def _arms(frame: Any) -> tuple[Any, Any, Any, Any]:
    return frame["tpos"], frame["tpos"] + frame["tneg"], frame["cpos"], frame["cpos"] + frame["cneg"]


def _effects(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    found = effects.counts(case["options"]["measure"].split()[-1], *_arms(frame))
    return {"yi": found.effect.tolist(), "vi": found.variance.tolist()}


def _mantel_haenszel(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    odds, risk = (tables.mantel_haenszel(m, *_arms(frame)) for m in ("OR", "RR"))
    return {"logOR": odds.estimate, "se_logOR": odds.se, "logRR": risk.estimate, "se_logRR": risk.se}


def _small_study(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    found = bias.egger(frame["yi"], frame["vi"])
    return {
        "intercept": found.intercept,
        "intercept_se": found.se,
        "t": found.statistic,
        "df": found.df,
        "p": found.p_value,
        "slope": found.slope,
        "begg_tau": bias.begg(frame["yi"], frame["vi"]).tau,
    }


def _q_profile(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    found, level = pool(frame["yi"], frame["vi"]), case["options"]["level"]
    low, high = found.tau2_interval(frame["yi"], frame["vi"], level)
    i2_low, i2_high = found.i2_interval(frame["yi"], frame["vi"], level)
    return {"tau2_lo": low, "tau2_hi": high, "I2_lo": i2_low, "I2_hi": i2_high}


def _leave_one_out(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    found = leave_one_out(frame["yi"], frame["vi"], method=case["options"]["method"])
    return {
        "est": [p.estimate for p in found],
        "se": [p.se for p in found],
        "tau2": [p.tau2 for p in found],
        "I2": [p.i2 for p in found],
        "Q": [p.q for p in found],
    }


def _prediction(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    found = pool(frame["yi"], frame["vi"], method=case["options"]["method"])
    half = 1.959963984540054 * np.hypot(found.se, np.sqrt(found.tau2))
    t_low, t_high = found.prediction
    return {"z.lo": found.estimate - half, "z.hi": found.estimate + half, "t.lo": t_low, "t.hi": t_high}


ANSWERS = {
    "meta_analysis": _meta,
    "cumulative_meta": _cumulative,
    "effect_sizes": _effects,
    "mantel_haenszel": _mantel_haenszel,
    "small_study_tests": _small_study,
    "tau2_qprofile": _q_profile,
    "meta_leave_one_out": _leave_one_out,
    "prediction_interval": _prediction,
}


def test_agrees(case: dict[str, Any], agrees: Any) -> None:
    agrees(ANSWERS)
