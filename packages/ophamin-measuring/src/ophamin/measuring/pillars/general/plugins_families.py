"""Pillar X as plug-ins: correlations, families of tests, power."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ophamin.measuring.pillars._columns import labels, numbers
from ophamin.measuring.pillars._evidence import OWN, finding
from ophamin.measuring.pillars.general import adjust as families
from ophamin.measuring.pillars.general import power as sizes
from ophamin.measuring.pillars.general._rows import LEVEL, columns_of, left_out
from ophamin.measuring.pillars.general.correlations import KINDS, correlate, exact_spearman
from ophamin.proof.errors import UsageError
from ophamin.protocols import Columns, OptionSpec, PillarResult
from ophamin.protocols.options import typed_options

__all__ = ["Adjust", "CorrelationTest", "Power"]


class CorrelationTest:
    """Pearson's, Spearman's or Kendall's correlation with an interval.

    Source: Fisher (1921), Metron 1:3; Bonett & Wright (2000), Psychometrika 65:23; Fieller, Hartley & Pearson
    (1957), Biometrika 44:470.

    Example:
        >>> table = {"value": [1, 2, 3, 4, 5], "other": [2, 1, 4, 3, 5]}
        >>> round(CorrelationTest().compute(table, seed=0).evidence[0].statistic_value, 3)
        0.8
    """

    name = "X.correlation"
    library = "scipy"
    columns: Mapping[str, str] = {"value": "the first number", "other": "the second number of the same row"}
    options: Mapping[str, OptionSpec] = {"kind": OptionSpec("pearson", ", ".join(KINDS)), "level": LEVEL}

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Estimate and test the correlation; Spearman's p-value is exact up to 9 rows.

        Args:
            columns: ``value`` and ``other``.
            seed: Not used.
            **options: Those of :attr:`options`.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        (x, y), notes = columns_of(self.name, columns, "value", "other")
        found = correlate(x, y, kind=given["kind"], level=given["level"])
        if found.problem:
            notes.append(found.problem)
        detail: dict[str, Any] = {}
        p = found.p_value
        if given["kind"] == "spearman" and 3 <= len(x) <= 9 and not math.isnan(p):
            detail["p_asymptotic"] = p
            p = exact_spearman(x, y)
        if given["kind"] == "pearson":
            notes.append("the interval takes both columns to be normal together; Spearman's does not")
        item = finding(
            self.name, given["kind"], found.estimate, library="scipy", low=found.lower, high=found.upper, p_value=p,
            n=found.n, method=found.method, guarantee="approximate", level=given["level"], **detail,
        )  # fmt: skip
        return PillarResult([item], warnings=notes)


class Adjust:
    """p-values of a family of tests, adjusted for their number.

    Source: Holm (1979); Hochberg (1988); Benjamini & Hochberg (1995); Benjamini & Yekutieli (2001).

    Example:
        >>> result = Adjust().compute({"p_value": [0.01, 0.04, 0.03, 0.005]}, seed=0)
        >>> [round(p, 4) for p in result.tables["adjusted"]["adjusted"]]
        [0.03, 0.06, 0.06, 0.02]
    """

    name = "X.adjust"
    library = OWN
    columns: Mapping[str, str] = {
        "p_value": "p-value of each test; one that has none counts as 1",
        "name": "optional: name of the test",
    }
    options: Mapping[str, OptionSpec] = {
        "method": OptionSpec("holm", ", ".join(families.METHODS)),
        "alpha": OptionSpec(0.05, "error rate of the family"),
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Adjust.

        Returns:
            The number rejected; the table ``adjusted`` in the order given.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        raw = numbers(self.name, columns, "p_value")
        missing = int(np.isnan(raw).sum())
        adjusted = families.adjust(np.where(np.isnan(raw), 1.0, raw), given["method"])
        names = labels(self.name, columns, "name") if "name" in columns else np.arange(1, len(raw) + 1)
        rejected = adjusted <= given["alpha"]
        item = finding(
            self.name, "rejected", int(rejected.sum()), library=OWN, n=len(raw), method=given["method"],
            alpha=given["alpha"],
        )  # fmt: skip
        table: dict[str, list[Any]] = {
            "name": [str(n) for n in names],
            "p_value": [None if math.isnan(p) else float(p) for p in raw],
            "adjusted": [float(p) for p in adjusted],
            "rejected": [bool(r) for r in rejected],
        }
        notes = [f"{missing} tests have no p-value and count with 1"] if missing else []
        return PillarResult([item], {"adjusted": table}, warnings=notes)


class Power:
    """Power of a test at a given n, or the n a power needs, for each of several effects.

    Source: as of ``ophamin.measuring.pillars.general.power``.

    Example:
        >>> Power().compute({"effect": [0.5]}, seed=0, test="t").tables["power"]["n"]
        [64]
    """

    name = "X.power"
    library = "statsmodels"
    columns: Mapping[str, str] = {"effect": "effect on the scale of the test"}
    options: Mapping[str, OptionSpec] = {
        "test": OptionSpec("t", "; ".join(f"{name} ({words})" for name, (_, words, _, _) in sizes.TESTS.items())),
        "n": OptionSpec(0, "size; 0 asks for it"),
        "power": OptionSpec(0.8, "power wanted where n is asked for"),
        "alpha": OptionSpec(0.05, "α of the test, both sides together; of each test of tost"),
        "sides": OptionSpec(2, "1 or 2"),
        "base": OptionSpec(
            None,
            "share under the null or of discordant pairs (default 0.5), correlation under the null or true difference "
            "in standard deviations (default 0)",
        ),
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Plan.

        Returns:
            The greatest n asked for, or the least power; the table ``power`` (effect, n, power).

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        test = given["test"]
        if test not in sizes.TESTS:
            raise UsageError(f"no test is called {test!r}; use {', '.join(sizes.TESTS)}")
        effects = numbers(self.name, columns, "effect")
        notes = left_out(int(np.isnan(effects).sum()))
        common = {"alpha": given["alpha"], "sides": given["sides"], "base": _base(given["base"])}
        rows: list[tuple[float, int | None, float | None]] = []
        for effect in effects[~np.isnan(effects)].tolist():
            n = given["n"] or sizes.sample_size(test, effect, target=given["power"], **common)
            rows.append((effect, n, None if n is None else sizes.power(test, effect, n, **common)))
        if not rows:
            notes.append("there is no effect to plan for")
        if any(n is None for _, n, _ in rows):
            notes.append("no n reaches the power for some effects")
        known = [(n, p) for _, n, p in rows if n is not None and p is not None]
        value: float | None = None
        if known:
            value = min(p for _, p in known) if given["n"] else max(n for n, _ in known)
        library = sizes.TESTS[test][2]
        item = finding(
            self.name, "power" if given["n"] else "n", value, library=library, method=test,
            **common,
        )  # fmt: skip
        table: dict[str, list[Any]] = {
            "effect": [e for e, _, _ in rows], "n": [n for _, n, _ in rows], "power": [p for _, _, p in rows],
        }  # fmt: skip
        return PillarResult([item], {"power": table}, warnings=notes)


def _base(value: Any) -> float | None:
    """The option as a number; one without a default of its own comes from a command line as text."""
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        raise UsageError(f"option 'base' is a number, such as 0.5; {value!r} is not") from None
