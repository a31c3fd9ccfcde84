"""Pillar I as plug-ins: effect sizes, and tables pooled directly."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ophamin.measuring.pillars._columns import complete, labels, numbers
from ophamin.measuring.pillars._evidence import OWN, finding, finite
from ophamin.measuring.pillars.synthesis import effects, tables
from ophamin.measuring.pillars.synthesis._studies import (
    LEVEL,
)
from ophamin.protocols import Columns, OptionSpec, PillarResult
from ophamin.protocols.options import typed_options

__all__ = ["EffectSizes", "MantelHaenszel", "Peto"]

ARMS: Mapping[str, str] = {
    "events_1": "events in the first arm",
    "n_1": "size of the first arm",
    "events_2": "events in the second arm",
    "n_2": "size of the second arm",
}


_MEANS = ("mean_1", "sd_1", "n_1", "mean_2", "sd_2", "n_2")


class EffectSizes:
    """Effect sizes with variances from counts, means or correlations, study by study.

    Source: Borenstein et al. (2009), chapters 4 to 6; Hedges (1981) for the exact small-sample factor.

    Example:
        >>> table = {"events_1": [4], "n_1": [123], "events_2": [11], "n_2": [139]}
        >>> round(EffectSizes().compute(table, seed=0, measure="RR").tables["effects"]["effect"][0], 3)
        -0.889
    """

    name = "I.effect_sizes"
    library = "scipy"
    columns: Mapping[str, str] = {
        **ARMS,
        "mean_1": "for SMD and MD: mean of the first arm",
        "sd_1": "its standard deviation",
        "mean_2": "mean of the second arm",
        "sd_2": "its standard deviation",
        "correlation": "for ZCOR: correlation of each study",
        "n": "for ZCOR: its size",
        "study": "optional: name of the study",
    }
    options: Mapping[str, OptionSpec] = {
        "measure": OptionSpec("OR", "OR, RR, RD (counts), SMD, MD (means) or ZCOR (correlations)"),
        "correction": OptionSpec(0.5, "added to the cells of a table"),
        "to": OptionSpec("only0", f"to which tables: {', '.join(effects.CELLS)}"),
        "drop00": OptionSpec(
            "ratios",
            f"for which measures studies with one outcome throughout are left out: {', '.join(effects.SILENT)}",
        ),
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Compute the effects.

        Args:
            columns: Those the measure needs.
            seed: Not used.
            **options: Those of :attr:`options`.

        Returns:
            The table ``effects`` (study, effect, variance); one evidence item, the number of studies with an effect.

        Raises:
            UsageError: A column the measure needs is missing, or malformed.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        measure = given["measure"].upper()
        needed = {"SMD": _MEANS, "MD": _MEANS, "ZCOR": ("correlation", "n")}.get(measure, tuple(ARMS))
        arrays = [numbers(self.name, columns, name) for name in needed]
        present = ~np.isnan(np.column_stack(arrays)).any(axis=1)
        arrays = [a[present] for a in arrays]
        if measure == "SMD":
            found = effects.standardized_mean_difference(*arrays)
        elif measure == "MD":
            found = effects.mean_difference(*arrays)
        elif measure == "ZCOR":
            found = effects.fisher_z(*arrays)
        else:
            cells = {key: given[key] for key in ("correction", "to", "drop00")}
            found = effects.counts(measure, *arrays, **cells)
        names = labels(self.name, columns, "study")[present] if "study" in columns else np.flatnonzero(present) + 1
        table: dict[str, list[Any]] = {
            "study": [str(n) for n in names],
            "effect": [finite(e) for e in found.effect],
            "variance": [finite(e) for e in found.variance],
        }
        notes = list(found.notes)
        if not present.all():
            notes.append(f"{int((~present).sum())} studies lack a value and were left out")
        count = sum(e is not None for e in table["effect"])
        item = finding(self.name, "studies_with_effect", count, n=int(present.sum()), measure=measure)
        return PillarResult([item], {"effects": table}, warnings=notes)


class _Tables:
    """What the two poolings of 2×2 tables share."""

    name = ""
    columns: Mapping[str, str] = ARMS

    def _arms(self, columns: Columns) -> tuple[list[Any], list[str]]:
        arrays = [numbers(self.name, columns, name) for name in ARMS]
        kept, left_out = complete(**dict(zip(ARMS, arrays, strict=True)))
        return list(kept.values()), [f"{left_out} tables lack a count and were left out"] if left_out else []

    def _result(
        self, found: tables.PooledTable | None, statistic: str, level: float, notes: Sequence[str]
    ) -> PillarResult:
        if found is None:
            return PillarResult([finding(self.name, statistic, None)], warnings=[*notes, "there are no tables"])
        if not math.isfinite(found.estimate):
            notes = [*notes, "no table tells the arms apart, so the measure does not exist"]
        item = finding(
            self.name, statistic, found.estimate, library=found.library, low=found.lower, high=found.upper,
            p_value=found.p_value, n=found.k, method="wald", guarantee="approximate", se=finite(found.se), level=level,
        )  # fmt: skip
        apart = finding(self.name, "Q", found.q, p_value=found.q_p_value, n=found.k, df=found.q_df)
        return PillarResult([item, apart], warnings=notes)


class MantelHaenszel(_Tables):
    """Mantel–Haenszel pooled odds ratio, risk ratio (log scale) or risk difference of 2×2 tables.

    With the Cochran–Mantel–Haenszel test, and for the odds ratio Tarone's test that the tables share one.

    Source: Mantel & Haenszel (1959), JNCI 22:719; Robins, Breslow & Greenland (1986), Biometrics 42:311.

    Example:
        >>> table = {"events_1": [4, 6], "n_1": [123, 306], "events_2": [11, 29], "n_2": [139, 303]}
        >>> round(MantelHaenszel().compute(table, seed=0).evidence[0].statistic_value, 3)
        -1.422
    """

    name = "I.mantel_haenszel"
    library = "statsmodels"
    options: Mapping[str, OptionSpec] = {
        "measure": OptionSpec("OR", "OR, RR or RD"),
        "correction": OptionSpec(0.0, "added to the cells of a table before pooling"),
        "to": OptionSpec("only0", f"to which tables: {', '.join(effects.CELLS)}"),
        "correct": OptionSpec(True, "whether the Cochran–Mantel–Haenszel test has a continuity correction"),
        "level": LEVEL,
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Pool the tables; columns ``events_1``, ``n_1``, ``events_2``, ``n_2``.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        arms, notes = self._arms(columns)
        measure, level = given["measure"].upper(), given["level"]
        added = {"correction": given["correction"], "to": given["to"], "level": level}
        found = tables.mantel_haenszel(measure, *arms, **added) if len(arms[0]) else None
        statistic = {"OR": "log_odds_ratio", "RR": "log_risk_ratio"}.get(measure, "risk_difference")
        tests = []
        if found is not None:
            tests.append(("cmh_chi2", tables.cochran_mantel_haenszel(*arms, correct=given["correct"])))
        if found is not None and measure == "OR":
            tests.append(("tarone_chi2", tables.tarone(*arms)))
        result = self._result(found, statistic, level, notes)
        more = [
            finding(self.name, name, test.statistic, library="statsmodels", p_value=test.p_value, df=test.df)
            for name, test in tests
        ]
        return PillarResult([*result.evidence, *more], warnings=result.warnings)


class Peto(_Tables):
    """Peto's one-step pooled log odds ratio, for rare events and arms of about one size.

    Source: Yusuf, Peto et al. (1985), Prog Cardiovasc Dis 27:335.

    Example:
        >>> table = {"events_1": [4, 6], "n_1": [123, 306], "events_2": [11, 29], "n_2": [139, 303]}
        >>> round(Peto().compute(table, seed=0).evidence[0].statistic_value, 3)
        -1.24
    """

    name = "I.peto"
    library = OWN
    options: Mapping[str, OptionSpec] = {"level": LEVEL}

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Pool the tables; columns ``events_1``, ``n_1``, ``events_2``, ``n_2``.

        Raises:
            UsageError: Malformed columns or options.
        """
        level = typed_options(f"pillar {self.name!r}", self.options, options)["level"]
        arms, notes = self._arms(columns)
        found = tables.peto(*arms, level=level) if len(arms[0]) else None
        return self._result(found, "peto_log_odds_ratio", level, notes)
