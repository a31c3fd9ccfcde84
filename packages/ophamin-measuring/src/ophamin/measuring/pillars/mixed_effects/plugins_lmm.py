"""Pillar M as plug-ins: the linear mixed model, and the test of one of its terms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ophamin.measuring.pillars._columns import complete, labels, numbers, require
from ophamin.measuring.pillars._evidence import OWN, finding, finite
from ophamin.measuring.pillars.mixed_effects.design import STRUCTURES
from ophamin.measuring.pillars.mixed_effects.inference import icc_interval, likelihood_ratio, profile_interval
from ophamin.measuring.pillars.mixed_effects.linear import DEGREES, MixedModel, mixed_model
from ophamin.measuring.pillars.mixed_effects.terms import term_tests
from ophamin.proof.errors import UsageError
from ophamin.protocols import Columns, OptionSpec, PillarResult
from ophamin.protocols.options import typed_options

__all__ = ["LikelihoodRatioTest", "LinearMixedModel"]

NUMERIC = ("time", "covariate", "covariate_2", "covariate_3")
FACTORS = ("factor", "factor_2", "factor_3")
COLUMNS: Mapping[str, str] = {
    "value": "the outcome",
    "group": "grouping of the rows: subject, site, seed",
    "group_2": "for nested and crossed: the second grouping",
    "time": "optional: a fixed covariate whose slope may vary between groups",
    **dict.fromkeys(NUMERIC[1:], "optional: a fixed covariate"),
    **dict.fromkeys(FACTORS, "optional: a fixed factor; its first level is the reference"),
}
MODEL: Mapping[str, OptionSpec] = {
    "random": OptionSpec("intercept", f"random part: {', '.join(STRUCTURES)}"),
    "interactions": OptionSpec(False, "whether products of two fixed terms enter"),
    "level": OptionSpec(0.95, "two-sided confidence of the intervals"),
}


def _read(pillar: str, columns: Columns, structure: str) -> tuple[Mapping[str, Any], list[str]]:
    require(pillar, columns, "value", "group")
    if structure.startswith("slope"):
        require(pillar, columns, "time")
    second = structure in ("nested", "crossed")
    if second:
        require(pillar, columns, "group_2")
    arrays: dict[str, Any] = {name: numbers(pillar, columns, name) for name in ("value", *NUMERIC) if name in columns}
    wanted = ("group", *(("group_2",) if second else ()), *FACTORS)
    arrays |= {name: labels(pillar, columns, name) for name in wanted if name in columns}
    kept, left_out = complete(**arrays)
    return kept, [f"{left_out} rows lack a value and were left out"] if left_out else []


def _fit(rows: Mapping[str, Any], structure: str, given: Mapping[str, Any], **more: Any) -> MixedModel:
    return mixed_model(
        rows["value"], rows["group"].tolist(),
        numeric={name: rows[name] for name in NUMERIC if name in rows},
        factors={name: rows[name].tolist() for name in FACTORS if name in rows},
        structure=structure, slope="time" if structure.startswith("slope") else None,
        second=rows["group_2"].tolist() if structure in ("nested", "crossed") else None,
        interactions=given["interactions"], level=given["level"], **more,
    )  # fmt: skip


class LinearMixedModel:
    """Fixed effects with degrees of freedom, standard deviations of random effects, ICC and BLUPs.

    Source: Bates, Mächler, Bolker & Walker (2015), J Stat Softw 67(1); Kuznetsova, Brockhoff & Christensen (2017),
    J Stat Softw 82(13) (Satterthwaite); Kenward & Roger (1997), Biometrics 53:983.

    Example:
        >>> table = {"value": [1.0, 1.2, 3.1, 2.9, 5.2, 4.8], "group": list("aabbcc")}
        >>> [e.statistic_name for e in LinearMixedModel().compute(table, seed=0).evidence][:2]
        ['beta:intercept', 'sd:group:intercept']
    """

    name = "M.lmm"
    library = "statsmodels"
    columns = COLUMNS
    options: Mapping[str, OptionSpec] = {
        **MODEL,
        "reml": OptionSpec(True, "restricted likelihood; no: maximum likelihood"),
        "df": OptionSpec("satterthwaite", f"{', '.join(DEGREES)} (normal intervals, too narrow with few groups)"),
        "profile": OptionSpec(True, "whether standard deviations get profile-likelihood intervals"),
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Fit the model.

        Args:
            columns: ``value``, ``group`` and the predictors that are there.
            seed: Not used: nothing is drawn.
            **options: Those of :attr:`options`.

        Returns:
            Evidence: fixed effects, an F test of each factor that enters no product, standard deviations, ICC, −2
            log-likelihood; table ``blups``.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        structure, level = given["random"], given["level"]
        _known(structure, given["df"], reml=given["reml"])
        rows, notes = _read(self.name, columns, structure)
        try:
            model = _fit(rows, structure, given, reml=given["reml"], df=given["df"])
        except UsageError as error:
            nothing = finding(self.name, "beta:intercept", None, n=len(rows["value"]))
            return PillarResult([nothing], warnings=[*notes, str(error)])
        criterion = "REML" if given["reml"] else "ML"
        common: dict[str, Any] = {"library": model.library, "n": model.n, "n_groups": model.n_groups}
        evidence = [
            finding(
                self.name, f"beta:{name}", model.beta[i], low=model.lower[i], high=model.upper[i],
                p_value=model.p_values[i], method=f"wald {'t' if math.isfinite(model.df[i]) else 'z'}",
                guarantee="approximate", se=finite(model.se[i]), df=finite(model.df[i]),
                df_method=given["df"], criterion=criterion, level=level, **common,
            )
            for i, name in enumerate(model.names)
        ]  # fmt: skip
        # Of a covariate F is the square of t.
        tests = [test for test in term_tests(model, given["df"]) if "factor" in test.term]
        evidence += [
            finding(
                self.name, f"F:{test.term}", test.f, p_value=test.p_value, method="wald F", df=test.df1,
                df2=finite(test.df2), df_method=given["df"], criterion=criterion, **{**common, "library": OWN},
            )
            for test in tests
        ]  # fmt: skip
        notes += [f"the rows are too few for an F test of {test.term}" for test in tests if math.isnan(test.f)]
        profiled = given["profile"]
        for name, label, value in (
            *((n, f"sd:{n}", v) for n, v in model.sd.items()),
            ("residual", "sd:residual", model.residual_sd),
        ):
            low, high = profile_interval(model, name, level) if profiled else (math.nan, math.nan)
            bounds: dict[str, Any] = (
                {"low": low, "high": high, "method": "profile-likelihood", "guarantee": "approximate"}
                if profiled
                else {}
            )
            evidence.append(finding(self.name, label, value, criterion=criterion, **bounds, **common))
        if model.random.structure == "slope":
            evidence.append(finding(self.name, "correlation", model.correlation, criterion=criterion, **common))
        low, high = icc_interval(model, level)
        if model.random.structure == "intercept" and math.isnan(low):
            notes.append("nothing varies beside the model, so the intraclass correlation has no interval")
        evidence += [
            finding(self.name, "icc", model.icc, low=low, high=high, criterion=criterion, level=level,
                    method=None if math.isnan(low) else "profile-likelihood",
                    guarantee=None if math.isnan(low) else "approximate", **common),
            finding(self.name, "neg2loglik", model.neg2loglik, criterion=criterion, **common),
        ]  # fmt: skip
        table: dict[str, list[Any]] = {"term": [], "unit": [], "effect": [], "conditional_sd": []}
        for term, units, effects, sds in model.blups():
            table["term"] += [term] * len(units)
            table["unit"] += units
            table["effect"] += [finite(e) for e in effects]
            table["conditional_sd"] += [finite(s) for s in sds]
        return PillarResult(
            evidence, {"blups": table}, {"singular": model.singular, "aliased": model.fixed.aliased},
            [*notes, *_cautions(model, given["df"])],
        )  # fmt: skip


def _known(structure: str, df: str = "satterthwaite", *, reml: bool = True) -> None:
    """Refuse words that no table could make right.

    Raises:
        UsageError: An unknown random part or kind of degrees of freedom, or one that does not go with ML.
    """
    if structure not in STRUCTURES:
        raise UsageError(f"a random part is one of {', '.join(STRUCTURES)}, not {structure!r}")
    if df not in DEGREES:
        raise UsageError(f"degrees of freedom are one of {', '.join(DEGREES)}, not {df!r}")
    if df == "kenward-roger" and not reml:
        raise UsageError("Kenward and Roger's degrees of freedom are those of a restricted likelihood: leave reml on")


def _cautions(model: MixedModel, df: str) -> list[str]:
    notes = []
    if model.singular:
        notes.append(
            "the fit is singular: a variance is 0 or a correlation ±1, so the data hold less than the model asks"
        )
    if model.fixed.aliased:
        notes.append(f"determined by others and left out: {', '.join(model.fixed.aliased)}")
    if model.n_groups < 6:
        notes.append(f"{model.n_groups} groups tell little of how groups differ")
    if df == "asymptotic":
        notes.append(
            f"intervals and p-values of the fixed effects are asymptotic: with {model.n_groups} groups they are "
            "narrower and smaller than they state; satterthwaite allows for that"
        )
    elif not np.isfinite(model.df).all():
        name = {"satterthwaite": "Satterthwaite's", "kenward-roger": "Kenward and Roger's"}[df]
        notes.append(f"the likelihood is too flat for {name} degrees of freedom; normal ones were used")
    if model.library == OWN and not model.singular:
        notes.append("statsmodels did not confirm this maximum, or was not asked for its size; it is ours")
    if model.random.transform is not None:
        notes.append("with a random slope the share between groups changes with time, so there is no one ICC")
    return notes


class LikelihoodRatioTest:
    """Likelihood-ratio test of a random term or of a fixed column: the model with it against that without, by ML.

    Source: Self & Liang (1987), JASA 82:605; Stram & Lee (1994), Biometrics 50:1171.

    Example:
        >>> table = {"group": [i // 5 for i in range(40)], "time": [i % 5 for i in range(40)]}
        >>> table["value"] = [float(i % 5 + (i // 5) * (i % 3)) for i in range(40)]
        >>> LikelihoodRatioTest().compute(table, seed=0).evidence[0].detail["df"]
        2
    """

    name = "M.lrt"
    library = OWN
    columns = COLUMNS
    options: Mapping[str, OptionSpec] = {
        **MODEL,
        "random": OptionSpec("slope", "slope, slope-uncorrelated, nested or crossed; tested against intercept"),
        "without": OptionSpec("", "test this fixed column (with its products) instead, random part as it is"),
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Test; columns as of ``M.lmm``.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        structure, without = given["random"], given["without"]
        _known(structure)
        if structure == "intercept" and not without:
            raise UsageError("the test compares a richer random part with an intercept: name slope, nested or crossed")
        if without == "time" and structure.startswith("slope"):
            raise UsageError(
                "a slope varies about its mean, so time stays while its slope does; name another random part"
            )
        rows, notes = _read(self.name, columns, structure)
        if without and without not in {*NUMERIC, *FACTORS} & set(rows):
            raise UsageError(f"the fixed column {without!r} is to be left out, and the table has no such column")
        try:
            full = _fit(rows, structure, given, reml=False, df="asymptotic")
            fewer = {name: column for name, column in rows.items() if name != without}
            reduced = _fit(fewer, structure if without else "intercept", given, reml=False, df="asymptotic")
            found = likelihood_ratio(full, reduced)
        except UsageError as error:
            nothing = finding(self.name, "likelihood_ratio", None, n=len(rows["value"]))
            return PillarResult([nothing], warnings=[*notes, str(error)])
        item = finding(
            self.name, "likelihood_ratio", found.statistic, p_value=found.p_value, n=full.n, n_groups=full.n_groups,
            method="chi-squared mixture" if found.boundary else "chi-squared", df=found.df, p_naive=found.p_naive,
            boundary=found.boundary, tested=without or structure,
        )  # fmt: skip
        notes.append(
            f"a variance is tested at its edge: p is the 50:50 mixture of chi-squared with {found.df - 1} and "
            f"{found.df} df; p_naive, with {found.df}, is too large"
            if found.boundary
            else f"chi-squared holds for many groups: with {full.n_groups} groups p is too small (see M.lmm)"
        )
        return PillarResult([item], warnings=notes)
