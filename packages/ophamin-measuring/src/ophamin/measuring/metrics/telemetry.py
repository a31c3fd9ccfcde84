"""Tier 1: counters, gauges and timers."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ophamin.proof.errors import UsageError

__all__ = ["Telemetry", "flat_name", "flattened"]

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def flat_name(name: str) -> str:
    """The name, when it is flat: lower-case letters, digits and underscores.

    Raises:
        UsageError: Another name.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"a metric's name is of lower-case letters, digits and underscores, not {name!r}")
    return name


def flattened(name: str) -> str:
    """The flat name of any name: what is no letter or digit becomes one underscore.

    Example:
        >>> flattened("Scores[0].Log-Prob"), flattened("2nd")
        ('scores_0_log_prob', 'n_2nd')
    """
    flat = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    return flat if flat[:1].isalpha() else f"n_{flat}".rstrip("_")


class Telemetry:
    """Counters that only grow, gauges that hold the last value, timers that add up seconds.

    A name has one kind. Counters are named ``…_total``, timers give ``…_s_sum``, ``…_s_count`` and ``…_s_max``.

    Example:
        >>> t = Telemetry()
        >>> t.count("errors"); t.count("errors", 2); t.gauge("queue", 7)
        >>> t.snapshot()
        {'errors_total': 3.0, 'queue': 7.0}
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._kinds: dict[str, str] = {}
        self._counters: dict[str, float] = {}
        self._gauges: dict[str, float] = {}
        self._timers: dict[str, tuple[float, int, float]] = {}

    def _claim(self, name: str, kind: str) -> str:
        if self._kinds.setdefault(flat_name(name), kind) != kind:
            raise UsageError(f"{name!r} is a {self._kinds[name]} already, not a {kind}")
        return name

    def count(self, name: str, by: float = 1.0) -> None:
        """Add to a counter.

        Raises:
            UsageError: A step below 0 or not finite, or a name that is no counter.
        """
        if not (by >= 0 and math.isfinite(by)):
            raise UsageError(f"a counter grows by a finite step from 0 up, not {by!r}")
        self._claim(name, "counter")
        self._counters[name] = self._counters.get(name, 0.0) + by

    def gauge(self, name: str, value: float) -> None:
        """Set a gauge.

        Raises:
            UsageError: A value that is not finite, or a name that is no gauge.
        """
        if not math.isfinite(value):
            raise UsageError(f"a gauge holds a finite number, not {value!r}; leave it unset where there is none")
        self._gauges[self._claim(name, "gauge")] = float(value)

    def observe(self, name: str, seconds: float) -> None:
        """Add a duration to a timer.

        Raises:
            UsageError: A duration below 0 or not finite, or a name that is no timer.
        """
        if not (seconds >= 0 and math.isfinite(seconds)):
            raise UsageError(f"a duration is finite and at least 0, not {seconds!r}")
        total, times, most = self._timers.get(self._claim(name, "timer"), (0.0, 0, 0.0))
        self._timers[name] = (total + seconds, times + 1, max(most, seconds))

    @contextmanager
    def timer(self, name: str) -> Iterator[None]:
        """Time a block, also one that raises."""
        began = self._clock()
        try:
            yield
        finally:
            self.observe(name, self._clock() - began)

    def snapshot(self) -> dict[str, float]:
        """All values now, by flat name, in order."""
        values = {f"{name}_total": value for name, value in self._counters.items()} | dict(self._gauges)
        for name, (total, times, most) in self._timers.items():
            values |= {f"{name}_s_sum": total, f"{name}_s_count": float(times), f"{name}_s_max": most}
        return dict(sorted(values.items()))
