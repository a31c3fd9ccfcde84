"""``estimator:NAME``: one of the tool's own intervals, put to the test like any other system."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ophamin import registry
from ophamin.proof.canonical import digest
from ophamin.proof.errors import UsageError
from ophamin.protocols import CycleResult, Record, SubstrateIdentity

__all__ = ["EstimatorSubstrate"]

JSON = Any
WRONG = "wrong"


class EstimatorSubstrate:
    """An interval as a system: a table comes in, two bounds go out.

    The payload is a mapping of columns, such as ``{"value": [1, 0, 1]}``; the output is
    ``{"value", "lower", "upper", "method"}``. A bound that an estimator does not give is as far out as a float goes.

    Args:
        arg: Name in group ``ophamin.estimators``, or ``wrong``.
        confidence: One-sided confidence of each bound.
        method: Interval method; "" leaves it to the estimator.
        support: Ends of one value, ``LOW,HIGH``.
        q: Which quantile.
        fault: With ``wrong``: what is wrong with it; see ``_wrong_intervals``.

    Example:
        >>> system = EstimatorSubstrate("proportion")
        >>> [result] = system.run_batch([Record("a", {"value": [1] * 9 + [0]})], seed=0, timeout_s=1)
        >>> round(result.output["lower"], 3), round(result.output["upper"], 3)
        (0.606, 0.995)
    """

    fields: Mapping[str, str] = {}

    def __init__(
        self,
        arg: str = "",
        *,
        confidence: str | float = 0.95,
        method: str = "",
        support: str = "",
        q: str = "",
        fault: str = "",
    ) -> None:
        if not arg:
            known = ", ".join(registry.estimators.names())
            raise UsageError(f"name an estimator, such as estimator:proportion; installed: {known}")
        self._name, self._confidence, self._fault = arg, _number("confidence", confidence), fault
        if not 0.5 < self._confidence < 1:
            raise UsageError(f"confidence={confidence}: one-sided, between 0.5 and 1, such as 0.95")
        if arg == WRONG or fault:
            # Here, because it brings in scipy, and a list of substrates loads this module.
            from ophamin.measuring.scenarios._wrong_intervals import FAULTS, wrong_interval

            if arg != WRONG or fault not in FAULTS:
                raise UsageError(f"a wrong interval is estimator:wrong?fault=…, one of {', '.join(FAULTS)}")
            self._wrong = wrong_interval
        self._options: dict[str, JSON] = {}
        if method:
            self._options["method"] = method
        if support:
            self._options["support"] = [_number("support", end) for end in support.split(",")]
        if q:
            self._options["q"] = _number("q", q)
        self._estimate = None if fault else registry.estimators.get(arg)
        origin = registry.substrates.origin("estimator") if fault else registry.estimators.origin(arg)
        known_by = {"name": arg, "confidence": self._confidence, "options": self._options, "fault": fault}
        # The name tells one interval from another where attempts are counted, so it holds what makes it.
        made = {"confidence": self._confidence, **self._options, **({"fault": fault} if fault else {})}
        name = f"{arg} ({', '.join(f'{k} {v}' for k, v in made.items())})"
        self._identity = SubstrateIdentity("estimator", name, digest(known_by), origin)

    def identity(self) -> SubstrateIdentity:
        """The estimator, its options hashed, and the distribution it comes from."""
        return self._identity

    def reset(self, seed: int) -> None:
        """Nothing to reset: an estimate depends on its data and the seed of the cycle."""

    def run_batch(self, records: Sequence[Record], *, seed: int, timeout_s: float) -> Iterator[CycleResult]:
        """One interval per record, in order; data it cannot answer are an error of that cycle."""
        for index, record in enumerate(records):
            begin = time.perf_counter()
            output, error = self._answer(record, seed)
            took = time.perf_counter() - begin
            yield CycleResult(index, record.id, "", "error" if error else "ok", output, error or None, took)

    def _answer(self, record: Record, seed: int) -> tuple[JSON, str]:
        columns = record.payload
        if not isinstance(columns, Mapping) or "value" not in columns:
            return None, "an estimator takes a table, such as {'value': [1, 0, 1]}; use corpus simulated"
        if self._estimate is None:
            lower, upper = self._wrong(self._fault, columns["value"], 1 - self._confidence)
            return {"value": None, "lower": lower, "upper": upper, "method": self._fault}, ""
        try:
            found = self._estimate(columns, confidence=self._confidence, seed=seed, **self._options)
        except Exception as error:  # noqa: BLE001 - a foreign estimator; whatever it raises, it gave no interval
            return None, f"{type(error).__name__}: {error}"
        # Some intervals are shown and never decide; their bounds can be put to the test all the same.
        if found.problem and found.lower is None and found.upper is None:
            return None, found.problem
        far = sys.float_info.max
        lower = -far if found.lower is None else float(found.lower)
        upper = far if found.upper is None else float(found.upper)
        return {"value": found.value, "lower": lower, "upper": upper, "method": found.method}, ""

    def processes(self) -> list[int]:
        """None: it runs in this process."""
        return []

    def close(self) -> None:
        """Nothing to release."""


def _number(name: str, text: str | float) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{name}={text}: a number is needed") from None
