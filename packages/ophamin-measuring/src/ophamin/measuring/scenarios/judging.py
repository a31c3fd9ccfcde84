"""Results people already have, judged by the rules of a run; nothing was registered before them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ophamin.measuring.decision import ClaimDecision, decide_claim
from ophamin.measuring.scenarios._answers import same_answer
from ophamin.measuring.scenarios._metric_grammar import Part, parse_claim
from ophamin.measuring.scenarios.metric import ARMS, Metric
from ophamin.proof.errors import UsageError
from ophamin.proof.types import Claim, CoPrimary, Decision
from ophamin.protocols import Columns, EstimatorCall, Score
from ophamin.protocols.options import typed_options

__all__ = ["AFTER_DATA", "Judgement", "columns_asked", "judge"]

JSON = Any
AFTER_DATA = "after_data"
_STATUS = ("ok", "error", "unmeasured")
_TRUTHS = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}
_OWN = ("correct", "answer", "label", "status", "group", "arm", "baseline", "pair")


@dataclass(frozen=True)
class Judgement:
    """How a claim about existing results came out.

    Args:
        claim: The claim, in sentences, with the estimator of each part.
        decision: How each part came out.
        alpha: One-sided α it was decided at.
        design: ``one sample``, ``paired``, or ``two arms``.
        grouped: Whether rows were grouped into independent units.
        next: Sentence on the size of a new, registered run, or "".
        notes: What a reader has to know.
        timing: Always ``after_data``.
    """

    claim: Claim
    decision: ClaimDecision
    alpha: float
    design: str
    grouped: bool
    next: str
    notes: tuple[str, ...]
    timing: str = AFTER_DATA


def columns_asked(claim: str) -> tuple[list[str], list[str]]:
    """Roles the claim's metrics need, and all names a file may give.

    Raises:
        UsageError: The claim cannot be read.
    """
    parts = parse_claim(claim)
    roles = [p.role for p in parts if p.role]
    return roles, list(dict.fromkeys([*roles, *_OWN]))


def judge(columns: Columns, claim: str, *, alpha: float = 0.05, options: Mapping[str, JSON] | None = None) -> Judgement:
    """Decide a claim from a table of results.

    Columns: the ROLE of each metric; for ``accuracy`` either ``correct`` (true or false) or ``answer`` and ``label``;
    ``status`` (``ok``, ``error``, ``unmeasured``; default ok); ``group``, the independent unit; for a difference
    ``baseline`` (the other system's value in the same row), or ``arm`` (``base``, ``head``) and perhaps ``pair``. An
    empty cell is a failed cycle, never dropped.

    Args:
        columns: The table.
        claim: As for the scenario ``metric``, e.g. ``accuracy >= 0.9``.
        alpha: One-sided error rate of each bound.
        options: ``delta``, ``support``, ``method``, ``error_policy``, ``blocks`` as of the scenario ``metric``.

    Raises:
        UsageError: The claim cannot be read or decided, or a column it needs is missing or malformed.

    Example:
        >>> found = judge({"correct": [True] * 190 + [False] * 10}, "accuracy >= 0.9")
        >>> found.decision.outcome, found.timing
        ('VALIDATED', 'after_data')
    """
    if not 0 < alpha < 0.5:
        raise UsageError(f"alpha lies between 0 and 0.5, such as 0.05, not {alpha!r}")
    parts = parse_claim(claim)
    given = {"group": "auto" if "group" not in columns else "record", **(options or {}), "claim": claim}
    typed = typed_options("decide", Metric.options, given)
    design = _design(parts, columns)
    if design == "two arms":
        made, score = _two_arms(parts, columns, typed)
    else:
        made = Metric().claim(typed)
        score = Metric().score(_rows(parts, columns, paired=design == "paired"), typed)
    made = _at(made, alpha)
    decided = decide_claim(made, score, alpha=alpha, seed=0)
    grouped = "group" in columns
    return Judgement(made, decided, alpha, design, grouped, _next(decided, alpha), _notes(decided, grouped))


def _design(parts: Sequence[Part], columns: Columns) -> str:
    if not parts[0].difference:
        if "baseline" in columns:
            raise UsageError("a baseline is compared by a claim on a difference, such as accuracy_difference >= 0")
        return "one sample"
    if "baseline" in columns:
        if len(parts) > 1:
            raise UsageError("one baseline column answers one metric; judge the parts as claims of their own")
        return "paired"
    if "arm" not in columns:
        raise UsageError(
            "a difference needs the other system: --paired COLUMN for its value in the same row, or a column arm "
            "that says base or head"
        )
    strange = next((a for a in columns["arm"] if a not in ARMS), None)
    if any(a not in ARMS for a in columns["arm"]):
        raise UsageError(f"column 'arm' says base or head, not {strange!r}")
    return "two arms"


def _need(columns: Columns, name: str, why: str) -> Sequence[Any]:
    if name not in columns:
        raise UsageError(f"{why} needs a column {name!r}; name it by --column {name}=COLUMN")
    return columns[name]


def _truth(value: Any, name: str, row: int) -> bool | None:
    """A cell as true or false; ``None`` stays a failed cycle."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)) and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value.strip().lower() in _TRUTHS:
        return _TRUTHS[value.strip().lower()]
    raise UsageError(f"column {name!r} holds {value!r} in row {row + 1}; a share needs true or false, 1 or 0")


def _status(columns: Columns, count: int) -> list[str]:
    status = list(columns.get("status", ["ok"] * count))
    strange = next((s for s in status if s not in _STATUS), None)
    if any(s not in _STATUS for s in status):
        raise UsageError(f"column 'status' says {', '.join(_STATUS)}, not {strange!r}")
    return status


def _number(value: Any, name: str, row: int) -> Any:
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return value
    raise UsageError(f"column {name!r} holds {value!r} in row {row + 1}; a number is needed")


def _values(part: Part, columns: Columns) -> list[Any]:
    """One value a row: true or false for a share, else a number; ``None`` for a failed cycle."""
    if part.kind == "error_rate":
        _need(columns, "status", "error_rate")
        return [None if s == "unmeasured" else s == "error" for s in _status(columns, len(columns["status"]))]
    if part.kind == "accuracy":
        if "correct" in columns:
            return [_truth(v, "correct", i) for i, v in enumerate(columns["correct"])]
        if "answer" not in columns or "label" not in columns:
            raise UsageError(
                "accuracy needs a column correct (true or false), or answer and label; name them by --column "
                "correct=COLUMN"
            )
        pairs = zip(columns["answer"], columns["label"], strict=True)
        if any(label is None for label in columns["label"]):
            raise UsageError("column 'label' has empty cells; leave unlabelled rows out of the file")
        return [None if answer is None else same_answer(answer, label) for answer, label in pairs]
    column = _need(columns, part.role, part.metric)
    check = _truth if part.kind == "rate" else _number
    return [check(v, part.role, i) for i, v in enumerate(column)]


def _rows(parts: Sequence[Part], columns: Columns, *, paired: bool) -> dict[str, list[Any]]:
    """The table of a run of ``metric``, as its engine would have written it."""
    values = {id(part): _values(part, columns) for part in parts}
    count = len(values[id(parts[0])])
    status = _status(columns, count)
    table: dict[str, list[Any]] = {
        "status": status,
        "group": list(columns.get("group", [None] * count)),
        "record_id": [str(i) for i in range(count)],
        "arm": ["main"] * count,
        "answer": [None] * count,
        "truth": [True] * count,
    }
    for part in parts:
        if part.kind == "accuracy":
            table["answer"] = values[id(part)]
            # A row without an answer is a failed cycle, not a wrong answer.
            missing = [v is None and s == "ok" for v, s in zip(values[id(part)], status, strict=True)]
            table["status"] = ["error" if m else s for m, s in zip(missing, status, strict=True)]
        elif part.role:
            table[part.role] = values[id(part)]
    if not paired:
        return table
    (part,) = parts
    role = "answer" if part.kind == "accuracy" else part.role
    if part.kind == "error_rate":
        raise UsageError("error_rate has no baseline column; give both runs as rows with a column arm")
    check = _number if part.kind == "mean" else _truth
    base = [check(v, "baseline", i) for i, v in enumerate(columns["baseline"])]
    doubled = {name: [*column, *column] for name, column in table.items()}
    doubled["arm"] = [ARMS[1]] * count + [ARMS[0]] * count
    doubled[role] = [*table[role], *base]
    status = table["status"]
    doubled["status"] = [
        *status,
        *("error" if b is None and s == "ok" else s for b, s in zip(base, status, strict=True)),
    ]
    return doubled


def _two_arms(parts: Sequence[Part], columns: Columns, options: Mapping[str, JSON]) -> tuple[Claim, Score]:
    """Independent arms (or ones paired by a column ``pair``), each part by an estimator of differences."""
    claim = Metric().claim(options)
    calls, decisions = [], []
    for part, (_, decision) in zip(parts, claim.parts(), strict=True):
        grouped = "group" in columns or "pair" in columns
        name = "difference.newcombe" if part.proportion and not grouped else "difference.mean"
        if decision.method in ("clopper-pearson", "newcombe") and name == "difference.newcombe":
            name = f"difference.{decision.method}"
        values = [int(v) if isinstance(v, bool) else v for v in _values(part, columns)]
        status = ["ok"] * len(values) if part.kind == "error_rate" else _status(columns, len(values))
        if part.kind == "error_rate":
            status = ["unmeasured" if v is None else "ok" for v in values]
        table: dict[str, list[Any]] = {"value": values, "arm": list(columns["arm"]), "status": status}
        table |= {key: list(columns[key]) for key in ("group", "pair") if key in columns}
        support = _support(part, options) if name == "difference.mean" else None
        decisions.append(replace(decision, estimator=name, support=support))
        calls.append(EstimatorCall(part.metric, name, table))
    rest = [CoPrimary(c.threshold, d) for c, d in zip(claim.co_primary, decisions[1:], strict=True)]
    words = claim.operationalization.replace(", paired by record", "" if "pair" not in columns else ", paired")
    return replace(claim, decision=decisions[0], co_primary=rest, operationalization=words), Score(calls)


def _support(part: Part, options: Mapping[str, JSON]) -> tuple[float, float] | None:
    """Ends of one value, which the scenario has found to be well formed; it registers those of a difference."""
    if part.proportion:
        return (0.0, 1.0)
    given = options["support"]
    if given in (None, ""):
        return None
    low, high = given.split(",") if isinstance(given, str) else given
    return (float(low), float(high))


def _at(claim: Claim, alpha: float) -> Claim:
    def moved(decision: Decision) -> Decision:
        target = decision.target.replace("the registered corpus", "the file")
        return replace(decision, alpha=alpha, confidence=1 - alpha, target=target)

    rest = [CoPrimary(c.threshold, moved(c.decision)) for c in claim.co_primary]
    return replace(claim, decision=moved(claim.decision), co_primary=rest)


def _next(decided: ClaimDecision, alpha: float) -> str:
    """How large a new, registered run would have to be, after INCONCLUSIVE."""
    if decided.outcome != "INCONCLUSIVE" or len(decided.parts) > 1 or not decided.parts[0].n_used:
        return ""
    from ophamin.measuring.planning import how_many_more

    (part,) = decided.parts
    try:
        return how_many_more(part.threshold, part.decision, part.interval, alpha=alpha).note
    except UsageError:
        return ""  # the plan would need what only its owner knows, such as a standard deviation


def _notes(decided: ClaimDecision, grouped: bool) -> tuple[str, ...]:
    notes = [
        "nothing was registered before these results: the error rate holds only if the claim, its threshold and its "
        "rows were chosen without looking at them"
    ]
    if not grouped and not any("block" in (p.decision.group or "") for p in decided.parts):
        notes.append("each row was taken as independent; name the column of users, sessions or documents by --cluster")
    return tuple(notes)
