"""Flame graphs: where the CPU time and the memory go, and what changed between two captures.

``Stacks`` is what every capture gives; it writes itself as collapsed stacks, speedscope JSON and SVG.

Example:
    >>> from ophamin.instrumenting.flame import CpuSampler, difference
    >>> with CpuSampler(rate=500) as before:
    ...     ordered = sorted(str(i) for i in range(50_000))
    >>> with CpuSampler(rate=500) as after:
    ...     ordered = sorted(str(i) for i in range(100_000))
    >>> difference(before.stacks(), after.stacks()).svg()[:5]
    b'<?xml'
"""

from ophamin.instrumenting.flame._difference import Change, Difference, difference
from ophamin.instrumenting.flame._stacks import Stacks, parse_capture
from ophamin.instrumenting.flame.capture import Captured, PySpy, Refused, capture_cpu, capture_memory
from ophamin.instrumenting.flame.sampler import CpuSampler

__all__ = [
    "Captured",
    "Change",
    "CpuSampler",
    "Difference",
    "PySpy",
    "Refused",
    "Stacks",
    "capture_cpu",
    "capture_memory",
    "difference",
    "parse_capture",
]
