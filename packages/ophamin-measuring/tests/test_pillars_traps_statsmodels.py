"""Traps 19, 20 and 26 of the list that came with the reference cases (``reference/TRAPS.md``): statsmodels' models.

The random effects are held against statsmodels' formulas and lme4 (numbers of ``oracle/mixed.json``), the treatment
effects against the numbers of Stata's ``teffects`` that statsmodels ships with the data.
"""

from __future__ import annotations

import csv
import itertools
import json
import math
import warnings
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from statsmodels.regression.mixed_linear_model import MixedLM

from ophamin.measuring.pillars._data import read_table
from ophamin.measuring.pillars.feasibility.doubly_robust import aipw, ipwra
from ophamin.measuring.pillars.feasibility.matching import matching
from ophamin.measuring.pillars.feasibility.standardisation import g_formula
from ophamin.measuring.pillars.feasibility.weighting import ipw
from ophamin.measuring.pillars.mixed_effects import factorial as factorial_module
from ophamin.measuring.pillars.mixed_effects.factorial import factorial
from ophamin.measuring.pillars.mixed_effects.linear import mixed_model
from ophamin.measuring.pillars.mixed_effects.repeated import repeated_measures
from ophamin.measuring.pillars.mixed_effects.sweep import sweep_effects
from ophamin.proof.errors import UsageError
from ophamin.registry import get_pillar

ORACLE = json.loads((Path(__file__).parent / "oracle" / "mixed.json").read_text(encoding="utf-8"))


# --- 19


@pytest.mark.parametrize("name", ["M-crossed-own-TRUE", "M-nested-own-TRUE", "M-nested-unbal-TRUE"])
def test_trap_19_crossed_and_nested_effects_are_those_of_formulas_and_of_lme4(name: str) -> None:
    _, _, call, data, options, lme4, _ = next(case for case in ORACLE["cases"] if case[0] == name)
    table = pd.DataFrame(ORACLE["data"][data])
    structure = options["structure"]
    found = mixed_model(
        table["y"], table["g"].tolist(), second=table["h"].tolist(), structure=structure, reml="TRUE" in call
    )
    # Crossed: one group of all rows and a component for each; nested: a group for each outer one, a component within.
    components = {"h": "0 + C(h)"} | ({"g": "0 + C(g)"} if structure == "crossed" else {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bare = MixedLM.from_formula(
            "y ~ 1", table, groups=np.ones(len(table)) if structure == "crossed" else table["g"],
            re_formula=None if structure == "crossed" else "1", vc_formula=components,
        ).fit()  # fmt: skip
    theirs = sorted([*np.sqrt(bare.vcomp), *np.sqrt(np.diag(np.asarray(bare.cov_re)))])
    assert bare.converged
    assert found.library == "statsmodels"
    assert sorted(found.sd.values()) == pytest.approx(theirs, rel=1e-3)
    assert found.residual_sd == pytest.approx(math.sqrt(bare.scale), rel=1e-3)
    assert found.neg2loglik == pytest.approx(-2 * bare.llf, abs=1e-4)
    assert sorted(found.sd.values()) == pytest.approx(lme4["sd"], rel=1e-5)
    assert found.residual_sd == pytest.approx(lme4["resid"], rel=1e-5)
    assert found.neg2loglik == pytest.approx(lme4["m2ll"], abs=1e-6)
    assert (found.beta.tolist(), found.se.tolist()) == (
        pytest.approx(np.ravel(lme4["beta"]).tolist(), rel=1e-5), pytest.approx(np.ravel(lme4["se"]).tolist(), rel=1e-5)
    )  # fmt: skip


def test_trap_19_labels_that_repeat_from_group_to_group_are_other_units_when_nested() -> None:
    data = ORACLE["data"]["d6"]
    own = [f"{g}/{h}" for g, h in zip(data["g"], data["h"], strict=True)]
    repeated, unique, crossed = (
        mixed_model(data["y"], data["g"], second=second, structure=structure)
        for second, structure in ((data["h"], "nested"), (own, "nested"), (data["h"], "crossed"))
    )
    assert repeated.neg2loglik == pytest.approx(unique.neg2loglik, abs=1e-8)
    assert repeated.neg2loglik != pytest.approx(crossed.neg2loglik, abs=0.1)


# --- 20

NAMES = [
    "C", "Q", "I", "center", "np", "Sum", "Treatment", "Intercept", "y", "x0", "s", "class", "lambda", "import", "1",
    "a b", "it's", 'say "a"', "größe [°C]", "a:b", "a + b", "C(a)", "Q('a')", "~", "{0}", "%s", "a\nb",
    "__import__('os')",
]  # fmt: skip
LEVELS = ["", "0 + 1", "C(a)[T.b]", "[", "a:b", "it's", 'q"', "ü]"]


def _design() -> tuple[Any, list[int], list[int], list[int]]:
    rng = np.random.default_rng(20)
    subject, a, b = (v.ravel().tolist() for v in np.meshgrid(np.arange(9), np.arange(3), np.arange(2), indexing="ij"))
    y = np.array(a) * 1.5 + np.array(b) * np.array(a) + rng.normal(size=9)[subject] + rng.normal(size=54)
    return y, subject, a, b


def _numbers(first: str, second: str, labels: list[str]) -> tuple[list[str], list[float]]:
    """Names and numbers of everything that is fitted by named columns."""
    y, subject, a, b = _design()
    factors = {first: [labels[i] for i in a], second: [labels[i] for i in b]}
    names: list[str] = []
    numbers: list[float] = []
    for kind in (1, 2, 3):
        terms = factorial(y, factors, type=kind).terms
        names += [t.name for t in terms]
        numbers += [v for t in terms for v in (t.sum_of_squares, t.f, t.p_value)]
    within = repeated_measures(y, subject, factors)
    names += [e.name for e in within]
    numbers += [v for e in within for v in (e.f, e.p_greenhouse_geisser)]
    numbers += [v for c in sweep_effects(y, factors).effects for v in (c.value, c.se)]
    covariate = np.sin(np.arange(54.0))
    for numeric, kinds in (({}, factors), ({first: covariate}, {second: factors[second]})):
        model = mixed_model(y, subject, numeric=numeric, factors=kinds, interactions=True)
        numbers += [*model.beta, *model.se, *model.df, model.neg2loglik]
    return names, [float(v) for v in numbers]


def test_trap_20_no_name_or_label_of_a_table_means_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    plain_labels = sorted(f"level {i}" for i in range(3))
    _, plain = _numbers("first", "second", plain_labels)
    # What a formula could take from the module it is written in, or from its caller.
    C = Q = I = center = np.sum  # noqa: E741
    assert C is Q is I is center
    for name in ("C", "Q", "I", "center", "Sum", "y", "x0"):
        monkeypatch.setattr(factorial_module, name, 7.0, raising=False)
    for i, name in enumerate(NAMES):
        other = NAMES[i - 1]
        labels = sorted(LEVELS[(i + j) % len(LEVELS)] for j in range(3))
        names, hostile = _numbers(name, other, labels)
        assert hostile == pytest.approx(plain, rel=1e-9, abs=1e-12), (name, other)
        assert names[:3] == [name, other, f"{name}:{other}"]
        assert names[-3:] == [name, other, f"{name}:{other}"]


def test_trap_20_a_file_with_such_columns_gives_the_same_evidence(tmp_path: Path) -> None:
    y, subject, a, b = _design()
    pillars = {"M.anova_factorial": {}, "M.lmm": {"profile": "no"}, "M.anova_rm": {}}
    roles = ["value", "subject", "group", "factor", "factor_2"]
    labels = sorted(LEVELS[1:4])
    values = [[*map(float, y)], subject, subject, [labels[i] for i in a], [labels[i] for i in b]]
    answers = []
    for headers in (roles, ["größe [°C]", "C", "a b", "Q('a')", 'say "a", it\'s'], ["np", "I", "~", "class", "1"]):
        path = tmp_path / "table.csv"
        with path.open("w", newline="", encoding="utf-8") as out:
            csv.writer(out).writerows([headers, *zip(*values, strict=True)])
        place = dict(zip(roles, headers, strict=True))
        found: list[Any] = []
        for name, options in pillars.items():
            pillar = get_pillar(name)()
            mine = {role: header for role, header in place.items() if role in pillar.columns}
            result = pillar.compute(read_table(path, mine, pillar.columns), seed=0, **options)
            assert result.evidence[0].statistic_value is not None
            found += [(e.statistic_name, e.statistic_value) for e in result.evidence]
        answers.append(found)
    assert answers[0] == answers[1] == answers[2]


# --- 26


@pytest.fixture(scope="module")
def births() -> Any:
    """Cattaneo's births and what Stata makes of them, as statsmodels ships them (BSD)."""
    pytest.importorskip("statsmodels.treatment.tests.results.results_teffects")
    from statsmodels.treatment.tests.results import results_teffects

    with (files("statsmodels.treatment.tests.results") / "cataneo2.csv").open("rb") as file:
        data = pd.read_csv(file)
    outcome = data[["prenatal1_", "mmarried_", "mage", "fbaby_"]].to_numpy(float)
    treatment = data[["mmarried_", "mage", "mage2", "fbaby_", "medu"]].to_numpy(float)
    return data["bweight"].to_numpy(float), data["mbsmoke_"].to_numpy(float), outcome, treatment, results_teffects


@pytest.mark.parametrize(
    ("name", "target"),
    [*itertools.product(("ra", "ipw", "ipwra"), ("ate", "att")), ("aipw", "ate"), ("aipw_wls", "ate")],
)
def test_trap_26_effects_and_their_errors_are_those_of_stata(births: Any, name: str, target: str) -> None:
    y, t, x, z, stata = births
    scored: dict[str, Any] = {"treatment_confounders": z, "link": "probit"}
    found = {
        "ra": lambda: g_formula(y, t, x, target=target),
        "ipw": lambda: ipw(y, t, z, link="probit", target=target),
        "ipwra": lambda: ipwra(y, t, x, target=target, **scored),
        "aipw": lambda: aipw(y, t, x, **scored),
        "aipw_wls": lambda: aipw(y, t, x, weighted=True, **scored),
    }[name]()
    table = getattr(stata, f"results_{name}")["table" if target == "ate" else "table_t"]
    effect, mean = table[0], table[1]  # b, se, z, p, lower, upper
    assert (found.estimate, found.mean_control) == pytest.approx((effect[0], mean[0]), rel=1e-9)
    assert (found.se, found.lower, found.upper) == pytest.approx((effect[1], effect[4], effect[5]), rel=1e-7)
    assert found.p_value == pytest.approx(effect[3], rel=1e-6)


# Stata's manual, teffects psmatch: nneighbor, ATE, robust Abadie–Imbens standard error.
PSMATCH = [(1, -210.9683, 32.021), (4, -224.006, 29.88627)]


@pytest.mark.parametrize(("m", "effect", "se"), PSMATCH)
def test_matching_on_an_estimated_score_is_that_of_stata(births: Any, m: int, effect: float, se: float) -> None:
    y, t, _, z, _ = births
    found = matching(y, t, z, metric="score", neighbours=m)
    assert found.estimate == pytest.approx(effect, abs=5e-5)
    assert found.se == pytest.approx(se, abs=5e-6)
    known = matching(y, t, z, metric="score", neighbours=m, score_known=True)
    assert known.se > found.se + 0.05
    assert any("as known" in note for note in known.notes)
    for wrong in ({"variance_neighbours": 0}, {"variance_neighbours": -1}):
        with pytest.raises(UsageError):
            matching(y, t, z, metric="score", **wrong)
