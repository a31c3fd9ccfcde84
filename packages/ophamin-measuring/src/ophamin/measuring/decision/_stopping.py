"""Which thresholds may be decided sequentially, and by which method."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from ophamin.proof.errors import UsageError
from ophamin.proof.types import Decision, Threshold

__all__ = ["GROUP_SEQUENTIAL", "Looks", "check_stopping", "looks_of", "process_of"]

GROUP_SEQUENTIAL = "group-sequential"
_SPENDING = ("obrien-fleming", "pocock")
_PROCESSES: Mapping[str, tuple[str, ...]] = {
    # The first is what ``auto`` means.
    "proportion": ("mixture-sprt", "likelihood-ratio", "betting"),
    "quantile": ("mixture-sprt", "likelihood-ratio"),
    "mean": ("betting",),
}


@dataclass(frozen=True)
class Looks:
    """When a group-sequential rule looks.

    Args:
        n: Units at each look, rising; the last is the maximum.
        spending: How α is spent over them: ``obrien-fleming`` or ``pocock``.
    """

    n: tuple[int, ...]
    spending: str = "obrien-fleming"


def looks_of(decision: Decision) -> Looks | None:
    """The registered looks of ``group-sequential:50,100,200?spending=pocock``; ``None`` for any other method.

    Raises:
        UsageError: They cannot be read.

    Example:
        >>> looks_of(Decision(rule="sequential", method="group-sequential:50,100"))
        Looks(n=(50, 100), spending='obrien-fleming')
    """
    name, _, rest = decision.method.partition(":")
    if name != GROUP_SEQUENTIAL:
        return None
    listed, _, options = rest.partition("?")
    spending = options.removeprefix("spending=") if options else _SPENDING[0]
    try:
        n = tuple(int(piece) for piece in listed.split(","))
    except ValueError:
        n = ()
    if not n or n[0] < 1 or any(a >= b for a, b in pairwise(n)):
        raise UsageError(f"looks are rising numbers of units, such as looks=50,100,200, not {listed!r}")
    if spending not in _SPENDING:
        raise UsageError(f"alpha is spent by {' or '.join(_SPENDING)}, not {spending!r}")
    return Looks(n, spending)


def process_of(decision: Decision) -> str:
    """Name of the test process that decides, where no looks are registered.

    Raises:
        UsageError: The estimator has no such process.
    """
    known = _PROCESSES.get(decision.estimator, ())
    method = decision.method or "auto"
    if known and method == "auto":
        return known[0]
    if method not in known:
        names = ", ".join(("auto", *known, f"{GROUP_SEQUENTIAL}:N,N,…"))
        raise UsageError(
            f"no sequential method for the estimator {decision.estimator!r} is called {method!r}; use {names}"
        )
    return method


def check_stopping(threshold: Threshold, decision: Decision) -> None:
    """Refuse a threshold that cannot be decided while its cycles run.

    Raises:
        UsageError: One sentence that says what to change.
    """
    name = str(threshold)
    if decision.estimator not in _PROCESSES:
        raise UsageError(
            f"{name!r} cannot be stopped early: rule sequential decides proportions, means between two known ends and "
            f"quantiles, and this one is by the estimator {decision.estimator!r}; use rule interval"
        )
    if decision.group == "block":
        raise UsageError(
            f"{name!r} cannot be stopped early: its units are contiguous blocks, whose length is known at the end "
            "only; use rule interval"
        )
    if decision.error_policy != "bound":
        raise UsageError(
            f"{name!r}: under rule sequential errors count by bound, not by {decision.error_policy!r}; leave the "
            "error policy at bound"
        )
    if decision.smallest_difference is None:
        raise UsageError(f"{name!r}: rule sequential is built for a smallest difference worth knowing; register one")
    if looks_of(decision) is not None:
        return
    process_of(decision)
    ends = decision.support or ()
    bounded = len(ends) == 2 and all(end is not None and math.isfinite(end) for end in ends)
    if decision.estimator == "mean" and not bounded:
        raise UsageError(
            f"{name!r} cannot be stopped early without the ends of one value; say them (--set support=LOW,HIGH), or "
            "register when to look (--set looks=50,100,200)"
        )
