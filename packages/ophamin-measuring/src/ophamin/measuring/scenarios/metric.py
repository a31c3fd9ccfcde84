"""``metric``: a claim in words about what a system gives, decided from an interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ophamin.measuring.scenarios._answers import same_answer, truth_of
from ophamin.measuring.scenarios._blocks import blocks_of, check_blocks
from ophamin.measuring.scenarios._metric_grammar import Part, parse_claim
from ophamin.proof.errors import UsageError
from ophamin.proof.types import Claim, CoPrimary, Decision, Threshold
from ophamin.protocols import Columns, Control, CycleResult, EstimatorCall, OptionSpec, Record, Score

__all__ = ["Metric"]

JSON = Any
ARMS = ("base", "head")
_COSTS = frozenset({"latency_s", "cpu_s", "rss_bytes"})
_WORDS = {">=": "at least", ">": "more than", "<=": "at most", "<": "less than"}
_OPPOSITE = {">=": "<", ">": "<=", "<=": ">", "<": ">="}
_UNITS = {"latency_s": "s", "cpu_s": "s", "rss_bytes": "B"}
_MEANING = {
    "answer": "what the system answers, compared with the record's label",
    "latency_s": "seconds a cycle takes",
    "cpu_s": "CPU seconds a cycle takes",
    "rss_bytes": "resident memory in bytes",
}


class Metric:
    """Any claim about a share, a mean or a quantile of what a system gives, in one line.

    A claim is ``METRIC COMPARATOR VALUE``, such as ``accuracy >= 0.9`` or ``rate(blocked) <= 2%``; several are
    joined by ``and``, and then all must hold. Comparators are ``<=``, ``<``, ``>=`` and ``>``; a value is a plain
    number or a percentage. A ROLE is what the system gives: a key of its output, or what ``--field ROLE=PATH``
    points at; ``latency_s``, ``cpu_s`` and ``rss_bytes`` are measured from outside.

    ========================  =============================================================
    ``accuracy``              share of records answered with their label
    ``error_rate``            share of cycles that fail
    ``rate(ROLE)``            share of cycles whose ROLE is true
    ``mean(ROLE)``            mean of ROLE
    ``median(ROLE)``          middle value of ROLE
    ``p95(ROLE)``             quantile of ROLE, from ``p1`` to ``p99.9``
    ``quantile(ROLE, 0.95)``  the same, by its share
    ========================  =============================================================

    ``accuracy_difference``, ``error_rate_difference``, ``rate_difference(ROLE)`` and ``mean_difference(ROLE)``
    compare two systems, arm ``head`` minus arm ``base``, paired by record: give ``--substrate base=SPEC`` and
    ``--substrate head=SPEC``.

    Example:
        >>> claim = Metric().claim({**{k: o.default for k, o in Metric.options.items()}, "claim": "accuracy >= 0.9"})
        >>> claim.statement, claim.decision.estimator, claim.decision.smallest_difference
        ('The share of records answered with their label is at least 0.9.', 'proportion', 0.05)
    """

    name = "metric"
    tier = "engineering"
    goal = "A system meets a threshold its owner states in one line."
    options = {
        "claim": OptionSpec("", "METRIC COMPARATOR VALUE, such as 'accuracy >= 0.9', several joined by 'and'"),
        "delta": OptionSpec(
            None,
            "smallest difference worth knowing, one number or one for each part, joined by commas; default 0.05 for "
            "shares, 5 % of the support for means; for quantiles, in share of exceedances, 40 % of the rarer side "
            "up to 0.05 (0.02 for p95); a mean without a support needs it",
        ),
        "support": OptionSpec(None, "ends of one value of a mean, such as '0,1'; makes its interval guaranteed"),
        "method": OptionSpec("auto", "interval method of the estimator"),
        "group": OptionSpec(
            "auto", "independent unit: 'record' (its group, else identical input), 'block' (contiguous cycles), or auto"
        ),
        "blocks": OptionSpec(80, "contiguous blocks, where the unit is the block"),
        "error_policy": OptionSpec("bound", "bound, fail or exclude (then add 'and error_rate <= ε' to the claim)"),
    }
    observables: Mapping[str, str] = {}
    default_corpus = ""

    def roles(self, options: Mapping[str, JSON]) -> dict[str, str]:
        """Observables the claim speaks of.

        Raises:
            UsageError: The claim cannot be read.
        """
        asked = ["answer" if p.kind == "accuracy" else p.role for p in parse_claim(str(options["claim"]))]
        return {role: _MEANING.get(role, f"{role!r} as the claim means it") for role in asked if role}

    def kinds(self, options: Mapping[str, JSON]) -> dict[str, str]:
        """What each role has to be: true or false for a share, a number for a mean or a quantile."""
        parts = parse_claim(str(options["claim"]))
        numbers = {p.role: "number" for p in parts if p.kind in ("mean", "quantile")}
        return {**numbers, **{p.role: "truth" for p in parts if p.kind == "rate"}}

    strata_advice: Mapping[str, str] = {
        "labelled": "no record carries a label; add ?label=COLUMN to the corpus",
    }

    def strata(self, options: Mapping[str, JSON]) -> dict[str, Callable[[Record], bool]]:
        """Accuracy speaks of the records that have a label."""
        if any(p.kind == "accuracy" for p in parse_claim(str(options["claim"]))):
            return {"labelled": lambda record: truth_of(record.labels) is not None}
        return {}

    def arms(self, options: Mapping[str, JSON]) -> Sequence[str]:
        """Two for a difference, else one."""
        return ARMS if parse_claim(str(options["claim"]))[0].difference else ("main",)

    def claim(self, options: Mapping[str, JSON]) -> Claim:
        """The claim in sentences, with a decision for each part.

        Raises:
            UsageError: The claim, δ or the support cannot be read, or a mean has no δ.
        """
        parts = parse_claim(str(options["claim"]))
        check_blocks(int(options["blocks"]))
        deltas = _deltas(options["delta"], parts)
        pairs = [
            (Threshold(p.metric, p.comparator, p.value, _unit(p)), _decision(p, delta, options))
            for p, delta in zip(parts, deltas, strict=True)
        ]
        (threshold, decision), *rest = pairs
        statement = ", and ".join(f"{_noun(p)} is {_WORDS[p.comparator]} {p.value:g}" for p in parts)
        return Claim(
            statement=f"{statement[0].upper()}{statement[1:]}.",
            operationalization="; ".join(_measured(p, options) for p in parts),
            h0=" or ".join(f"{p.metric} {_OPPOSITE[p.comparator]} {p.value:g}" for p in parts),
            h1=" and ".join(f"{p.metric} {p.comparator} {p.value:g}" for p in parts),
            threshold=threshold,
            decision=decision,
            co_primary=[CoPrimary(t, d) for t, d in rest],
        )

    def observe(self, record: Record, result: CycleResult, roles: Mapping[str, JSON]) -> dict[str, JSON] | None:
        """What the cycle gave, and the right answer where the record has one."""
        return {**roles, "truth": truth_of(record.labels)}

    def score(self, columns: Columns, options: Mapping[str, JSON]) -> Score:
        """One call per part, over the rows in the order they ran."""
        calls = []
        for part in parse_claim(str(options["claim"])):
            table = _paired(part, columns) if part.difference else _rows(part, columns)
            if _by_block(part, options):
                table["group"] = blocks_of(len(table["value"]), int(options["blocks"]))
            extra = {} if part.q is None or part.difference else {"q": part.q}
            calls.append(EstimatorCall(part.metric, _estimator(part), table, extra))
        return Score(calls)

    def controls(self) -> Sequence[Control]:
        """Truths dialled into the mock on generated stimuli: a share, and a mean for good measure."""
        good, bad = frozenset({"VALIDATED"}), frozenset({"REFUTED"})
        never, open_ = frozenset({"REFUTED", "INCONCLUSIVE"}), frozenset({"VALIDATED", "REFUTED", "INCONCLUSIVE"})
        share = {"claim": "accuracy >= 0.8"}
        mean = {"claim": "mean(value) <= 0.5", "delta": 0.05, "support": "0,1"}
        corpus = "simulated?family=stimuli&n=800"

        def control(name: str, kind: Any, substrate: str, expect: frozenset[str], options: Mapping[str, JSON] = share,
                    why: str = "") -> Control:  # fmt: skip
            return Control(name, kind, substrate, expect, options, corpus, 400, why)

        return (
            control("inside", "inside", "mock?seed={seed}&correct=0.9", good),
            control("outside", "outside", "mock?seed={seed}&correct=0.7", bad),
            control("inside-mean", "inside", "mock?seed={seed}&bernoulli=0.4", good, mean),
            control("outside-mean", "outside", "mock?seed={seed}&bernoulli=0.6", bad, mean),
            control("dumb-constant", "dumb", "mock?mode=constant", never),
            control("dumb-random", "dumb", "mock?seed={seed}&mode=random", never),
            control("dumb-echo", "dumb", "mock?mode=echo", never),
            control("dumb-error", "dumb", "mock?mode=error", never),
            control("boundary", "boundary", "mock?seed={seed}&correct=0.8", open_),
        )


def _unit(part: Part) -> str:
    return "fraction" if part.proportion else _UNITS.get(part.role, "")


def _noun(part: Part) -> str:
    noun = {
        "accuracy": "the share of records answered with their label",
        "error_rate": "the share of cycles that fail",
        "rate": f"the share of cycles whose {part.role} is true",
        "mean": f"the mean of {part.role}",
        "quantile": f"the {100 * (part.q or 0):g} % quantile of {part.role}",
    }[part.kind]
    return f"the difference head − base in {noun}" if part.difference else noun


def _measured(part: Part, options: Mapping[str, JSON]) -> str:
    unit = "one of contiguous blocks of cycles" if _by_block(part, options) else "the record's group or identical input"
    paired = ", paired by record" if part.difference else ""
    return f"{part.metric}: {_noun(part)}{paired}; independent unit: {unit}"


def _by_block(part: Part, options: Mapping[str, JSON]) -> bool:
    group = options["group"]
    if group not in ("auto", "record", "block"):
        raise UsageError(f"group is auto, record or block, not {group!r}")
    # Costs of cycles in one process depend on each other, whatever the records are.
    return bool(group == "block" or (group == "auto" and part.role in _COSTS))


def _estimator(part: Part) -> str:
    if part.difference:
        return "mean"
    return "proportion" if part.proportion else part.kind


def _support(part: Part, options: Mapping[str, JSON]) -> tuple[float, float] | None:
    """Ends of one row's value, where the estimator is the mean."""
    if part.proportion:
        return (-1.0, 1.0) if part.difference else None
    if part.kind != "mean" or options["support"] in (None, ""):
        return None
    given = options["support"]
    pieces = given.split(",") if isinstance(given, str) else given
    try:
        low, high = (float(p) for p in pieces)
    except (TypeError, ValueError):
        raise UsageError(f"the support is two numbers, such as '0,1', not {given!r}") from None
    if not low < high or not (math.isfinite(low) and math.isfinite(high)):
        raise UsageError(f"the support is LOW,HIGH with LOW < HIGH, both finite, not {given!r}")
    return (low - high, high - low) if part.difference else (low, high)


def _deltas(given: JSON, parts: Sequence[Part]) -> list[float | None]:
    if given in (None, ""):
        return [None] * len(parts)
    pieces = given.split(",") if isinstance(given, str) else given if isinstance(given, (list, tuple)) else [given]
    try:
        deltas = [float(p) for p in pieces]
    except (TypeError, ValueError):
        raise UsageError(f"delta is a number greater than 0, such as 0.05, not {given!r}") from None
    if len(deltas) == 1:
        deltas *= len(parts)
    if len(deltas) != len(parts) or not all(d > 0 and math.isfinite(d) for d in deltas):
        raise UsageError(
            f"delta is one number greater than 0, or one for each of the {len(parts)} parts, not {given!r}"
        )
    return list(deltas)


def _decision(part: Part, delta: float | None, options: Mapping[str, JSON]) -> Decision:
    support, method = _support(part, options), str(options["method"])
    if method in ("betting", "empirical-bernstein") and _estimator(part) == "mean" and support is None:
        raise UsageError(f"{part.metric}: {method} needs the ends of one value, --set support=LOW,HIGH")
    if delta is None:
        if part.proportion:
            delta = 0.05
        elif part.q is not None:
            delta = min(0.05, round(0.4 * min(part.q, 1 - part.q), 12))
        elif support is not None:
            delta = 0.05 * (support[1] - support[0])
        else:
            raise UsageError(
                f"{part.metric}: say which difference is worth knowing, --set delta=…, or the ends of one value, "
                "--set support=LOW,HIGH; nobody else knows the scale"
            )
    return Decision(
        rule="interval",
        method=method,
        estimator=_estimator(part),
        error_policy=str(options["error_policy"]),
        support=support,
        smallest_difference=delta,
        target=f"the {'labelled ' if part.kind == 'accuracy' else ''}records of the registered corpus",
        group="block" if _by_block(part, options) else "record",
    )


def _value(part: Part, columns: Columns, i: int) -> tuple[JSON, str]:
    """Value and status of one row for this metric."""
    status = columns["status"][i]
    if part.kind == "error_rate":
        # Failing is what is measured here, so a failed cycle has a value like any other.
        return (None, status) if status == "unmeasured" else (int(status == "error"), "ok")
    if status != "ok":
        return None, status
    if part.kind == "accuracy":
        return int(same_answer(columns["answer"][i], columns["truth"][i])), status
    return columns[part.role][i], status


def _rows(part: Part, columns: Columns) -> dict[str, list[JSON]]:
    keep = [i for i in range(len(columns["status"])) if part.kind != "accuracy" or columns["truth"][i] is not None]
    values = [_value(part, columns, i) for i in keep]
    return {
        "value": [v for v, _ in values],
        "status": [s for _, s in values],
        "group": [columns["group"][i] for i in keep],
    }


def _paired(part: Part, columns: Columns) -> dict[str, list[JSON]]:
    """Head − base for each record, in the order the records first ran."""
    by_record: dict[str, dict[str, int]] = {}
    for i, (record, arm) in enumerate(zip(columns["record_id"], columns["arm"], strict=True)):
        by_record.setdefault(record, {})[arm] = i
    table: dict[str, list[JSON]] = {"value": [], "status": [], "group": []}
    for rows in by_record.values():
        if part.kind == "accuracy" and columns["truth"][rows[ARMS[0]]] is None:
            continue
        (base, base_status), (head, head_status) = (_value(part, columns, rows[arm]) for arm in ARMS)
        both = {base_status, head_status}
        table["status"].append("unmeasured" if "unmeasured" in both else "error" if "error" in both else "ok")
        table["value"].append(None if base is None or head is None else head - base)
        table["group"].append(columns["group"][rows[ARMS[0]]])
    return table
