"""``costs``: a system whose time and memory are known, to try claims about cost on."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from random import Random
from typing import Any

from ophamin.proof.canonical import digest
from ophamin.proof.errors import UsageError
from ophamin.protocols import CycleResult, Record, SubstrateIdentity

__all__ = ["CostSubstrate"]

JSON = Any
MODES = ("model", "constant", "random", "echo", "error")
_BASE_BYTES = 20_000_000.0


class CostSubstrate:
    """A system that takes a power of its input's size in time, and keeps so many bytes a cycle.

    ===============  =======  ==================================================================================
    knob             default  meaning
    ===============  =======  ==================================================================================
    seed                      fixes every draw; without it ``reset(seed)`` does
    mode             model    ``model`` obeys the knobs; ``constant``, ``echo``: no time, nothing kept; ``random``:
                              as long for every size; ``error`` always fails
    unit_s           0        a cycle takes ``unit_s · size^exponent`` seconds
    exponent         1        see ``unit_s``
    top_exponent              the exponent above ``knee``
    knee             0        see ``top_exponent``
    empty_s          0        seconds of every call, whatever its size
    noise            0        standard deviation of the logarithm of a cycle's time
    leak_bytes       0        bytes kept by every cycle
    leak_sd          0        standard deviation of that between processes (between resets)
    clock            real     ``real`` sleeps and allocates; ``virtual`` states ``latency_s`` and ``rss_bytes``
    ===============  =======  ==================================================================================

    The size is the record's label ``size``, or the length of its payload.

    Example:
        >>> system = CostSubstrate(unit_s="0.001", exponent="2", clock="virtual")
        >>> [result] = system.run_batch([Record("a", "four")], seed=0, timeout_s=1)
        >>> round(result.wall_s, 6)
        0.016
    """

    def __init__(
        self,
        arg: str = "",
        *,
        seed: str | int = "",
        mode: str = "model",
        unit_s: str | float = 0.0,
        exponent: str | float = 1.0,
        top_exponent: str | float = "",
        knee: str | float = 0.0,
        empty_s: str | float = 0.0,
        noise: str | float = 0.0,
        leak_bytes: str | float = 0.0,
        leak_sd: str | float = 0.0,
        clock: str = "real",
    ) -> None:
        if arg:
            raise UsageError(f"costs takes no argument, only parameters such as costs?exponent=2, not {arg!r}")
        if mode not in MODES:
            raise UsageError(f"mode={mode}: must be one of {', '.join(MODES)}")
        if clock not in ("real", "virtual"):
            raise UsageError(f"clock={clock}: must be real or virtual")
        self._mode, self._virtual = mode, clock == "virtual"
        self._unit_s, self._exponent = _number("unit_s", unit_s), _number("exponent", exponent, -math.inf)
        self._top = self._exponent if top_exponent == "" else _number("top_exponent", top_exponent, -math.inf)
        self._knee = _number("knee", knee)
        self._empty_s, self._noise = _number("empty_s", empty_s), _number("noise", noise)
        self._leak, self._leak_sd = _number("leak_bytes", leak_bytes), _number("leak_sd", leak_sd)
        self._fixed = None if seed == "" else int(_number("seed", seed))
        knobs = dict(vars(self))
        own = version("ophamin-measuring")
        self._identity = SubstrateIdentity(
            "costs", f"costs {mode}", digest({"knobs": knobs, "version": own}), own, False
        )
        self._kept: list[bytearray] = []
        self._seed, self._cycles, self._slope = 0, 0, self._leak
        self.reset(0)

    def identity(self) -> SubstrateIdentity:
        """The knobs, hashed, and the version of this distribution."""
        return self._identity

    def reset(self, seed: int) -> None:
        """Forget all that was kept; another seed is another process."""
        self._seed = seed if self._fixed is None else self._fixed
        self._kept.clear()
        self._cycles = 0
        self._slope = self._leak + self._leak_sd * Random(f"{seed}:leak").gauss(0, 1) if self._leak_sd else self._leak

    def run_batch(self, records: Sequence[Record], *, seed: int, timeout_s: float) -> Iterator[CycleResult]:
        """One result per record, in order.

        Args:
            records: The stimuli.
            seed: Unused; ``reset`` seeds.
            timeout_s: A cycle that would take longer is an error after this long.
        """
        for index, record in enumerate(records):
            if self._mode == "error":
                yield CycleResult(index, record.id, "", "error", None, "costs: failed on demand", 0.0)
                continue
            took = self._time(record)
            late = took > timeout_s
            took = min(took, timeout_s)
            self._cycles += 1
            if self._virtual:
                rss = {} if late else {"rss_bytes": _BASE_BYTES + self._slope * self._cycles}
            else:
                rss = {}
                self._keep()
                time.sleep(took)
            error = f"timeout after {timeout_s:g} s" if late else None
            output = None if late else {"output": str(record.payload)[:40] if self._mode == "echo" else self._mode}
            yield CycleResult(index, record.id, "", "error" if late else "ok", output, error, took, rss)

    def processes(self) -> list[int]:
        """None: it runs in this process."""
        return []

    def close(self) -> None:
        """Let go of what was kept."""
        self._kept.clear()

    def _keep(self) -> None:
        size = round(self._slope)
        if size > 0:
            kept = bytearray(size)
            kept[::4096] = b"x" * len(kept[::4096])
            self._kept.append(kept)

    def _time(self, record: Record) -> float:
        if self._mode in ("constant", "echo"):
            return 0.0
        size = record.labels.get("size")
        size = float(len(record.payload) if size is None else size)
        power = 1e-3
        if self._mode == "model":
            power = self._unit_s * size**self._exponent if size else 0.0
            if size > self._knee > 0:
                power *= (size / self._knee) ** (self._top - self._exponent)
        elif not size:
            power = 1e-6
        noise = Random(f"{self._seed}:{record.id}").gauss(0, self._noise) if self._noise else 0.0
        return (power + self._empty_s) * math.exp(noise)


def _number(name: str, text: str | float, low: float = 0.0) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= low):
        raise UsageError(f"{name}={text}: must be a number" + (f", at least {low:g}" if math.isfinite(low) else ""))
    return value
