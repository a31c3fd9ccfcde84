"""Pillar M as plug-ins: analyses of variance, Tukey's differences, effects of a sweep."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ophamin.measuring.pillars._columns import complete, labels, numbers, require
from ophamin.measuring.pillars._evidence import finding, finite
from ophamin.measuring.pillars.mixed_effects.factorial import factorial
from ophamin.measuring.pillars.mixed_effects.oneway import Test, one_way
from ophamin.measuring.pillars.mixed_effects.repeated import repeated_measures
from ophamin.measuring.pillars.mixed_effects.sweep import averaged, sweep_effects
from ophamin.measuring.pillars.mixed_effects.tukey import tukey_hsd
from ophamin.proof.errors import UsageError
from ophamin.protocols import Columns, OptionSpec, PillarResult
from ophamin.protocols.options import typed_options

__all__ = ["Effects", "FactorialAnova", "OneWayAnova", "RepeatedMeasuresAnova", "TukeyHsd"]

VALUE: Mapping[str, str] = {"value": "the outcome", "group": "group of each row"}
FACTORS: Mapping[str, str] = {
    "factor": "a factor",
    **{f"factor_{i}": "optional: another factor" for i in range(2, 7)},
}
LEVEL = OptionSpec(0.95, "two-sided confidence of the intervals")


def _read(pillar: str, columns: Columns, *needed: str, optional: tuple[str, ...] = ()) -> tuple[Any, list[str]]:
    """Complete rows of ``value`` and labels, and what was left out."""
    require(pillar, columns, "value", *needed)
    names = [*needed, *(o for o in optional if o in columns)]
    arrays: dict[str, Any] = {"value": numbers(pillar, columns, "value")}
    kept, left_out = complete(**arrays, **{name: labels(pillar, columns, name) for name in names})
    return kept, [f"{left_out} rows lack a value and were left out"] if left_out else []


def _nothing(pillar: str, statistic: str, rows: Mapping[str, Any], notes: list[str], error: UsageError) -> PillarResult:
    return PillarResult([finding(pillar, statistic, None, n=len(rows["value"]))], warnings=[*notes, str(error)])


def _level(level: float) -> None:
    if not 0 < level < 1:
        raise UsageError(f"a level lies between 0 and 1, such as 0.95, not {level!r}")


def _factors(rows: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {name: rows[name].tolist() for name in FACTORS if name in rows}


class OneWayAnova:
    """Means of groups compared: classic F, Welch's, Kruskal–Wallis, η², ω², and tests of equal variances.

    Source: see ``mixed_effects.oneway``.

    Example:
        >>> table = {"value": [1, 2, 3, 2, 3, 4, 5, 6, 7], "group": list("aaabbbccc")}
        >>> round(OneWayAnova().compute(table, seed=0).evidence[0].statistic_value, 6)
        13.0
    """

    name = "M.anova"
    library = "statsmodels"
    columns = VALUE
    options: Mapping[str, OptionSpec] = {"level": LEVEL}

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Compare the groups; columns ``value`` and ``group``.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        _level(given["level"])
        rows, notes = _read(self.name, columns, "group")
        try:
            found = one_way(rows["value"], rows["group"].tolist(), **given)
        except UsageError as error:
            return _nothing(self.name, "F", rows, notes, error)
        n, k = len(rows["value"]), len(found.levels)

        def test(statistic: str, of: Test, library: str) -> Any:
            return finding(
                self.name, statistic, of.statistic, library=library, p_value=of.p_value, n=n, n_groups=k,
                df=finite(of.df), df2=finite(of.df2),
            )  # fmt: skip

        evidence = [
            test("F", found.classic, "statsmodels"),
            test("F_welch", found.welch, "statsmodels"),
            test("H_kruskal_wallis", found.kruskal_wallis, "scipy"),
            finding(self.name, "eta2", found.eta2, low=found.eta2_interval[0], high=found.eta2_interval[1], n=n,
                    library="statsmodels", method="noncentral-F", guarantee="approximate", level=given["level"])
            if not math.isnan(found.eta2_interval[0])
            else finding(self.name, "eta2", found.eta2, n=n),
            finding(self.name, "omega2", found.omega2, n=n),
            test("F_levene", found.levene, "scipy"),
            test("F_brown_forsythe", found.brown_forsythe, "scipy"),
            test("K2_bartlett", found.bartlett, "scipy"),
        ]  # fmt: skip
        if found.ss_within <= 0:
            notes.append("no group varies, so no F exists")
        elif math.isnan(found.welch.statistic):
            notes.append("a group does not vary: Welch's F and Bartlett's test do not exist")
        elif found.brown_forsythe.p_value < 0.05:
            notes.append("the groups vary unequally (Brown–Forsythe): read Welch's F, not the classic one")
        table: dict[str, list[Any]] = {
            "group": found.levels,
            "n": found.sizes,
            "mean": found.means.tolist(),
            "sd": [finite(s) for s in found.sds],
        }
        squares: dict[str, list[Any]] = {
            "source": ["between", "within"],
            "sum_of_squares": [found.ss_between, found.ss_within],
            "df": [k - 1, n - k],
        }
        return PillarResult(evidence, {"groups": table, "anova": squares}, warnings=notes)


class TukeyHsd:
    """Every pair of groups, with one error rate for all (Tukey–Kramer).

    Source: Kramer (1956), Biometrics 12:307.

    Example:
        >>> table = {"value": [1, 2, 3, 2, 3, 4, 5, 6, 7], "group": list("aaabbbccc")}
        >>> [e.statistic_name for e in TukeyHsd().compute(table, seed=0).evidence]
        ['difference[b-a]', 'difference[c-a]', 'difference[c-b]']
    """

    name = "M.tukey"
    library = "statsmodels"
    columns = VALUE
    options: Mapping[str, OptionSpec] = {"level": LEVEL}

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Compare the pairs; columns ``value`` and ``group``.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        _level(given["level"])
        rows, notes = _read(self.name, columns, "group")
        try:
            found = tukey_hsd(rows["value"], rows["group"].tolist(), **given)
        except UsageError as error:
            return _nothing(self.name, "difference", rows, notes, error)
        evidence = [
            finding(self.name, f"difference[{second}-{first}]", found.differences[i], library="statsmodels",
                    low=found.lower[i], high=found.upper[i], p_value=found.p_values[i], n=len(rows["value"]),
                    method="tukey-kramer", guarantee="approximate", df=found.df, level=given["level"])
            for i, (first, second) in enumerate(found.pairs)
        ]  # fmt: skip
        notes.append("the intervals hold together, for independent normal observations of one variance")
        return PillarResult(evidence, warnings=notes)


class FactorialAnova:
    """Factors and their interactions, by sums of squares of type I, II or III.

    Source: see ``mixed_effects.factorial``.

    Example:
        >>> table = {"value": [1, 2, 3, 5, 4, 4.5, 8, 9], "factor": list("llllhhhh"), "factor_2": list("xxyyxxyy")}
        >>> [e.statistic_name for e in FactorialAnova().compute(table, seed=0).evidence]
        ['F:factor', 'F:factor_2', 'F:factor:factor_2']
    """

    name = "M.anova_factorial"
    library = "statsmodels"
    columns: Mapping[str, str] = {
        "value": "the outcome",
        **FACTORS,
        "block": "optional: block of each row; it enters first and does not interact",
    }
    options: Mapping[str, OptionSpec] = {
        "type": OptionSpec(2, "type of the sums of squares: 1, 2 or 3"),
        "order": OptionSpec(0, "highest order of interactions; 0: all"),
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Divide the variance; columns ``value``, ``factor`` …, perhaps ``block``.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        rows, notes = _read(self.name, columns, "factor", optional=(*list(FACTORS)[1:], "block"))
        if given["type"] not in (1, 2, 3):
            raise UsageError(f"sums of squares are of type 1, 2 or 3, not {given['type']!r}")
        try:
            found = factorial(
                rows["value"], _factors(rows), type=given["type"], order=given["order"] or None,
                block=rows["block"].tolist() if "block" in rows else None,
            )  # fmt: skip
        except UsageError as error:
            return _nothing(self.name, "F", rows, notes, error)
        n = len(rows["value"])
        evidence = [
            finding(self.name, f"F:{t.name}", t.f, library=found.library, p_value=t.p_value, n=n, df=t.df,
                    df2=found.residual_df, sum_of_squares=t.sum_of_squares, type=given["type"],
                    effect_size=t.partial_eta2, effect_size_name="partial_eta2")
            for t in found.terms
        ]  # fmt: skip
        aliased = [t.name for t in found.terms if not t.df]
        if aliased:
            notes.append(f"determined by other terms, so nothing is left to test: {', '.join(aliased)}")
        if found.empty_cells:
            notes.append(f"{found.empty_cells} combinations of levels have no row")
        if not found.balanced and given["type"] == 1:
            notes.append("the cells are unequal, so type I depends on the order of the factors")
        table: dict[str, list[Any]] = {
            "term": [*(t.name for t in found.terms), "residual"],
            "sum_of_squares": [*(t.sum_of_squares for t in found.terms), found.residual_ss],
            "df": [*(t.df for t in found.terms), found.residual_df],
            "F": [*(finite(t.f) for t in found.terms), None],
            "p_value": [*(finite(t.p_value) for t in found.terms), None],
        }
        return PillarResult(evidence, {"anova": table}, {"balanced": found.balanced}, notes)


class RepeatedMeasuresAnova:
    """Factors measured on every subject, with ε of Greenhouse–Geisser and Huynh–Feldt, and Mauchly's test.

    Source: see ``mixed_effects.repeated``.

    Example:
        >>> table = {"value": [1, 2, 4, 2, 3.5, 5, 1.5, 2, 4.5], "group": list("aaabbbccc"), "factor": [1, 2, 3] * 3}
        >>> RepeatedMeasuresAnova().compute(table, seed=0).evidence[0].statistic_name
        'F:factor'
    """

    name = "M.anova_rm"
    library = "statsmodels"
    columns: Mapping[str, str] = {"value": "the outcome", "group": "the subject", **FACTORS}
    options: Mapping[str, OptionSpec] = {
        "correction": OptionSpec("greenhouse-geisser", "of the p-value: greenhouse-geisser, huynh-feldt or none"),
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Compare the levels within subjects; columns ``value``, ``group`` and ``factor`` ….

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        correction = given["correction"]
        if correction not in ("greenhouse-geisser", "huynh-feldt", "none"):
            raise UsageError(f"a correction is greenhouse-geisser, huynh-feldt or none, not {correction!r}")
        rows, notes = _read(self.name, columns, "group", "factor", optional=tuple(FACTORS)[1:])
        subjects = rows["group"].tolist()
        try:
            found = repeated_measures(rows["value"], subjects, _factors(rows))
        except UsageError as error:
            return _nothing(self.name, "F", rows, notes, error)
        chosen = {
            "greenhouse-geisser": "p_greenhouse_geisser",
            "huynh-feldt": "p_huynh_feldt",
            "none": "p_value",
        }[correction]
        evidence = [
            finding(self.name, f"F:{e.name}", e.f, library="statsmodels", p_value=getattr(e, chosen), df=e.df,
                    df2=e.df2, n=len(subjects), n_groups=len(set(subjects)), method=correction,
                    p_sphericity=finite(e.p_value), greenhouse_geisser=finite(e.greenhouse_geisser),
                    huynh_feldt=finite(e.huynh_feldt), mauchly_w=finite(e.mauchly_w), mauchly_p=finite(e.mauchly_p))
            for e in found
        ]  # fmt: skip
        breached = [e.name for e in found if e.mauchly_p < 0.05]
        if breached and correction == "none":
            notes.append(f"sphericity is breached for {', '.join(breached)}: uncorrected p-values are too small")
        if any(math.isnan(e.f) for e in found):
            notes.append("subjects do not vary about an effect, so it has no F")
        return PillarResult(evidence, warnings=notes)


class Effects:
    """What each factor of a sweep does and how factors change one another's effect, with intervals and Holm's p.

    Source: see ``mixed_effects.sweep``.

    Example:
        >>> factors = {"factor": list("llllhhhh"), "factor_2": [0, 0, 1, 1] * 2}
        >>> table = {"value": [1, 1.2, 2, 2.1, 3, 3.1, 7, 7.2], **factors}
        >>> [e.statistic_name for e in Effects().compute(table, seed=0).evidence]
        ['factor[l-h]', 'factor_2[1-0]', 'factor[l-h]:factor_2[1-0]']
    """

    name = "M.effects"
    library = "statsmodels"
    columns: Mapping[str, str] = {
        "value": "the outcome of a run",
        **FACTORS,
        "group": "optional: independent unit (seed, round); its repeats of one cell are averaged first",
    }
    options: Mapping[str, OptionSpec] = {
        "order": OptionSpec(2, "1: factors add; 2: pairs interact"),
        "level": LEVEL,
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Estimate the effects.

        Args:
            columns: ``value``, ``factor`` …, perhaps ``group``.
            seed: Not used.
            **options: Those of :attr:`options`.

        Returns:
            Evidence: differences from each factor's first level, and differences of differences; table ``means``.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        _level(given["level"])
        if given["order"] not in (1, 2):
            raise UsageError(f"effects are of order 1 or 2, not {given['order']!r}")
        rows, notes = _read(self.name, columns, "factor", optional=(*list(FACTORS)[1:], "group"))
        value, factors = rows["value"], _factors(rows)
        if "group" in rows and len(value):
            value, factors = averaged(value, factors, rows["group"].tolist())
            if len(value) < len(rows["value"]):
                notes.append(f"{len(rows['value'])} rows were averaged to {len(value)} independent ones")
        try:
            found = sweep_effects(value, factors, **given)
        except UsageError as error:
            return _nothing(self.name, "effect", rows, notes, error)
        evidence = [
            finding(self.name, c.name, c.value, library="statsmodels", low=c.lower, high=c.upper, p_value=c.p_value,
                    n=len(value), method="ols t", guarantee="approximate", se=finite(c.se), df=found.residual_df,
                    p_holm=finite(c.p_holm), level=given["level"])
            for c in (*found.effects, *found.interactions)
        ]  # fmt: skip
        table: dict[str, list[Any]] = {
            "level": [c.name for c in found.means],
            "mean": [finite(c.value) for c in found.means],
            "lower": [finite(c.lower) for c in found.means],
            "upper": [finite(c.upper) for c in found.means],
        }
        if any(not math.isnan(c.p_holm) and c.p_holm < 0.05 for c in found.interactions):
            notes.append("factors interact: the effect of one alone is an average over the levels of the other")
        return PillarResult(evidence, {"means": table}, warnings=notes)
