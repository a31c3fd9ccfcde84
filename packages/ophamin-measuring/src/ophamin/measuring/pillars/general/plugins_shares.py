"""Pillar X as plug-ins: shares and their differences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ophamin.measuring.estimators.mean import mean as bounded_mean
from ophamin.measuring.estimators.proportion import proportion as grouped_share
from ophamin.measuring.pillars._columns import Floats, labels, numbers
from ophamin.measuring.pillars._evidence import OWN, finding
from ophamin.measuring.pillars.general import proportions
from ophamin.measuring.pillars.general._rows import LEVEL, SAMPLES, columns_of, left_out, samples
from ophamin.measuring.pillars.general.paired_counts import mcnemar, paired_difference
from ophamin.proof.errors import UsageError
from ophamin.protocols import Columns, OptionSpec, PillarResult
from ophamin.protocols.options import typed_options

__all__ = ["BoundedMean", "McNemarTest", "Share", "ShareDifference"]


def _binary(pillar: str, *arrays: Floats) -> None:
    for values in arrays:
        if not np.isin(values, (0.0, 1.0)).all():
            raise UsageError(f"{pillar} needs values 0 and 1")


class Share:
    """A share with its interval; by Korn and Graubard where rows come in groups.

    Source: Newcombe (1998), Statist. Med. 17:857; Korn & Graubard (1998), Survey Methodology 24:193.

    Example:
        >>> item = Share().compute({"value": [1] * 81 + [0] * 182}, seed=0).evidence[0]
        >>> round(item.ci_low, 4), round(item.ci_high, 4), item.interval_method
        (0.2553, 0.3662, 'wilson')
    """

    name = "X.proportion"
    library = OWN
    columns: Mapping[str, str] = {
        "value": "0 or 1",
        "group": "optional: the cluster of a row; then the method is korn-graubard",
    }
    options: Mapping[str, OptionSpec] = {
        "method": OptionSpec("wilson", f"{', '.join(proportions.METHODS)}, korn-graubard or korn-graubard-adverse"),
        "level": LEVEL,
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Estimate the share.

        Args:
            columns: ``value`` and perhaps ``group``.
            seed: Not used.
            **options: Those of :attr:`options`.

        Returns:
            One evidence item.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        level, method = given["level"], given["method"]
        proportions.check_level(level)
        value = numbers(self.name, columns, "value")
        keep = ~np.isnan(value)
        notes = left_out(int((~keep).sum()))
        value = value[keep]
        _binary(self.name, value)
        if "group" in columns or method.startswith("korn"):
            if not method.startswith("korn"):
                method = "korn-graubard"
            group = labels(self.name, columns, "group")[keep].tolist() if "group" in columns else None
            table = {"value": value.tolist()} | ({"group": group} if group is not None else {})
            found = grouped_share(table, confidence=(1 + level) / 2, method=method)
            notes += [found.problem] if found.problem else []
            item = finding(
                self.name, "proportion", found.value, low=found.lower, high=found.upper, n=len(value),
                n_groups=found.n_groups, method=found.method, guarantee="approximate", level=level,
            )  # fmt: skip
            return PillarResult([item], warnings=notes)
        one = proportions.interval(value.sum(), len(value), method=method, level=level)
        if not len(value):
            notes.append("there are no observations")
        item = finding(
            self.name, "proportion", one.estimate, low=one.lower if len(value) else None,
            high=one.upper if len(value) else None, n=len(value), method=method,
            guarantee="guaranteed" if method == "clopper-pearson" else "approximate", level=level,
            successes=int(value.sum()),
        )  # fmt: skip
        return PillarResult([item], warnings=notes)


class ShareDifference:
    """Difference of two independent shares by Newcombe's interval.

    Source: Newcombe (1998), Statist. Med. 17:873, method 10.

    Example:
        >>> table = {"value": [1] * 56 + [0] * 14 + [1] * 48 + [0] * 32, "arm": ["a"] * 70 + ["b"] * 80}
        >>> item = ShareDifference().compute(table, seed=0).evidence[0]
        >>> round(item.ci_low, 4), round(item.ci_high, 4)
        (0.0524, 0.3339)
    """

    name = "X.proportion_difference"
    library = OWN
    columns: Mapping[str, str] = {**SAMPLES, "value": "0 or 1"}
    options: Mapping[str, OptionSpec] = {"first": OptionSpec("", "arm the other is taken from"), "level": LEVEL}

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Estimate first less second arm.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        table = {name: columns[name] for name in ("value", "arm") if name in columns}
        x, y, _, arms, notes = samples(self.name, table, given["first"])
        _binary(self.name, x, y)
        found = proportions.difference_interval(x.sum(), len(x), y.sum(), len(y), level=given["level"])
        if not (len(x) and len(y)):
            notes.append("an arm has no observations")
        known = bool(len(x) and len(y))
        item = finding(
            self.name, "difference", found.estimate, low=found.lower if known else None,
            high=found.upper if known else None, n=len(x) + len(y), method="newcombe", guarantee="approximate",
            level=given["level"], arms=arms, n_by_arm=[len(x), len(y)],
        )  # fmt: skip
        return PillarResult([item], warnings=notes)


class McNemarTest:
    """Two paired shares, by McNemar's test.

    Source: McNemar (1947), Psychometrika 12:153; Fagerland, Lydersen & Laake (2013), BMC Med. Res. Methodol. 13:91;
    interval of the difference: Newcombe (1998), Statist. Med. 17:2635, method 10.

    Example:
        >>> table = {"value": [1] * 21 + [0] * 9 + [1] * 41, "other": [0] * 21 + [1] * 9 + [1] * 41}
        >>> round(McNemarTest().compute(table, seed=0).evidence[0].p_value, 4)
        0.0428
    """

    name = "X.mcnemar"
    library = "statsmodels"
    columns: Mapping[str, str] = {"value": "0 or 1", "other": "0 or 1, of the same row"}
    options: Mapping[str, OptionSpec] = {"level": LEVEL}

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Test whether the shares are equal.

        Returns:
            The difference of the shares with Newcombe's interval and the exact p-value, and the conditional odds ratio
            with an exact interval.

        Raises:
            UsageError: Malformed columns or options.
        """
        level = typed_options(f"pillar {self.name!r}", self.options, options)["level"]
        (x, y), notes = columns_of(self.name, columns, "value", "other")
        _binary(self.name, x, y)
        found = mcnemar(int((x > y).sum()), int((x < y).sum()), len(x), level=level)
        both = int(((x == 1) & (y == 1)).sum())
        low, high = paired_difference(both, found.only_first, found.only_second, len(x), level=level)
        if found.problem:
            notes.append(found.problem)
        items = [
            finding(
                self.name, "difference", found.difference, library="statsmodels", p_value=found.p_exact, n=found.n,
                low=low if len(x) else None, high=high if len(x) else None, method="newcombe-paired",
                guarantee="approximate", level=level, test="mcnemar-exact", only_first=found.only_first,
                only_second=found.only_second, p_mid=_json(found.p_mid), p_asymptotic=_json(found.p_asymptotic),
                chi2=_json(found.statistic), p_uncorrected=_json(found.p_uncorrected),
                chi2_uncorrected=_json(found.statistic_uncorrected),
            ),
            finding(
                self.name, "odds_ratio", found.odds_ratio, low=found.lower, high=found.upper, n=found.n,
                method="clopper-pearson", guarantee="guaranteed", level=level,
            ),
        ]  # fmt: skip
        return PillarResult(items, warnings=notes)


def _json(value: float) -> float | None:
    return value if np.isfinite(value) else None


class BoundedMean:
    """Mean of values with known ends, guaranteed at every n: by betting, or empirical Bernstein.

    Source: Waudby-Smith & Ramdas (2024), JRSS B 86:1; Maurer & Pontil (2009), COLT.

    Example:
        >>> item = BoundedMean().compute({"value": [0.2, 0.4, 0.3] * 30}, seed=0).evidence[0]
        >>> round(item.statistic_value, 3), item.guarantee
        (0.3, 'guaranteed')
    """

    name = "X.bounded_mean"
    library = OWN
    columns: Mapping[str, str] = {"value": "the numbers", "group": "optional: the cluster of a row"}
    options: Mapping[str, OptionSpec] = {
        "method": OptionSpec("betting", "betting or empirical-bernstein"),
        "low": OptionSpec(0.0, "least a value can be"),
        "high": OptionSpec(1.0, "most a value can be"),
        "level": LEVEL,
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Estimate the mean; one value per group where there are groups of one size.

        Args:
            columns: ``value`` and perhaps ``group``.
            seed: Order in which betting looks at the rows.
            **options: Those of :attr:`options`.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        if given["method"] not in ("betting", "empirical-bernstein"):
            raise UsageError(f"a bounded mean is by betting or empirical-bernstein, not {given['method']!r}")
        proportions.check_level(given["level"])
        value = numbers(self.name, columns, "value")
        table: dict[str, list[Any]] = {"value": [None if np.isnan(v) else float(v) for v in value]}
        if "group" in columns:
            table["group"] = labels(self.name, columns, "group").tolist()
        found = bounded_mean(
            table, confidence=(1 + given["level"]) / 2, seed=seed, method=given["method"],
            support=[given["low"], given["high"]],
        )  # fmt: skip
        notes = left_out(int(np.isnan(value).sum())) + ([found.problem] if found.problem else [])
        item = finding(
            self.name, "mean", found.value, low=found.lower, high=found.upper, n=found.n, n_groups=found.n_groups,
            method=found.method, guarantee=found.guarantee, seed=seed, level=given["level"],
            support=[given["low"], given["high"]],
        )  # fmt: skip
        return PillarResult([item], warnings=notes)
