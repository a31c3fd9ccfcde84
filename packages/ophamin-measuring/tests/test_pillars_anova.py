"""Pillar M, analyses of variance: laws, other routes to the same number, degenerate tables."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from ophamin.measuring.pillars.mixed_effects import factorial as module
from ophamin.measuring.pillars.mixed_effects.design import coded
from ophamin.measuring.pillars.mixed_effects.factorial import factorial
from ophamin.measuring.pillars.mixed_effects.linear import mixed_model
from ophamin.measuring.pillars.mixed_effects.oneway import one_way
from ophamin.measuring.pillars.mixed_effects.plugins_anova import (
    Effects,
    FactorialAnova,
    OneWayAnova,
    RepeatedMeasuresAnova,
    TukeyHsd,
)
from ophamin.measuring.pillars.mixed_effects.repeated import repeated_measures
from ophamin.measuring.pillars.mixed_effects.sweep import sweep_effects
from ophamin.measuring.pillars.mixed_effects.tukey import tukey_hsd
from ophamin.proof.errors import UsageError

RNG = np.random.default_rng(4)
Y = RNG.normal(size=48)
A, B = [i % 2 for i in range(48)], ["xyz"[i // 2 % 3] for i in range(48)]


@settings(max_examples=40)
@given(
    parts=st.lists(st.lists(st.integers(-50, 50), min_size=2, max_size=8), min_size=2, max_size=5),
    shift=st.floats(-1e6, 1e6),
)
def test_one_way_agrees_with_scipy_and_splits_the_total(parts: list[list[int]], shift: float) -> None:
    y = np.concatenate(parts).astype(float)
    group = np.repeat(np.arange(len(parts)), [len(p) for p in parts]).tolist()
    found = one_way(y + shift, group)
    assert found.ss_between + found.ss_within == pytest.approx(float(((y - y.mean()) ** 2).sum()), rel=1e-6, abs=1e-6)
    if found.ss_within > 1e-6:
        other = stats.f_oneway(*map(np.array, parts))
        assert found.classic.statistic == pytest.approx(float(other.statistic), rel=1e-6, abs=1e-6)
        if other.statistic >= 0:  # scipy's F of equal means can round below 0, and its p is then NaN
            assert found.classic.p_value == pytest.approx(float(other.pvalue), rel=1e-5, abs=1e-9)


def test_thirteen_leading_digits_cost_nothing() -> None:
    y = np.tile([0.4, 0.2, 0.6, 0.4], 3) + np.repeat([0.0, 0.25, 0.5], 4)
    group = np.repeat([0, 1, 2], 4).tolist()
    near = one_way(y, group).classic.statistic
    far = one_way(np.round(y * 1024) / 1024 + 1e12, group).classic.statistic
    assert far == pytest.approx(one_way(np.round(y * 1024) / 1024, group).classic.statistic, rel=1e-10)
    assert far == pytest.approx(near, rel=0.01)


def test_a_group_of_one_counts_in_the_classic_test_only() -> None:
    found = one_way([1.0, 2.0, 3.5, 9.0], list("aabc"))
    other = stats.f_oneway([1.0, 2.0], [3.5], [9.0])
    assert (found.classic.statistic, found.classic.p_value) == pytest.approx((other.statistic, other.pvalue))
    assert math.isnan(found.welch.statistic)
    assert math.isnan(found.levene.statistic)


def test_a_two_group_one_way_is_the_t_test() -> None:
    found = one_way(Y, A)
    one, other = Y[::2], Y[1::2]
    assert found.classic.p_value == pytest.approx(float(stats.ttest_ind(one, other).pvalue))
    assert found.welch.p_value == pytest.approx(float(stats.ttest_ind(one, other, equal_var=False).pvalue))
    assert tukey_hsd(Y, A).p_values[0] == pytest.approx(found.classic.p_value, abs=1e-6)


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_own_sums_of_squares_equal_statsmodels(kind: int, monkeypatch: pytest.MonkeyPatch) -> None:
    keep = [i for i in range(48) if i not in (0, 3, 4, 11, 20)]
    y, factors = Y[keep], {"a": [A[i] for i in keep], "b": [B[i] for i in keep]}
    before = factorial(y, factors, type=kind)
    assert before.library == "statsmodels"
    if kind < 3:
        monkeypatch.setattr(module, "_by_statsmodels", module._by_comparison)
    after = factorial(y, factors, type=kind)
    assert [t.sum_of_squares for t in after.terms] == pytest.approx([t.sum_of_squares for t in before.terms])
    assert [t.df for t in after.terms] == [t.df for t in before.terms] == [1, 2, 2]


def test_type_three_is_in_sum_contrasts() -> None:
    keep = [i for i in range(48) if i not in (0, 3, 4, 11, 20, 21, 30, 42)]
    frame = pd.DataFrame({"y": Y[keep], "a": [str(A[i]) for i in keep], "b": [B[i] for i in keep]})
    wrong = anova_lm(ols("y ~ a*b", frame).fit(), typ=3)
    right = factorial(frame["y"], {"a": frame["a"].tolist(), "b": frame["b"].tolist()}, type=3)
    assert right.terms[0].f != pytest.approx(float(wrong["F"].iloc[1]), rel=0.01)
    assert right.terms[2].f == pytest.approx(float(wrong["F"].iloc[3]))


def test_names_that_mean_something_in_a_formula_are_only_names() -> None:
    found = factorial(Y, {"C": A, "Q('x') + 1": B})
    assert [t.name for t in found.terms] == ["C", "Q('x') + 1", "C:Q('x') + 1"]


def test_aliased_terms_have_no_degrees_of_freedom() -> None:
    # A 2³ design in blocks of four that confound the three-way interaction with blocks.
    cells = [(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)]
    rows = [(*cell, r, sum(cell) % 2) for r in range(3) for cell in cells]
    a, b, c, r, half = (list(x) for x in zip(*rows, strict=True))
    block = [f"{i}{j}" for i, j in zip(r, half, strict=True)]
    y = RNG.normal(size=24)
    found = factorial(y, {"a": a, "b": b, "c": c}, type=1, block=block)
    last = found.terms[-1]
    assert (last.name, last.df) == ("a:b:c", 0)
    assert math.isnan(last.f)
    assert (found.residual_df, found.library) == (12, "ophamin-measuring")
    assert sum(t.sum_of_squares for t in found.terms) + found.residual_ss == pytest.approx(float(y.var() * 24))
    with pytest.raises(UsageError, match="type III"):
        factorial(y, {"a": a, "b": b, "c": c}, type=3, block=block)


def test_repeated_measures_of_two_levels_is_the_paired_t_test() -> None:
    x = RNG.normal(size=(9, 2))
    found = repeated_measures(x.ravel(), np.repeat(np.arange(9), 2).tolist(), {"side": ["l", "r"] * 9})[0]
    t = stats.ttest_rel(x[:, 0], x[:, 1])
    assert (found.f, found.p_value) == pytest.approx((float(t.statistic) ** 2, float(t.pvalue)))
    assert found.greenhouse_geisser == 1
    assert found.p_greenhouse_geisser == pytest.approx(found.p_value)


def test_epsilons_lie_where_they_must_and_fall_with_asphericity() -> None:
    base = RNG.normal(size=(30, 4))
    subject, level = np.repeat(np.arange(30), 4).tolist(), list("abcd") * 30
    even = repeated_measures(base.ravel(), subject, {"f": level})[0]
    uneven = repeated_measures((base * [1, 1, 1, 8]).ravel(), subject, {"f": level})[0]
    assert 1 / 3 <= uneven.greenhouse_geisser < even.greenhouse_geisser <= 1
    assert uneven.greenhouse_geisser <= uneven.huynh_feldt <= 1
    assert uneven.mauchly_p < 0.001 < even.mauchly_p
    # A mixed model with a random intercept is the same analysis under sphericity.
    model = mixed_model(base.ravel(), subject, factors={"f": level})
    assert model.df[1] == pytest.approx(87, rel=0.01) or model.singular


def test_two_within_factors_split_as_a_full_anova() -> None:
    x = RNG.normal(size=(7, 2, 3))
    subject, a, b = (g.ravel().tolist() for g in np.indices(x.shape))
    found = {e.name: e for e in repeated_measures(x.ravel(), subject, {"a": a, "b": b})}
    assert list(found) == ["a", "b", "a:b"]
    by_factors = factorial(x.ravel(), {"a": a, "b": b, "s": subject}, order=2, type=1)
    ss = {t.name: t for t in by_factors.terms}
    f = (ss["b"].sum_of_squares / 2) / (ss["b:s"].sum_of_squares / ss["b:s"].df)
    assert found["b"].f == pytest.approx(f)
    assert found["a:b"].df2 == 12


def test_sweep_effects_are_differences_of_cell_means() -> None:
    y = np.array([1.0, 3.0, 2.0, 4.0, 5.0, 7.0, 16.0, 18.0])
    factors = {"a": [0] * 4 + [1] * 4, "b": [0, 0, 1, 1] * 2}
    found = sweep_effects(y, factors)
    assert [c.value for c in found.effects] == pytest.approx([9.0, 6.0])
    assert found.interactions[0].value == pytest.approx((17 - 6) - (3 - 2))
    assert [c.value for c in found.means] == pytest.approx([2.5, 11.5, 4.0, 10.0])
    assert all(c.p_holm >= c.p_value for c in (*found.effects, *found.interactions))
    line = factorial(y, factors, type=3).terms[2]
    assert found.interactions[0].p_value == pytest.approx(line.p_value)


def test_repeats_of_one_unit_are_not_replicates() -> None:
    rows = [(u, f) for u in range(6) for f in (0, 1) for _ in range(10)]
    value = [float(np.sin(7 * u + f)) for u, f in rows]
    table = {"value": value, "factor": [f for _, f in rows], "group": [u for u, _ in rows]}
    result = Effects().compute(table, seed=0)
    assert result.evidence[0].n == 12
    assert any("averaged" in w for w in result.warnings)


@settings(max_examples=80)
@given(
    numbers=st.lists(st.integers(-130, 130), min_size=1, max_size=40),
    kind=st.sampled_from(["int8", "int16", "int64", "uint8", "uint64"]),
)
def test_whole_numbers_are_coded_as_labels_are(numbers: list[int], kind: str) -> None:
    unsigned, info = kind.startswith("u"), np.iinfo(kind)
    labels = [min(max(v, int(info.min)), int(info.max)) for v in ([abs(v) for v in numbers] if unsigned else numbers)]
    levels, codes = coded(np.array(labels, dtype=kind))
    assert levels == [str(v) for v in sorted(set(labels))]
    assert [levels[i] for i in codes] == [str(v) for v in labels]
    assert (levels, codes.tolist()) == (coded(labels)[0], coded(labels)[1].tolist())


def test_numbers_at_the_ends_of_their_type_are_told_apart() -> None:
    ends = np.array([2**64 - 1, 2**64 - 3, 2**64 - 1, 2**64 - 2], dtype=np.uint64)
    assert coded(ends)[0] == [str(v) for v in sorted(set(ends.tolist()))]
    assert coded(ends)[1].tolist() == [2, 0, 2, 1]
    assert coded(np.array([127, -128] * 200, dtype=np.int8))[1].tolist() == [1, 0] * 200
    codes = np.array([0, 1, 0])
    coded(codes)[1][0] = 1
    assert codes.tolist() == [0, 1, 0]  # what is coded stays as it was


def test_tukey_sees_a_group_that_varies_in_its_last_row_only() -> None:
    value, group = np.tile([1.0, 2.0], 3000), np.tile([0, 1], 3000)
    with pytest.raises(UsageError, match="no group varies"):
        tukey_hsd(value, group)
    value[-1] = 2.5
    assert tukey_hsd(value, group).differences[0] == pytest.approx(1 + 0.5 / 3000)


def test_the_family_of_tukey_intervals_holds_together() -> None:
    missed = 0
    for seed in range(60):
        y = np.random.default_rng(seed).normal(size=24)
        found = tukey_hsd(y, [i % 4 for i in range(24)])
        missed += bool(((found.lower > 0) | (found.upper < 0)).any())
    assert stats.binom.ppf(1e-4, 60, 0.05) <= missed <= stats.binom.ppf(1 - 1e-4, 60, 0.05)


@pytest.mark.parametrize(
    ("pillar", "table", "says"),
    [
        (OneWayAnova, {"value": [], "group": []}, "at least two groups"),
        (OneWayAnova, {"value": [1.0, 2.0], "group": ["a", "b"]}, "at least two groups"),
        (OneWayAnova, {"value": [1.0, 1.0, 2.0, 2.0], "group": list("aabb")}, "no group varies"),
        (TukeyHsd, {"value": [1.0, 1.0, 2.0, 2.0], "group": list("aabb")}, "no group varies"),
        (TukeyHsd, {"value": [1.0, 2.0], "group": list("aa")}, "at least two groups"),
        (FactorialAnova, {"value": [1.0, 2.0], "factor": list("ab")}, "nothing to judge by"),
        (FactorialAnova, {"value": [1.0, 2.0], "factor": list("aa")}, "one level"),
        (FactorialAnova, {"value": [], "factor": []}, "no observations"),
        (RepeatedMeasuresAnova, {"value": [1.0, 2.0, 3.0], "group": list("aab"), "factor": [1, 2, 1]}, "lacks a cell"),
        (RepeatedMeasuresAnova, {"value": [1.0, 2.0], "group": list("aa"), "factor": [1, 2]}, "two subjects"),
        (RepeatedMeasuresAnova, {"value": [1.0, 2.0] * 3, "group": list("aabbcc"), "factor": [1, 2] * 3}, "no F"),
        (Effects, {"value": [1.0, 2.0, 3.0], "factor": [1, 1, 2], "factor_2": [1, 2, 1]}, "confounded"),
        (Effects, {"value": [], "factor": []}, "no outcomes"),
    ],
)
def test_degenerate_tables_are_answered_in_words(pillar: type, table: dict[str, list[object]], says: str) -> None:
    result = pillar().compute(table, seed=0)
    assert result.evidence[0].statistic_value is None
    assert any(says in w for w in result.warnings), result.warnings
