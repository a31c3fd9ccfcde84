"""Pillar M against lme4, lmerTest, pbkrtest, car, emmeans and R's stats."""

from __future__ import annotations

from typing import Any

import pytest

from ophamin.measuring.pillars.mixed_effects.factorial import factorial
from ophamin.measuring.pillars.mixed_effects.inference import likelihood_ratio, profile_interval
from ophamin.measuring.pillars.mixed_effects.linear import MixedModel, mixed_model
from ophamin.measuring.pillars.mixed_effects.oneway import one_way
from ophamin.measuring.pillars.mixed_effects.plugins_lmm import LikelihoodRatioTest
from ophamin.measuring.pillars.mixed_effects.repeated import repeated_measures
from ophamin.measuring.pillars.mixed_effects.sweep import sweep_effects
from ophamin.measuring.pillars.mixed_effects.terms import term_tests
from ophamin.measuring.pillars.mixed_effects.tukey import tukey_hsd

AREA = "mixed"


def _fit(data: Any, numeric: list[str], *, reml: bool, structure: str = "intercept", **more: Any) -> MixedModel:
    slope = "t" if structure.startswith("slope") else None
    columns = {name: data[name] for name in numeric}
    return mixed_model(
        data["y"], data["g"], numeric=columns, structure=structure, slope=slope, second=data.get("h"), reml=reml, **more
    )


def _lmm(data: Any, options: Any) -> dict[str, Any]:
    found = _fit(
        data, options["numeric"], reml=options["reml"], structure=options["structure"],
        factors={name: data[name] for name in options["factors"]}, interactions=options.get("interactions", False),
    )  # fmt: skip
    return {
        "beta": found.beta.tolist(), "se": found.se.tolist(), "df": found.df.tolist(),
        "sd": sorted(found.sd.values()), "corr": found.correlation, "resid": found.residual_sd,
        "m2ll": found.neg2loglik, "singular": found.singular,
    }  # fmt: skip


def _kenward_roger(data: Any, options: Any) -> dict[str, Any]:
    found = _fit(
        data, options["numeric"], reml=True, structure=options["structure"], df="kenward-roger",
        factors={name: data[name] for name in options["factors"]}, interactions=options.get("interactions", False),
    )  # fmt: skip
    return {"se": found.se.tolist(), "df": found.df.tolist()}


def _term(data: Any, options: Any) -> dict[str, Any]:
    model = _fit(
        data, options["numeric"], reml=options.get("reml", True), structure=options["structure"],
        factors={name: data[name] for name in options["factors"]}, interactions=options["interactions"],
    )  # fmt: skip
    how = options.get("df", "kenward-roger")
    test = next(t for t in term_tests(model, how) if t.term == options["term"])
    return {"F": test.f, "df1": test.df1, "df2": test.df2, "p": test.p_value}


def _ratio(data: Any, options: Any) -> dict[str, Any]:
    none, line = _fit(data, [], reml=False), _fit(data, ["t"], reml=False)
    fixed = likelihood_ratio(line, none)
    slope = likelihood_ratio(_fit(data, ["t"], reml=False, structure="slope"), line)
    table = {"value": data["y"], "group": data["g"], "time": data["t"]}
    item = LikelihoodRatioTest().compute(table, seed=0, random="intercept", without="time").evidence[0]
    assert (item.statistic_value, item.p_value) == pytest.approx((fixed.statistic, fixed.p_value))
    assert item.detail["df"] == 1
    return {"fixed": fixed.statistic, "fixedp": fixed.p_value, "slope": slope.statistic, "slopep": slope.p_naive}


def _profile(data: Any, options: Any) -> dict[str, Any]:
    model = _fit(data, ["t"], reml=False)
    return {
        "sd": list(profile_interval(model, "group:intercept")), "resid": list(profile_interval(model, "residual"))
    }  # fmt: skip


def _factorial(data: Any, options: Any) -> dict[str, Any]:
    found = factorial(
        data["y"], {name: data[name] for name in options["factors"]}, type=options["type"], order=options.get("order")
    )
    # R leaves aliased terms out.
    terms = [t for t in found.terms if t.df]
    return {
        "terms": [t.name for t in terms], "ss": [t.sum_of_squares for t in terms], "df": [t.df for t in terms],
        "F": [t.f for t in terms], "p": [t.p_value for t in terms], "rss": found.residual_ss, "rdf": found.residual_df,
    }  # fmt: skip


def _means(data: Any, options: Any) -> dict[str, Any]:
    first, *_ = options["factors"]
    found = sweep_effects(data["y"], {name: data[name] for name in options["factors"]})
    means = [m for m in found.means if m.name.startswith(f"{first}[")]
    gaps = [e for e in found.effects if e.name.startswith(f"{first}[")]
    return {
        "mean": [m.value for m in means], "mse": [m.se for m in means], "mlo": [m.lower for m in means],
        "mhi": [m.upper for m in means], "diff": [g.value for g in gaps], "se": [g.se for g in gaps],
        "p": [g.p_value for g in gaps], "lo": [g.lower for g in gaps], "hi": [g.upper for g in gaps],
    }  # fmt: skip


def _oneway(data: Any, options: Any) -> dict[str, Any]:
    found = one_way(data["y"], data["f"])
    return {
        "F": found.classic.statistic, "p": found.classic.p_value, "wF": found.welch.statistic,
        "wdf": found.welch.df2, "wp": found.welch.p_value, "H": found.kruskal_wallis.statistic,
        "Hp": found.kruskal_wallis.p_value, "B": found.bartlett.statistic, "Bp": found.bartlett.p_value,
        "L": found.levene.statistic, "Lp": found.levene.p_value, "BF": found.brown_forsythe.statistic,
        "BFp": found.brown_forsythe.p_value, "eta2": found.eta2, "omega2": found.omega2,
        "elo": found.eta2_interval[0], "ehi": found.eta2_interval[1],
    }  # fmt: skip


def _tukey(data: Any, options: Any) -> dict[str, Any]:
    found = tukey_hsd(data["y"], data["f"], level=options["level"])
    return {
        "pairs": [f"{second}-{first}" for first, second in found.pairs], "diff": found.differences.tolist(),
        "lo": found.lower.tolist(), "hi": found.upper.tolist(), "p": found.p_values.tolist(),
    }  # fmt: skip


def _repeated(data: Any, options: Any) -> dict[str, Any]:
    found = repeated_measures(data["y"], data["s"], {name: data[name] for name in ("a", "b") if name in data})
    # R has no epsilon for one degree of freedom, and does not cap Huynh and Feldt's at 1.
    wide = [e.df > 1 for e in found]
    return {
        "terms": [e.name for e in found], "F": [e.f for e in found], "df": [e.df for e in found],
        "df2": [e.df2 for e in found], "p": [e.p_value for e in found], "W": [e.mauchly_w for e in found],
        "gg": [e.greenhouse_geisser if w else None for e, w in zip(found, wide, strict=True)],
        "pgg": [e.p_greenhouse_geisser if w else None for e, w in zip(found, wide, strict=True)],
        "hf": [e.huynh_feldt if w else None for e, w in zip(found, wide, strict=True)],
        "phf": [e.p_huynh_feldt if w else None for e, w in zip(found, wide, strict=True)],
    }  # fmt: skip


ANSWERS = {
    "lmm": _lmm,
    "kr": _kenward_roger,
    "term": _term,
    "lrt": _ratio,
    "profile": _profile,
    "aov": _factorial,
    "emm": _means,
    "oneway": _oneway,
    "tukey": _tukey,
    "rm": _repeated,
}


def test_agrees(case: list[Any], agrees: Any) -> None:
    agrees(ANSWERS)
