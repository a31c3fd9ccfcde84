"""Pillar X, and the estimators of grouped rows, against R's stats, car and survey."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ophamin.measuring.estimators.correlation import correlation
from ophamin.measuring.estimators.difference_mean import difference_mean
from ophamin.measuring.estimators.mean import mean
from ophamin.measuring.estimators.proportion import proportion
from ophamin.measuring.estimators.quantile import quantile
from ophamin.measuring.estimators.slope import slope_hac
from ophamin.measuring.pillars.general import correlations, means, proportions
from ophamin.measuring.pillars.general.adjust import METHODS, adjust
from ophamin.measuring.pillars.general.effects import standardized_difference
from ophamin.measuring.pillars.general.paired_counts import mcnemar
from ophamin.measuring.pillars.general.power import power, sample_size
from ophamin.measuring.pillars.general.ranks import mann_whitney

AREA = "general"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _share(data: Any, options: Any) -> dict[str, Any]:
    got = {}
    for method in proportions.METHODS:
        found = proportions.interval(options["k"], options["n"], method=method, level=options["level"])
        got[method] = [float(found.lower), float(found.upper)]
    return got


def _newcombe(data: Any, options: Any) -> dict[str, Any]:
    found = proportions.difference_interval(*options["q"], level=options["level"])
    return {"lo": float(found.lower), "hi": float(found.upper)}


def _t(found: means.TTest) -> dict[str, Any]:
    return {
        "t": found.statistic, "df": found.df, "p": found.p_value, "lo": found.lower, "hi": found.upper,
        "se": found.standard_error,
    }  # fmt: skip


def _mann_whitney(data: Any, options: Any) -> dict[str, Any]:
    found = mann_whitney(data["x"], data["y"])
    return {
        "W": found.statistic, "pcc": found.p_corrected, "pn": found.p_asymptotic, "pexact": found.p_exact,
        "pgreater": found.p_greater,
    }  # fmt: skip


def _smd(data: Any, options: Any) -> dict[str, Any]:
    found = standardized_difference(data["x"], data["y"])
    return {"d": found.d, "g": found.g, "lo": found.lower, "hi": found.upper}


def _tost(data: Any, options: Any) -> dict[str, Any]:
    found = means.tost(means.t_test(data["x"], data["y"]), options["low"], options["high"])
    return {
        "tl": found.t_lower, "pl": found.p_lower, "tu": found.t_upper, "pu": found.p_upper, "lo": found.lower,
        "hi": found.upper,
    }  # fmt: skip


def _non_inferiority(data: Any, options: Any) -> dict[str, Any]:
    found = means.non_inferiority(means.t_test(data["x"], data["y"]), options["margin"])
    return {"t": found.t_lower, "p": found.p_lower, "lo": found.lower}


def _correlation(data: Any, options: Any) -> dict[str, Any]:
    x, y = data["x"], data["y"]
    r, rho, tau = (correlations.correlate(x, y, kind=kind) for kind in ("pearson", "spearman", "kendall"))
    # R's own choice: exact up to 9 rows, an Edgeworth series beyond, t where there are ties.
    usual = rho.p_value
    if len(set(x)) == len(set(y)) == len(x):
        usual = (correlations.exact_spearman if len(x) <= 9 else correlations.edgeworth_spearman)(x, y)
    return {
        "r": r.estimate, "p": r.p_value, "lo": r.lower, "hi": r.upper, "rho": rho.estimate, "psa": rho.p_value,
        "ps": usual, "tau": tau.estimate, "pk": tau.p_value,
    }  # fmt: skip


def _mcnemar(data: Any, options: Any) -> dict[str, Any]:
    found = mcnemar(options["b"], options["c"], options["n"])
    return {
        "stat": found.statistic, "p": found.p_asymptotic, "statu": found.statistic_uncorrected,
        "pu": found.p_uncorrected, "pexact": found.p_exact, "pmid": found.p_mid, "lo": found.lower, "hi": found.upper,
    }  # fmt: skip


def _power(data: Any, options: Any) -> dict[str, Any]:
    given = dict(options)
    return {"power": power(given.pop("test"), given.pop("effect"), given.pop("n"), **given)}


def _power_prop(data: Any, options: Any) -> dict[str, Any]:
    p1, p2, alpha, sides = (options[name] for name in ("p1", "p2", "alpha", "sides"))
    if not options["strict"]:
        # R's default: one tail, on the side of the effect, whatever its sign.
        p1, p2, alpha, sides = min(p1, p2), max(p1, p2), alpha / sides, 1
    return {"power": power("proportions-pooled", p2 - p1, options["n"], alpha=alpha, sides=sides, base=p1)}


def _size_prop(data: Any, options: Any) -> dict[str, Any]:
    p1, p2 = options["p1"], options["p2"]
    return {"n": sample_size("proportions-pooled", p2 - p1, target=options["target"], alpha=options["alpha"], base=p1)}


def _size(data: Any, options: Any) -> dict[str, Any]:
    return {"n": sample_size("t", options["effect"], target=options["target"], alpha=options["alpha"])}


def _estimate(
    found: Callable[..., Any], table: Any, options: Any, theta: float | None = None, **more: Any
) -> dict[str, Any]:
    """The bounds, and at a threshold the one-sided p-values, of an estimator."""
    e = found(table, confidence=options["confidence"], threshold=theta, comparator=theta and "<=", **more)
    return {
        "value": e.value, "lo": e.lower, "hi": e.upper, "pless": e.p_validated, "pgreater": e.p_refuted,
        "se": e.detail.get("standard_error"),
    }  # fmt: skip


def _arms(data: Any, *, paired: bool = False) -> dict[str, list[Any]]:
    base, head = data["base"], data["head"]
    table = {"value": [*base, *head], "arm": ["base"] * len(base) + ["head"] * len(head)}
    return {**table, "pair": [*range(len(base)), *range(len(head))]} if paired else table


def _grouped_difference(data: Any, options: Any) -> dict[str, Any]:
    table = {"value": data["y"], "arm": data["arm"], "group": data["g"]}
    return _estimate(difference_mean, table, options)


def _estimated_share(data: Any, options: Any) -> dict[str, Any]:
    k, n = options["k"], options["n"]
    return _estimate(proportion, {"value": [1] * k + [0] * (n - k)}, options, 0.3)


def _slope(data: Any, options: Any) -> dict[str, Any]:
    return _estimate(slope_hac, {"value": data["y"], "time": data["t"], "group": data["g"]}, options)


def _survey(data: Any, options: Any) -> dict[str, Any]:
    table, confidence = {"value": data["y"], "group": data["g"]}, (1 + options["level"]) / 2
    share = proportion(table, confidence=confidence, method="korn-graubard")
    linear = mean(table, confidence=confidence)
    return {
        "mean": share.value, "lo": linear.lower, "hi": linear.upper, "blo": share.lower, "bhi": share.upper,
    }  # fmt: skip


ANSWERS = {
    "share": _share,
    "newcombe": _newcombe,
    "t": lambda data, options: _t(
        means.t_test(data["x"], data["y"], equal_variance=options["equal"], level=options["level"])
    ),
    "paired": lambda data, options: _t(means.paired(data["x"], data["y"])),
    "mw": _mann_whitney,
    "smd": _smd,
    "tost": _tost,
    "ni": _non_inferiority,
    "cor": _correlation,
    "mcnemar": _mcnemar,
    "adjust": lambda data, options: {name: adjust(_list(data["p"]), name).tolist() for name in METHODS},
    "power": _power,
    "power_prop": _power_prop,
    "nprop": _size_prop,
    "nt": _size,
    "svy": _survey,
    "e_diff": lambda data, options: _estimate(difference_mean, _arms(data), options, 0.4),
    "e_pair": lambda data, options: _estimate(difference_mean, _arms(data, paired=True), options, 0.4),
    "e_diffcluster": _grouped_difference,
    "e_cor": lambda data, options: _estimate(correlation, {"value": data["x"], "other": data["y"]}, options),
    "e_mean": lambda data, options: _estimate(mean, {"value": data["x"]}, options, 4.2),
    "e_prop": _estimated_share,
    "e_quantile": lambda data, options: _estimate(quantile, {"value": data["x"]}, options, q=options["q"]),
    "e_slope": _slope,
}


def test_agrees(case: list[Any], agrees: Any) -> None:
    agrees(ANSWERS)
