"""Pillar A as plug-ins: tests that may stop early."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.stats import norm

from ophamin.measuring.pillars._columns import complete, labels, numbers, require
from ophamin.measuring.pillars._evidence import OWN, finding, finite
from ophamin.measuring.pillars._shares import planned
from ophamin.measuring.pillars.adaptive import evalues, sprt
from ophamin.measuring.pillars.adaptive.mixture import mixture_test, two_shares_test
from ophamin.measuring.pillars.adaptive.peeking import inflation
from ophamin.measuring.pillars.adaptive.ratio_mismatch import sequential_ratio_mismatch
from ophamin.proof.errors import UsageError
from ophamin.protocols import Columns, OptionSpec, PillarResult
from ophamin.protocols.options import typed_options

__all__ = ["EValues", "MixtureSprt", "Peeking", "SequentialSrm", "Sprt"]

VALUE: Mapping[str, str] = {"value": "observations in the order they came"}


def _values(pillar: str, columns: Columns, name: str = "value") -> tuple[Any, list[str]]:
    kept, left_out = complete(x=numbers(pillar, columns, name))
    return kept["x"], [f"{left_out} rows lack a value and were left out"] if left_out else []


class Sprt:
    """Wald's sequential probability ratio test, with its exact or approximate operating characteristic.

    Source: Wald (1947), *Sequential Analysis*.

    Example:
        >>> result = Sprt().compute({"value": [1] * 10}, seed=0, h0=0.1, h1=0.3)
        >>> result.diagnostics["decision"]
        'reject_H0'
    """

    name = "A.sprt"
    library = OWN
    columns = VALUE
    options: Mapping[str, OptionSpec] = {
        "family": OptionSpec("bernoulli", "bernoulli (values 0 and 1) or normal (known sigma)"),
        "h0": OptionSpec(0.1, "parameter under H0"),
        "h1": OptionSpec(0.2, "parameter under H1"),
        "sigma": OptionSpec(1.0, "for normal: known standard deviation"),
        "alpha": OptionSpec(0.05, "chance to accept H1 where H0 is true"),
        "beta": OptionSpec(0.1, "chance to accept H0 where H1 is true"),
        "truncate_at": OptionSpec(0, "observation that decides at the latest, by the sign of the ratio; 0: none"),
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Run the test in order.

        Args:
            columns: ``value``.
            seed: Not used.
            **options: Those of :attr:`options`.

        Returns:
            Evidence: the log likelihood ratio at the stop; tables ``path`` and ``characteristic``.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        family, h0, h1, alpha, beta = (given[k] for k in ("family", "h0", "h1", "alpha", "beta"))
        values, notes = _values(self.name, columns)
        truths, cut = np.linspace(min(h0, h1), max(h0, h1), 9), given["truncate_at"] or None
        if family == "bernoulli":
            found = sprt.run_bernoulli(values, h0, h1, alpha, beta, truncate_at=cut)
            law = sprt.bernoulli_characteristic(truths, h0, h1, alpha, beta, truncate_at=cut) if h1 > h0 else None
        elif family == "normal":
            design = (h0, h1, given["sigma"], alpha, beta)
            found = sprt.run_normal(values, *design, truncate_at=cut)
            try:
                law = sprt.normal_characteristic(truths, *design, method="exact", truncate_at=cut)
            except UsageError:  # steps too small against the limits: then Wald's is as good, if nothing is cut off
                law = sprt.normal_characteristic(truths, *design) if cut is None else None
        else:
            raise UsageError(f"{self.name} tests bernoulli or normal, not {family!r}")
        bounds = sprt.wald_bounds(alpha, beta)
        item = finding(
            self.name, "log_likelihood_ratio", found.llr if found.stop_n else None, n=found.stop_n, method="wald-sprt",
            decision=found.decision, log_upper=bounds.log_upper, log_lower=bounds.log_lower,
        )  # fmt: skip
        notes.append(
            f"the test chooses between {h0:g} and {h1:g}; it decides no claim with a threshold between them, where "
            "either answer may come"
        )
        tables: dict[str, dict[str, list[Any]]] = {
            "path": {"n": list(range(1, found.stop_n + 1)), "log_likelihood_ratio": found.path.tolist()}
        }
        if law is not None:
            tables["characteristic"] = {
                "truth": law.truth.tolist(),
                "reject": law.reject.tolist(),
                "average_n": law.average_n.tolist(),
            }
            if law.method == "wald":
                notes.append("the characteristic is Wald's approximation: real alpha lies below it, real n above it")
        return PillarResult([item], tables, {"decision": found.decision, "stop_n": found.stop_n}, notes)


class MixtureSprt:
    """Mixture SPRT of a mean with known variance, or of two proportions: an always-valid p-value.

    Source: Johari, Koomen, Pekelis & Walsh (2022), Oper Res 70:1806.

    Example:
        >>> result = MixtureSprt().compute({"value": [1.0] * 20}, seed=0)
        >>> result.diagnostics["stop_n"]
        10
    """

    name = "A.msprt"
    library = OWN
    columns: Mapping[str, str] = {**VALUE, "reference": "optional: the other arm's observation of each pair"}
    options: Mapping[str, OptionSpec] = {
        "distribution": OptionSpec("normal", "normal, or bernoulli for two arms of outcomes 0 and 1"),
        "sigma": OptionSpec(1.0, "for normal: known standard deviation of one observation"),
        "tau": OptionSpec(1.0, "standard deviation of the effects mixed over; near the effect looked for"),
        "theta0": OptionSpec(0.0, "mean (or mean difference) under H0"),
        "alpha": OptionSpec(0.05, "where to stop"),
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Follow the test over all observations.

        Args:
            columns: ``value`` and perhaps ``reference``, whose difference then is tested with variance 2σ².
            seed: Not used.
            **options: Those of :attr:`options`.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        variance, shares = given["sigma"] ** 2, given["distribution"] == "bernoulli"
        if given["distribution"] not in ("normal", "bernoulli") or (shares and "reference" not in columns):
            raise UsageError(f"{self.name} is of a normal mean, or of bernoulli outcomes with a column reference")
        common = {"tau": given["tau"], "theta0": given["theta0"], "alpha": given["alpha"]}
        if "reference" in columns:
            value, reference = numbers(self.name, columns, "value"), numbers(self.name, columns, "reference")
            kept, left_out = complete(x=value, y=reference)
            values, variance = kept["x"] - kept["y"], 2 * variance
            notes = [f"{left_out} pairs lack a value and were left out"] if left_out else []
            if shares:
                found = two_shares_test(kept["x"], kept["y"], **common)
        else:
            values, notes = _values(self.name, columns)
        if not shares:
            found = mixture_test(values, variance=variance, **common)
        last = found.p_value[-1] if len(values) else None
        item = finding(
            self.name, "always_valid_p", last, p_value=last, n=len(values), method="mixture-sprt",
            guarantee="approximate" if shares else "guaranteed", distribution=given["distribution"], tau=given["tau"],
            variance=None if shares else variance, stop_n=found.stop_n,
            log_lambda=finite(found.log_lambda[-1]) if len(values) else None,
        )  # fmt: skip
        notes.append(
            "approximate: the variance is estimated as the data come, and the first dozens of pairs reject too often"
            if shares
            else "valid at every n for normal observations of the stated variance; approximate for an estimated one"
        )
        path = {"n": list(range(1, len(values) + 1)), "p_value": found.p_value.tolist()}
        return PillarResult([item], {"path": path}, {"stop_n": found.stop_n}, notes)


class EValues:
    """E-values against one hypothesis, multiplied in the order they came.

    Source: Vovk & Wang (2021), Ann Stat 49:1736; Grünwald, de Heide & Koolen (2024), JRSS B 86:1091.

    Example:
        >>> EValues().compute({"e_value": [2.0, 0.5, 8.0]}, seed=0).evidence[0].statistic_value
        8.0
    """

    name = "A.e_values"
    library = OWN
    columns: Mapping[str, str] = {"e_value": "e-values of independent studies, or each given the past, in order"}
    options: Mapping[str, OptionSpec] = {"merge": OptionSpec("product", "product, or average for dependent ones")}

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Merge them.

        Args:
            columns: ``e_value``.
            seed: Not used.
            **options: Those of :attr:`options`.

        Raises:
            UsageError: Malformed columns or options.
        """
        merge = typed_options(f"pillar {self.name!r}", self.options, options)["merge"]
        values, notes = _values(self.name, columns, "e_value")
        if merge not in ("product", "average"):
            raise UsageError(f"{self.name} merges by product or average, not {merge!r}")
        if not len(values):
            return PillarResult([finding(self.name, "e_value", None, n=0)], warnings=["there are no e-values"])
        path = evalues.product(values)
        merged = float(path[-1]) if merge == "product" else evalues.average(values)
        p_value = float(evalues.to_p_value([merged])[0])
        item = finding(
            self.name, "e_value", merged, p_value=p_value, n=len(values), method=merge, guarantee="guaranteed"
        )
        tables = (
            {"path": {"n": list(range(1, len(values) + 1)), "e_value": path.tolist()}} if merge == "product" else {}
        )
        if merge == "product":
            notes.append("a product is an e-value only where each is one given all that came before it")
        return PillarResult([item], tables, warnings=notes)


class SequentialSrm:
    """Sequential sample-ratio mismatch: does the allocation keep to its plan, asked after every unit?

    Source: Lindon & Malek (2022), NeurIPS.

    Example:
        >>> result = SequentialSrm().compute({"arm": ["a", "b"] * 50}, seed=0)
        >>> round(result.evidence[0].statistic_value, 6)
        1.0
    """

    name = "A.srm"
    library = OWN
    columns: Mapping[str, str] = {"arm": "the arm each unit was given, in order"}
    options: Mapping[str, OptionSpec] = {
        "plan": OptionSpec("", 'planned shares, e.g. "a=0.5,b=0.5"; default: equal for the arms seen'),
        "concentration": OptionSpec(100.0, "weight of the prior, units"),
        "alpha": OptionSpec(0.05, "where to stop"),
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Follow the allocation.

        Args:
            columns: ``arm``.
            seed: Not used.
            **options: Those of :attr:`options`.

        Raises:
            UsageError: Malformed columns or options, or an arm that is not planned.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        require(self.name, columns, "arm")
        arms = [str(a) for a in labels(self.name, columns, "arm") if a is not None]
        plan = planned(given["plan"]) or dict.fromkeys(dict.fromkeys(arms), 1.0)
        unknown = sorted(set(arms) - set(plan))
        if unknown:
            raise UsageError(f"the arm {unknown[0]!r} is not planned; the plan names {', '.join(plan)}")
        if len(plan) < 2 or not arms:
            reason = "an allocation needs units in at least two planned arms"
            return PillarResult([finding(self.name, "always_valid_p", None, n=len(arms))], warnings=[reason])
        index = {a: i for i, a in enumerate(plan)}
        ones = np.zeros((len(arms), len(plan)))
        ones[np.arange(len(arms)), [index[a] for a in arms]] = 1
        found = sequential_ratio_mismatch(ones, list(plan.values()), concentration=given["concentration"])
        last = float(found.p_value[-1])
        stops = np.flatnonzero(found.p_value <= given["alpha"])
        item = finding(
            self.name, "always_valid_p", last, p_value=last, n=len(arms), method="dirichlet-multinomial",
            guarantee="guaranteed", counts=dict(zip(plan, found.counts[-1].tolist(), strict=True)), plan=plan,
            stop_n=int(stops[0]) + 1 if len(stops) else None,
        )  # fmt: skip
        path = {"n": list(range(1, len(arms) + 1)), "p_value": found.p_value.tolist()}
        notes = [] if given["plan"] else ["no plan was given: equal shares are assumed for the arms that were seen"]
        return PillarResult([item], {"path": path}, warnings=notes)


class Peeking:
    """A two-sided z-test repeated at equally spaced looks, and how often that errs where nothing is there.

    Source: Armitage, McPherson & Rowe (1969), JRSS A 132:235.

    Example:
        >>> result = Peeking().compute({"value": [0.1, -0.3, 0.2, 0.4, -0.1] * 10}, seed=0, looks=5)
        >>> round(result.evidence[0].statistic_value, 3)
        0.142
    """

    name = "A.peeking"
    library = "scipy"
    columns = VALUE
    options: Mapping[str, OptionSpec] = {
        "looks": OptionSpec(5, "equally spaced looks, the last at the end"),
        "sigma": OptionSpec(1.0, "known standard deviation of one observation"),
        "theta0": OptionSpec(0.0, "mean under H0"),
        "alpha": OptionSpec(0.05, "nominal alpha of each look"),
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Look without correction.

        Args:
            columns: ``value``.
            seed: Not used.
            **options: Those of :attr:`options`.

        Returns:
            Evidence: the real α of so many looks, and the looks that rejected; table ``looks``.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        looks, sigma = given["looks"], given["sigma"]
        if not sigma > 0:
            raise UsageError("sigma lies above 0")
        real = inflation(looks, given["alpha"])
        values, notes = _values(self.name, columns)
        if len(values) < looks:
            notes.append(f"{len(values)} observations cannot be looked at {looks} times")
            return PillarResult([finding(self.name, "overall_alpha", real, looks=looks)], warnings=notes)
        at = np.ceil(np.arange(1, looks + 1) / looks * len(values)).astype(int)
        z = (np.cumsum(values)[at - 1] - at * given["theta0"]) / (sigma * np.sqrt(at))
        p = 2 * norm.sf(np.abs(z))
        rejected = int((p <= given["alpha"]).sum())
        evidence = [
            finding(self.name, "overall_alpha", real, library="scipy", looks=looks, nominal_alpha=given["alpha"]),
            finding(self.name, "looks_that_rejected", rejected, library="scipy", n=len(values)),
        ]
        notes.append(f"{looks} looks at nominal {given['alpha']:g} reject a true hypothesis {real:.1%} of the time")
        return PillarResult(
            evidence, {"looks": {"n": at.tolist(), "z": z.tolist(), "p_value": p.tolist()}}, warnings=notes
        )
