"""Pillar N as plug-ins: the bootstrap and the jackknife."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ophamin.measuring.pillars._columns import complete, labels, numbers
from ophamin.measuring.pillars._evidence import OWN, finding, finite
from ophamin.measuring.pillars.robustness.bootstrap import METHODS, bootstrap
from ophamin.measuring.pillars.robustness.jackknife import jackknife
from ophamin.measuring.pillars.robustness.statistics import STATISTICS, Statistic, statistic_of
from ophamin.protocols import Columns, OptionSpec, PillarResult
from ophamin.protocols.options import typed_options

__all__ = ["Bootstrap", "Jackknife"]

COLUMNS: Mapping[str, str] = {
    "value": "the numbers; x of correlation, ratio, slope and intercept",
    "other": "for statistics of two columns: y",
    "group": "optional: the cluster of a row, resampled or left out whole",
}
STATISTIC = OptionSpec("mean", ", ".join(STATISTICS))


def _rows(pillar: str, columns: Columns, statistic: Statistic) -> tuple[list[Any], list[Any] | None, list[str]]:
    """Complete rows of the columns the statistic takes, their clusters, and what was left out."""
    arrays: dict[str, Any] = {"value": numbers(pillar, columns, "value")}
    if statistic.columns == 2:
        arrays["other"] = numbers(pillar, columns, "other")
    if "group" in columns:
        arrays["group"] = labels(pillar, columns, "group")
    kept, left_out = complete(**arrays)
    clusters = kept["group"].tolist() if "group" in kept else None
    data = [kept[name] for name in ("value", "other") if name in kept]
    return data, clusters, [f"{left_out} rows lack a value and were left out"] if left_out else []


class Bootstrap:
    """Bootstrap interval of a statistic; clusters, where given, are what is resampled.

    Source: Efron & Tibshirani (1993), *An Introduction to the Bootstrap*; BCa: Efron (1987), JASA 82:171.

    Example:
        >>> result = Bootstrap().compute({"value": [94, 197, 16, 38, 99, 141, 23]}, seed=1, method="percentile")
        >>> round(result.evidence[0].statistic_value, 2)
        86.86
    """

    name = "N.bootstrap"
    library = OWN
    columns = COLUMNS
    options: Mapping[str, OptionSpec] = {
        "statistic": STATISTIC,
        "method": OptionSpec("bca", ", ".join(METHODS)),
        "level": OptionSpec(0.95, "two-sided confidence"),
        "resamples": OptionSpec(9999, "bootstrap samples B, at least 100"),
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Bootstrap one statistic.

        Args:
            columns: ``value`` and, as the statistic asks, ``other``; perhaps ``group``.
            seed: Seed of the resampling.
            **options: Those of :attr:`options`.

        Returns:
            One evidence item; without an interval, and with a warning that says why, where there is none.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        statistic, method = statistic_of(given["statistic"]), given["method"].lower()
        data, clusters, notes = _rows(self.name, columns, statistic)
        n = len(data[0])
        if not n:
            nothing = finding(self.name, statistic.name, None, n=0)
            return PillarResult([nothing], warnings=[*notes, "0 unit(s): a bootstrap needs at least 2"])
        found = bootstrap(
            data, statistic, method=method, level=given["level"], resamples=given["resamples"], seed=seed,
            clusters=clusters,
        )  # fmt: skip
        if found.problem:
            notes.append(found.problem)
        if method == "bca" and 2 <= found.units < 50:
            notes.append("BCa with fewer than 50 units errs more often than it states")
        if clusters is not None and found.units < 20:
            notes.append(f"{found.units} clusters are too few to resample: their spread is not known well enough")
        item = finding(
            self.name, statistic.name, found.value, low=found.low, high=found.high, n=n, n_groups=found.units,
            method=f"bootstrap-{method}", guarantee="approximate", seed=seed, level=given["level"],
            resamples=given["resamples"], standard_error=finite(found.standard_error), bias=finite(found.bias),
        )  # fmt: skip
        return PillarResult([item], warnings=notes)


class Jackknife:
    """Jackknife bias and standard error of a statistic, and the unit that moves it most.

    Source: Efron & Tibshirani (1993), chapter 11.

    Example:
        >>> result = Jackknife().compute({"value": [1.0, 2.0, 4.0]}, seed=0)
        >>> round(result.evidence[0].detail["standard_error"], 4)
        0.8819
    """

    name = "N.jackknife"
    library = OWN
    columns = COLUMNS
    options: Mapping[str, OptionSpec] = {"statistic": STATISTIC}

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Leave one unit out at a time; columns as of ``N.bootstrap``.

        Returns:
            One evidence item; the table ``leave_one_out``.

        Raises:
            UsageError: Malformed columns or options.
        """
        statistic = statistic_of(typed_options(f"pillar {self.name!r}", self.options, options)["statistic"])
        data, clusters, notes = _rows(self.name, columns, statistic)
        units = len(data[0]) if clusters is None else len(dict.fromkeys(clusters))
        if units < 2:
            nothing = finding(self.name, statistic.name, None, n=len(data[0]))
            return PillarResult([nothing], warnings=[*notes, f"{units} unit(s): a jackknife needs at least 2"])
        found = jackknife(data, statistic, clusters=clusters)
        if not np.isfinite(found.values).all():
            notes.append(f"{statistic.name} does not exist without some of the units")
        if statistic.name in ("median", "trimmed_mean"):
            notes.append("the statistic is not smooth: its jackknife standard error is not to be trusted")
        names = list(dict.fromkeys(clusters)) if clusters is not None else list(range(1, units + 1))
        item = finding(
            self.name, statistic.name, found.value, n=len(data[0]), n_groups=units, method="jackknife",
            standard_error=finite(found.standard_error), bias=finite(found.bias),
            most_influential=str(names[found.influential]),
        )  # fmt: skip
        table: dict[str, list[Any]] = {"unit": [str(u) for u in names], "value": [finite(v) for v in found.values]}
        return PillarResult([item], {"leave_one_out": table}, warnings=notes)
