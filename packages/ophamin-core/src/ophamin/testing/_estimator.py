"""The contract of an estimator."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ophamin.proof.errors import UsageError
from ophamin.protocols import Columns, Estimate, Estimator
from ophamin.testing._values import assert_columns, assert_installed, assert_json, attempt, is_number, snapshot

__all__ = ["check_estimator"]


def check_estimator(
    fn: Estimator, columns: Columns, *, options: Mapping[str, Any] | None = None, seed: int = 5
) -> None:
    """Check that an estimator is honest about what it cannot say, and repeatable.

    Args:
        fn: The estimator.
        columns: A table it can estimate from, with ``value``, ``status`` and what else it asks for.
        options: Options of every call.
        seed: Seed of every call.

    Raises:
        AssertionError: With a sentence on what is wrong.
    """
    options, before = dict(options or {}), snapshot(columns)
    rows = assert_columns(columns, "the example")
    narrow = fn(columns, confidence=0.9, seed=seed, **options)
    _check_estimate(narrow, "the estimate")
    assert not narrow.problem, f"it cannot estimate from the example: {narrow.problem}"
    assert narrow.value is not None, "it gave no value for the example"
    assert narrow.n <= rows, f"it used {narrow.n} observations of {rows} rows"
    assert columns == before, "the estimator changed its columns"
    assert fn(columns, confidence=0.9, seed=seed, **options) == narrow, "the same seed gave another estimate"

    wide = fn(columns, confidence=0.99, seed=seed, **options)
    _check_estimate(wide, "the estimate at confidence 0.99")
    if wide.lower is not None and narrow.lower is not None:
        assert wide.lower <= narrow.lower, "more confidence must not raise the lower bound"
    if wide.upper is not None and narrow.upper is not None:
        assert wide.upper >= narrow.upper, "more confidence must not lower the upper bound"

    _check_unable(fn, {name: [] for name in columns}, "an empty table", options, seed)
    failed = {**columns, "value": [None] * rows, "status": ["error"] * rows}
    estimate = _call(fn, failed, "a table of errors", options, seed)
    if estimate is not None:
        _check_estimate(estimate, "the estimate from errors only")
    unmeasured = {**columns, "value": [None] * rows, "status": ["unmeasured"] * rows}
    estimate = _call(fn, unmeasured, "a table of unmeasured cycles", options, seed)
    if estimate is not None:
        _check_estimate(estimate, "the estimate from unmeasured cycles only")
        decided = estimate.value is not None and estimate.lower == estimate.upper and not estimate.problem
        assert not decided, "nothing was measured, yet it knows the value exactly"
    if rows and "value" in columns:
        odd = {**columns, "value": [float("nan"), *list(columns["value"])[1:]]}
        estimate = _call(fn, odd, "a table with a NaN", options, seed)
        if estimate is not None:
            _check_estimate(estimate, "the estimate with a NaN among its values")


def _call(fn: Estimator, columns: Columns, what: str, options: Mapping[str, Any], seed: int) -> Estimate | None:
    """The estimate, or ``None`` when it refuses in its own words; anything else it raises is a fault."""
    call = partial(fn, columns, confidence=0.95, seed=seed, **options)
    return attempt(call, UsageError, f"the estimate from {what}")[0]


def _check_unable(fn: Estimator, columns: Columns, what: str, options: Mapping[str, Any], seed: int) -> None:
    estimate = _call(fn, columns, what, options, seed)
    assert estimate is not None, f"from {what} it must say its problem in the estimate, not raise"
    _check_estimate(estimate, f"the estimate from {what}")
    assert estimate.value is None, f"from {what} it makes up the value {estimate.value}"
    assert estimate.n == 0, f"from {what} it says it used {estimate.n} observations"
    bounded = estimate.lower is not None or estimate.upper is not None
    assert estimate.problem or not bounded, f"from {what} it gives bounds and names no problem"


def _check_estimate(estimate: Estimate, what: str) -> None:
    assert isinstance(estimate, Estimate), f"{what} is a {type(estimate).__name__}, not an Estimate"
    for name in ("value", "lower", "upper", "p_validated", "p_refuted"):
        number = getattr(estimate, name)
        assert number is None or is_number(number), f"{what}: {name} is {number!r}; a finite number or None"
    low, value, high = estimate.lower, estimate.value, estimate.upper
    if low is not None and high is not None and not estimate.problem:
        assert low <= high, f"{what} has its lower bound {low} above its upper {high}"
    for p in (estimate.p_validated, estimate.p_refuted):
        assert p is None or 0 <= p <= 1, f"{what} has the p-value {p}"
    assert isinstance(estimate.n, int), f"{what}: n is {estimate.n!r}"
    assert estimate.n >= 0, f"{what}: n is {estimate.n}"
    groups = estimate.n_groups
    assert groups is None or 0 <= groups <= estimate.n, f"{what} has {groups} groups in {estimate.n} observations"
    assert estimate.method, f"{what} names no method"
    assert estimate.guarantee in ("guaranteed", "approximate"), f"{what} has the guarantee {estimate.guarantee!r}"
    assert_installed(estimate.library, estimate.version, what)
    assert_json(estimate, what)
    if value is None:
        assert estimate.problem, f"{what} has no value and does not say why"
