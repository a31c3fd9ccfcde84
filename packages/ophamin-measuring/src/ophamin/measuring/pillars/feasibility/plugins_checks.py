"""Pillar F as plug-ins: an instrument, the E-value, refuters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ophamin.measuring.pillars._columns import complete, numbers
from ophamin.measuring.pillars._evidence import OWN, finding, finite
from ophamin.measuring.pillars.feasibility._study import CONFOUNDERS, LEVEL, STUDY, read_study
from ophamin.measuring.pillars.feasibility.instrument import ERRORS, instrumented
from ophamin.measuring.pillars.feasibility.refutation import ESTIMATORS, KINDS, Refutation, refute
from ophamin.measuring.pillars.feasibility.sensitivity import MEASURES, e_value
from ophamin.proof.errors import UsageError
from ophamin.protocols import Columns, OptionSpec, PillarResult
from ophamin.protocols.options import typed_options

__all__ = ["EValues", "Instrument", "Refuters"]


class Instrument:
    """Two-stage least squares; with one instrument and without confounders, Wald's ratio.

    Source: Angrist, Imbens & Rubin (1996), JASA 91:444; Anderson & Rubin (1949), Ann Math Stat 20:46.

    Example:
        >>> table = {"outcome": [1.0, 2.0, 4.0, 5.0, 1.5, 2.5], "treatment": [1.0, 2.0, 3.0, 4.0, 1.0, 2.0],
        ...          "instrument": [0, 0, 1, 1, 0, 1]}
        >>> round(Instrument().compute(table, seed=0).evidence[0].statistic_value, 3)
        1.4
    """

    name = "F.iv"
    library = "statsmodels"
    columns: Mapping[str, str] = {
        "outcome": STUDY["outcome"],
        "treatment": "the treatment, a number",
        "instrument": "moves the treatment, and the outcome only through it",
        **{f"instrument_{i}": "optional: another" for i in range(2, 11)},
        **{name: f"optional: {text.removeprefix('optional: ')}" for name, text in CONFOUNDERS.items()},
    }
    options: Mapping[str, OptionSpec] = {
        "errors": OptionSpec("classical", f"standard errors: {', '.join(ERRORS)} (HC: robust to unequal variances)"),
        "level": LEVEL,
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Estimate; columns ``outcome``, ``treatment``, ``instrument``, perhaps ``confounder`` ….

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        names = [name for name in self.columns if name.startswith("instrument_") and name in columns]
        study = read_study(self.name, columns, "instrument", *names, confounders=False, binary=False)
        moves = np.column_stack([study.more[name] for name in ("instrument", *names)])
        found = instrumented(study.outcome, study.treatment, moves, study.confounders, **given)
        common: dict[str, Any] = {"library": "statsmodels", "n": found.n}
        method = "two-stage least squares" if study.confounders.shape[1] or names else "Wald ratio"
        low, high = found.anderson_rubin
        evidence = [
            finding(
                self.name, "treatment_effect", found.estimate, low=found.lower, high=found.upper,
                p_value=found.p_value, method=method, guarantee="approximate" if found.se > 0 else None,
                level=given["level"], se=finite(found.se), df=found.df, target="those whom the instrument moves",
                **common,
            ),
            finding(self.name, "first_stage_F", found.first_stage_f, errors=given["errors"], **common),
            finding(self.name, "least_squares_effect", found.least_squares, **common),
            finding(
                self.name, "anderson_rubin_set", None, n=found.n, method="Anderson-Rubin", level=given["level"],
                bound_low=finite(low), bound_high=finite(high), disjoint=found.disjoint,
            ),
        ]  # fmt: skip
        if found.sargan:
            statistic, p_value = found.sargan
            evidence.append(
                finding(self.name, "sargan", statistic, n=found.n, p_value=p_value, method="Sargan", df=len(names))
            )
        notes = [*study.notes, *found.notes]
        if found.disjoint:
            notes.append("the Anderson-Rubin set is everything but what lies between its bounds")
        elif math.isinf(low):
            notes.append("the Anderson-Rubin set is the whole line: the instrument says nothing on the effect")
        notes.append("causal only if the instrument acts through the treatment alone, and moves nobody against it")
        return PillarResult(evidence, warnings=notes)


class EValues:
    """E-value of each estimate: how strong an unmeasured confounder must be to explain it away.

    Source: VanderWeele & Ding (2017), Annals of Internal Medicine 167:268.

    Example:
        >>> result = EValues().compute({"estimate": [3.9], "ci_low": [1.8], "ci_high": [8.7]}, seed=0)
        >>> [round(e.statistic_value, 2) for e in result.evidence]
        [7.26, 3.0]
    """

    name = "F.e_value"
    library = OWN
    columns: Mapping[str, str] = {
        "estimate": "a ratio (not its logarithm) or a standardised mean difference, one per row",
        "ci_low": "optional: its lower confidence bound",
        "ci_high": "optional: its upper confidence bound",
    }
    options: Mapping[str, OptionSpec] = {"measure": OptionSpec("RR", ", ".join(MEASURES))}

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Compute; columns ``estimate``, perhaps ``ci_low`` and ``ci_high``. Table ``e_values``, evidence of row 1.

        Raises:
            UsageError: Malformed columns or options.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        arrays = {n: numbers(self.name, columns, n) for n in self.columns if n in columns or n == "estimate"}
        kept, left_out = complete(**arrays)
        notes = [f"{left_out} rows lack a value and were left out"] if left_out else []
        rows = len(kept["estimate"])
        if not rows:
            return PillarResult([finding(self.name, "e_value", None)], warnings=[*notes, "there is no estimate"])
        bounds = [(kept["ci_low"][i] if "ci_low" in kept else None, kept["ci_high"][i] if "ci_high" in kept else None)
                  for i in range(rows)]  # fmt: skip
        found = [
            e_value(float(v), *(None if b is None else float(b) for b in pair), **given)
            for v, pair in zip(kept["estimate"], bounds, strict=True)
        ]
        table: dict[str, list[Any]] = {
            "estimate": kept["estimate"].tolist(),
            "e_value": [finite(f.point) for f in found],
            "e_value_bound": [finite(f.bound) for f in found],
        }
        evidence = [
            finding(self.name, "e_value", found[0].point, measure=given["measure"], risk_ratio=found[0].risk_ratio),
            finding(self.name, "e_value_bound", found[0].bound, measure=given["measure"]),
        ]
        notes.append("an E-value says how strong confounding must be, not whether it is there")
        return PillarResult(evidence, {"e_values": table}, warnings=notes)


class Refuters:
    """Refuters: a permuted treatment, a random common cause, subsets; each simulation has its own seed.

    Source: Sharma & Kiciman (2020), arXiv:2011.04216.

    Example:
        >>> table = {"outcome": [float(i % 5) for i in range(40)], "treatment": [i % 2 for i in range(40)],
        ...          "confounder": [float(i % 7) for i in range(40)]}
        >>> [e.statistic_name for e in Refuters().compute(table, seed=0, simulations=20).evidence][:2]
        ['estimate', 'placebo_mean']
    """

    name = "F.refute"
    library = OWN
    columns = STUDY
    options: Mapping[str, OptionSpec] = {
        "refuters": OptionSpec(KINDS, "which, as a JSON list"),
        "estimator": OptionSpec("linear", ", ".join(ESTIMATORS)),
        "simulations": OptionSpec(100, "of each"),
        "share": OptionSpec(0.8, "of the rows in a subset"),
        "engine": OptionSpec("own", "own, or dowhy: its refuters, linear estimator only"),
        "workers": OptionSpec(
            0, "threads, dowhy: processes; 0: one for each processor; the numbers are the same for any"
        ),
        "budget": OptionSpec(
            60.0, "seconds for each refuter, after which no simulation is begun and processes are ended"
        ),
    }

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Refute; columns ``outcome``, ``treatment``, ``confounder`` …. Table ``simulations``.

        Raises:
            UsageError: Malformed columns or options.
            MissingDependency: The engine dowhy without dowhy.
        """
        given = typed_options(f"pillar {self.name!r}", self.options, options)
        kinds, engine = [str(k) for k in given.pop("refuters")], given.pop("engine")
        if engine not in ("own", "dowhy") or not kinds:
            raise UsageError("the engine is own or dowhy, and at least one refuter is named")
        if engine == "dowhy" and given["estimator"] != "linear":
            raise UsageError("the engine dowhy refutes the linear estimator only")
        study = read_study(self.name, columns)
        arrays = study.outcome, study.treatment, study.confounders
        if engine == "own":
            found = [refute(*arrays, kind=kind, seed=seed, **given) for kind in kinds]
        else:
            from ophamin.measuring.pillars.feasibility.dowhy_refuters import dowhy_refute

            kept = {name: given[name] for name in ("simulations", "share", "workers", "budget")}
            found = [dowhy_refute(*arrays, kind=kind, seed=seed, **kept) for kind in kinds]
        library = OWN if engine == "own" else "dowhy"
        n = len(study.outcome)
        evidence = [finding(self.name, "estimate", found[0].base, library=library, n=n, estimator=given["estimator"])]
        for one in found:
            evidence += _refuter_evidence(self.name, one, library, n, seed, given["estimator"])
        longest = max(len(one.estimates) for one in found)
        table = {one.kind: [*map(finite, one.estimates), *[None] * (longest - len(one.estimates))] for one in found}
        notes = [*study.notes, *(f"{one.kind}: {note}" for one in found for note in one.notes)]
        notes.append("no refuter can show that confounding is absent; passing them is necessary, not sufficient")
        return PillarResult(evidence, {"simulations": table}, warnings=notes)


def _refuter_evidence(pillar: str, one: Refutation, library: str, n: int, seed: int, estimator: str) -> list[Any]:
    word = one.kind.replace("-", "_")
    done = int(np.isfinite(one.estimates).sum())
    common: dict[str, Any] = {
        "library": library, "n": n, "seed": seed, "simulations": done, "estimator": estimator,
    }  # fmt: skip
    items = [
        finding(
            pillar, f"{word}_mean", one.mean, expected=finite(one.expected), sd=finite(one.sd),
            quantile_2_5=finite(one.low), quantile_97_5=finite(one.high), p_value=one.p_value, **common,
        )
    ]  # fmt: skip
    if one.kind != "placebo":
        items.append(finding(pillar, f"{word}_change", one.mean - one.base, **common))
    return items
