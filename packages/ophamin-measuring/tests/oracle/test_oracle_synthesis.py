"""Pillar I against metafor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ophamin.measuring.pillars.synthesis import bias, effects, tables
from ophamin.measuring.pillars.synthesis.pooling import Pooled, meta_regression, pool
from ophamin.measuring.pillars.synthesis.sequence import cumulative, leave_one_out

AREA = "synthesis"
TESTS = {"z": "z", "t": "t", "knha": "knapp-hartung", "adhoc": "knapp-hartung-adhoc"}


def _meta(data: Any, options: Any) -> dict[str, Any]:
    # metafor's prediction interval takes the law of its test.
    law = "z" if options["test"] == "z" else "t-k-1"
    found = pool(data["y"], data["v"], method=options["method"], test=TESTS[options["test"]], prediction=law)
    return {
        "est": found.estimate, "se": found.se, "lo": found.lower, "hi": found.upper, "p": found.p_value,
        "tau2": found.tau2, "Q": found.q, "Qp": found.q_p_value, "I2_tau": found.i2_tau2, "H2_tau": found.h2_tau2,
        "pi_lo": found.prediction[0], "pi_hi": found.prediction[1],
    }  # fmt: skip


def _q_profile(data: Any, options: Any) -> dict[str, Any]:
    y, v, level = data["y"], data["v"], options["level"]
    found = pool(y, v, method=options["method"])
    (low, high), i2, h2 = (f(y, v, level) for f in (found.tau2_interval, found.i2_interval, found.h2_interval))
    return {"lo": low, "hi": high, "I2lo": i2[0], "I2hi": i2[1], "H2lo": h2[0], "H2hi": h2[1]}


def _trim_fill(data: Any, options: Any) -> dict[str, Any]:
    side = None if options["side"] == "auto" else options["side"]
    found = bias.trim_and_fill(
        data["y"], data["v"], method=options["method"], estimator=options["estimator"], side=side
    )
    pooled = found.pooled
    return {
        "k0": found.missing, "side": found.side, "est": pooled.estimate, "se": pooled.se, "tau2": pooled.tau2,
        "lo": pooled.lower, "hi": pooled.upper,
    }  # fmt: skip


def _each(found: Sequence[Pooled]) -> dict[str, Any]:
    names = {"est": "estimate", "se": "se", "lo": "lower", "hi": "upper", "p": "p_value", "Q": "q", "Qp": "q_p_value"}
    return {key: [getattr(p, name) for p in found] for key, name in names.items()}


def _egger(data: Any, options: Any) -> dict[str, Any]:
    found = bias.egger(
        data["y"], data["v"], model="mixed" if options["model"] == "rma" else "classic",
        predictor={"sei": "se", "vi": "variance"}[options["predictor"]], method=options["method"],
    )  # fmt: skip
    return {"stat": found.statistic, "p": found.p_value, "df": found.df, "est": found.slope}


def _begg(data: Any, options: Any) -> dict[str, Any]:
    found = bias.begg(data["y"], data["v"])
    return {"tau": found.tau, "p": found.p_value}


def _regression(data: Any, options: Any) -> dict[str, Any]:
    found = meta_regression(data["y"], data["v"], data["mods"], method=options["method"], test=TESTS[options["test"]])
    alone = pool(data["y"], data["v"], method=options["method"]).tau2
    return {
        "b": found.coefficients.tolist(), "se": found.se.tolist(), "lo": found.lower.tolist(),
        "hi": found.upper.tolist(), "p": found.p_values.tolist(), "tau2": found.tau2, "QE": found.q_residual,
        "QEp": found.q_residual_p_value, "QM": found.q_moderators, "QMp": found.q_moderators_p_value,
        # metafor says 0 % where there is no tau2 to explain; here it has no value.
        "R2": found.r2 if alone > 0 else 0.0,
    }  # fmt: skip


def _arms(data: Any) -> list[Any]:
    return [np.asarray(data[name], dtype=float) for name in ("a", "n1", "c", "n2")]


def _counts(data: Any, options: Any) -> dict[str, Any]:
    drop = "always" if options["drop00"] else "never"
    found = effects.counts(options["measure"], *_arms(data), to=options["to"], drop00=drop)
    return {"y": found.effect.tolist(), "v": found.variance.tolist()}


def _pooled_table(found: tables.PooledTable) -> dict[str, Any]:
    return {"est": found.estimate, "se": found.se, "Q": found.q, "Qp": found.q_p_value}


def _mantel_haenszel(data: Any, options: Any) -> dict[str, Any]:
    found = _pooled_table(tables.mantel_haenszel(options["measure"], *_arms(data)))
    none = tables.TableTest(float("nan"), 1, float("nan"))
    ratio = options["measure"] == "OR"  # metafor gives both tests with the odds ratio only
    joint = tables.cochran_mantel_haenszel(*_arms(data)) if ratio else none
    apart = tables.tarone(*_arms(data)) if ratio else none
    return {**found, "MH": joint.statistic, "MHp": joint.p_value, "TA": apart.statistic, "TAp": apart.p_value}


def _added(data: Any, options: Any) -> dict[str, Any]:
    return _pooled_table(tables.mantel_haenszel(options["measure"], *_arms(data), correction=0.5, to=options["to"]))


def _uncorrected(data: Any, options: Any) -> dict[str, Any]:
    found = tables.cochran_mantel_haenszel(*_arms(data), correct=False)
    return {"MH": found.statistic, "MHp": found.p_value}


def _means(data: Any, options: Any) -> dict[str, Any]:
    of = effects.standardized_mean_difference if options["measure"] == "SMD" else effects.mean_difference
    found = of(*(data[name] for name in ("m1", "s1", "n1", "m2", "s2", "n2")))
    return {"y": found.effect.tolist(), "v": found.variance.tolist()}


def _correlations(data: Any, options: Any) -> dict[str, Any]:
    found = effects.fisher_z(data["r"], data["n"])
    return {"y": found.effect.tolist(), "v": found.variance.tolist()}


ANSWERS = {
    "meta": _meta,
    "qprofile": _q_profile,
    "trimfill": _trim_fill,
    "loo": lambda data, options: _each(leave_one_out(data["y"], data["v"], method=options["method"])),
    "cumul": lambda data, options: _each(cumulative(data["y"], data["v"], method=options["method"]).pooled),
    "egger": _egger,
    "begg": _begg,
    "metareg": _regression,
    "escalc": _counts,
    "mh": _mantel_haenszel,
    "mhadd": _added,
    "cmh": _uncorrected,
    "peto": lambda data, options: _pooled_table(tables.peto(*_arms(data))),
    "escalc_means": _means,
    "escalc_z": _correlations,
}


def test_agrees(case: list[Any], agrees: Any) -> None:
    agrees(ANSWERS)
