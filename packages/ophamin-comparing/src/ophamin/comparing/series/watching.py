"""Looking at a series again after every commit, and at several series at once, without crying wolf more often."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ophamin.comparing.drift.family import adjusted
from ophamin.proof.errors import UsageError

if TYPE_CHECKING:
    from ophamin.comparing.series.changes import Scan

__all__ = ["Look", "alpha_of_look", "scan_family", "watch"]


@dataclass(frozen=True)
class Look:
    """One scan among others.

    Args:
        scan: What it found; its ``alpha`` is the chance of a false alarm of this scan alone.
        family_alpha: The chance of any false alarm in all scans of this series, or in all series of the family.
        number: Which look at the series this is, from 1.
        corrected_p: p-value over the family of series; of a watched series that of the scan.
    """

    scan: Scan
    family_alpha: float
    number: int
    corrected_p: float


def alpha_of_look(number: int, alpha: float = 0.05) -> float:
    """What look k may spend: 6α/(π²k²), which all looks for ever sum to α.

    Args:
        number: k, from 1.
        alpha: Of all looks together, in (0, 0.5).

    Raises:
        UsageError: A look before the first, or an alpha outside (0, 0.5).

    Example:
        >>> [round(alpha_of_look(k), 4) for k in (1, 2, 10)]
        [0.0304, 0.0076, 0.0003]
    """
    if number < 1 or not 0 < alpha < 0.5:
        raise UsageError(f"looks are counted from 1 and alpha lies between 0 and 0.5, not {number} and {alpha!r}")
    return 6 * alpha / (math.pi * number) ** 2


def watch(
    values: Sequence[float],
    se: Sequence[float] | None = None,
    *,
    look: int,
    alpha: float = 0.05,
    seed: int = 0,
    autocorrelated: bool = True,
) -> Look:
    """Scan a series that is scanned again as it grows.

    Each look is held to its share of α; by the union bound the chance that any look of a series without a change shows
    one is at most α, however many there are (where the scan keeps its own: see ``changes.scan``).

    Args:
        values: As ``changes.scan`` takes them: all so far.
        se: Their standard errors.
        look: How many times the series has been looked at, with this one.
        alpha: Of all looks together.
        seed: Of the permutations.
        autocorrelated: Whether neighbouring values may depend on each other.

    Example:
        >>> watch([1.0, 1.2, 0.9, 1.1, 1.0, 0.8, 1.1, 1.0, 0.9], look=3).scan.changes
        []
    """
    from ophamin.comparing.series.changes import scan

    found = scan(values, se, alpha=alpha_of_look(look, alpha), seed=seed, autocorrelated=autocorrelated)
    return Look(found, alpha, look, found.p_value)


def scan_family(
    series: Mapping[str, tuple[Sequence[float], Sequence[float] | None]],
    *,
    alpha: float = 0.05,
    seed: int = 0,
    autocorrelated: bool = True,
) -> dict[str, Look]:
    """Scan several series once, corrected for how many they are (Holm).

    A series in which no change survives the correction has none in the result; its own p-value stays.

    Args:
        series: Values and standard errors by name, each as ``changes.scan`` takes them.
        alpha: Chance that any of the series without a change shows one, whatever the dependence.
        seed: Of the permutations.
        autocorrelated: Whether neighbouring values may depend on each other.

    Example:
        >>> calm = [1.0, 1.2, 0.9, 1.1, 1.0, 0.8, 1.1, 1.0, 0.9, 1.2, 1.1, 0.8]
        >>> found = scan_family({"a": (calm, None), "b": (calm[:6] + [x + 3 for x in calm[6:]], None)})
        >>> [len(look.scan.changes) for look in found.values()]
        [0, 1]
    """
    from ophamin.comparing.series.changes import PERMUTATIONS, scan

    # Each with enough permutations for the smallest level Holm may ask of it.
    draws = max(PERMUTATIONS, math.ceil(20 * max(len(series), 1) / alpha))
    found = {
        name: scan(x, se, alpha=alpha, seed=seed, permutations=draws, autocorrelated=autocorrelated)
        for name, (x, se) in series.items()
    }
    corrected = adjusted([s.p_value for s in found.values()], "holm")
    return {
        name: Look(s if p <= alpha else replace(s, changes=[]), alpha, 1, p)
        for (name, s), p in zip(found.items(), corrected, strict=True)
    }
