"""Claims that make no sense as registered are refused before anything runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from ophamin.measuring.decision._stopping import check_stopping
from ophamin.proof.errors import UsageError
from ophamin.proof.types import Claim, Decision, Threshold
from ophamin.registry import estimators

__all__ = ["check_claim", "check_part"]

_SHOWN_ONLY = {"wilson", "agresti-coull", "jeffreys", "hpd"}
_RATES = {
    "proportion": (0.0, 1.0),
    "calibration-error": (0.0, 1.0),
    "brier-skill": (-1.0, 0.25),
    "difference.newcombe": (-1.0, 1.0),
    "difference.clopper-pearson": (-1.0, 1.0),
    "correlation": (-1.0, 1.0),
    "tost": (0.0, math.inf),
}


def _range(decision: Decision) -> tuple[float, float]:
    if decision.estimator == "mean" and decision.support is not None:
        low, high = decision.support
        return -math.inf if low is None else low, math.inf if high is None else high
    if decision.estimator == "difference.mean" and decision.support is not None:
        low, high = decision.support
        if low is not None and high is not None:
            return low - high, high - low
    return _RATES.get(decision.estimator, (-math.inf, math.inf))


class _NoRows(Mapping[str, Any]):
    """A table that has every column and no row: an estimator sees its options and nothing else."""

    def __getitem__(self, name: str) -> tuple[()]:
        return ()

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _check_method(threshold: Threshold, decision: Decision) -> None:
    """Let the estimator refuse a method it does not know, before a run finds out."""
    if not decision.estimator or not decision.method or decision.rule == "sequential":
        return
    try:
        estimators.get(decision.estimator)(_NoRows(), confidence=0.95, seed=0, method=decision.method)
    except UsageError as error:
        raise UsageError(f"'{threshold}': {error}") from None
    except Exception:  # noqa: BLE001 - a foreign estimator may need more than a method, or a row: the run will tell
        return


def check_part(threshold: Threshold, decision: Decision) -> None:
    """Refuse a threshold that its decision cannot answer.

    Raises:
        UsageError: One sentence that says what to change.
    """
    name = str(threshold)
    if decision.rule not in ("interval", "sequential", "exact"):
        why = "it only reads old records" if decision.rule == "point" else "there is no such rule"
        raise UsageError(f"{name!r} cannot be decided by rule {decision.rule!r} here: {why}; use interval or exact")
    if decision.error_policy not in ("bound", "fail", "exclude"):
        raise UsageError(f"{name!r}: the error policy is bound, fail or exclude, not {decision.error_policy!r}")
    if not 0 < decision.alpha < 0.5:
        raise UsageError(f"{name!r}: alpha lies between 0 and 0.5, such as 0.05, not {decision.alpha!r}")
    if decision.smallest_difference is not None and not decision.smallest_difference > 0:
        raise UsageError(f"{name!r}: the smallest difference worth knowing is greater than 0")
    if decision.rule == "exact":
        if isinstance(threshold.value, float) and threshold.comparator == "==":
            raise UsageError(f"{name!r}: '==' takes integers and strings; write a float as >= θ−δ and <= θ+δ")
        if isinstance(threshold.value, str) and threshold.comparator != "==":
            raise UsageError(f"{name!r}: text has no order; use ==")
        return
    if threshold.comparator not in ("<=", "<", ">=", ">"):
        raise UsageError(f"{name!r}: write '== θ' as >= θ−δ and <= θ+δ, or measure the whole target (rule exact)")
    value = threshold.value
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        raise UsageError(f"{name!r}: an interval is compared with a finite number")
    if decision.method in _SHOWN_ONLY:
        raise UsageError(f"{name!r}: {decision.method} is right only two-sided and never decides; use clopper-pearson")
    low, high = _range(decision)
    # A bound from a finite sample never reaches the end of the range from inside.
    impossible = {
        ">=": value >= high, ">": value >= high, "<=": value <= low, "<": value <= low,
    }[threshold.comparator]  # fmt: skip
    if impossible:
        raise UsageError(
            f"no sample can validate {name!r}: the value lies between {low:g} and {high:g}; "
            "move the threshold inside, or measure the whole target (rule exact)"
        )
    if decision.rule == "sequential":
        check_stopping(threshold, decision)


def check_claim(claim: Claim) -> None:
    """Refuse a claim whose decisions cannot answer it; called before planning and before deciding.

    Raises:
        UsageError: An impossible threshold (``accuracy >= 1``), a method that is unknown or never decides, ``==``
            under an interval, or errors excluded without a co-primary ``error_rate <= ε``.
    """
    parts = claim.parts()
    for threshold, decision in parts:
        check_part(threshold, decision)
        _check_method(threshold, decision)
    limited = any(t.metric == "error_rate" and t.comparator in ("<=", "<") for t, _ in parts)
    for threshold, decision in parts:
        if decision.error_policy == "exclude" and not limited:
            raise UsageError(
                f"'{threshold}' leaves errors out, so the claim also needs a co-primary error_rate <= ε; "
                "otherwise a system passes by failing on what is hard"
            )
