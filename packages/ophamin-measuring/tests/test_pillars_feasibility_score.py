"""Matching on an estimated propensity score: the law of Abadie & Imbens (2016), and input that has no such score.

The design is theirs, of two uniform confounders, where every moment given the score is known in closed form.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binom

from ophamin.measuring.pillars.feasibility.matching import matching
from ophamin.measuring.pillars.feasibility.plugins_weighting import Matching

TARGETS = ("ate", "att", "atc")


def _study(n: int, rng: np.random.Generator) -> tuple[Any, Any, Any]:
    x = rng.uniform(-0.5, 0.5, (n, 2))
    t = (rng.random(n) < expit(x @ [1.0, 2.0])) * 1.0
    return np.where(t == 1, 5 + x @ [1.0, 1.0], x @ [3.0, -3.0]) + rng.normal(size=n), t, x


def _truth(target: str, m: int) -> tuple[float, float, float]:
    """The effect, and n times the asymptotic variance with the score known and with the score estimated."""
    grid = (np.arange(400) + 0.5) / 400 - 0.5
    x1, x2 = (v.ravel() for v in np.meshgrid(grid, grid))
    s, tau = x1 + 2 * x2, 5 - 2 * x1 + 4 * x2
    # Given the score, x2 is uniform on an interval and x1 = s − 2·x2.
    low, high = np.maximum(-0.5, (s - 0.5) / 2), np.minimum(0.5, (s + 0.5) / 2)
    v, x2_given = (high - low) ** 2 / 12, (low + high) / 2
    gain, p, z = 5 - 2 * (s - 2 * x2_given) + 4 * x2_given, expit(s), np.column_stack([np.ones_like(s), x1, x2])
    one, zero = 1 + v, 1 + 81 * v  # variances of the outcomes given the score
    along = v[:, None] * [0.0, -2.0, 1.0]
    c1, c0 = -1 * along, -9 * along
    if target == "atc":
        p, gain, tau, one, zero, c1, c0, z = 1 - p, -gain, -tau, zero, one, -c0, -c1, -z
    f = p * (1 - p)
    inverse = np.linalg.inv((z * f[:, None]).T @ z / len(s))
    if target == "ate":
        known = (
            (gain - 5) ** 2
            + one * (1 / p + (1 / p - p) / (2 * m))
            + zero * (2 * m + 1 - (1 - p) ** 2) / (2 * m) / (1 - p)
        )
        c = (f[:, None] * (c1 / p[:, None] + c0 / (1 - p)[:, None])).mean(axis=0)
        return 5.0, float(known.mean()), float(known.mean() - c @ inverse @ c)
    share = float(p.mean())
    effect = float((p * tau).mean()) / share
    parts = p * (gain - effect) ** 2 + p * one + zero * (p / m + p**2 / (1 - p) * (1 + 1 / (2 * m)))
    known_too = float(parts.mean()) / share**2
    c = (f[:, None] * (z * (gain - effect)[:, None] + c1 + (p / (1 - p))[:, None] * c0)).mean(axis=0) / share
    d = (f[:, None] * z * (tau - effect)[:, None]).mean(axis=0) / share
    return (-effect if target == "atc" else effect), known_too, known_too + float(d @ inverse @ d - c @ inverse @ c)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("m", [1, 4])
def test_the_standard_error_is_that_of_the_law(target: str, m: int) -> None:
    _, known, estimated = _truth(target, m)
    n, found = 4000, []
    for seed in range(3):
        study = _study(n, np.random.default_rng(seed))
        options: dict[str, Any] = {"target": target, "metric": "score", "neighbours": m}
        found.append([n * matching(*study, score_known=k, **options).se ** 2 for k in (True, False)])
    one, other = np.mean(found, axis=0)
    assert (one, other) == pytest.approx((known, estimated), rel=0.06)
    assert one - other == pytest.approx(known - estimated, rel=0.35)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "m"), [(150, 1), (250, 4)])
def test_intervals_cover_and_those_of_a_known_score_are_too_wide(n: int, m: int) -> None:
    rng, truth = np.random.default_rng(n), {target: _truth(target, m)[0] for target in TARGETS}
    runs = 200
    gaps = np.empty((runs, len(TARGETS)))
    errors = np.empty((runs, len(TARGETS), 2))
    for run in range(runs):
        study = _study(n, rng)
        for j, target in enumerate(TARGETS):
            both = [
                matching(*study, target=target, metric="score", neighbours=m, score_known=known)
                for known in (False, True)
            ]
            gaps[run, j], errors[run, j] = both[0].estimate - truth[target], [b.se for b in both]
    for j, target in enumerate(TARGETS):
        covered = int((np.abs(gaps[:, j]) <= 1.959964 * errors[:, j, 0]).sum())
        assert binom.ppf(1e-4, runs, 0.935) <= covered <= binom.ppf(1 - 1e-4, runs, 0.965), target
    # The spread that is there, and what each standard error makes of it: the known score's is 8 % too great.
    spread = gaps[:, 0].std(ddof=1)
    assert np.sqrt((errors[:, 0, 0] ** 2).mean()) == pytest.approx(spread, rel=0.08)
    assert np.sqrt((errors[:, 0, 1] ** 2).mean()) > 1.03 * np.sqrt((errors[:, 0, 0] ** 2).mean())


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("link", ["logit", "probit"])
def test_units_order_and_the_names_of_the_arms_do_not_matter(target: str, link: str) -> None:
    y, t, x = _study(200, np.random.default_rng(7))
    options: dict[str, Any] = {"metric": "score", "link": link, "neighbours": 2}
    plain = matching(y, t, x, target=target, **options)
    order = np.random.default_rng(8).permutation(200)
    for other in (
        matching(y[order], t[order], x[order], target=target, **options),
        matching(y + 1e7, t, x * [1e6, 1e-6] + [0.0, 3.0], target=target, **options),
        matching(y, t, np.column_stack([x, np.ones(200), x @ [1.0, -2.0]]), target=target, **options),
    ):
        assert (other.estimate, other.se) == pytest.approx((plain.estimate, plain.se), rel=1e-6)
    mirrored = matching(-y, 1 - t, x, target={"att": "atc", "atc": "att"}.get(target, target), **options)
    assert (mirrored.estimate, mirrored.se) == pytest.approx((plain.estimate, plain.se), rel=1e-8)


def test_ties_of_a_coarse_score_count_alike() -> None:
    y, t, x = _study(300, np.random.default_rng(9))
    coarse = np.round(2 * x)  # nine places
    order = np.random.default_rng(1).permutation(300)
    for target in TARGETS:
        here = matching(y, t, coarse, target=target, metric="score")
        there = matching(y[order], t[order], coarse[order], target=target, metric="score")
        assert 0 < here.se == pytest.approx(there.se, rel=1e-10)


def test_what_has_no_score_or_no_spread_is_said() -> None:
    y, t, x = _study(60, np.random.default_rng(10))
    apart = matching(y, t, np.column_stack([x, t + 0.1 * x[:, 0]]), metric="score")
    assert math.isnan(apart.estimate)
    assert "no overlap" in apart.notes[0]
    for target in TARGETS:
        constant = matching(y, t, np.ones((60, 2)), target=target, metric="score")
        plain = y[t == 1].mean() - y[t == 0].mean()
        assert constant.estimate == pytest.approx(plain)  # all rows are at one place
        assert constant.se > 0
        flat = matching(np.full(60, 3.0), t, x, target=target, metric="score")
        assert math.isnan(flat.se)
        few = matching(y[:5], np.array([1.0, 0, 1, 0, 0]), x[:5, :1], target=target, metric="score")
        assert math.isnan(few.se) or few.se > 0
    adjusted = matching(y, t, x, metric="score", bias_adjusted=True)
    assert any("as known" in note for note in adjusted.notes)
    assert adjusted.se == matching(y, t, x, metric="score", bias_adjusted=True, score_known=True).se


def test_the_pillar_says_which_standard_error_it_gives() -> None:
    y, t, x = _study(80, np.random.default_rng(11))
    table = {
        "outcome": y.tolist(),
        "treatment": t.tolist(),
        "confounder": x[:, 0].tolist(),
        "confounder_2": x[:, 1].tolist(),
    }
    answers = {}
    for options in ({}, {"score_known": True}, {"variance_neighbours": 2}, {"metric": "mahalanobis"}):
        result = Matching().compute(table, seed=0, **({"metric": "score"} | options))
        item = result.evidence[0]
        assert ("propensity_library" in item.detail) == ("metric" not in options)
        assert any("model must be right" in note for note in result.warnings) == ("metric" not in options)
        answers[str(options)] = (item.detail["se"], item.detail["se_method"])
    assert len({se for se, _ in answers.values()}) == 4
    methods = [method for _, method in answers.values()]
    assert methods == ["Abadie-Imbens robust, score estimated", "Abadie-Imbens robust"] * 2
