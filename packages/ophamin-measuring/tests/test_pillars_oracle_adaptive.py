"""Pillar A against rpact 3.3.4 (R 4.2.2), published tables, simulation, and the papers' formulas written out in loops.

``TYPE|LOOKS|SIDES|ALPHA``: ``getDesignGroupSequential(typeOfDesign=TYPE, informationRates=, sided=, alpha=)``, critical
values; WT with Δ 0.25, asKD with ρ and asHSD with γ as named. ``infl|…``: ``getDesignCharacteristics`` at power 0.8:
inflation factor, shift, expected information under H1 and under H0 over the fixed one.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import betaln
from scipy.stats import beta as beta_law
from scipy.stats import norm

from ophamin.measuring.pillars.adaptive import sequences, sprt
from ophamin.measuring.pillars.adaptive.evalues import bernoulli_e_process, calibrate
from ophamin.measuring.pillars.adaptive.futility import futility_boundaries
from ophamin.measuring.pillars.adaptive.group_sequential import (
    crossing,
    design_boundaries,
    drift_for_power,
    spending_boundaries,
)
from ophamin.measuring.pillars.adaptive.mixture import mixture_test, two_shares_test
from ophamin.measuring.pillars.adaptive.peeking import conditional_power, inflation
from ophamin.measuring.pillars.adaptive.plugins_bounds import GroupSequential
from ophamin.measuring.pillars.adaptive.plugins_tests import MixtureSprt, Sprt
from ophamin.measuring.pillars.adaptive.ratio_mismatch import sequential_ratio_mismatch
from ophamin.proof.errors import UsageError

RPACT = """
OF|un4|1|0.025 5.193357937 3.180269249 2.404057582 2.01137888
infl|OF|un4|1|0.025 1.019821201 8.004453956 0.8455500687 1.017029318
P|un4|1|0.025 2.39139306 2.39139306 2.39139306 2.39139306
WT|un4|1|0.025 3.366981959 2.634805772 2.290810126 2.095383907
asOF|un4|1|0.025 5.669669602 3.356871329 2.444542311 2.000539072
infl|asOF|un4|1|0.025 1.015298168 7.968953216 0.8550015298 1.012928873
asP|un4|1|0.025 2.528169034 2.383379616 2.33243864 2.323049121
infl|asP|un4|1|0.025 1.188385929 9.327498235 0.8175127401 1.174981257
asKD1|un4|1|0.025 2.673787315 2.453700684 2.312827937 2.22115507
asKD3|un4|1|0.025 3.761718368 2.960097827 2.419086657 2.016250305
asHSD-4|un4|1|0.025 3.364462759 2.961937927 2.505926706 2.004958503
asHSD1|un4|1|0.025 2.542132592 2.37633767 2.32173162 2.328856654
OF|un3|1|0.025 2.827276722 2.580938728 1.999186542
P|un3|1|0.025 2.242925246 2.242925246 2.242925246
WT|un3|1|0.025 2.475772838 2.365459313 2.081868505
asOF|un3|1|0.025 2.962588043 2.711632423 1.982016541
asP|un3|1|0.025 2.156999218 2.38531778 2.256509341
asKD1|un3|1|0.025 2.241402728 2.404556565 2.169856094
asKD3|un3|1|0.025 2.734368787 2.64035704 1.998578243
asHSD-4|un3|1|0.025 2.749965932 2.714133777 1.99191574
asHSD1|un3|1|0.025 2.155496956 2.378061481 2.261032574
OF|eq5|1|0.05 3.915054991 2.768361933 2.260358053 1.957527495 1.750865819
P|eq5|1|0.05 2.121715122 2.121715122 2.121715122 2.121715122 2.121715122
WT|eq5|1|0.05 2.776682239 2.334902141 2.109822253 1.96341084 1.856879327
asOF|eq5|1|0.05 4.229195059 2.888136543 2.298090287 1.961821474 1.739704512
asP|eq5|1|0.05 2.176211453 2.14374771 2.113285266 2.0895992 2.070998423
asKD1|eq5|1|0.05 2.326347874 2.219299428 2.120134734 2.033198752 1.956015103
asKD3|eq5|1|0.05 3.352794781 2.752559535 2.350292943 2.018939115 1.722389944
asHSD-4|eq5|1|0.05 3.050246537 2.761947088 2.442312919 2.093204193 1.703433581
asHSD1|eq5|1|0.05 2.187907064 2.13580174 2.100689538 2.083441295 2.079756655
OF|un4|2|0.025 5.882126384 3.602052061 2.722895418 2.278137753
infl|OF|un4|2|0.025 1.01352513 9.633593602 0.8610492494 1.011423716
P|un4|2|0.025 2.650810659 2.650810659 2.650810659 2.650810659
WT|un4|2|0.025 3.779038066 2.957257102 2.571162772 2.351820011
asOF|un4|2|0.025 6.343152689 3.780025072 2.769694112 2.269829668
infl|asOF|un4|2|0.025 1.010268832 9.602642373 0.8694467044 1.008504211
asP|un4|2|0.025 2.762676439 2.638135187 2.60094247 2.600614272
infl|asP|un4|2|0.025 1.178930596 11.20577864 0.8311467136 1.165632579
asKD1|un4|2|0.025 2.898460117 2.700976707 2.579083525 2.502632551
asKD3|un4|2|0.025 3.93162103 3.168148793 2.665515475 2.30178494
asHSD-4|un4|2|0.025 3.551210105 3.171492912 2.747112326 2.289806448
asHSD1|un4|2|0.025 2.775663549 2.631275393 2.59093114 2.60647928
OF|un3|2|0.025 3.20433334 2.925142753 2.265805834
P|un3|2|0.025 2.513607935 2.513607935 2.513607935
WT|un3|2|0.025 2.783642876 2.659611522 2.340755315
asOF|un3|2|0.025 3.34461863 3.052548192 2.254806526
asP|un3|2|0.025 2.420413605 2.657475464 2.536281131
asKD1|un3|2|0.025 2.497705474 2.671202503 2.452191122
asKD3|un3|2|0.025 2.955166847 2.876952775 2.282724507
asHSD-4|un3|2|0.025 2.969785962 2.947154947 2.275795184
asHSD1|un3|2|0.025 2.419041066 2.650573052 2.5407001
OF|eq5|2|0.05 4.561742299 3.225638914 2.633723144 2.280871149 2.040073175
P|eq5|2|0.05 2.41317622 2.41317622 2.41317622 2.41317622 2.41317622
WT|eq5|2|0.05 3.194082945 2.685892899 2.426978205 2.25855771 2.136012003
asOF|eq5|2|0.05 4.876884949 3.357011922 2.680280067 2.289816774 2.031032048
asP|eq5|2|0.05 2.437976688 2.426813863 2.410193838 2.396645404 2.385984562
asKD1|eq5|2|0.05 2.575829304 2.49196922 2.410825096 2.339142837 2.275513448
asKD3|eq5|2|0.05 3.540083799 2.974310644 2.604514204 2.30635678 2.045479842
asHSD-4|eq5|2|0.05 3.252668488 2.986045949 2.691657446 2.37366695 2.025320999
asHSD1|eq5|2|0.05 2.44867725 2.418984704 2.39838139 2.391230337 2.394759081
"""
# LOOKS|TYPE|typeBetaSpending|β, one-sided α 0.025, bindingFutility = FALSE, bsKD with γ 2 and bsHSD with −2: futility
# boundaries, and the shift (the squared drift).
FUTILITY = """
eq3|asOF|bsOF|0.1 -0.6945411659 1.002459561 11.13149526
eq3|asOF|bsOF|0.2 -0.2361446099 1.170372031 8.667784932
eq3|asOF|bsP|0.1 0.3766789595 1.278468612 12.84347482
eq3|asOF|bsP|0.2 0.465943608 1.318005551 9.75478934
eq3|asOF|bsKD|0.1 -0.3553855663 0.9742260468 11.18816452
eq3|asOF|bsKD|0.2 -0.3420913764 0.9605654231 8.344504397
eq3|asOF|bsHSD|0.1 -0.2417748365 0.9366652914 11.20630838
eq3|asOF|bsHSD|0.2 -0.2162147701 0.9227145524 8.36158392
eq3|asP|bsOF|0.1 -0.5730145456 1.178973006 12.58035659
eq3|asP|bsOF|0.2 -0.1264970121 1.333451226 9.822115282
eq3|asP|bsP|0.1 0.4872416017 1.446486314 14.25273539
eq3|asP|bsP|0.2 0.5658515669 1.473435859 10.86566933
eq3|asP|bsKD|0.1 -0.2337992852 1.150674193 12.64133123
eq3|asP|bsKD|0.2 -0.226961218 1.127971577 9.536342247
eq3|asP|bsHSD|0.1 -0.1198430567 1.113283569 12.66487599
eq3|asP|bsHSD|0.2 -0.1008061206 1.090200829 9.557582448
un4|asOF|bsOF|0.1 -2.791330382 -0.2346588173 1.122779251 11.22557728
un4|asOF|bsOF|0.2 -1.963305096 0.1487642103 1.2664812 8.761128239
un4|asOF|bsP|0.1 -0.5963371398 0.5024257391 1.340653481 13.07243244
un4|asOF|bsP|0.2 -0.4643781365 0.5820094575 1.374795949 9.95486124
un4|asOF|bsKD|0.1 -1.540257271 -0.05731438613 1.082548069 11.27614043
un4|asOF|bsKD|0.2 -1.488856655 -0.05354745546 1.067952682 8.410483953
un4|asOF|bsHSD|0.1 -1.242343713 -0.03399323532 1.038182045 11.29942988
un4|asOF|bsHSD|0.2 -1.167226133 -0.02128900168 1.022149009 8.434631528
un4|asP|bsOF|0.1 -2.702910957 -0.0901694824 1.321881381 12.80750339
un4|asP|bsOF|0.2 -1.883092491 0.2800665577 1.452494455 10.03006866
un4|asP|bsP|0.1 -0.5144967956 0.63695222 1.533430679 14.64510816
un4|asP|bsP|0.2 -0.3896722452 0.7051638751 1.555581237 11.20925337
un4|asP|bsKD|0.1 -1.451602883 0.08763374062 1.281814912 12.86585975
un4|asP|bsKD|0.2 -1.404556383 0.08429969335 1.258192489 9.720338919
un4|asP|bsHSD|0.1 -1.153253886 0.111685256 1.237829278 12.89881056
un4|asP|bsHSD|0.2 -1.082528413 0.1172345434 1.212678358 9.752706022
"""
LOOKS = {
    "eq3": [1 / 3, 2 / 3, 1],
    "eq5": [0.2, 0.4, 0.6, 0.8, 1],
    "un4": [0.15, 0.4, 0.7, 1],
    "un3": [0.5, 0.6, 1],
    "two": [0.8, 1],
}
TYPES: dict[str, dict[str, Any]] = {
    "OF": {"design": "obrien-fleming"},
    "P": {"design": "pocock"},
    "WT": {"design": "wang-tsiatis", "delta": 0.25},
    "asOF": {"spending": "obrien-fleming"},
    "asP": {"spending": "pocock"},
    "asKD1": {"spending": "power", "rho": 1.0},
    "asKD3": {"spending": "power", "rho": 3.0},
    "asHSD-4": {"spending": "hwang-shih-decani", "gamma": -4.0},
    "asHSD1": {"spending": "hwang-shih-decani", "gamma": 1.0},
}


def _case(line: str) -> tuple[Any, list[float], int, list[float], float]:
    name, *numbers = line.split()
    kind, looks, sides, alpha = name.removeprefix("infl|").split("|")
    options = TYPES[kind]
    make: Any = design_boundaries if "design" in options else spending_boundaries
    t = LOOKS[looks]
    return (
        make(t, alpha=float(alpha), sides=int(sides), **options),
        t,
        int(sides),
        [float(v) for v in numbers],
        float(alpha),
    )


@pytest.mark.parametrize("line", RPACT.strip().splitlines(), ids=lambda line: line.split()[0])
def test_boundaries_are_those_of_rpact(line: str) -> None:
    bounds, t, sides, expected, alpha = _case(line)
    if not line.startswith("infl"):
        assert bounds.z == pytest.approx(expected, abs=2e-6)
        assert bounds.spent[-1] == pytest.approx(alpha, rel=1e-6)
        return
    drift = drift_for_power(bounds, 0.8)
    fixed = (norm.isf(alpha / sides) + norm.ppf(0.8)) ** 2
    under = [crossing(bounds.z, t, drift=d, sides=sides).expected_information * drift**2 / fixed for d in (drift, 0.0)]
    assert [drift**2 / fixed, drift**2, *under] == pytest.approx(expected, rel=1e-6)


def test_classical_designs_as_printed() -> None:
    # Jennison & Turnbull (2000), tables 2.1 and 2.3, two-sided.
    pocock = {
        0.01: (2.576, 2.772, 2.873, 2.939, 2.986),
        0.05: (1.960, 2.178, 2.289, 2.361, 2.413),
        0.1: (1.645, 1.875, 1.992, 2.067, 2.122),
    }
    obrien = {
        0.01: (2.576, 2.580, 2.595, 2.609, 2.621),
        0.05: (1.960, 1.977, 2.004, 2.024, 2.040),
        0.1: (1.645, 1.678, 1.710, 1.733, 1.751),
    }
    for name, table in (("pocock", pocock), ("obrien-fleming", obrien)):
        for alpha, row in table.items():
            got = [design_boundaries(k, alpha=alpha, design=name).z[-1] for k in range(1, 6)]
            assert got == pytest.approx(row, abs=6e-4)


def test_designs_of_unequal_looks_through_the_pillar() -> None:
    for boundary, delta in (("obrien-fleming", 0.0), ("pocock", 0.5)):
        table = {"information": [0.3, 0.75, 1.0]}
        one, two = (
            GroupSequential().compute(table, seed=0, **options).evidence[0].statistic_value
            for options in ({"boundary": boundary}, {"boundary": "wang-tsiatis", "delta": delta})
        )
        assert one == pytest.approx(two, abs=1e-9)
    for looks in ([0.3, 0.75], [0.75, 0.3, 1.0], [], 0):
        with pytest.raises(UsageError):
            design_boundaries(looks)
    with pytest.raises(UsageError):
        design_boundaries(3, design="wang-tsiatis", delta=0.7)
    for gamma in (math.nan, -800.0):
        with pytest.raises(UsageError):
            spending_boundaries([0.5, 1.0], spending="hwang-shih-decani", gamma=gamma)
    linear, power = (
        spending_boundaries([0.5, 1], spending="hwang-shih-decani", gamma=0.0),
        spending_boundaries([0.5, 1], spending="power", rho=1.0),
    )
    assert linear.z == pytest.approx(power.z)


@pytest.mark.parametrize("line", FUTILITY.strip().splitlines(), ids=lambda line: line.split()[0])
def test_futility_is_that_of_rpact(line: str) -> None:
    name, *numbers = line.split()
    looks, kind, spending, beta = name.split("|")
    options = {
        "bsOF": {"spending": "obrien-fleming"}, "bsP": {"spending": "pocock"},
        "bsKD": {"spending": "power", "rho": 2.0}, "bsHSD": {"spending": "hwang-shih-decani", "gamma": -2.0},
    }[spending]  # fmt: skip
    upper = spending_boundaries(LOOKS[looks], alpha=0.025, sides=1, **TYPES[kind])
    found = futility_boundaries(upper, beta=float(beta), **options)
    assert [*found.z[:-1], found.drift**2] == pytest.approx([float(v) for v in numbers], abs=2e-6)
    # At that drift the chances add up: β below, the rest above.
    ends = crossing(upper.z, LOOKS[looks], drift=found.drift, sides=1, futility=found.z)
    assert (ends.lower.sum(), ends.power) == pytest.approx((float(beta), 1 - float(beta)), abs=1e-7)


def test_futility_through_the_pillar() -> None:
    table = {"information": [1 / 3, 2 / 3, 1.0], "z": [-1.0, None, None]}
    result = GroupSequential().compute(table, seed=0, sides=1, alpha=0.025, beta=0.1)
    assert result.tables["looks"]["futility_z"][0] == pytest.approx(-0.6945411659, abs=1e-6)
    assert any("look 1 lies below" in note for note in result.warnings)
    two, early = spending_boundaries([0.5, 1.0]), spending_boundaries([0.5, 0.9], alpha=0.025, sides=1)
    for bounds, beta in ((two, 0.1), (early, 0.1), (spending_boundaries([1.0], alpha=0.025, sides=1), 0.99)):
        with pytest.raises(UsageError):
            futility_boundaries(bounds, beta=beta)


def test_futility_peeking_and_conditional_power_by_integration() -> None:
    # Two looks: stop below 0 at the half. Chance to pass z at the end by one integral.
    z, theta = 2.0, 2.5
    found = crossing([math.inf, z], [0.5, 1.0], drift=theta, sides=1, futility=[0.0, -math.inf])

    def density(s: float) -> float:
        return float(norm.pdf(s, theta / 2, math.sqrt(0.5)) * norm.sf((z - s - theta / 2) / math.sqrt(0.5)))

    assert found.upper[1] == pytest.approx(quad(density, 0, 12)[0], abs=1e-9)
    assert found.lower[0] == pytest.approx(norm.cdf(-theta / 2 / math.sqrt(0.5)))
    # Armitage, McPherson & Rowe (1969), table 2: nominal 1 %, 5 % and 10 %.
    for alpha, row in (
        (0.01, (0.018, 0.024, 0.033, 0.047)),
        (0.05, (0.083, 0.107, 0.142, 0.193)),
        (0.1, (0.160, 0.202, 0.260, 0.342)),
    ):
        assert [inflation(k, alpha) for k in (2, 3, 5, 10)] == pytest.approx(row, abs=7e-4)
    # Proschan, Lan & Wittes (2006), chapter 3: conditional power through B-values.
    b, t = 1.5 * math.sqrt(0.5), 0.5
    assert conditional_power(1.5, t, 1.96) == pytest.approx(norm.sf((1.96 - b / t) / math.sqrt(1 - t)))
    assert conditional_power(1.5, t, 1.96, drift=0.0) == pytest.approx(norm.sf((1.96 - b) / math.sqrt(1 - t)))


# --- Wald's test


@pytest.mark.parametrize("mu", [0.0, 0.5, 1.0])
def test_the_exact_normal_characteristic_is_what_runs_do(mu: float) -> None:
    design = (0.0, 1.0, 1.5, 0.05, 0.1)
    rng, runs = np.random.default_rng(7), 20_000
    path = np.cumsum((rng.normal(mu, 1.5, (runs, 250)) - 0.5) / 2.25, axis=1)
    over, under = math.log(0.9 / 0.05), math.log(0.1 / 0.95)
    out = (path >= over) | (path <= under)
    stop = np.where(out.any(axis=1), out.argmax(axis=1), 249)
    for cut, method in ((None, "exact"), (15, "exact")):
        at = stop if cut is None else np.minimum(stop, cut - 1)
        rejected, n = path[np.arange(runs), at] > 0, at + 1
        law = sprt.normal_characteristic([mu], *design, method=method, truncate_at=cut)
        assert law.reject[0] == pytest.approx(rejected.mean(), abs=5 * math.sqrt(0.25 / runs))
        assert law.average_n[0] == pytest.approx(n.mean(), abs=5 * n.std() / math.sqrt(runs))
    # Overshoot: Wald's figures claim a larger error and a smaller n than there are.
    wald = sprt.normal_characteristic([mu], *design)
    exact = sprt.normal_characteristic([mu], *design, method="exact")
    assert wald.average_n[0] < exact.average_n[0]
    # The other way round, H1 below H0, is the mirror image.
    mirror = sprt.normal_characteristic([-mu], 0.0, -1.0, 1.5, 0.05, 0.1, method="exact")
    assert (mirror.reject[0], mirror.average_n[0]) == pytest.approx((exact.reject[0], exact.average_n[0]))


def test_walds_approximation_of_a_bernoulli_test() -> None:
    # NIST e-Handbook 6.2.6 (p0 = .01, p1 = .10, α = .05, β = .10): OC is 1 − α at p0, β at p1, and the root's own.
    wald = sprt.bernoulli_characteristic([0.01, 0.1], 0.01, 0.1, 0.05, 0.1, method="wald")
    assert wald.reject == pytest.approx([0.05, 0.9])
    event, other = math.log(10), math.log(0.9 / 0.99)
    over, under = math.log(18), math.log(0.1 / 0.95)
    for i, p in enumerate((0.01, 0.1)):
        mean = (1 - wald.reject[i]) * under + wald.reject[i] * over
        assert wald.average_n[i] == pytest.approx(mean / (p * event + (1 - p) * other))
    slope = -other / (event - other)  # where the walk has no drift
    flat = sprt.bernoulli_characteristic([slope], 0.01, 0.1, 0.05, 0.1, method="wald")
    assert flat.reject[0] == pytest.approx(-under / (over - under))
    assert flat.average_n[0] == pytest.approx(-over * under / (slope * event**2 + (1 - slope) * other**2))
    near = sprt.bernoulli_characteristic([slope - 1e-5, slope + 1e-5], 0.01, 0.1, 0.05, 0.1, method="wald")
    assert near.average_n == pytest.approx(flat.average_n[0], rel=1e-2)
    ends = sprt.bernoulli_characteristic([1e-6, 0.999], 0.01, 0.1, 0.05, 0.1, method="wald")
    assert ends.reject == pytest.approx([0, 1], abs=1e-3)
    far = sprt.normal_characteristic([1e6, -1e6, math.nan], 0, 1, 1, 0.05, 0.1)
    assert far.reject[:2].tolist() == [1.0, 0.0]
    assert math.isnan(far.reject[2])


def test_a_truncated_test_decides_by_the_sign() -> None:
    law = sprt.bernoulli_characteristic([0.1, 0.3], 0.1, 0.3, 0.05, 0.1, truncate_at=20)
    u = np.random.default_rng(3).random((4000, 20))
    for p, reject, n in zip(law.truth, law.reject, law.average_n, strict=True):
        runs = [sprt.run_bernoulli(row, 0.1, 0.3, 0.05, 0.1, truncate_at=20) for row in (u < p).astype(float)]
        assert {r.decision for r in runs} == {"reject_H0", "accept_H0"}
        assert reject == pytest.approx(np.mean([r.decision == "reject_H0" for r in runs]), abs=0.04)
        assert n == pytest.approx(np.mean([r.stop_n for r in runs]), abs=0.45)
    assert sprt.run_normal([0.4], 0, 1, 1, 0.05, 0.1, truncate_at=1).decision == "accept_H0"
    assert sprt.run_normal([0.6], 0, 1, 1, 0.05, 0.1, truncate_at=1).decision == "reject_H0"
    assert sprt.run_normal([0.6], 0, 1, 1, 0.05, 0.1, truncate_at=2).decision == "continue"
    assert sprt.normal_characteristic([0.5], 0, 1, 1, 0.05, 0.1, method="exact", truncate_at=1).reject[
        0
    ] == pytest.approx(0.5)
    for call in (
        lambda: sprt.run_normal([0.6], 0, 1, 1, 0.05, 0.1, truncate_at=0),
        lambda: sprt.normal_characteristic([0], 0, 1, 1, 0.05, 0.1, method="siegmund"),
        lambda: sprt.normal_characteristic([0], 0, 1, 1, 0.05, 0.1, truncate_at=9),
        lambda: sprt.normal_characteristic([0], 0, 0.001, 1, 0.05, 0.1, method="exact"),
        lambda: sprt.bernoulli_characteristic([0.0], 0.1, 0.3, 0.05, 0.1, method="wald"),
    ):
        with pytest.raises(UsageError):
            call()
    result = Sprt().compute({"value": [0.4]}, seed=0, family="normal", h0=0.0, h1=1.0, truncate_at=1)
    assert result.diagnostics["decision"] == "accept_H0"
    small = Sprt().compute({"value": [0.4]}, seed=0, family="normal", h0=0.0, h1=0.001)
    assert any("Wald's approximation" in note for note in small.warnings)


# --- always valid


def test_mixture_tests_are_the_papers_integrals() -> None:
    x, tau, sigma = [0.4, 1.7, -0.2, 2.2], 0.7, 1.3
    found = mixture_test(x, variance=sigma**2, tau=tau, theta0=0.1)
    for n in range(1, 5):

        def likelihood(theta: float, n: int = n) -> float:
            ratio = sum((theta - 0.1) * (v - (theta + 0.1) / 2) for v in x[:n]) / sigma**2
            return math.exp(ratio) * float(norm.pdf(theta, 0.1, tau))

        assert math.exp(found.log_lambda[n - 1]) == pytest.approx(quad(likelihood, -12, 12)[0], rel=1e-8)


def test_two_proportions_as_r_mixture_sprt_prints_them() -> None:
    # mixtureSPRT: sqrt(V/(V+nτ²)) exp(n²τ²(x̄−ȳ−θ)²/(2V(V+nτ²))), V = x̄(1−x̄) + ȳ(1−ȳ); p the running minimum.
    u = (np.arange(1, 301) * math.sqrt(2)) % 1.0
    a, b = (u < 0.6).astype(float), ((np.arange(1, 301) * math.sqrt(3)) % 1.0 < 0.4).astype(float)
    found, p = two_shares_test(a, b, tau=0.2), 1.0
    for n in range(1, 301):
        x, y = a[:n].mean(), b[:n].mean()
        v = x * (1 - x) + y * (1 - y)
        if v > 0:
            ratio = math.sqrt(v / (v + n * 0.04)) * math.exp(n**2 * 0.04 * (x - y) ** 2 / (2 * v * (v + n * 0.04)))
            p = min(p, 1 / ratio)
        assert found.p_value[n - 1] == pytest.approx(p, rel=1e-9)
    table = {"value": a.tolist(), "reference": b.tolist()}
    result = MixtureSprt().compute(table, seed=0, distribution="bernoulli", tau=0.2)
    assert result.evidence[0].p_value == pytest.approx(p)
    assert result.evidence[0].guarantee == "approximate"
    # One arm all 1, the other all 0: no variance is known, so nothing is said.
    assert two_shares_test([1] * 50, [0] * 50, tau=0.2).p_value.tolist() == [1.0] * 50
    for bad in (([0.5], [1]), ([1, 0], [1])):
        with pytest.raises(UsageError):
            two_shares_test(*bad, tau=0.2)
    with pytest.raises(UsageError):
        MixtureSprt().compute({"value": [1, 0]}, seed=0, distribution="bernoulli")


SAMPLE = ((np.arange(1, 201) * math.sqrt(5)) % 1.0) ** 2  # mean near 1/3


@pytest.mark.parametrize(("alpha", "sides"), [(0.05, 2), (0.1, 1)])
def test_empirical_bernstein_and_hoeffding_are_the_papers_loops(alpha: float, sides: int) -> None:
    # Waudby-Smith & Ramdas (2024), equations 13 to 17 (Hoeffding, empirical Bernstein), without intersection.
    log = math.log(sides / alpha)
    both = {"support": (0, 1), "alpha": alpha, "sides": sides, "running_intersection": False}
    hoeffding = sequences.hoeffding_sequence(SAMPLE, **both)
    bernstein = sequences.empirical_bernstein_sequence(SAMPLE, **both)
    top = weight = square = top_b = weight_b = penalty = 0.0
    mean, variance, seen, spread = 0.5, 0.25, 0.5, 0.25
    for t, x in enumerate(SAMPLE, 1):
        lam = min(1.0, math.sqrt(8 * log / (t * math.log(t + 1))))
        top, weight, square = top + lam * x, weight + lam, square + lam**2
        half = (log + square / 8) / weight
        assert hoeffding.lower[t - 1] == pytest.approx(max(0.0, top / weight - half), abs=1e-12)
        assert hoeffding.upper[t - 1] == pytest.approx(min(1.0, top / weight + half), abs=1e-12)
        lam = min(0.5, math.sqrt(2 * log / (variance * t * math.log(t + 1))))
        top_b, weight_b = top_b + lam * x, weight_b + lam
        penalty += (x - mean) ** 2 * (-math.log(1 - lam) - lam)
        half = (log + penalty) / weight_b
        assert bernstein.lower[t - 1] == pytest.approx(max(0.0, top_b / weight_b - half), abs=1e-12)
        assert bernstein.upper[t - 1] == pytest.approx(min(1.0, top_b / weight_b + half), abs=1e-12)
        seen += x
        mean = seen / (t + 1)
        spread += (x - mean) ** 2
        variance = spread / (t + 1)


@pytest.mark.parametrize("truncation", [0.5, 0.75])
def test_betting_is_the_papers_hedged_capital(truncation: float) -> None:
    # The greater of θK⁺ and (1−θ)K⁻ reaches 1/α where either capital reaches 2/α (θ = 1/2); the set left, intersected.
    found = sequences.betting_sequence(SAMPLE, support=(0, 1), grid=100, truncation=truncation)
    m = np.arange(1, 100) / 100
    up, down, out = np.ones(99), np.ones(99), np.zeros(99, bool)
    variance, seen, spread = 0.25, 0.5, 0.25
    for t, x in enumerate(SAMPLE, 1):
        lam = math.sqrt(2 * math.log(2 / 0.05) / (variance * t * math.log(t + 1)))
        up = up * (1 + np.minimum(lam, truncation / m) * (x - m))
        down = down * (1 - np.minimum(lam, truncation / (1 - m)) * (x - m))
        out |= np.maximum(up, down) / 2 >= 1 / 0.05
        kept = m[~out]
        # Ours rounds outwards to the grid.
        assert found.lower[t - 1] == pytest.approx(kept.min() - 0.01, abs=1e-9)
        assert found.upper[t - 1] == pytest.approx(kept.max() + 0.01, abs=1e-9)
        seen += x
        spread += (x - seen / (t + 1)) ** 2
        variance = spread / (t + 1)
    with pytest.raises(UsageError):
        sequences.betting_sequence(SAMPLE, support=(0, 1), truncation=1.0)


def test_a_sub_gaussian_sequence_is_robbins_boundary() -> None:
    x = np.array([0.3, -1.2, 2.0, 0.4, 1.1])
    found = sequences.subgaussian_sequence(x, sigma=1.5, alpha=0.1, t_opt=20)
    v = 20 * 2.25
    rho = v / (2 * math.log(10) + math.log(1 + 2 * math.log(10)))
    for n in range(1, 6):
        time = n * 2.25
        half = math.sqrt((time + rho) * math.log((time + rho) / (rho * 0.01))) / n
        assert (found.lower[n - 1], found.upper[n - 1]) == pytest.approx((x[:n].mean() - half, x[:n].mean() + half))


@pytest.mark.parametrize(
    ("successes", "n", "sides"), [(7, 40, 2), (7, 40, 1), (0, 25, 1), (180, 200, 2), (180, 200, 1)]
)
def test_the_ends_of_a_proportion_are_where_the_mixture_reaches_its_threshold(
    successes: int, n: int, sides: int
) -> None:
    found = sequences.bernoulli_sequence(successes=[successes], n=[n], alpha=0.1, sides=sides, t_opt=50, alpha_opt=0.05)
    # Tuned for alpha_opt: of both sides together, or twice that where each side has its own.
    tuned = math.log(20) if sides == 2 else math.log(10)
    weight = max(50 / (2 * tuned + math.log1p(2 * tuned)) - 1, 1e-3)
    for end, hits in ((float(found.lower[0]), successes), (1 - float(found.upper[0]), n - successes)):
        if hits == 0:
            assert end == 0.0
            continue
        prior = beta_law(weight * end, weight * (1 - end))
        start = end if sides == 1 else 0.0  # one side mixes over what lies beyond the null

        def ratio(q: float, hits: int = hits, end: float = end, prior: Any = prior) -> float:
            gain = hits * math.log(q / end) + (n - hits) * math.log((1 - q) / (1 - end))
            return float(prior.pdf(q)) * math.exp(gain)

        mass = quad(ratio, start + 1e-12, 1 - 1e-12, points=[hits / n], limit=400)[0] / float(prior.sf(start))
        assert mass == pytest.approx(1 / 0.1, rel=1e-5)


def test_a_quantile_sequence_holds_the_counts_of_a_one_sided_mixture() -> None:
    # The lower end is the greatest order statistic whose count below still rejects "the quantile lies above it".
    found = sequences.quantile_sequence(SAMPLE, q=0.3, alpha=0.1, looks=[200])
    ordered = np.sort(SAMPLE)
    assert found.lower[0] in ordered
    assert found.upper[0] in ordered
    assert found.lower[0] < np.quantile(SAMPLE, 0.3) < found.upper[0]
    # Howard & Ramdas (2022) at t = 200: wider than the fixed-n binomial interval, narrower than twice it.
    below = (found.upper[0] >= SAMPLE).mean() - (found.lower[0] >= SAMPLE).mean()
    fixed = 2 * 1.645 * math.sqrt(0.3 * 0.7 / 200)
    assert fixed < below < 2.2 * fixed


def test_e_values_and_the_sequential_ratio_by_hand() -> None:
    assert calibrate([0.01], 0.5)[0] == pytest.approx(5.0)
    # Against p ≤ 0.5 after 1, 1: guesses ½ then ¾.
    assert bernoulli_e_process([1, 1], 0.5, comparator="<=").tolist() == [1.0, 1.5]
    found = sequential_ratio_mismatch([[3, 1], [0, 2]], [2, 1], concentration=6.0)
    for i, (a, b) in enumerate(((3, 1), (3, 3))):
        log = betaln(4 + a, 2 + b) - betaln(4, 2) - a * math.log(2 / 3) - b * math.log(1 / 3)
        assert found.log_bayes_factor[i] == pytest.approx(log)
