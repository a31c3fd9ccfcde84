"""Pillar O against R 4.2.2: spc 0.6 (run lengths), ptukey and qtukey (constants), and qcc's formulas, on generated data.

``ewma λ L``, ``cusum1 k h``, ``cusum2 k h``, ``fir1 k h``, ``fir2 k h``: ``xewma.arl`` and ``xcusum.arl`` at shifts 0,
0.25, 0.5, 1, 1.5, 2, 3, one- or two-sided, with head start h/2. ``const n``: d2, d3, c4 by ``integrate`` over ``ptukey``.
``rangeq n``: ``qtukey`` at 0.005, 0.00135, 0.5, 0.95, 0.99865. ``sigma.*``: UWAVE-R, UWAVE-SD, MVLUE-R, MVLUE-SD, root
mean square and RMSDF of qcc. ``cap``: Cp, Cpk, Cpm with intervals (Cpm by qcc and by Boyles), share outside.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from river import drift
from river.drift import binary
from scipy.special import ndtri

from ophamin.measuring.pillars.observability import charts, run_length
from ophamin.measuring.pillars.observability.capability import capability
from ophamin.measuring.pillars.observability.constants import constants, range_quantile
from ophamin.measuring.pillars.observability.drift import BINARY, detect
from ophamin.measuring.pillars.observability.plugins_charts import Individuals, PChart, XbarChart
from ophamin.measuring.pillars.observability.plugins_series import CapabilityIndices, CusumChart
from ophamin.measuring.pillars.observability.ratio import sample_ratio_mismatch
from ophamin.measuring.pillars.observability.rules import violations
from ophamin.measuring.pillars.observability.weighted import cusum, ewma
from ophamin.proof.errors import UsageError

R = """
ewma 0.05 2.615 499.9330057 84.00586173 28.763728 11.38280369 7.112490623 5.224879826 3.496171839
ewma 0.1 2.814 499.5795501 106.321853 31.2974352 10.33066516 6.084184342 4.362253414 2.868003512
ewma 0.25 2.998 499.8360035 170.2958502 48.29387514 11.13550198 5.463744144 3.613710825 2.257562994
ewma 0.4 3.054 499.9513386 223.7278133 71.20050201 14.26276426 5.874941763 3.521539199 2.018629565
ewma 0.75 3.087 499.2523281 320.5437607 140.1208471 30.59034457 9.897712018 4.538407017 1.874951773
ewma 0.2 2.86 371.1033043 121.2160047 36.20258584 9.801524515 5.230817239 3.592766806 2.30862555
cusum2 0.5 4 167.6837888 74.22402789 26.63020309 8.38313187 4.747168199 3.342770129 2.194480909
cusum1 0.5 4 335.3675776 77.07851713 26.67916243 8.38320213 4.747168482 3.342770131 2.194480909
fir1 0.5 4 316.3794388 66.56689432 20.25308386 5.291019334 2.862242132 2.014387398 1.325393164
fir2 0.5 4 148.69565 62.69824123 20.06396194 5.286886215 2.862038547 2.01437489 1.325393122
cusum2 0.5 5 465.443506 139.4936898 37.99614319 10.37596992 5.747217703 4.008871061 2.573252051
cusum1 0.5 5 930.8870121 141.6877452 38.00960992 10.3759753 5.747217711 4.008871061 2.573252051
fir1 0.5 5 895.8343452 124.928182 28.75690785 6.347965827 3.371983474 2.362292318 1.539642548
fir2 0.5 5 430.3908392 121.6879446 28.66583019 6.346850468 3.371950033 2.362290941 1.539642545
cusum2 0.25 8 368.3938733 83.63038095 28.76237548 11.39320821 7.114089559 5.214160697 3.475555075
cusum1 0.25 8 736.7877465 84.00078687 28.76339468 11.39320826 7.114089559 5.214160697 3.475555075
fir1 0.25 8 684.3102835 63.25055767 17.8631917 6.390049142 3.966937862 2.939780249 2.045771491
fir2 0.25 8 315.9164103 62.16280423 17.83271744 6.38992217 3.966936984 2.939780242 2.045771491
cusum2 0.75 3.34 370.5744779 161.6854047 49.88598437 10.8836176 5.181639341 3.388175948 2.091346497
cusum1 0.75 3.34 741.1489559 168.7182801 49.9967176 10.88375201 5.181640092 3.388175957 2.091346497
fir1 0.75 3.34 719.3503269 156.472693 42.58115895 7.50928191 3.244584957 2.084562282 1.303539513
fir2 0.75 3.34 348.7758489 148.2156575 42.30016821 7.504400598 3.244325668 2.084544983 1.303539451
cusum2 1 2.52 372.8153785 197.7551878 69.29970719 13.57835412 5.461884566 3.266907543 1.862332832
cusum1 1 2.52 745.630757 212.4277373 69.71817206 13.57929731 5.461893726 3.266907732 1.862332833
fir1 1 2.52 729.0952888 202.1651815 63.09967432 10.4324948 3.685390513 2.116665089 1.255523126
fir2 1 2.52 356.2799103 186.3100312 62.44556562 10.42318895 3.684902002 2.116631281 1.255522991
cusum2 1.5 1.61 376.3396703 253.4531413 114.7036635 24.13643457 7.680827299 3.705373651 1.727172781
cusum1 1.5 1.61 752.6793406 289.6641785 117.0878184 24.14853297 7.680947524 3.705375868 1.727172782
fir1 1.5 1.61 744.1220671 283.1856038 112.2293583 21.41982504 6.088801001 2.719128964 1.30478496
fir2 1.5 1.61 367.7823968 246.3915833 109.6534897 21.39785291 6.088173434 2.719096961 1.304784862
const 2 1.128379167 0.8525024664 0.7978845608
const 3 1.692568751 0.888368004 0.8862269255
const 4 2.058750746 0.8798082028 0.9213177319
const 5 2.325928947 0.8640819411 0.939985603
const 6 2.534412721 0.8480396862 0.9515328619
const 7 2.704356751 0.8332053357 0.9593687887
const 8 2.847200612 0.8198314899 0.9650304561
const 9 2.970026324 0.8078342746 0.9693106997
const 10 3.07750546 0.7970506737 0.9726592741
const 11 3.172872702 0.7873146207 0.9753500771
const 12 3.258455279 0.7784783411 0.9775593519
const 13 3.335980355 0.770416201 0.9794056043
const 14 3.406763113 0.7630230927 0.9809714368
const 15 3.471826899 0.7562114237 0.9823161772
const 16 3.531982802 0.7499080794 0.9834835316
const 17 3.587883983 0.7440517697 0.9845064055
const 18 3.640063784 0.7385908355 0.9854100438
const 19 3.688963052 0.7334814761 0.9862141369
const 20 3.734950147 0.728686328 0.9869342675
const 21 3.778335852 0.7241733292 0.9875829288
const 22 3.819384655 0.7199148084 0.9881702533
const 23 3.858323421 0.7158867527 0.9887045452
const 24 3.895348127 0.7120682153 0.989192675
const 25 3.930629176 0.708440834 0.9896403756
rangeq 2 0.008862328076 0.002392813856 0.9538726707 2.771807649 4.532742813
rangeq 5 0.5549039235 0.3965280865 2.256882493 3.857655527 5.377402382
rangeq 10 1.334927169 1.126343057 3.024201568 4.474124471 5.874157502
rangeq 25 2.36673357 2.164257334 3.882140652 5.172996178 6.452744319
sigma.range 1.412688799
sigma.sd 1.356148824
sigma.range-weighted 1.389366932
sigma.sd-weighted 1.322688335
sigma.pooled 1.23678631
sigma.pooled-unbiased 1.240915687
xbar.center 9.992724242
r.level99.lower 0.783906557 0.1904976222 0.484131565 0.0125197116 1.058079886 0.783906557 0.783906557 0.1904976222 0.783906557 0.1904976222 0.484131565 0.0125197116 1.058079886 0.783906557 0.783906557 0.1904976222 0.783906557 0.1904976222 0.484131565 0.0125197116 1.058079886 0.783906557 0.783906557 0.1904976222
r.level99.upper 6.901810555 6.250067609 6.631284774 5.608014614 7.110739612 6.901810555 6.901810555 6.250067609 6.901810555 6.250067609 6.631284774 5.608014614 7.110739612 6.901810555 6.901810555 6.250067609 6.901810555 6.250067609 6.631284774 5.608014614 7.110739612 6.901810555 6.901810555 6.250067609
s.level99.lower 0.308497101 0.09601439645 0.2096873531 0.008498458089 0.3891659938 0.308497101 0.308497101 0.09601439645 0.308497101 0.09601439645 0.2096873531 0.008498458089 0.3891659938 0.308497101 0.308497101 0.09601439645 0.308497101 0.09601439645 0.2096873531 0.008498458089 0.3891659938 0.308497101 0.308497101 0.09601439645
s.level99.upper 2.613909489 3.121593416 2.805421083 3.806755543 2.482130436 2.613909489 2.613909489 3.121593416 2.613909489 3.121593416 2.805421083 3.806755543 2.482130436 2.613909489 2.613909489 3.121593416 2.613909489 3.121593416 2.805421083 3.806755543 2.482130436 2.613909489 2.613909489 3.121593416
ind.mr 1.576336497
ind.sd 1.120234519
ind.mr3 1.38655126
p.center 0.1161904762
p.lower 0 0 0 0 0 0.00870720744 0 0 0 0
p.upper 0.252147252 0.2681947726 0.2403014645 0.2458201757 0.2595015012 0.2236737449 0.2917099191 0.252147252 0.252147252 0.2354324567
p.level.lower 0.04 0.025 0.05 0.03636363636 0.02222222222 0.05 0.03333333333 0.04 0.04 0.04615384615
p.level.upper 0.22 0.225 0.2 0.2 0.2222222222 0.1875 0.2333333333 0.22 0.22 0.2
u.lower 0 0 0 0 0 0.001860127764 0 0 0 0
u.upper 0.2608081989 0.2778780055 0.2482077911 0.2540780645 0.2686309408 0.2305208246 0.3028911534 0.2608081989 0.2608081989 0.2430286096
u.level.lower 0.04 0.025 0.03333333333 0.03636363636 0.02222222222 0.05 0 0.04 0.04 0.04615384615
u.level.upper 0.22 0.225 0.2166666667 0.2181818182 0.2222222222 0.2 0.2666666667 0.22 0.22 0.2
c.level 1 13
cap.overall 1.29723784 1.115779525 1.478393994 1.151002883 0.9770009373 1.325004828 1.187947754 1.009813115 1.365771818 1.024777831 1.350849387 0.0002846269298
cap.within 1.061804979 0.9132791372 1.210083498 0.9421098844 0.7947764037 1.089443365 1.061790897 0.9140150154 1.20932156 0.9140169698 1.209319611 0.002550918096
cap.90 0.5898916549 0.5200361044 0.6584621285 0.4701965605 0.3921687862 0.5482243348 0.4803018846 0.4148069913 0.5444166745 0.4270448657 0.5326396062 0.09581986863
"""


def _read() -> dict[str, list[float]]:
    found = {}
    for line in R.strip().splitlines():
        words = line.split()
        names = {"ewma": 3, "cusum1": 3, "cusum2": 3, "fir1": 3, "fir2": 3, "const": 2, "rangeq": 2}.get(words[0], 1)
        found[" ".join(words[:names])] = [float(v) for v in words[names:]]
    return found


ORACLE = _read()
SHIFTS = (0, 0.25, 0.5, 1, 1.5, 2, 3)
SIZES = [5, 3, 4, 2, 6, 5, 5, 3] * 3
NAMES = [i + 1 for i, n in enumerate(SIZES) for _ in range(n)]
VALUES = np.round(10 + 1.2 * ndtri(0.005 + 0.99 * ((np.arange(1, len(NAMES) + 1) * math.sqrt(2)) % 1.0)), 4)
COUNTS, UNITS = [8, 4, 4, 10, 6, 8, 0, 9, 6, 6], [50, 40, 60, 55, 45, 80, 30, 50, 50, 65]


def _same(name: str, *got: Any, rel: float = 1e-8) -> None:
    assert np.concatenate([np.atleast_1d(g) for g in got]) == pytest.approx(ORACLE[name], rel=rel, abs=1e-9), name


@pytest.mark.parametrize(
    "name", [name for name in ORACLE if name.split()[0] in ("ewma", "cusum1", "cusum2", "fir1", "fir2")]
)
def test_run_lengths_are_those_of_spc(name: str) -> None:
    kind, first, second = name.split()
    if kind == "ewma":
        got = [run_length.ewma_arl(s, lam=float(first), width=float(second)) for s in SHIFTS]
    else:
        start = float(second) / 2 if kind.startswith("fir") else 0.0
        got = [
            run_length.cusum_arl(s, k=float(first), h=float(second), sides=int(kind[-1]), head_start=start)
            for s in SHIFTS
        ]
    _same(name, got, rel=1e-6)


def test_run_lengths_as_printed() -> None:
    # Lucas & Saccucci (1990), Technometrics 32:1, table 3; Lucas & Crosier (1982), Technometrics 24:199, table 1
    # (h 4 and 5, without and with head start); Montgomery (2013), section 9.1.3, by Siegmund's approximation: 469.1.
    for lam, width, at_none, at_one in ((0.25, 2.998, 500, 11.1), (0.1, 2.814, 500, 10.3), (0.4, 3.054, 500, 14.3)):
        assert run_length.ewma_arl(0, lam=lam, width=width) == pytest.approx(at_none, rel=0.01)
        assert run_length.ewma_arl(1, lam=lam, width=width) == pytest.approx(at_one, abs=0.06)
    for h, start, row in (
        (4, 0, (168, 8.38, 3.34)),
        (5, 0, (465, 10.4, 4.01)),
        (4, 2, (149, 5.29, 2.01)),
        (5, 2.5, (430, 6.35, 2.36)),
    ):
        got = [run_length.cusum_arl(s, k=0.5, h=h, head_start=start) for s in (0, 1, 2)]
        assert got == pytest.approx(row, rel=0.006)
    b = 5 + 1.166
    siegmund = (math.exp(b) - b - 1) / (2 * 0.5**2)  # one side, no shift: Δ = -1/2
    assert run_length.cusum_arl(0, k=0.5, h=5, sides=1) == pytest.approx(siegmund, rel=0.01)


@pytest.mark.parametrize("n", [int(name.split()[1]) for name in ORACLE if name.startswith("const")])
def test_constants_are_integrals_of_the_law_of_the_range(n: int) -> None:
    law = constants(n)
    _same(f"const {n}", law.d2, law.d3, law.c4, rel=1e-6)  # ptukey is right to seven digits


def test_constants_in_closed_form() -> None:
    two, three = constants(2), constants(3)
    assert (two.d2, two.d3) == pytest.approx((2 / math.sqrt(math.pi), math.sqrt(2 - 4 / math.pi)), rel=1e-12)
    assert three.d2 == pytest.approx(3 / math.sqrt(math.pi), rel=1e-12)
    assert two.c4 == pytest.approx(math.sqrt(2 / math.pi), rel=1e-12)
    assert range_quantile(0.5, 2) == pytest.approx(math.sqrt(2) * float(ndtri(0.75)), rel=1e-12)
    for n in (2, 5, 10, 25):
        _same(f"rangeq {n}", [range_quantile(q, n) for q in (0.005, 0.00135, 0.5, 0.95, 0.99865)], rel=1e-6)
    for q, n in ((0.0, 5), (0.5, 1)):
        with pytest.raises(UsageError):
            range_quantile(q, n)


@pytest.mark.parametrize("method", charts.SIGMA_METHODS)
def test_sigma_from_subgroups_of_unequal_size_is_that_of_qcc(method: str) -> None:
    chart = charts.xbar(VALUES, NAMES, sigma_method=method)
    _same(f"sigma.{method}", chart.sigma)
    _same("xbar.center", chart.center[0])
    spread = charts.r_chart if method.startswith("range") else charts.s_chart
    assert spread(VALUES, NAMES, sigma_method=method).sigma == chart.sigma
    table = {"value": VALUES.tolist(), "subgroup": NAMES}
    found = {e.statistic_name: e.statistic_value for e in XbarChart().compute(table, seed=0, spread=method).evidence}
    assert found["xbar_sigma"] == chart.sigma


def test_probability_limits_of_spread_charts() -> None:
    r, s = charts.r_chart(VALUES, NAMES, level=0.99), charts.s_chart(VALUES, NAMES, level=0.99)
    _same("r.level99.lower", r.lower, rel=1e-6)
    _same("r.level99.upper", r.upper, rel=1e-6)
    _same("s.level99.lower", s.lower)
    _same("s.level99.upper", s.upper)
    assert (r.lower > 0).all()  # unlike three standard errors, quantiles of a range lie above 0


def test_individuals() -> None:
    x = VALUES[:20]
    _same("ind.mr", charts.individuals(x).sigma)
    _same("ind.mr3", charts.individuals(x, span=3).sigma)
    _same("ind.sd", charts.individuals(x, sigma_method="sd").sigma)
    wide = charts.individuals(x, level=0.9973002039367398)
    assert wide.upper[0] == pytest.approx(charts.individuals(x).upper[0])
    with pytest.raises(UsageError):
        charts.individuals(x, sigma_method="mad")
    result = Individuals().compute({"value": x.tolist()}, seed=0, spread="sd")
    assert {e.statistic_name: e.statistic_value for e in result.evidence}["individuals_sigma"] == pytest.approx(
        ORACLE["ind.sd"][0]
    )


def test_counts_with_varying_sizes_and_at_quantiles() -> None:
    p, u = charts.p_chart(COUNTS, UNITS), charts.u_chart(COUNTS, UNITS)
    _same("p.center", p.center[0])
    for name, chart in (("p", p), ("u", u)):
        _same(f"{name}.lower", chart.lower)
        _same(f"{name}.upper", chart.upper)
    for name, draw in (("p", charts.p_chart), ("u", charts.u_chart)):
        chart = draw(COUNTS, UNITS, level=0.95)
        _same(f"{name}.level.lower", chart.lower)
        _same(f"{name}.level.upper", chart.upper)
    c, n = charts.c_chart(COUNTS, level=0.99), charts.np_chart(COUNTS, UNITS, level=0.95)
    _same("c.level", c.lower[0], c.upper[0])
    assert n.upper / np.array(UNITS) == pytest.approx(ORACLE["p.level.upper"])
    with pytest.raises(UsageError):
        charts.c_chart(COUNTS, level=1.0)
    with pytest.raises(UsageError):
        charts.p_chart([1, 2], [5.5, 5], level=0.95)
    assert charts.p_chart([0, 0], [5, 5], level=0.95).beyond.tolist() == []
    assert charts.np_chart([5, 5], 5, level=0.95).beyond.tolist() == []
    wide = PChart().compute({"count": [1, 0], "size": [9, 9]}, seed=0, level=0.95)
    assert not any("normal limits" in note for note in wide.warnings)


@pytest.mark.parametrize(
    ("name", "limits", "level"),
    [("overall", (6, 15, 10.5), 0.95), ("within", (6, 15, 10), 0.95), ("90", (8, 13, 11), 0.9)],
)
def test_capability_is_that_of_qcc(name: str, limits: tuple[float, float, float], level: float) -> None:
    given: dict[str, Any] = dict(zip(("lower", "upper", "target"), limits, strict=True)) | {"level": level}
    given["sigma"] = None if name == "overall" else charts.xbar(VALUES, NAMES).sigma
    found, other = capability(VALUES, **given), capability(VALUES, **given, cpm_freedom="qcc")
    _same(
        f"cap.{name}", found.cp, found.cp_interval, found.cpk, found.cpk_interval, found.cpm, other.cpm_interval,
        found.cpm_interval, found.outside,
    )  # fmt: skip
    if name == "overall":
        assert (found.pp_interval, found.ppk_interval) == (found.cp_interval, found.cpk_interval)
    result = CapabilityIndices().compute({"value": VALUES.tolist()}, seed=0, **given)
    evidence = {e.statistic_name: e for e in result.evidence}
    assert (evidence["Cpm"].ci_low, evidence["Cpm"].ci_high) == found.cpm_interval


def test_interval_of_cpm_covers() -> None:
    rng, missed = np.random.default_rng(5), 0
    truth = 6 / (6 * math.hypot(1, 0.8))
    for _ in range(1000):
        low, high = capability(rng.normal(0.8, 1, 40), lower=-3, upper=3, target=0).cpm_interval
        missed += not low <= truth <= high
    assert missed <= 87  # 1 in 500,000 at 5 %


# --- runs rules at their edges: exactly k points, one fewer, a point on the line


RULES: list[tuple[str, str, list[float], list[int]]] = [
    ("nelson", "nelson-1", [3.0, -3.0, 3.0001, -3.0001], [2, 3]),
    ("nelson", "nelson-2", [0.1] * 8, []),
    ("nelson", "nelson-2", [0.1] * 9, [8]),
    ("nelson", "nelson-2", [-0.1] * 10, [8, 9]),
    ("nelson", "nelson-2", [0.1] * 4 + [0.0] + [0.1] * 8, []),  # a point on the line breaks the run
    ("nelson", "nelson-3", [0, 1, 2, 3, 4], []),
    ("nelson", "nelson-3", [0, 1, 2, 3, 4, 5], [5]),
    ("nelson", "nelson-3", [5, 4, 3, 2, 1, 0], [5]),
    ("nelson", "nelson-3", [0, 1, 2, 2, 3, 4, 5], []),  # an equal step breaks it
    ("nelson", "nelson-4", [0.0, 1.0] * 6 + [0.0], []),
    ("nelson", "nelson-4", [0.0, 1.0] * 7, [13]),
    ("nelson", "nelson-4", [0.0, 1.0] * 5 + [1.0] + [0.0, 1.0] * 6, []),
    ("nelson", "nelson-5", [2.1, 0, 2.1], [2]),
    ("nelson", "nelson-5", [2.1, 2.1, 0], [1]),  # marked where it completes, not again at a point inside
    ("nelson", "nelson-5", [2.1, 0, -2.1], []),  # both sides do not add up
    ("nelson", "nelson-5", [2.0, 2.0, 2.0], []),  # on the line is not beyond
    ("nelson", "nelson-5", [2.1, 0, 0, 2.1], []),
    ("nelson", "nelson-6", [1.1, 1.1, 0, 1.1, 1.1], [4]),
    ("nelson", "nelson-6", [1.1, 1.1, 1.1, 1.1], [3]),
    ("nelson", "nelson-6", [1.0] * 5, []),
    ("nelson", "nelson-6", [1.1, 1.1, -1.1, 1.1, 0], []),
    ("nelson", "nelson-7", [0.9, -0.9] * 7, []),
    ("nelson", "nelson-7", [0.9, -0.9] * 7 + [0.0], [14]),
    ("nelson", "nelson-7", [0.9] * 14 + [1.0], []),
    ("nelson", "nelson-8", [1.1, -1.1] * 4, [7]),
    ("nelson", "nelson-8", [1.1] * 7, []),
    ("nelson", "nelson-8", [1.1] * 7 + [1.0], []),
    ("western-electric", "we-1", [3.0, 3.1], [1]),
    ("western-electric", "we-2", [-2.1, 0, -2.1], [2]),
    ("western-electric", "we-3", [-1.1, -1.1, 0, -1.1, -1.1], [4]),
    ("western-electric", "we-4", [0.1] * 7, []),
    ("western-electric", "we-4", [0.1] * 8, [7]),
    ("western-electric", "we-4", [-0.1] * 8, [7]),
]


@pytest.mark.parametrize(("rules", "name", "z", "at"), RULES)
def test_a_rule_at_its_edge(rules: str, name: str, z: list[float], at: list[int]) -> None:
    assert violations(z, rules)[name].tolist() == at


@pytest.mark.parametrize("value", [1 / 3, 0.1, 1e120, -7.7, 0.0, 1e-120])
@pytest.mark.parametrize("count", [5, 10, 30])
def test_equal_values_give_no_signal_of_any_kind(value: float, count: int) -> None:
    result = Individuals().compute({"value": [value] * count}, seed=0, rules="nelson")
    assert not any(at for chart in result.diagnostics["signals"].values() for at in chart.values())
    assert any("no spread" in note for note in result.warnings)
    table = {"value": [value] * count * 3, "subgroup": [i // 3 for i in range(count * 3)]}
    for spread in ("range", "sd", "pooled"):
        signals = XbarChart().compute(table, seed=0, spread=spread, rules="nelson").diagnostics["signals"]
        assert not any(at for chart in signals.values() for at in chart.values())
    # A value that differs, held against limits of width 0, does signal.
    phased = Individuals().compute({"value": [value] * count + [value + 1], "phase1": [1] * count + [0]}, seed=0)
    if value + 1 != value:
        assert phased.diagnostics["signals"]["individuals"]["beyond_limits"] == [count]


# --- charts with a memory


def test_ewma_by_hand_and_cusum_with_a_head_start() -> None:
    found = ewma([52.0, 47.0], target=50, sigma=2, lam=0.5, width=3)
    assert found.ewma.tolist() == [51.0, 49.0]
    assert found.upper == pytest.approx([50 + 6 * math.sqrt(1 / 3 * (1 - 0.25**i)) for i in (1, 2)])
    x = [0.2, 1.4, -0.6, 2.0, 0.9, -1.1]
    found, up, down = cusum(x, target=0.0, k=0.5, h=4, head_start=2), 2.0, 2.0
    for v, above, below in zip(x, found.upper, found.lower, strict=True):
        up, down = max(0.0, up + v - 0.5), max(0.0, down - v - 0.5)
        assert (above, below) == pytest.approx((up, down))
    assert cusum([3.0], target=0.0, k=0.5, h=4, head_start=2).signals == [0]
    for start in (-1.0, 4.0):
        with pytest.raises(UsageError):
            cusum(x, target=0.0, k=0.5, h=4, head_start=start)
        with pytest.raises(UsageError):
            run_length.cusum_arl(k=0.5, h=4, head_start=start)
    started = CusumChart().compute({"value": [3.0]}, seed=0, target=0, sigma=1, h=4.0, head_start=2.0)
    assert started.diagnostics["signals"] == [0]
    assert started.evidence[1].statistic_value == pytest.approx(ORACLE["fir2 0.5 4"][0], rel=1e-6)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("name", "river"),
    [
        ("adwin", drift.ADWIN), ("kswin", drift.KSWIN), ("page-hinkley", drift.PageHinkley), ("ddm", binary.DDM),
        ("eddm", binary.EDDM), ("hddm-a", binary.HDDMA),
        ("hddm-w", binary.HDDMW),
    ],
)  # fmt: skip
def test_detectors_are_bare_river_with_its_defaults(name: str, river: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    if name in BINARY:
        stream = [float(v) for p in (0.1, 0.5, 0.2) for v in rng.random(700) < p]
        bare = river()
    else:
        stream = np.concatenate([rng.normal(m, 1, 700) for m in (0, 3, -1)]).tolist()
        bare = river(seed=seed) if name == "kswin" else river()
    signals = []
    for i, value in enumerate(stream):
        bare.update(bool(value) if name in BINARY else value)
        if bare.drift_detected:
            signals.append(i)
    assert detect(stream, name, seed=seed).changes == signals


def test_sample_ratios_by_hand() -> None:
    found = sample_ratio_mismatch([10, 20, 30], [1, 1, 1])
    assert (found.statistic, found.df, found.p_value) == pytest.approx((10.0, 2, math.exp(-5)))
    assert sample_ratio_mismatch([30, 10], [3, 1]).p_value == 1.0
    assert sample_ratio_mismatch([0, 5], [1, 1]).statistic == pytest.approx(5.0)
    assert sample_ratio_mismatch([10**9 + 40_000, 10**9 - 40_000], [1, 1]).statistic == pytest.approx(3.2)
