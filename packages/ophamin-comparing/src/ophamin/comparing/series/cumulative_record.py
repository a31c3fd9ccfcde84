"""A look at pooled commits as a signed record: ``cumulative/1.0``, for group ``ophamin.records``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from statistics import NormalDist
from typing import Any, cast

from ophamin.comparing._signed import time_problems
from ophamin.comparing.series.registering import spent
from ophamin.proof.decision import outcome
from ophamin.proof.kinds import Kind
from ophamin.proof.merkle import verify_inclusion
from ophamin.proof.types import Threshold
from ophamin.protocols import RecordKind

__all__ = ["CUMULATIVE", "check_cumulative", "cumulative_cases"]

JSON = Any
Object = Mapping[str, JSON]
_CLOSE = 1e-6


def check_cumulative(record: Object) -> list[str]:
    """Contradictions between the parts of a record; pooling, spending and verdict are computed again.

    Args:
        record: A record that fits its schema.

    Returns:
        One sentence each; empty when consistent.
    """
    return [*time_problems(record), *_registration(record["registration"]), *_points(record), *_result(record)]


def _near(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return a is b
    return math.isclose(a, b, rel_tol=_CLOSE, abs_tol=1e-9)


def _registration(said: Object) -> Iterator[str]:
    if not _near(said["alpha_used"], said["alpha"] / 2 ** (said["attempt"] - 1)):
        yield "its alpha is not that of its attempt"
    place = said["ledger"]
    if place["index"] != said["index"] or not verify_inclusion(
        place["leaf_hash"], place["index"], place["tree_size"], place["path"], place["root_hash"]
    ):
        yield "its registration does not lead to the stated root of the ledger"


def _points(record: Object) -> Iterator[str]:
    """Each step pools the commits up to it, and holds them to what it may spend."""
    said, points = record["registration"], record["points"]
    sizes = list(accumulate(p["n"] for p in points))
    sums = accumulate(p["n"] * (p["value"] - said["theta"]) for p in points)
    squares = accumulate((p["n"] * p["se"]) ** 2 for p in points)
    if len({p["proof_id"] for p in points}) < len(points):
        yield "a proof is pooled twice"
    if any(size >= said["max_n"] for size in sizes[:-1]):
        yield "commits are pooled beyond the registered maximum"
    before = 0.0
    for i, (point, size, top, square) in enumerate(zip(points, sizes, sums, squares, strict=True)):
        step = point["step"]
        if (step is not None) != record["result"]["one_truth"]:
            yield f"step {i}: commits are pooled under one truth, and only then"
        if step is None:
            continue
        fraction = size / said["max_n"]
        allowed = spent(said["spending"], fraction, said["alpha_used"])
        made = {
            "n": size, "value": said["theta"] + top / size, "se": math.sqrt(square) / size, "fraction": fraction,
            "spent": allowed,
        }  # fmt: skip
        if not all(_near(step[name], v) for name, v in made.items()):
            yield f"step {i}: it is not what the commits up to it make"
        elif not _held(step, allowed - before, before):
            yield f"step {i}: its interval is not what it may spend"
        before = allowed


def _held(step: Object, now: float, before: float) -> bool:
    """Whether boundary and interval belong together, and to what is spent here.

    The chance to be beyond the boundary of a step is at least what it spends, and at most that and all spent before;
    where between, only the integral over all paths says.
    """
    bound, bounds = step["boundary"], (step["lower"], step["upper"])
    if bound is None:
        return bounds == (None, None) and now < _CLOSE
    tail = NormalDist().cdf(-bound)
    return (
        (now / 2) * (1 - 1e-3) - 1e-12 <= tail <= (now / 2 + before) * (1 + 1e-3) + 1e-12
        and _near(bounds[0], step["value"] - bound * step["se"])
        and _near(bounds[1], step["value"] + bound * step["se"])
    )


def _result(record: Object) -> Iterator[str]:
    said, result, points = record["registration"], record["result"], record["points"]
    limit = said["drift_alpha"] / 2
    differ = any(p is not None and p <= limit for p in (result["heterogeneity_p"], result["change_p"]))
    if result["one_truth"] == differ or bool(result["reason"]) != differ:
        yield "whether the commits share one truth is not what the tests of drift say"
    threshold = Threshold(said["metric"], said["comparator"], said["theta"])
    if result["outcome"] != outcome(threshold, result["lower"], result["upper"]):
        yield "its outcome is not that of its interval"
    if not _near(result["fraction"], sum(p["n"] for p in points) / said["max_n"]):
        yield "its fraction is not that of its commits"
    if result["ended"] != (result["outcome"] != "INCONCLUSIVE" or result["fraction"] >= 1):
        yield "it ends where it is decided or the maximum is reached, and only there"
    crossed, step = _decisive([p["step"] for p in points], said["theta"])
    shown = [None if step is None else step[name] for name in ("value", "lower", "upper")]
    if crossed != result["crossed"] or not all(
        _near(result[name], v) for name, v in zip(("value", "lower", "upper"), shown, strict=True)
    ):
        yield "its interval is not that of the first step that leaves the threshold out, or of the last"


def _decisive(steps: Sequence[Object | None], theta: float) -> tuple[int | None, Object | None]:
    held = [(i, s) for i, s in enumerate(steps) if s is not None and s["boundary"] is not None]
    first = next(((i, s) for i, s in held if s["lower"] > theta or s["upper"] < theta), None)
    return first or (None, held[-1][1] if held else None)


def cumulative_cases(record: Object) -> list[dict[str, JSON]]:
    """One row: what the commits say together."""
    said, result = record["registration"], record["result"]
    name = f"{said['metric']} {said['comparator']} {said['theta']:g}"
    return [{"name": name, "outcome": result["outcome"], "message": sentence(record)}]


def sentence(record: Object) -> str:
    """What a look says, in one sentence."""
    said, result, n = record["registration"], record["result"], len(record["points"])
    where = f"look {said['look']}, {n} commit{'' if n == 1 else 's'}, {result['fraction']:.0%} of the maximum"
    if not result["one_truth"]:
        return f"not pooled, for {result['reason']} ({where})"
    if result["lower"] is None:
        return f"too early to say anything ({where})"
    interval = f"{result['value']:.6g} [{result['lower']:.6g}, {result['upper']:.6g}]"
    if result["crossed"] is not None:
        return f"decided at commit {result['crossed'] + 1}: {interval} ({where})"
    return f"{'undecided at the maximum' if result['ended'] else 'undecided'}: {interval} ({where})"


CUMULATIVE: RecordKind = cast(
    "RecordKind",
    Kind(
        name="cumulative",
        id_field="cumulative_id",
        version="cumulative/1.0",
        schemas={"cumulative/1.0": Path(__file__).parent / "schema" / "cumulative-1.0.json"},
        checker=check_cumulative,
        lister=cumulative_cases,
    ),
)
"""Commits pooled up to a registered maximum, ``cumulative/1.0``."""
