"""Pillar X as plug-ins: two samples compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ophamin.measuring.pillars._evidence import OWN, finding, finite
from ophamin.measuring.pillars.general import means
from ophamin.measuring.pillars.general._rows import LEVEL, PAIRS, SAMPLES, samples
from ophamin.measuring.pillars.general.effects import standardized_difference
from ophamin.measuring.pillars.general.permutation import STATISTICS, permutation_test
from ophamin.measuring.pillars.general.ranks import mann_whitney
from ophamin.protocols import Columns, OptionSpec, PillarResult
from ophamin.protocols.options import typed_options

__all__ = [
    "Equivalence",
    "MannWhitneyTest",
    "NonInferiority",
    "PermutationTest",
    "StandardizedDifference",
    "StudentTest",
]

TWO: Mapping[str, str] = {**SAMPLES, **PAIRS}
FIRST = OptionSpec("", "arm the other is taken from; default: the first in the alphabet")
EQUAL = OptionSpec(False, "Student's pooled variance instead of Welch's")


def _t(pillar: str, columns: Columns, given: Mapping[str, Any], level: float) -> tuple[means.TTest, Any, list[str]]:
    x, y, paired, arms, notes = samples(pillar, columns, given["first"])
    if paired:
        found = means.paired(x, y, level=level)
    else:
        found = means.t_test(x, y, equal_variance=given["equal_variance"], level=level)
    detail = {"arms": arms, "n_by_sample": [len(x), len(y)], "paired": paired}
    return found, detail, notes + ([found.problem] if found.problem else [])


def _n(sizes: Sequence[int], *, paired: bool) -> int:
    """Independent units: rows of both samples, or pairs."""
    return sizes[0] if paired else sum(sizes)


class StudentTest:
    """Difference of two means by Welch's, Student's or the paired t.

    Source: Welch (1947), Biometrika 34:28; Student (1908), Biometrika 6:1.

    Example:
        >>> item = StudentTest().compute({"value": [4.9, 5.2, 5.0], "other": [4.1, 3.9, 4.4]}, seed=0).evidence[0]
        >>> round(item.statistic_value, 3), item.interval_method
        (0.9, 'paired-t')
    """

    name = "X.t_test"
    library = "scipy"
    columns = TWO
    options: Mapping[str, OptionSpec] = {"first": FIRST, "equal_variance": EQUAL, "level": LEVEL}

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Estimate and test first less second.

        Args:
            columns: ``value`` and ``arm``, or ``value`` and ``other``.
            seed: Not used.
            **options: Those of :attr:`options`.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        found, detail, notes = _t(self.name, columns, given, given["level"])
        item = finding(
            self.name, "difference", found.estimate, library="scipy", low=found.lower, high=found.upper,
            p_value=found.p_value, n=_n(detail["n_by_sample"], paired=detail["paired"]), method=found.method,
            guarantee="approximate", level=given["level"], t=finite(found.statistic), df=finite(found.df),
            standard_error=finite(found.standard_error), **detail,
        )  # fmt: skip
        return PillarResult([item], warnings=notes)


class Equivalence:
    """Equivalence of two means by two one-sided t tests.

    Source: Schuirmann (1987), J. Pharmacokinet. Biopharm. 15:657.

    Example:
        >>> table = {"value": [5.0, 5.2, 4.9, 5.1], "other": [5.1, 5.1, 5.0, 5.0]}
        >>> round(Equivalence().compute(table, seed=0, low=-0.5, high=0.5).evidence[0].p_value, 4)
        0.0016
    """

    name = "X.tost"
    library = "scipy"
    columns = TWO
    options: Mapping[str, OptionSpec] = {
        "low": OptionSpec(-1.0, "lower margin of the difference"),
        "high": OptionSpec(1.0, "upper margin"),
        "alpha": OptionSpec(0.05, "of each one-sided test"),
        "first": FIRST,
        "equal_variance": EQUAL,
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Test equivalence; the interval is that of 1 − 2α.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        test, detail, notes = _t(self.name, columns, given, 0.95)
        found = means.tost(test, given["low"], given["high"], alpha=given["alpha"])
        return PillarResult([_tost(self.name, found, detail, [given["low"], given["high"]])], warnings=notes)


class NonInferiority:
    """Whether the first mean falls short of the second by less than a margin (greater is better).

    Source: as of ``X.tost``, with one margin.

    Example:
        >>> table = {"value": [5.0, 5.2, 4.9, 5.1], "other": [5.1, 5.1, 5.0, 5.0]}
        >>> round(NonInferiority().compute(table, seed=0, margin=0.5).evidence[0].p_value, 4)
        0.0016
    """

    name = "X.non_inferiority"
    library = "scipy"
    columns = TWO
    options: Mapping[str, OptionSpec] = {
        "margin": OptionSpec(1.0, "how much worse still counts as no worse, greater than 0"),
        "alpha": OptionSpec(0.05, "of the one-sided test"),
        "first": FIRST,
        "equal_variance": EQUAL,
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Test non-inferiority.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        test, detail, notes = _t(self.name, columns, given, 0.95)
        found = means.non_inferiority(test, given["margin"], alpha=given["alpha"])
        return PillarResult([_tost(self.name, found, detail, [-given["margin"], None])], warnings=notes)


def _tost(pillar: str, found: means.Tost, detail: Mapping[str, Any], margins: list[float | None]) -> Any:
    return finding(
        pillar, "difference", found.test.estimate, library="scipy", low=found.lower, high=found.upper,
        p_value=found.p_value, n=_n(detail["n_by_sample"], paired=detail["paired"]), method=f"tost-{found.test.method}",
        guarantee="approximate", level=1 - 2 * found.alpha, margins=margins, t_lower=finite(found.t_lower),
        p_lower=finite(found.p_lower), t_upper=finite(found.t_upper), p_upper=finite(found.p_upper),
        df=finite(found.test.df), equivalent=bool(found.equivalent), **detail,
    )  # fmt: skip


class MannWhitneyTest:
    """Two samples by ranks; the effect is the chance that a value of the first exceeds one of the second.

    Source: Mann & Whitney (1947), Ann. Math. Stat. 18:50; interval: DeLong et al. (1988), Biometrics 44:837.

    Example:
        >>> table = {"value": [1, 4, 5, 2, 3], "arm": ["a", "a", "a", "b", "b"]}
        >>> item = MannWhitneyTest().compute(table, seed=0).evidence[0]
        >>> round(item.statistic_value, 3), item.detail["u"]
        (0.667, 4.0)
    """

    name = "X.mann_whitney"
    library = OWN
    columns: Mapping[str, str] = SAMPLES
    options: Mapping[str, OptionSpec] = {"first": FIRST, "level": LEVEL}

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Test, and estimate the AUC.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        table = {name: columns[name] for name in ("value", "arm") if name in columns}
        x, y, _, arms, notes = samples(self.name, table, given["first"])
        found = mann_whitney(x, y, level=given["level"])
        if found.problem:
            notes.append(found.problem)
        if found.ties:
            notes.append("there are ties; the variance and the exact distribution allow for them")
        item = finding(
            self.name, "auc", found.auc, low=found.lower, high=found.upper, p_value=found.p_value,
            effect_size=found.rank_biserial, n=len(x) + len(y), method="delong-logit", guarantee="approximate",
            level=given["level"], u=finite(found.statistic), p_exact=finite(found.p_exact),
            p_asymptotic=finite(found.p_asymptotic), p_corrected=finite(found.p_corrected), arms=arms,
            n_by_sample=[len(x), len(y)],
        )  # fmt: skip
        return PillarResult([item], warnings=notes)


class StandardizedDifference:
    """Hedges' g with the interval of δ by the noncentral t.

    Source: Hedges (1981), J. Educ. Stat. 6:107; Hedges & Olkin (1985), section 5.D.

    Example:
        >>> table = {"value": [4.9, 5.2, 5.0, 4.1, 3.9, 4.4], "arm": ["a"] * 3 + ["b"] * 3}
        >>> round(StandardizedDifference().compute(table, seed=0).evidence[0].statistic_value, 2)
        3.45
    """

    name = "X.smd"
    library = "scipy"
    columns = TWO
    options: Mapping[str, OptionSpec] = {"first": FIRST, "level": LEVEL}

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Estimate first less second, in standard deviations.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        x, y, paired, arms, notes = samples(self.name, columns, given["first"])
        found = standardized_difference(x, y, paired=paired, level=given["level"])
        if found.problem:
            notes.append(found.problem)
        item = finding(
            self.name, "hedges_g", found.g, library="scipy", low=found.lower, high=found.upper, effect_size=found.g,
            n=_n([len(x), len(y)], paired=paired), method="noncentral-t", guarantee="approximate", level=given["level"],
            cohen_d=finite(found.d), df=finite(found.df), paired=paired, arms=arms, n_by_sample=[len(x), len(y)],
        )  # fmt: skip
        return PillarResult([item], warnings=notes)


class PermutationTest:
    """Whether two samples are exchangeable; exact where all arrangements are looked at.

    Source: Fisher (1935), *The Design of Experiments*; (b + 1)/(B + 1): Phipson & Smyth (2010), SAGMB 9:39.

    Example:
        >>> table = {"value": [3, 4, 5, 0, 1, 2], "arm": ["a"] * 3 + ["b"] * 3}
        >>> round(PermutationTest().compute(table, seed=0).evidence[0].p_value, 3)
        0.1
    """

    name = "X.permutation"
    library = "scipy"
    columns = TWO
    options: Mapping[str, OptionSpec] = {
        "statistic": OptionSpec("mean", ", ".join(STATISTICS)),
        "resamples": OptionSpec(9999, "most arrangements to look at, at least 99"),
        "first": FIRST,
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Test first less second.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        x, y, paired, arms, notes = samples(self.name, columns, given["first"])
        found = permutation_test(
            x, y, statistic=given["statistic"], paired=paired, resamples=given["resamples"], seed=seed
        )
        if found.problem:
            notes.append(found.problem)
        item = finding(
            self.name, f"difference_of_{given['statistic']}s", found.statistic, library="scipy",
            p_value=found.p_value, n=_n([len(x), len(y)], paired=paired),
            method="exact" if found.exact else "random permutations",
            seed=seed, resamples=found.resamples, paired=paired, arms=arms, n_by_sample=[len(x), len(y)],
        )  # fmt: skip
        return PillarResult([item], warnings=notes)
