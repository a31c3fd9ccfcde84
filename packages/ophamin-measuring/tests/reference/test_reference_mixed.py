"""Pillar M against R's lme4, lmerTest, car, TukeyHSD and NIST's certified analyses of variance."""

from __future__ import annotations

import math
from typing import Any

from ophamin.measuring.pillars.mixed_effects.factorial import factorial
from ophamin.measuring.pillars.mixed_effects.inference import likelihood_ratio
from ophamin.measuring.pillars.mixed_effects.linear import mixed_model
from ophamin.measuring.pillars.mixed_effects.oneway import one_way
from ophamin.measuring.pillars.mixed_effects.tukey import tukey_hsd

PILLAR = "M"


def _random(formula: str) -> tuple[str, dict[str, Any]]:
    """The random part of a formula of lme4's as ours: structure, and which columns it needs."""
    parts = [p.split(")")[0] for p in formula.split("(")[1:]]
    if len(parts) == 2:
        outer, inner = (p.split("|")[1].strip() for p in parts)
        return "nested", {"group": outer, "second": inner}
    slope, group = (s.strip() for s in parts[0].replace("||", "|").split("|"))
    if slope == "1":
        return "intercept", {"group": group}
    return ("slope-uncorrelated" if "||" in parts[0] else "slope"), {"group": group, "slope": slope}


def _model(formula: str, frame: Any, reml: bool) -> tuple[Any, str, str]:
    outcome, right = formula.split("~")
    structure, named = _random(formula)
    fixed = [t.strip() for t in right.split("(")[0].split("+") if t.strip() not in ("", "1")]
    numeric = {t: frame[t] for t in fixed if frame[t].dtype.kind in "if"}
    model = mixed_model(
        frame[outcome.strip()], frame[named["group"]].tolist(), numeric=numeric,
        factors={t: frame[t].tolist() for t in fixed if t not in numeric}, structure=structure,
        slope=named.get("slope"), second=frame[named["second"]].tolist() if "second" in named else None, reml=reml,
    )  # fmt: skip
    return model, named["group"], named.get("second", "")


def _lmm(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    model, group, second = _model(case["options"]["lmer"], frame, case["options"]["REML"])
    found: dict[str, Any] = {
        "sd[Residual]": model.residual_sd, "neg2loglik": model.neg2loglik, f"corr[{group}]": model.correlation,
        "ICC": model.icc,
    }  # fmt: skip
    for i, name in enumerate(model.names):
        label = "(Intercept)" if name == "intercept" else name.replace("[", "").replace("]", "")
        found |= {f"beta[{label}]": model.beta[i], f"se[{label}]": model.se[i]}
        found |= {f"satterthwaite_df[{label}]": model.df[i], f"satterthwaite_p[{label}]": model.p_values[i]}
    for name, sd in model.sd.items():
        unit, _, effect = name.rpartition(":")
        label = "(Intercept)" if effect == "intercept" else effect
        found[f"sd[{second if ':' in unit else group}:{label}]"] = sd
    return {k: v for k, v in found.items() if k in case["expected"]}


def _lrt(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    full, reduced = (_model(case["options"][m], frame, False)[0] for m in ("full", "reduced"))
    found = likelihood_ratio(full, reduced)
    return {"chi2": found.statistic, "df": found.df, "p_naive": found.p_naive}


def _oneway(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    found = one_way(frame[case["options"]["value"]], frame[case["options"]["group"]].tolist())
    return {
        "F": found.classic.statistic, "df_between": found.classic.df, "df_within": found.classic.df2,
        "ss_between": found.ss_between, "ss_within": found.ss_within, "r_squared": found.eta2,
        "resid_sd": math.sqrt(found.ss_within / found.classic.df2),
    }  # fmt: skip


def _family(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    found = one_way(frame[case["options"]["value"]], frame[case["options"]["group"]].tolist())
    return {
        "F": found.classic.statistic, "df1": found.classic.df, "df2": found.classic.df2, "p": found.classic.p_value,
        "eta2": found.eta2, "welch_F": found.welch.statistic, "welch_df2": found.welch.df2,
        "welch_p": found.welch.p_value, "kw_H": found.kruskal_wallis.statistic, "kw_p": found.kruskal_wallis.p_value,
        "levene_F": found.levene.statistic, "levene_p": found.levene.p_value,
        "bf_F": found.brown_forsythe.statistic, "bf_p": found.brown_forsythe.p_value,
        "bartlett": found.bartlett.statistic, "bartlett_p": found.bartlett.p_value,
    }  # fmt: skip


def _tukey(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    found = tukey_hsd(frame["weight"], frame["group"].tolist(), level=1 - case["options"]["alpha"])
    answer: dict[str, Any] = {}
    for i, (first, second) in enumerate(found.pairs):
        pair = f"[{second}-{first}]"
        answer |= {f"diff{pair}": found.differences[i], f"lwr{pair}": found.lower[i]}
        answer |= {f"upr{pair}": found.upper[i], f"p{pair}": found.p_values[i]}
    return answer


def _twoway(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    outcome, right = (s.strip() for s in case["options"]["formula"].split("~"))
    names = [t.strip().removeprefix("C(").removesuffix(")") for t in right.split("*")]
    found = factorial(frame[outcome], {n: frame[n].tolist() for n in names}, type=case["options"]["type"])
    answer: dict[str, Any] = {"SS[Residuals]": found.residual_ss, "df[Residuals]": found.residual_df}
    for t in found.terms:
        answer |= {f"SS[{t.name}]": t.sum_of_squares, f"df[{t.name}]": t.df, f"F[{t.name}]": t.f}
        answer[f"p[{t.name}]"] = t.p_value
    return answer


ANSWERS = {
    "lmm": _lmm,
    "lmm_lrt": _lrt,
    "anova_oneway": _oneway,
    "anova_oneway_family": _family,
    "tukey_hsd": _tukey,
    "anova_twoway": _twoway,
}


def test_agrees(case: dict[str, Any], agrees: Any) -> None:
    agrees(ANSWERS)
