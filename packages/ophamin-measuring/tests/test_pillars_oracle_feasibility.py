"""Pillar F against R 4.2.2, on generated data: sandwich, AER, Matching, and stacked estimating equations by numDeriv.

Calls, for ``d`` the study below and ``X`` its three confounders:
``match.TARGET.M.W.ADJUST.V``: ``Match(d$y, d$t, X, Z=X, estimand=, M=, Weight=, BiasAdjust=, Var.calc=)`` of Matching
4.10 (W 1: inverse variance, 2: Mahalanobis; V 0: homoscedastic, 2: robust). ``score.target.link.M.h``: the effect and
both standard errors (score estimated, score known), from the formulas of Abadie & Imbens (2006, 2016) row by row, with
``glm`` for the score and ``h`` others for the variance of a row. ``dml.KIND``: the residuals of ``lm`` and ``glm`` in four folds
(row number modulo 4) on each other, ``vcovHC(, "HC1")`` and HC0; ``dml.KIND.x1``: with the first confounder as
modifier, the average effect, that of the first and the last row, and the root mean square error of all.
``iv.*``: ``ivreg`` of AER 1.2 with
``vcov``, ``sandwich`` and ``vcovHC(, "HC1")``. ``reg``, ``lin``, ``diff``: ``lm`` with ``vcovHC``. ``ipw``, ``ipwra``,
``aipw``, ``g``: estimates, standard errors and both means from own estimating equations, their derivative by
``numDeriv::jacobian``. ``smd``, ``ess``, ``strat``: by hand.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import expit, ndtri

from ophamin.measuring.pillars.feasibility.balance import balance
from ophamin.measuring.pillars.feasibility.doubly_robust import aipw, ipwra
from ophamin.measuring.pillars.feasibility.instrument import instrumented
from ophamin.measuring.pillars.feasibility.matching import matching
from ophamin.measuring.pillars.feasibility.plugins_checks import Instrument
from ophamin.measuring.pillars.feasibility.plugins_weighting import Matching
from ophamin.measuring.pillars.feasibility.regression import difference_in_means, lin, regression
from ophamin.measuring.pillars.feasibility.sensitivity import e_value, e_value_of_difference
from ophamin.measuring.pillars.feasibility.standardisation import g_formula
from ophamin.measuring.pillars.feasibility.stratification import stratify
from ophamin.measuring.pillars.feasibility.weighting import ipw
from ophamin.proof.errors import UsageError

R = """
welch 2.447256823 0.2995379168 114.7477139 4.543305595e-13 1.853915988 3.040597657
reg.classical 1.994635216 0.2278831197
reg.HC0 0.2278146087
reg.HC1 0.2327144082
reg.HC2 0.2327491476
reg.HC3 0.2378164847
lin.HC0 2.004935731 0.2225066807
lin.HC1 2.004935731 0.2303162956
lin.HC2 2.004935731 0.230542942
lin.HC3 2.004935731 0.2389955973
diff.HC0 0.2970171928
diff.HC1 0.2995237114
diff.HC2 0.2995379168
diff.HC3 0.3020800812
match.ATT.1.1.FALSE.0 2.173146621 0.2442394683
match.ATT.1.1.FALSE.2 2.173146621 0.2374442648
match.ATT.1.1.TRUE.0 2.082697323 0.2393454288
match.ATT.1.1.TRUE.2 2.082697323 0.2342813249
match.ATT.1.2.FALSE.0 2.224697759 0.2319708717
match.ATT.1.2.FALSE.2 2.224697759 0.2324081797
match.ATT.1.2.TRUE.0 2.127059764 0.2303136122
match.ATT.1.2.TRUE.2 2.127059764 0.2313552729
match.ATT.3.1.FALSE.0 2.19353231 0.2548835714
match.ATT.3.1.FALSE.2 2.19353231 0.2358896063
match.ATT.3.1.TRUE.0 2.131037366 0.2463967065
match.ATT.3.1.TRUE.2 2.131037366 0.2337243261
match.ATT.3.2.FALSE.0 2.22655669 0.2434485699
match.ATT.3.2.FALSE.2 2.22655669 0.2294548327
match.ATT.3.2.TRUE.0 2.148578038 0.2359604114
match.ATT.3.2.TRUE.2 2.148578038 0.2280282597
match.ATE.1.1.FALSE.0 2.124233208 0.2413581285
match.ATE.1.1.FALSE.2 2.124233208 0.2522318332
match.ATE.1.1.TRUE.0 2.002683426 0.2506962896
match.ATE.1.1.TRUE.2 2.002683426 0.2555728272
match.ATE.1.2.FALSE.0 2.156915075 0.2369611962
match.ATE.1.2.FALSE.2 2.156915075 0.2543754008
match.ATE.1.2.TRUE.0 2.02833476 0.247889412
match.ATE.1.2.TRUE.2 2.02833476 0.2582156983
match.ATE.3.1.FALSE.0 2.173728639 0.2368282969
match.ATE.3.1.FALSE.2 2.173728639 0.2337892112
match.ATE.3.1.TRUE.0 2.022417031 0.2246945153
match.ATE.3.1.TRUE.2 2.022417031 0.232090982
match.ATE.3.2.FALSE.0 2.178234183 0.2325332904
match.ATE.3.2.FALSE.2 2.178234183 0.2376383297
match.ATE.3.2.TRUE.0 2.020036607 0.2213283909
match.ATE.3.2.TRUE.2 2.020036607 0.2363210166
match.ATC.1.1.FALSE.0 2.0784755 0.2945230997
match.ATC.1.1.FALSE.2 2.0784755 0.2996574872
match.ATC.1.1.TRUE.0 1.927831716 0.3170074002
match.ATC.1.1.TRUE.2 1.927831716 0.311991614
match.ATC.1.2.FALSE.0 2.093505468 0.2944609871
match.ATC.1.2.FALSE.2 2.093505468 0.3031024307
match.ATC.1.2.TRUE.0 1.935979112 0.3170623864
match.ATC.1.2.TRUE.2 1.935979112 0.3154713162
match.ATC.3.1.FALSE.0 2.155202624 0.2446435604
match.ATC.3.1.FALSE.2 2.155202624 0.248238579
match.ATC.3.1.TRUE.0 1.920804459 0.2308077152
match.ATC.3.1.TRUE.2 1.920804459 0.2433420617
match.ATC.3.2.FALSE.0 2.133029258 0.246417299
match.ATC.3.2.FALSE.2 2.133029258 0.2581921444
match.ATC.3.2.TRUE.0 1.899788171 0.2333258148
match.ATC.3.2.TRUE.2 1.899788171 0.253931293
match.exact.ATT.1.1.FALSE.0 2.152992828 0.2420654527
match.ties.ATE.x2 2.602582362 0.3018349324
match.ties.ATT.x2.M2.v2 2.650580336 0.3001418801
match.score.ATT 2.526116871 0.3334111233
match.score.ATE 2.026056838 0.2895915648
score.ate.logit.1.1 2.019886033 0.2367659866 0.2681214864
score.ate.logit.3.2 2.077611733 0.2438236081 0.2886236024
score.att.logit.1.1 2.51334969 0.2880144848 0.3226764479
score.att.logit.3.2 2.25665523 0.2759764342 0.3242371849
score.atc.logit.1.1 1.558258742 0.2619348133 0.2794561982
score.atc.logit.3.2 1.91011943 0.2591077242 0.2887358496
score.ate.probit.1.1 2.053088958 0.2389161206 0.274861694
score.ate.probit.3.2 2.059567492 0.2475926207 0.3038162854
score.att.probit.1.1 2.531656138 0.2908162883 0.3302058039
score.att.probit.3.2 2.223708224 0.3021204613 0.3618346503
score.atc.probit.1.1 1.605397081 0.2667644524 0.2883063033
score.atc.probit.3.2 1.906016484 0.2528129881 0.2890655104
dml.discrete 1.975270201 0.2357751673 0.2347907155
dml.discrete.x1 1.977930007 0.2351085291 1.992672751 0.2339009004 1.942383134 0.284063562 0.3285338577
dml.linear 1.98397517 0.2351851228 0.2342031347
dml.linear.x1 1.987220197 0.2344617894 2.00550021 0.2329326002 1.943144459 0.2836580718 0.3271216216
dml.continuous 2.849739321 0.05641582425 0.05618026655
dml.continuous.x1 2.838376159 0.05536031141 2.821406554 0.05608900132 2.879292314 0.06225753467 0.07259271461
iv.wald 1.684220673 0.3972652205 0.3928369802 0.396152119 0.3928369802
iv.wald.first 14.97923421 0.0001786820324
iv.wald.hausman 26.93180122 8.972873507e-07
iv.one 1.567169291 0.3452565754 0.3392766533 0.3435988231 0.3392766533
iv.one.first 15.53109319 0.0001385520387
iv.one.hausman 36.85358419 1.64945613e-08
iv.two 1.452236299 0.239390611 0.2459907487 0.2491245151 0.2459907487
iv.two.first 22.65888428 4.931686125e-09
iv.two.sargan 0.1692060103 0.6808184175
iv.two.hausman 829.6861764 1.101320231e-54
iv.two2 1.46080302 0.2369195388 0.2422959824 0.2464380942 0.2422959824
iv.two2.first 23.02539374 3.888318129e-09
iv.two2.sargan 0.2052297775 0.6505322283
iv.two2.hausman 830.1721851 1.979488107e-54
ipw.hajek.logit.ate 1.973031797 0.2242085826 3.804555614 1.831523816
ipw.ht.logit.ate 1.997086209 0.2462983009 3.822092302 1.825006093
ipwra.logit.ate 1.992660709 0.2193535455 3.804869236 1.812208526
ipw.hajek.logit.att 2.039783361 0.2740613442 4.082587 2.042803639
ipw.ht.logit.att 2.054823894 0.3080150504 4.082587 2.027763106
ipwra.logit.att 2.07772254 0.2421673805 4.082587 2.00486446
ipw.hajek.logit.atc 1.911431443 0.2380815279 3.54676162 1.635330177
ipw.ht.logit.atc 1.943073536 0.2356401723 3.578403713 1.635330177
ipwra.logit.atc 1.9107747 0.2220460598 3.546104877 1.635330177
aipw.logit 1.992930113 0.219328632 3.804157422 1.811227309
ipw.hajek.probit.ate 1.97358334 0.2229626297 3.805345114 1.831761774
ipw.ht.probit.ate 1.992596427 0.2397112435 3.81872688 1.826130453
ipwra.probit.ate 1.992852305 0.2193574821 3.805707934 1.812855629
ipw.hajek.probit.att 2.039502495 0.274018437 4.082587 2.043084505
ipw.ht.probit.att 2.052497632 0.3023280753 4.082587 2.030089368
ipwra.probit.att 2.076468351 0.2424164043 4.082587 2.006118649
ipw.hajek.probit.atc 1.912412932 0.2369477733 3.547743109 1.635330177
ipw.ht.probit.atc 1.936559816 0.2315110667 3.571889994 1.635330177
ipwra.probit.atc 1.912147955 0.2214772463 3.547478132 1.635330177
aipw.probit 1.993205699 0.219410289 3.805138105 1.811932406
g.linear.full.ate 2.004935731 0.2265535684 3.807520494 1.802584763
g.logistic.x1.ate 0.1309963396 0.09160403705 0.5843237456 0.453327406
g.linear.full.att 2.101212853 0.2401472162 4.082587 1.981374147
g.logistic.x1.att 0.1655295048 0.096895134 0.6379310345 0.4724015297
g.linear.full.atc 1.914870036 0.2386565273 3.550200214 1.635330177
g.logistic.x1.atc 0.09869112048 0.09224245987 0.5341749915 0.435483871
strat.ate 2.602582362 0.3056091249
strat.att 2.650580336 0.2964585674
strat.atc 2.557681032 0.325785696
smd.ate.1 0.545545948 -0.001674824026
smd.ate.2 -0.3611800164 0.01052798317
smd.ate.3 0.1682711394 0.01916368597
ess.ate 50.37756255 55.02156056
smd.att.1 0.545545948 -0.01977022159
smd.att.2 -0.3611800164 -0.004514554695
smd.att.3 0.1682711394 0.1439084789
ess.att 58 40.07538662
"""
ORACLE = {line.split()[0]: [float(v) for v in line.split()[1:]] for line in R.strip().splitlines()}
TARGETS = ("ate", "att", "atc")


def _study() -> dict[str, Any]:
    """A golden-ratio sequence for chance, the same on every machine and in R."""
    u = [(np.arange(1, 121) * np.sqrt(root)) % 1.0 for root in (2, 3, 5, 7, 11, 13)]
    x1, x2, x3 = np.round(ndtri(0.01 + 0.98 * u[0]), 6), np.floor(4 * u[1]), np.round(ndtri(0.01 + 0.98 * u[2]), 6)
    t, z, noise = (u[3] < expit(0.5 * x1 - 0.4 * x2 + 0.6)) * 1.0, (u[5] < 0.5) * 1.0, ndtri(0.01 + 0.98 * u[4])
    y = np.round(1 + 2 * t + x1 + 0.5 * x2 + 0.5 * t * x1 + (1 + 0.5 * t) * noise, 6)
    d = np.round(0.6 * z + 0.4 * x3 + 0.8 * noise + 0.3 * x1, 6)
    return {
        "y": y, "t": t, "x": np.column_stack([x1, x2, x3]), "z": z, "z2": np.round(x3 + 0.5 * z, 6), "d": d,
        "b": (u[4] < expit(-0.3 + 0.8 * t + 0.5 * x1)) * 1.0, "w": np.round(1.5 * d + x1 + noise * (1 + 0.5 * z), 6),
    }  # fmt: skip


S = _study()
Y, T, X = S["y"], S["t"], S["x"]


def _same(name: str, *got: float) -> None:
    assert got == pytest.approx(ORACLE[name], rel=2e-8, abs=2e-8), name


def _effect(found: Any) -> tuple[float, ...]:
    return found.estimate, found.se, found.mean_treated, found.mean_control


@pytest.mark.parametrize("name", [name for name in ORACLE if name.startswith("match.A")])
def test_matching_is_that_of_r(name: str) -> None:
    _, target, m, weight, adjusted, kind = name.split(".")
    found = matching(
        Y, T, X, target=target.lower(), neighbours=int(m), bias_adjusted=adjusted == "TRUE",
        metric={"1": "inverse-variance", "2": "mahalanobis"}[weight],
        errors={"0": "homoscedastic", "2": "robust"}[kind],
    )  # fmt: skip
    _same(name, found.estimate, found.se)


def test_matching_exactly_on_ties_and_on_the_score_is_that_of_r() -> None:
    r: dict[str, Any] = {"errors": "homoscedastic", "metric": "inverse-variance"}
    found = matching(Y, T, X, exact=X[:, 1], target="att", **r)
    _same("match.exact.ATT.1.1.FALSE.0", found.estimate, found.se)
    found = matching(Y, T, X[:, 1], **r)
    _same("match.ties.ATE.x2", found.estimate, found.se)
    found = matching(Y, T, X[:, 1], target="att", neighbours=2)
    _same("match.ties.ATT.x2.M2.v2", found.estimate, found.se)
    for target in ("ATT", "ATE"):
        # R takes squared distances within 1e-5 for ties; without that, near scores are told apart.
        found = matching(
            Y, T, X, target=target.lower(), metric="score", errors="homoscedastic", tolerance=1e-5, score_known=True
        )
        _same(f"match.score.{target}", found.estimate, found.se)


@pytest.mark.parametrize("name", [name for name in ORACLE if name.startswith("score.")])
def test_errors_count_that_the_score_is_estimated(name: str) -> None:
    _, target, link, m, others = name.split(".")
    estimated, known = (
        matching(
            Y, T, X, target=target, metric="score", link=link, neighbours=int(m), variance_neighbours=int(others),
            score_known=known,
        )
        for known in (False, True)
    )  # fmt: skip
    _same(name, estimated.estimate, estimated.se, known.se)


@pytest.mark.parametrize("kind", ["discrete", "linear", "continuous"])
def test_double_machine_learning_is_regression_of_cross_fitted_residuals(kind: str) -> None:
    pytest.importorskip("econml")
    from ophamin.measuring.pillars.feasibility.learning import linear_dml

    y, t = (S["w"], S["d"]) if kind == "continuous" else (Y, T)
    fold = np.arange(120) % 4
    options: dict[str, Any] = {
        "folds": [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(4)],
        "discrete": kind == "discrete",
    }
    found = linear_dml(y, t, X, **options)
    wanted = ORACLE[f"dml.{kind}"]
    assert (found.estimate, found.se) == pytest.approx(wanted[:2], rel=1e-7)
    assert found.se * np.sqrt(119 / 120) == pytest.approx(wanted[2], rel=1e-7)
    found = linear_dml(y, t, X, modifiers=X[:, 0], **options)
    se = (found.effects_upper - found.effects_lower) / 2 / ndtri(0.975)
    got = (found.estimate, found.se, found.effects[0], se[0], found.effects[-1], se[-1], np.sqrt((se**2).mean()))
    assert got == pytest.approx(ORACLE[f"dml.{kind}.x1"], rel=1e-7)


def test_matching_says_what_it_cannot_match() -> None:
    lonely = np.where(np.arange(120) < 3, 9.0, X[:, 1])
    lonely[:3] = T[:3] * 100 + 9  # the first rows are like no row of the other arm
    assert "no overlap" in matching(Y, T, X[:, 0], exact=lonely).notes[0]
    few = matching(
        [1.0, 2.0, 3.0, 4.0], [0, 0, 1, 1], [[1.0, 2.0], [2.0, 1.0], [3.0, 3.0], [5.0, 1.0]], bias_adjusted=True
    )
    assert np.isnan(few.estimate)
    assert "slopes" in few.notes[0]
    for options in ({"errors": "HC1"}, {"tolerance": -1.0}, {"bias_adjusted": [7]}):
        with pytest.raises(UsageError):
            matching(Y, T, X, **options)
    table = {"outcome": Y.tolist(), "treatment": T.tolist(), "confounder": X[:, 0].tolist()}
    plain, adjusted = (Matching().compute(table, seed=0, bias_adjusted=b) for b in (False, True))
    assert any("bias remains" in note for note in plain.warnings)
    assert not any("bias remains" in note for note in adjusted.warnings)


@pytest.mark.parametrize(
    ("name", "instruments", "controls"),
    [
        ("wald", S["z"], None),
        ("one", S["z"], X[:, 0]),
        ("two", np.column_stack([S["z"], S["z2"]]), X[:, 0]),
        ("two2", np.column_stack([S["z"], S["z2"]]), X[:, :2]),
    ],
)
def test_two_stage_least_squares_is_that_of_aer(name: str, instruments: Any, controls: Any) -> None:
    found = {e: instrumented(S["w"], S["d"], instruments, controls, errors=e) for e in ("classical", "HC0", "HC1")}
    plain = found["classical"]
    assert (plain.estimate, plain.se, found["HC0"].se, found["HC1"].se) == pytest.approx(
        ORACLE[f"iv.{name}"][:4], rel=1e-8
    )
    assert plain.first_stage_f == pytest.approx(ORACLE[f"iv.{name}.first"][0], rel=1e-8)
    if plain.sargan is not None:
        _same(f"iv.{name}.sargan", *plain.sargan)
    assert (plain.sargan is None) == (name in ("wald", "one"))
    # An instrument as a linear combination of the others spans nothing new.
    if plain.sargan is not None:
        spoilt = instrumented(S["w"], S["d"], np.column_stack([instruments, instruments @ [1.0, -2.0]]), controls)
        assert "linear combination" in spoilt.notes[0]


def test_several_instruments_through_the_pillar() -> None:
    table = {
        "outcome": S["w"],
        "treatment": S["d"],
        "instrument": S["z"],
        "instrument_2": S["z2"],
        "confounder": X[:, 0],
    }
    result = Instrument().compute({k: v.tolist() for k, v in table.items()}, seed=0)
    found = {e.statistic_name: e for e in result.evidence}
    assert found["treatment_effect"].statistic_value == pytest.approx(ORACLE["iv.two"][0], rel=1e-8)
    assert found["sargan"].p_value == pytest.approx(ORACLE["iv.two.sargan"][1], rel=1e-8)


def test_an_exact_fit_has_no_interval() -> None:
    z = np.column_stack([S["z"], S["z2"]])
    for outcome, controls in ((3 * S["d"] + 1, None), (2 * X[:, 0], X[:, 0])):
        found = instrumented(outcome, S["d"], z, controls)
        assert np.isnan([found.se, found.lower, found.p_value]).all()
        assert any("no spread" in note for note in found.notes)


def test_contradicting_instruments_leave_no_value() -> None:
    z = np.column_stack([S["z"], S["z2"]])
    found = instrumented(S["w"] + 10 * S["z"], S["d"], z, X[:, 0])
    assert found.sargan is not None
    assert found.sargan[1] < 1e-6
    assert np.isnan(found.anderson_rubin[0])
    assert any("contradict" in note for note in found.notes)


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_weighting_is_stacked_estimating_equations(link: str) -> None:
    for target in TARGETS:
        for form, short in (("hajek", "hajek"), ("horvitz-thompson", "ht")):
            found = ipw(Y, T, X, target=target, form=form, link=link)
            _same(f"ipw.{short}.{link}.{target}", *_effect(found))
        _same(f"ipwra.{link}.{target}", *_effect(ipwra(Y, T, X, target=target, link=link)))
    _same(f"aipw.{link}", *_effect(aipw(Y, T, X, link=link)))


@pytest.mark.parametrize("target", TARGETS)
def test_the_g_formula_and_strata(target: str) -> None:
    _same(f"g.linear.full.{target}", *_effect(g_formula(Y, T, X, target=target)))
    found = g_formula(S["b"], T, X, target=target, interactions=[0], outcome_model="logistic")
    _same(f"g.logistic.x1.{target}", *_effect(found))
    found = stratify(Y, T, X[:, 1], target=target).effect
    _same(f"strat.{target}", found.estimate, found.se)


def test_differences_and_their_errors() -> None:
    found = difference_in_means(Y, T)
    _same("welch", found.estimate, found.se, found.df, found.p_value, found.lower, found.upper)
    found = regression(Y, T, X, errors="classical")
    _same("reg.classical", found.estimate, found.se)
    for errors in ("HC0", "HC1", "HC2", "HC3"):
        _same(f"reg.{errors}", regression(Y, T, X, errors=errors).se)
        _same(f"diff.{errors}", difference_in_means(Y, T, errors=errors).se)
        found = lin(Y, T, X, errors=errors)
        _same(f"lin.{errors}", found.estimate, found.se)


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_units_change_nothing_but_units(scale: float) -> None:
    far = X * [scale, 1.0, 1 / scale] + [0.0, 0.0, 1e3 / scale]
    for call in (ipw, aipw, ipwra, g_formula, lin, matching):
        here, there = call(Y, T, X), call(Y * scale, T, far)
        assert (there.estimate / scale, there.se / scale) == pytest.approx((here.estimate, here.se), rel=1e-5)


def test_balance() -> None:
    for target in ("ate", "att"):
        found = balance(T, X, target=target)
        for j in range(3):
            _same(f"smd.{target}.{j + 1}", found.before[j], found.after[j])
        _same(f"ess.{target}", found.effective_treated, found.effective_control)


def test_e_values_by_hand() -> None:
    # R's EValue: evalues.RD(397, 78557, 51, 108778) gives 20.95 and, on its grid of 0.0001, 15.96.
    found = e_value_of_difference([[397, 78557], [51, 108778]])
    assert (found.point, found.bound) == pytest.approx((20.9473, 15.9570), abs=2e-4)
    assert e_value_of_difference([[12, 88], [10, 90]]).bound == 1.0
    # For no difference the factor is the risk ratio; the E-value of 3 is 3 + √6.
    assert e_value_of_difference([[30, 70], [10, 90]]).point == pytest.approx(3 + 6**0.5)
    # Moved to 1.2 instead of 1, the ratio to explain is 3.9/1.2.
    ratio = 3.9 / 1.2
    assert e_value(3.9, 1.8, null=1.2).point == pytest.approx(ratio + (ratio * (ratio - 1)) ** 0.5)
    assert e_value(1.1, 0.9, 1.3, null=1.2).bound == 1.0  # the interval holds it
    assert e_value(0.5, 0.25, 1.0, measure="SMD").point == pytest.approx(e_value(np.exp(0.455)).point)
    common = e_value(0.56, 0.46, 0.69, measure="HR-common")
    assert common.risk_ratio == pytest.approx((1 - 0.5**0.56**0.5) / (1 - 0.5 ** (1 / 0.56) ** 0.5))
    for bad in ([[1, 2], [3]], [[0, 5], [0, 5]], [[1, 99], [10, 90]], [[-1, 5], [2, 5]]):
        with pytest.raises(UsageError):
            e_value_of_difference(bad)
