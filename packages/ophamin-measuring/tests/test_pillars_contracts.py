"""Every pillar of this wheel keeps the contract, whatever table it is given."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ophamin import registry
from ophamin.testing import check_pillar

_RNG = random.Random(7)
_STUDIES = {
    "effect": [_RNG.gauss(0.3, 0.4) for _ in range(14)],
    "variance": [_RNG.uniform(0.01, 0.2) for _ in range(14)],
    "study": [f"s{i}" for i in range(14)],
}
_UNIT = [_RNG.random() for _ in range(80)]
_BITS = [_RNG.randrange(2) for _ in range(80)]
_MODEL = {"target": _UNIT[:40], "feature": _UNIT[40:], "feature_2": _BITS[:40], "group": [i % 8 for i in range(40)]}
_TWO = {"value": _UNIT[:40], "arm": ["a", "b"] * 20}
_PAIRS = {"value": _UNIT[:40], "other": _UNIT[40:]}
_GROUPED = {
    "value": [v + g for v, g in zip(_UNIT[:60], [0.3, 0.1, 0.9, 0.5, 0.2, 0.7] * 10, strict=True)],
    "group": [i % 6 for i in range(60)],
    "group_2": [i // 6 % 5 for i in range(60)],
    "time": [float(i // 6) for i in range(60)],
    "factor": ["ab"[i // 6 % 2] for i in range(60)],
}
_SWEEP = {
    "value": _UNIT[:72],
    "factor": [i % 3 for i in range(72)],
    "factor_2": ["xy"[i // 3 % 2] for i in range(72)],
    "group": [i // 6 for i in range(72)],
}
_ARMS = {
    "events_1": [_RNG.randrange(1, 9) for _ in range(8)],
    "n_1": [_RNG.randrange(20, 90) for _ in range(8)],
    "events_2": [_RNG.randrange(1, 9) for _ in range(8)],
    "n_2": [_RNG.randrange(20, 90) for _ in range(8)],
}
_TRIAL = {
    "outcome": _UNIT,
    "treatment": _BITS,
    "confounder": [_RNG.gauss(0, 1) for _ in range(80)],
    "confounder_2": [("a", "b", "c")[i % 3] for i in range(80)],
}
CASES: dict[str, list[tuple[dict[str, list[Any]] | None, dict[str, Any]]]] = {
    "A.confidence_sequence": [
        *(({"value": _UNIT}, {"method": m}) for m in ("betting", "empirical-bernstein", "hoeffding", "quantile")),
        ({"value": _BITS}, {"method": "bernoulli"}),
        ({"value": _UNIT}, {"method": "sub-gaussian", "sides": 1}),
    ],
    "A.e_values": [({"e_value": [2.0, 0.3, 1.5]}, {}), ({"e_value": [2.0, 0.3, 1.5]}, {"merge": "average"})],
    "A.group_sequential": [
        ({"information": [0.25, 0.5, 0.75], "z": [0.1, 0.4, 0.2]}, {}),
        ({"information": [0.25, 0.5, 0.75, 1.0]}, {"boundary": "pocock", "sides": 1}),
        ({"information": [0.3, 0.75, 1.0]}, {"boundary": "wang-tsiatis"}),
        ({"information": [0.3, 0.75, 1.0], "z": [0.1, 0.2, 0.3]}, {"sides": 1, "beta": 0.1}),
        ({"information": [0.3, 0.75, 0.9]}, {"spending": "hwang-shih-decani", "gamma": 1.0}),
    ],
    "A.msprt": [
        ({"value": _UNIT}, {}),
        ({"value": _UNIT, "reference": _UNIT[::-1]}, {"tau": 0.5}),
        ({"value": _BITS, "reference": _BITS[::-1]}, {"distribution": "bernoulli", "tau": 0.1}),
    ],
    "A.peeking": [({"value": _UNIT}, {"theta0": 0.5})],
    "A.sprt": [
        ({"value": _BITS}, {"h0": 0.3, "h1": 0.5}),
        ({"value": _UNIT}, {"family": "normal", "h0": 0.4, "h1": 0.6}),
        ({"value": _BITS}, {"h0": 0.3, "h1": 0.5, "truncate_at": 5}),
    ],
    "A.srm": [({"arm": ["a", "b", "a"] * 9}, {}), ({"arm": ["a", "b", "a"] * 9}, {"plan": "a=2,b=1"})],
    "D.anticipatory_failure": [
        (
            {
                "target": _UNIT,
                "prediction": [v + (i % 7 - 3) / 20 for i, v in enumerate(_UNIT)],
                "part": ["calibration" if i % 2 else "test" for i in range(80)],
                **more,
            },
            {"limit": 0.7, "fails": side},
        )
        for side, more in (("above", {}), ("below", {"scale": [0.5 + v for v in _UNIT]}))
    ],
    "D.cognitive_inertia": [
        (
            {
                "prior": _UNIT,
                "posterior": _UNIT[::-1],
                "log_likelihood_ratio": [i % 5 - 2 for i in range(80)],
                "group": [i // 4 for i in range(80)],
            },
            {},
        )
    ],
    "D.kernel_coupling": [
        (
            {"value": _UNIT, "coupling": [i % 4 for i in range(80)], "setting": ["ab"[i // 4 % 2] for i in range(80)]},
            {},
        ),
        ({"value": _UNIT, "coupling": [i % 4 for i in range(80)], "group": [i // 8 for i in range(80)]}, {}),
    ],
    "D.posterior": [
        ({"value": _UNIT}, {}),
        ({"value": _BITS}, {"of": "proportion"}),
    ],
    "F.aipw": [(_TRIAL, {}), (_TRIAL, {"efficient": True, "trim": 0.1}), (_TRIAL, {"weighted": True})],
    "F.balance": [({k: v for k, v in _TRIAL.items() if k != "outcome"}, {"target": t}) for t in ("ate", "att")],
    "F.causal_forest": [(_TRIAL, {"trees": 16, "nuisance": n}) for n in ("linear", "forest")],
    "F.difference_in_means": [(_TRIAL, {}), (_TRIAL, {"errors": "HC3", "level": 0.9})],
    "F.e_value": [
        ({"estimate": [2.0, 0.5], "ci_low": [1.2, 0.2], "ci_high": [3.0, 1.1]}, {"measure": m})
        for m in ("RR", "OR-common", "HR-common", "SMD")
    ],
    "F.g_formula": [
        ({**_TRIAL, "outcome": [*_UNIT[:70], *[None] * 10]}, {"interactions": ["confounder_2"], "target": "att"}),
        ({**_TRIAL, "outcome": _BITS[::-1]}, {"outcome_model": "logistic"}),
    ],
    "F.ipw": [(_TRIAL, {"target": t}) for t in ("ate", "att", "atc")]
    + [(_TRIAL, {"form": "horvitz-thompson", "link": "probit"}), (_TRIAL, {"weights_known": True})],
    "F.ipwra": [(_TRIAL, {"target": t}) for t in ("ate", "att", "atc")],
    "F.iv": [
        *(({**_TRIAL, "instrument": _BITS[::-1]}, {"errors": e}) for e in ("classical", "HC1")),
        ({**_TRIAL, "instrument": _BITS[::-1], "instrument_2": _UNIT[::-1]}, {"errors": "HC0"}),
    ],
    "F.lin": [(_TRIAL, {"errors": e}) for e in ("classical", "HC2")],
    "F.linear_dml": [
        (_TRIAL, {}),
        ({**_TRIAL, "treatment": _UNIT[::-1]}, {"nuisance": "forest"}),
        ({**_TRIAL, "fold": [i % 4 for i in range(80)]}, {"treatment_model": "continuous"}),
        ({**_TRIAL, "modifier": _UNIT[::-1]}, {}),
    ],
    "F.matching": [(_TRIAL, {"target": t}) for t in ("ate", "att", "atc")]
    + [(_TRIAL, {"metric": m, "neighbours": 3}) for m in ("inverse-variance", "score")]
    + [(_TRIAL, {"metric": "score", "score_known": True, "variance_neighbours": 3})]
    + [(_TRIAL, {"bias_adjusted": True, "errors": "homoscedastic", "tolerance": 1e-5})],
    "F.refute": [
        *((_TRIAL, {"simulations": 8, "estimator": e}) for e in ("linear", "aipw", "matching")),
        (_TRIAL, {"simulations": 3, "engine": "dowhy"}),
    ],
    "F.regression": [(_TRIAL, {})],
    "F.stratification": [(_TRIAL, {"strata": 3}), (_TRIAL, {"by": "cells", "one_sided": "drop"})],
    "I.cumulative": [
        (_STUDIES, {}),
        ({**_STUDIES, "time": [i % 5 for i in range(14)]}, {"max_information": 500.0, "method": "FE"}),
    ],
    "I.effect_sizes": [
        (_ARMS, {"measure": "OR"}),
        (_ARMS, {"measure": "RD"}),
        ({"correlation": [0.1, 0.4, -0.3], "n": [20, 40, 33]}, {"measure": "ZCOR"}),
        (
            {"mean_1": [1, 2], "sd_1": [1, 1.5], "n_1": [9, 8], "mean_2": [0, 1], "sd_2": [1, 2], "n_2": [9, 9]},
            {"measure": "SMD"},
        ),
    ],
    "I.leave_one_out": [(_STUDIES, {})],
    "I.mantel_haenszel": [(_ARMS, {"measure": m}) for m in ("OR", "RR", "RD")],
    "I.meta": [(_STUDIES, {"method": m}) for m in ("FE", "DL", "PM", "REML", "ML", "HE", "HS", "EB", "SJ")]
    + [(_STUDIES, {"test": t}) for t in ("knapp-hartung", "knapp-hartung-adhoc")],
    "I.meta_regression": [({**_STUDIES, "moderator": [float(i % 7) for i in range(14)]}, {})],
    "I.peto": [(_ARMS, {})],
    "I.small_study": [(_STUDIES, {})],
    "I.trim_fill": [(_STUDIES, {}), (_STUDIES, {"estimator": "R0", "side": "right", "method": "DL"})],
    "M.anova": [({"value": _UNIT, "group": [i % 4 for i in range(80)]}, {})],
    "M.anova_factorial": [({k: v for k, v in _SWEEP.items() if k != "group"}, {"type": t}) for t in (1, 2, 3)]
    + [({**_SWEEP, "block": [i // 6 % 4 for i in range(72)]}, {"order": 1})],
    "M.anova_rm": [(_SWEEP, {}), (_SWEEP, {"correction": "huynh-feldt"})],
    "M.effects": [(_SWEEP, {}), (_SWEEP, {"order": 1})],
    "M.lmm": [
        *((_GROUPED, {"random": r}) for r in ("intercept", "slope", "slope-uncorrelated", "nested", "crossed")),
        (_GROUPED, {"reml": False, "df": "asymptotic", "profile": False, "interactions": True}),
        (_GROUPED, {"df": "kenward-roger", "profile": False, "random": "crossed"}),
    ],
    "M.lrt": [
        *((_GROUPED, {"random": r}) for r in ("slope", "nested", "crossed")),
        (_GROUPED, {"random": "intercept", "without": "time"}),
    ],
    "M.tukey": [({"value": _UNIT, "group": [i % 4 for i in range(80)]}, {})],
    "N.bootstrap": [
        *(({"value": _UNIT}, {"statistic": s, "resamples": 200}) for s in ("mean", "median", "trimmed_mean", "sd")),
        ({"value": _UNIT}, {"method": "studentised", "resamples": 200}),
        ({"value": _UNIT, "group": [i % 25 for i in range(80)]}, {"method": "percentile", "resamples": 200}),
        ({"value": _UNIT, "other": _UNIT[::-1]}, {"statistic": "correlation", "resamples": 200}),
    ],
    "N.compare_learners": [({"score": _UNIT[:10], "other": _UNIT[10:20]}, {})],
    "N.cross_validation": [
        *((_MODEL, {"scheme": s, "folds": 4, "repeats": 2}) for s in ("k-fold", "repeated", "group", "time-series")),
        (_MODEL, {"scheme": "leave-one-group-out", "metric": "mae", "model": "ridge"}),
        ({**_MODEL, "target": _BITS[:40]}, {"scheme": "stratified", "metric": "log_loss", "model": "logistic"}),
        ({**_MODEL, "fold": [i % 3 for i in range(40)]}, {"metric": "r2", "model": "polynomial"}),
    ],
    "N.jackknife": [({"value": _UNIT}, {"statistic": s}) for s in ("mean", "sd")]
    + [({"value": _UNIT, "other": _UNIT[::-1], "group": [i % 9 for i in range(80)]}, {"statistic": "slope"})],
    "N.jackknife_plus": [({"target": [*_UNIT[:38], None, None], "feature": _UNIT[40:]}, {"folds": f}) for f in (0, 5)],
    "N.nested_cv": [(_MODEL, {"folds": 3, "inner_folds": 3})],
    "O.c": [({"count": [4, 6, 2, 8, 5, 7, 3, 30]}, {"rules": "western-electric"})],
    "O.capability": [({"value": _UNIT}, {"lower": -0.5, "upper": 1.5})],
    "O.cusum": [
        ({"value": _UNIT}, {"runs": 20, "head_start": 2.5}),
        ({"value": [i / 40 for i in range(80)]}, {"runs": 20}),
    ],
    "O.drift": [({"value": _UNIT}, {"detector": d}) for d in ("adwin", "kswin", "page-hinkley")]
    + [({"value": _BITS}, {"detector": d}) for d in ("ddm", "eddm", "hddm-a", "hddm-w")],
    "O.ewma": [({"value": _UNIT}, {"runs": 20}), ({"value": [i / 40 for i in range(80)]}, {"runs": 20})],
    "O.individuals": [({"value": _UNIT}, {"rules": "nelson", "spread": s}) for s in ("moving-range", "sd")],
    "O.np": [({"count": [4, 6, 2, 8], "size": [50, 50, 50, 50]}, {"level": level}) for level in (0.0, 0.95)],
    "O.p": [({"count": [4, 6, 2, 8], "size": [50, 60, 50, 40], "phase1": [1, 1, 1, 0]}, {})],
    "O.srm": [({"arm": ["a", "b", "a"] * 9}, {}), ({"arm": ["a", "b", "a"] * 9}, {"plan": "a=2,b=1"})],
    "O.u": [({"count": [4, 6, 2, 8], "size": [5, 6, 5, 4]}, {})],
    "O.xbar": [
        ({"value": _UNIT, "subgroup": [i // 4 for i in range(80)]}, {"spread": s, "rules": "nelson"})
        for s in ("range", "sd", "pooled", "range-weighted", "sd-weighted", "pooled-unbiased")
    ],
    "X.adjust": [({"p_value": _UNIT[:9]}, {"method": m}) for m in ("holm", "hochberg", "bonferroni", "bh", "by")],
    "X.bounded_mean": [({"value": _UNIT}, {"method": m}) for m in ("betting", "empirical-bernstein")],
    "X.correlation": [(_PAIRS, {"kind": k}) for k in ("pearson", "spearman", "kendall")]
    + [({"value": _UNIT[:7], "other": _UNIT[7:14]}, {"kind": "spearman"})],
    "X.mann_whitney": [(_TWO, {}), ({"value": _BITS, "arm": ["a", "b"] * 40}, {"first": "b"})],
    "X.mcnemar": [({"value": _BITS[:40], "other": _BITS[40:]}, {})],
    "X.non_inferiority": [(_TWO, {"margin": 0.2}), (_PAIRS, {})],
    "X.permutation": [(_TWO, {"resamples": 199}), (_PAIRS, {"resamples": 199, "statistic": "median"})],
    "X.power": [({"effect": [0.1, 0.3]}, {"test": t}) for t in ("t", "paired-t", "proportions", "mcnemar")]
    + [({"effect": [0.1, 0.3]}, {"test": t, "n": 30}) for t in ("proportion", "correlation", "mann-whitney")],
    "X.proportion": [({"value": _BITS}, {"method": m}) for m in ("wilson", "wilson-corrected", "jeffreys")]
    + [({"value": _BITS}, {"method": m}) for m in ("clopper-pearson", "agresti-coull")]
    + [({"value": _BITS, "group": [i // 3 for i in range(80)]}, {})],
    "X.proportion_difference": [({"value": _BITS, "arm": ["a", "b"] * 40}, {})],
    "X.smd": [(_TWO, {}), (_PAIRS, {})],
    "X.t_test": [(_TWO, {}), (_TWO, {"equal_variance": True, "first": "b"}), (_PAIRS, {})],
    "X.tost": [(_TWO, {"low": -0.2, "high": 0.2}), (_PAIRS, {})],
}


def test_every_pillar_has_a_case() -> None:
    ours = {n for n in registry.pillars.names() if registry.pillars.origin(n).startswith("ophamin-measuring")}
    assert ours == set(CASES)


@pytest.mark.parametrize(
    ("name", "columns", "options"),
    [pytest.param(n, c, o, id=f"{n}-{'-'.join(map(str, o.values()))}") for n, cs in CASES.items() for c, o in cs],
)
def test_contract(name: str, columns: dict[str, list[Any]] | None, options: dict[str, Any]) -> None:
    check_pillar(registry.get_pillar(name), columns, options=options)
