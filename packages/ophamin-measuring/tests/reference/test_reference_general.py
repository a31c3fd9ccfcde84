"""Pillar X against R and published tables."""

from __future__ import annotations

from typing import Any

from ophamin.measuring.pillars.general import means, proportions
from ophamin.measuring.pillars.general.adjust import METHODS, adjust
from ophamin.measuring.pillars.general.correlations import correlate, exact_spearman
from ophamin.measuring.pillars.general.effects import standardized_difference
from ophamin.measuring.pillars.general.ranks import mann_whitney

PILLAR = "X"


def _samples(case: dict[str, Any], frame: Any) -> tuple[Any, Any]:
    """The two samples of a data file, in the order the case names them."""
    value, group = next((v, g) for v, g in (("extra", "group"), ("v", "g"), ("y", "g")) if v in frame)
    names = list(dict.fromkeys(frame[group].astype(str)))
    first, second = (frame.loc[frame[group].astype(str) == name, value] for name in names)
    assert len(names) == 2
    return first, second


def _shares(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    o, got = case["options"], {}
    for key, method, level in (
        ("wilson", "wilson", o["level"]),
        ("clopper_pearson", "clopper-pearson", o["level"]),
        ("wilson99", "wilson", 0.99),
        ("wilson_cc", "wilson-corrected", o["level"]),
    ):
        found = proportions.interval(o["x"], o["n"], method=method, level=level)
        got |= {f"{key}.lo": float(found.lower), f"{key}.hi": float(found.upper)}
    return got


def _newcombe(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    o = case["options"]
    found = proportions.difference_interval(o["x1"], o["n1"], o["x2"], o["n2"], level=o["level"])
    return {"diff": float(found.estimate), "lo": float(found.lower), "hi": float(found.upper)}


def _t(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    x, y = _samples(case, frame)
    welch, student = means.t_test(x, y), means.t_test(x, y, equal_variance=True)
    return {
        "t": welch.statistic, "df": welch.df, "p": welch.p_value, "lo": welch.lower, "hi": welch.upper,
        "diff": welch.estimate, "t_pooled": student.statistic, "df_pooled": student.df, "p_pooled": student.p_value,
    }  # fmt: skip


def _paired(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    found = means.paired(*_samples(case, frame))
    return {"t": found.statistic, "df": found.df, "p": found.p_value, "lo": found.lower, "hi": found.upper}


def _mann_whitney(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    found = mann_whitney(*_samples(case, frame))
    return {
        "W": found.statistic, "p_exact": found.p_exact, "p_asym_cc": found.p_corrected, "p_asym": found.p_asymptotic,
        "auc": found.auc, "p_greater_exact": found.p_greater,
    }  # fmt: skip


def _correlation(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    x, y = frame["L"], frame["score"]
    rho, r, tau = (correlate(x, y, kind=k) for k in ("spearman", "pearson", "kendall"))
    return {
        "rho": rho.estimate, "p_asym_t": rho.p_value, "pearson_r": r.estimate, "pearson_p": r.p_value,
        "pearson_lo": r.lower, "pearson_hi": r.upper, "kendall_tau": tau.estimate,
        "p_exact_perm": exact_spearman(x, y),
    }  # fmt: skip


def _adjust(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    return {name: adjust(case["options"]["p"], name).tolist() for name in METHODS}


def _equivalence(test: means.TTest, o: dict[str, Any]) -> dict[str, Any]:
    found = means.tost(test, o["low"], o["high"], alpha=o.get("alpha", 0.05))
    return {
        "t_lower": found.t_lower, "p_lower": found.p_lower, "t_upper": found.t_upper, "p_upper": found.p_upper,
        "p": found.p_value, "df": test.df, "ci90": [found.lower, found.upper], "ci90_lo": found.lower,
        "ci90_hi": found.upper,
    }  # fmt: skip


def _tost(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    o = case["options"]
    return _equivalence(means.t_test(*_samples(case, frame), equal_variance=o["var_equal"]), o)


def _tost_summary(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    o = case["options"]
    first, second = ((o[f"m{i}"], o[f"sd{i}"], o[f"n{i}"]) for i in (1, 2))
    return _equivalence(means.difference_of(first, second, equal_variance=o["var_equal"]), o)


def _smd(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    found = standardized_difference(*_samples(case, frame))
    return {"d": found.d, "g": found.g}


ANSWERS = {
    "proportion_ci": _shares,
    "newcombe_diff_ci": _newcombe,
    "t_test": _t,
    "paired_t": _paired,
    "mann_whitney": _mann_whitney,
    "correlation": _correlation,
    "p_adjust": _adjust,
    "tost": _tost,
    "tost_summary": _tost_summary,
    "effect_size_smd": _smd,
}


def test_agrees(case: dict[str, Any], agrees: Any) -> None:
    agrees(ANSWERS)
