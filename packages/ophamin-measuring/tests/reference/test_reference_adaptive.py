"""Pillar A against published tables, R and other libraries."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import norm

from ophamin.measuring.pillars.adaptive import sequences, sprt
from ophamin.measuring.pillars.adaptive.group_sequential import design_boundaries, spending_boundaries
from ophamin.measuring.pillars.adaptive.mixture import (
    log_normal_mixture,
    mixture_rho,
    mixture_test,
    normal_mixture_bound,
)
from ophamin.measuring.pillars.adaptive.peeking import inflation
from ophamin.measuring.pillars.adaptive.ratio_mismatch import sequential_ratio_mismatch

PILLAR = "A"


def _bounds(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    found = sprt.wald_bounds(**case["options"])
    return {"A": found.upper, "B": found.lower, "logA": found.log_upper, "logB": found.log_lower}


def _lines(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    found = sprt.bernoulli_lines(**case["options"])
    return {
        "slope": found.slope,
        "accept_intercept": found.accept_intercept,
        "reject_intercept": found.reject_intercept,
        "first_accept_n": found.first_accept_n,
    }


def _characteristic(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    options = dict(case["options"])
    grid = options.pop("p_grid")
    found = sprt.bernoulli_characteristic(grid, **options)
    rejected = {f"reject[{p:g}]": float(r) for p, r in zip(grid, found.reject, strict=True)}
    return rejected | {f"ASN[{p:g}]": float(n) for p, n in zip(grid, found.average_n, strict=True)}


def _run(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    found = sprt.run_bernoulli(frame["x"], **case["options"])
    return {"stop_n": found.stop_n, "decision": found.decision, "llr_at_stop": found.llr}


def _design(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    options = case["options"]
    name = {"OBF": "obrien-fleming", "Pocock": "pocock"}[options["design"]]
    found = design_boundaries(options["K"], alpha=options["alpha"], sides=options["sided"], design=name)
    if name == "pocock":
        return {"C_P": float(found.z[-1]), "nominal_p": float(found.nominal_p[-1])}
    return {"z": found.z.tolist(), "C_B": float(found.z[-1])}


def _spending(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    options = case["options"]
    name = {"OBF": "obrien-fleming"}.get(options["spending"], options["spending"])
    found = spending_boundaries(
        options["looks"], alpha=options["alpha"], sides=options["sided"], spending=name, rho=options.get("rho", 3)
    )
    return {"z": found.z.tolist(), "alpha_spent": found.spent.tolist()}


def _peeking(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    return {f"overall[{k}]": inflation(k, case["options"]["alpha"]) for k in case["options"]["looks"]}


def _msprt(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    options = case["options"]
    found = mixture_test(
        frame["treatment"] - frame["control"], variance=2 * options["sigma"] ** 2, tau=options["tau"],
        theta0=options["theta0"], alpha=options["alpha"],
    )  # fmt: skip
    got: dict[str, Any] = {f"Lambda[{n}]": float(np.exp(found.log_lambda[n - 1])) for n in (100, 500, 1000, 2000)}
    return (
        got
        | {f"always_valid_p[{n}]": float(found.p_value[n - 1]) for n in (1000, 2000)}
        | {"rejected": found.stop_n is not None}
    )


def _mixture(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    options = case["options"]
    sides = {"two": 2, "one": 1}[options["sided"]]
    tuned: dict[str, Any] = {"v_opt": options["v_opt"], "alpha_opt": options["alpha_opt"], "sides": sides}
    rho = mixture_rho(**tuned)
    if isinstance(options["v"], list):
        return {f"bound[{v}]": float(normal_mixture_bound(v, options["alpha"], **tuned)) for v in options["v"]}
    return {
        "rho": rho,
        "bound": float(normal_mixture_bound(options["v"], options["alpha"], **tuned)),
        "log_mixture_s10": float(log_normal_mixture(10.0, options["v"], rho, sides=sides)),
    }


def _bernoulli(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    options = case["options"]
    found = sequences.bernoulli_sequence(
        successes=[options["successes"]], n=[options["n"]], alpha=options["alpha"], t_opt=options["t_opt"]
    )
    return {"lo": float(found.lower[0]), "hi": float(found.upper[0])}


def _bounded(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    found = sequences.hoeffding_sequence(
        frame["treatment"], support=(0, 1), alpha=case["options"]["alpha"], running_intersection=False
    )
    at = (100, 1000, 3000)
    lower = {f"lo[{n}]": float(found.lower[n - 1]) for n in at}
    return lower | {f"hi[{n}]": float(found.upper[n - 1]) for n in at}


def _srm(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    options = case["options"]
    found = sequential_ratio_mismatch(
        options["counts"], options["null"], concentration=options["dirichlet_concentration"]
    )
    return {"p_sequence": found.p_value.tolist()}


def _type_one(case: dict[str, Any], frame: Any) -> dict[str, Any]:
    options = case["options"]
    rng, n = np.random.default_rng(1), options["n_max"]
    stopped = naive = 0
    for _ in range(4000):
        x = rng.normal(0, options["sigma"], n)
        found = mixture_test(x, variance=options["sigma"] ** 2, tau=options["tau"], alpha=options["alpha"])
        stopped += found.stop_n is not None
        z = np.abs(np.cumsum(x)) / (options["sigma"] * np.sqrt(np.arange(1, n + 1)))
        naive += bool((z > norm.isf(options["alpha"] / 2)).any())
    return {"rejection_rate": stopped / 4000, "naive_z_rejection_rate": naive / 4000}


ANSWERS = {
    "sprt_bounds": _bounds,
    "sprt_binomial_lines": _lines,
    "sprt_operating_characteristic": _characteristic,
    "sprt_bernoulli": _run,
    "group_sequential_bounds": _design,
    "alpha_spending": _spending,
    "peeking_inflation": _peeking,
    "msprt": _msprt,
    "normal_mixture_bound": _mixture,
    "bernoulli_confidence_sequence": _bernoulli,
    "confidence_sequence_bounded": _bounded,
    "sequential_srm": _srm,
    "typeI_simulation": _type_one,
}


def test_agrees(case: dict[str, Any], agrees: Any) -> None:
    agrees(ANSWERS)
