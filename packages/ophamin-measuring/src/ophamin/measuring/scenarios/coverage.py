"""``interval-coverage``: each bound of an interval misses the truth no more often than it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from ophamin.proof.errors import UsageError
from ophamin.proof.types import Claim, CoPrimary, Decision, Threshold
from ophamin.protocols import Columns, Control, CycleResult, EstimatorCall, OptionSpec, Record, Score

__all__ = ["IntervalCoverage"]

JSON = Any
SIDES = ("lower", "upper")
_NEEDS = {"enumerated": ("n", "k"), "simulated": ("truth",)}


class IntervalCoverage:
    """Each side of an interval is wrong at most (or just) α of the time.

    ``design=enumerated``: every outcome of a binomial experiment is shown to the interval once, and its miss rate on
    each side computed over a registered grid of true proportions; the largest of each decides, by rule *exact*. It is
    for intervals that depend on how many values are 1, not on their order (betting does).
    ``design=simulated``: on samples of known mean each side misses between α − margin and α + margin of the time, an
    interval decides; give it ``--corpus 'simulated?family=normal&n=10'``.

    Example:
        >>> options = {k: o.default for k, o in IntervalCoverage.options.items()}
        >>> [str(t) for t, _ in IntervalCoverage().claim(options).parts()]
        ['largest_lower_miss_rate <= 0.05 fraction', 'largest_upper_miss_rate <= 0.05 fraction']
    """

    name = "interval-coverage"
    tier = "measurement-machinery"
    goal = "An interval is wrong as rarely as it says, on each side."
    options = {
        "design": OptionSpec("enumerated", "enumerated (every outcome, exact) or simulated (samples, by interval)"),
        "confidence": OptionSpec(0.95, "one-sided confidence the interval was asked for"),
        "grid": OptionSpec(199, "enumerated: true proportions, evenly spaced inside (0, 1)"),
        "margin": OptionSpec(0.01, "simulated: how far a miss rate may lie from 1 − confidence", "fraction"),
        "delta": OptionSpec(0.008, "simulated: smallest difference worth knowing", "fraction"),
    }
    observables = {"lower": "lower bound of the interval", "upper": "upper bound of the interval"}
    default_corpus = "simulated?family=binomial&sizes=10,30,60"

    def claim(self, options: Mapping[str, JSON]) -> Claim:
        """Both sides, as co-primaries.

        Raises:
            UsageError: An unknown design, or a confidence or margin that makes no sense.
        """
        alpha, margin, design = _alpha(options), float(options["margin"]), _design(options)
        if design == "enumerated":
            thresholds = [Threshold(f"largest_{side}_miss_rate", "<=", alpha, "fraction") for side in SIDES]
            decision = Decision(
                rule="exact",
                method="exact",
                estimator="value",
                support=(0.0, 1.0),
                smallest_difference=0.01,
                target="sample sizes of the registered corpus, true proportions of the grid",
                group="cell",
            )
            statement = f"Each bound misses the true proportion at most {alpha:g} of the time, whatever it is."
            how = (
                "P(lower bound > p) and P(upper bound < p), each computed over all outcomes, "
                f"the largest over p = i/{int(options['grid']) + 1} and over the sample sizes of the corpus"
            )
        else:
            if not 0 < margin < alpha:
                raise UsageError(f"margin lies between 0 and {alpha:g}, not {margin:g}")
            ends = ((">=", round(alpha - margin, 12)), ("<=", round(alpha + margin, 12)))
            thresholds = [
                Threshold(f"{side}_miss_rate", comparator, end, "fraction")
                for side in SIDES
                for comparator, end in ends
            ]
            decision = Decision(
                rule="interval",
                method="clopper-pearson",
                estimator="proportion",
                smallest_difference=float(options["delta"]),
                target="samples of the law of the registered corpus",
                group="record",
            )
            statement = f"Each bound misses the true mean {alpha:g} of the time, give or take {margin:g}."
            how = "share of simulated samples whose lower bound lies above the true mean, or whose upper bound below it"
        first, *rest = thresholds
        stated = [f"{t.metric} {t.comparator} {t.value:g}" for t in thresholds]
        return Claim(
            statement=statement,
            operationalization=how,
            h0="not (" + " and ".join(stated) + ")",
            h1=" and ".join(stated),
            threshold=first,
            decision=decision,
            co_primary=[CoPrimary(t, decision) for t in rest],
        )

    def arms(self, options: Mapping[str, JSON]) -> Sequence[str]:
        """One interval."""
        return ("main",)

    def strata(self, options: Mapping[str, JSON]) -> dict[str, Callable[[Record], bool]]:
        """Records whose truth the design can use."""
        design = _design(options)
        return {design: lambda record: all(label in record.labels for label in _NEEDS[design])}

    def observe(self, record: Record, result: CycleResult, roles: Mapping[str, JSON]) -> dict[str, JSON] | None:
        """The bounds, and what is known about the data."""
        known = {label: record.labels.get(label) for label in ("n", "k", "truth")}
        return {"lower": roles["lower"], "upper": roles["upper"], **known}

    def score(self, columns: Columns, options: Mapping[str, JSON]) -> Score:
        """Misses on each side: one row per size and proportion, or one per sample."""
        if _design(options) == "enumerated":
            tables = _cells(columns, int(options["grid"]))
            return Score(
                [
                    EstimatorCall(f"largest_{side}_miss_rate", "value", tables[side], {"statistic": "max"})
                    for side in SIDES
                ]
            )
        calls = []
        for side in SIDES:
            missed = [
                None if bound is None else int(bound > truth if side == "lower" else bound < truth)
                for bound, truth in zip(columns[side], columns["truth"], strict=True)
            ]
            table = {"value": missed, "status": columns["status"], "group": columns["group"]}
            calls += [EstimatorCall(f"{side}_miss_rate", "proportion", table)] * 2
        return Score(calls)

    def controls(self) -> Sequence[Control]:
        """Right intervals, and wrong ones; the enumerated design has no noise, so one seed is as good as ten."""
        good, bad = frozenset({"VALIDATED"}), frozenset({"REFUTED"})
        never = frozenset({"REFUTED", "INCONCLUSIVE"})
        simulated = {"design": "simulated"}
        samples = "simulated?family=normal&n=5&runs=10000&seed={seed}"

        def wrong(fault: str, kind: Any = "dumb", expect: frozenset[str] = never) -> tuple[Control, Control]:
            spec = f"estimator:wrong?fault={fault}"
            return (
                Control(f"{kind}-{fault}", kind, spec, expect),
                Control(f"{kind}-{fault}-simulated", kind, spec, expect, simulated, samples, 10_000),
            )

        return (
            Control("inside", "inside", "estimator:proportion", good),
            Control("inside-simulated", "inside", "estimator:mean", good, simulated, samples, 10_000),
            *wrong("z-for-t", "outside", bad),
            *wrong("two-sided-as-one-sided", "outside", bad),
            *wrong("lopsided", "outside", bad),
            *wrong("too-narrow", "outside", bad),
            *wrong("constant"),
            *wrong("random"),
            *wrong("echo"),
            Control("dumb-error", "dumb", "estimator:proportion?method=none-such", never),
        )


def _alpha(options: Mapping[str, JSON]) -> float:
    confidence = float(options["confidence"])
    if not 0.5 < confidence < 1:
        raise UsageError(f"confidence is one-sided, between 0.5 and 1, such as 0.95, not {confidence:g}")
    return round(1 - confidence, 12)


def _design(options: Mapping[str, JSON]) -> str:
    design = str(options["design"])
    if design not in _NEEDS:
        raise UsageError(f"design is {' or '.join(_NEEDS)}, not {design!r}")
    return design


def _pmf(n: int, p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Binomial probabilities, shape (len(p), n + 1)."""
    k = np.arange(n + 1)
    ways = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    probabilities = np.exp(ways + np.outer(np.log(p), k) + np.outer(np.log1p(-p), n - k))
    return np.asarray(probabilities, dtype=np.float64)


def _cells(columns: Columns, grid: int) -> dict[str, dict[str, list[JSON]]]:
    """Miss rates on each side, one row per sample size and true proportion; without every outcome, no value."""
    p = np.arange(1, grid + 1) / (grid + 1)
    outcomes: dict[int, dict[int, int]] = {}
    for i, (n, k) in enumerate(zip(columns["n"], columns["k"], strict=True)):
        outcomes.setdefault(n, {})[k] = i
    tables: dict[str, dict[str, list[JSON]]] = {side: {"value": [], "status": []} for side in SIDES}
    for n in sorted(outcomes):
        rows = [outcomes[n].get(k) for k in range(n + 1)]
        states = {"unmeasured" if i is None else columns["status"][i] for i in rows}
        status = "unmeasured" if "unmeasured" in states else "error" if "error" in states else "ok"
        for side in SIDES:
            rates: list[JSON] = [None] * grid
            if status == "ok":
                bounds = np.array([columns[side][i] for i in rows if i is not None], dtype=np.float64)
                misses = bounds > p[:, None] if side == "lower" else bounds < p[:, None]
                rates = (_pmf(n, p) * misses).sum(axis=1).tolist()
            tables[side]["value"] += rates
            tables[side]["status"] += [status] * grid
    return tables
