"""Weights in words."""

from __future__ import annotations

from ophamin.instrumenting.flame._tree import Frame

__all__ = ["amount", "heaviest", "percent"]


def amount(weight: float, unit: str) -> str:
    """A weight with its unit, as people read it.

    Example:
        >>> amount(1_536, "bytes"), amount(2_500_000, "microseconds"), amount(1, "samples")
        ('1.5 KiB', '2.5 s', '1 sample')
    """
    if unit == "samples":
        return f"{weight:,} sample" if weight == 1 else f"{weight:,} samples"
    if unit == "bytes":
        sizes: tuple[str, ...] = ("B", "KiB", "MiB", "GiB", "TiB")
        step = 1024.0
    else:
        sizes, step = ("µs", "ms", "s"), 1000.0
    value, size = float(weight), 0
    while value >= step and size < len(sizes) - 1:
        value, size = value / step, size + 1
    shown = f"{value:.1f}".removesuffix(".0") if value < 100 else f"{value:,.0f}"
    return f"{shown} {sizes[size]}"


def percent(share: float, sign: bool = False) -> str:
    """A share in percent, e.g. ``12.5 %``; with ``sign`` as a change in percentage points."""
    return f"{100 * share:+.1f} pp".replace("-", "−") if sign else f"{100 * share:.1f} %"


def heaviest(root: Frame, count: int) -> list[tuple[str, int]]:
    """Frames that used most themselves, over all places they occur in, heaviest first."""
    alone: dict[str, int] = {}
    for frame in root.walk():
        if frame.alone:
            alone[frame.label] = alone.get(frame.label, 0) + frame.alone
    return sorted(alone.items(), key=lambda item: (-item[1], item[0]))[:count]
