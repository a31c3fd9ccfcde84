"""What the plug-ins of pillar F share: reading a study, and an effect as evidence."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ophamin.measuring.pillars._columns import Floats, complete, labels, numbers, require
from ophamin.measuring.pillars._evidence import finding, finite
from ophamin.measuring.pillars.feasibility._effect import Effect
from ophamin.measuring.pillars.feasibility.propensity import fit_propensity
from ophamin.proof.errors import UsageError
from ophamin.protocols import Columns, OptionSpec, PillarResult

__all__ = [
    "CONFOUNDERS", "LEVEL", "LINK", "STUDY", "TARGET", "TRIM", "Study", "answer", "overlap_notes", "read_study",
]  # fmt: skip

CONFOUNDERS: Mapping[str, str] = {
    "confounder": "what moves both treatment and outcome; text is taken as categories",
    **{f"confounder_{i}": "optional: another" for i in range(2, 31)},
}
STUDY: Mapping[str, str] = {
    "outcome": "the outcome, a number",
    "treatment": "1 for the treated, 0 for the rest",
    **CONFOUNDERS,
}
LEVEL = OptionSpec(0.95, "two-sided confidence")
TARGET = OptionSpec("ate", "whose effect: ate (everybody), att (the treated) or atc (the untreated)")
LINK = OptionSpec("logit", "of the propensity score: logit or probit")
TRIM = OptionSpec(0.0, "leave out rows whose propensity score is below this or above one minus it")


@dataclass(frozen=True)
class Study:
    """Complete rows of one study: outcome (n,), treatment (n,), confounders (n, p) with their names, and the rest."""

    outcome: Floats
    treatment: Floats
    confounders: Floats
    names: tuple[str, ...]
    more: Mapping[str, Any]
    notes: tuple[str, ...]


def read_study(
    pillar: str,
    columns: Columns,
    *more: str,
    confounders: bool = True,
    binary: bool = True,
    open_outcome: bool = False,
) -> Study:
    """The rows of a study that lack nothing.

    Args:
        pillar: Who asks.
        columns: The table.
        *more: Further columns of numbers.
        confounders: Whether at least one confounder is needed.
        binary: Whether the treatment is 0 and 1.
        open_outcome: Keep rows that lack the outcome only, with NaN for it.

    Raises:
        UsageError: A column is missing or malformed.
    """
    require(pillar, columns, "outcome", "treatment", *(["confounder"] if confounders else []), *more)
    arrays: dict[str, Any] = {name: numbers(pillar, columns, name) for name in ("treatment", *more)}
    outcome = numbers(pillar, columns, "outcome")
    if not open_outcome:
        arrays["outcome"] = outcome
    given = [name for name in CONFOUNDERS if name in columns]
    for name in given:
        text = any(isinstance(value, str) for value in columns[name])
        arrays[name] = labels(pillar, columns, name) if text else numbers(pillar, columns, name)
    arrays["_row"] = np.arange(len(outcome), dtype=np.float64)
    kept, left_out = complete(**arrays)
    rows = kept["_row"].astype(np.intp)
    if binary and not np.isin(kept["treatment"], (0.0, 1.0)).all():
        raise UsageError(f"{pillar} needs a treatment of 1 for the treated and 0 for the rest")
    parts: list[Floats] = []
    names: list[str] = []
    for name in given:
        if kept[name].dtype != object:
            parts.append(kept[name])
            names.append(name)
            continue
        words = np.array([str(v) for v in kept[name]])
        for category in np.unique(words)[1:]:  # the first is what the others are compared with
            parts.append((words == category).astype(np.float64))
            names.append(f"{name}={category}")
    x = np.column_stack(parts) if parts else np.empty((len(rows), 0))
    notes = (f"{left_out} rows lack a value and were left out",) if left_out else ()
    return Study(outcome[rows], kept["treatment"], x, tuple(names), {m: kept[m] for m in more}, notes)


def overlap_notes(study: Study) -> tuple[str, ...]:
    """A sentence where the arms do not overlap, for estimators that would answer all the same."""
    if not study.confounders.shape[1] or len(np.unique(study.treatment)) < 2:
        return ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        problem = fit_propensity(study.treatment, study.confounders).problem
    return (f"{problem}: the effect rests on extrapolation by the model, not on comparison",) if problem else ()


def answer(
    pillar: str,
    found: Effect,
    study: Study,
    *,
    library: str,
    method: str,
    level: float,
    assumptions: Sequence[str],
    tables: Mapping[str, Columns] | None = None,
    diagnostics: Mapping[str, Any] | None = None,
    **detail: Any,
) -> PillarResult:
    """An effect as a result: the effect, both means, what it assumes."""
    common: dict[str, Any] = {"library": library, "n": found.n, "method": method, "target": found.target}
    has = finite(found.lower) is not None
    evidence = [
        finding(
            pillar, "treatment_effect", found.estimate, low=found.lower, high=found.upper, p_value=found.p_value,
            guarantee="approximate" if has else None, level=level, se=finite(found.se), df=finite(found.df),
            n_treated=found.n_treated, se_method=found.se_method, **common, **detail,
        ),
        finding(pillar, "mean_if_treated", found.mean_treated, **common),
        finding(pillar, "mean_if_untreated", found.mean_control, **common),
    ]  # fmt: skip
    said = dict.fromkeys((*study.notes, *found.notes, *assumptions))
    return PillarResult(evidence, dict(tables or {}), dict(diagnostics or {}), list(said))
