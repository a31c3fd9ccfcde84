"""Average run length: how many points until a signal, on a stable process and after a shift.

EWMA and CUSUM by their integral equations at Gauss–Legendre nodes; on autocorrelated values by seeded simulation.

Sources: Page (1954), Biometrika 41:100; Crowder (1987), Technometrics 29:401; Lucas & Crosier (1982), Technometrics
24:199; for autocorrelation Lu & Reynolds (1999), J Qual Technol 31:166.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.signal import lfilter
from scipy.stats import norm

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.observability.weighted import cusum, ewma
from ophamin.proof.errors import UsageError

__all__ = ["autocorrelated_arl", "autocorrelation", "cusum_arl", "ewma_arl", "shewhart_arl"]

_NODES = 101


def shewhart_arl(shift: float = 0.0, *, width: float = 3.0, n: int = 1) -> float:
    """ARL of an X̄ chart for a shift of the mean.

    Args:
        shift: In standard deviations of one value.
        width: Limits in standard errors.
        n: Subgroup size.

    Example:
        >>> round(shewhart_arl(), 1)
        370.4
    """
    moved = shift * math.sqrt(n)
    return 1 / float(norm.sf(width - moved) + norm.cdf(-width - moved))


def ewma_arl(shift: float = 0.0, *, lam: float = 0.2, width: float = 3.0) -> float:
    """ARL of a two-sided EWMA with asymptotic limits, started at the target.

    Args:
        shift: In standard deviations of one value.
        lam: λ in (0, 1].
        width: L.

    Raises:
        UsageError: Parameters out of range.

    Example:
        >>> round(ewma_arl(1.0, lam=0.1, width=2.814), 1)
        10.3
    """
    if not 0 < lam <= 1 or not width > 0:
        raise UsageError("lambda lies in (0, 1], and the width above 0")
    if lam == 1:
        return shewhart_arl(shift, width=width)
    edge = width * math.sqrt(lam / (2 - lam))
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    x, w = edge * nodes, edge * weights
    kernel = norm.pdf((x[None, :] - (1 - lam) * x[:, None]) / lam - shift) * w / lam
    inside = np.linalg.solve(np.eye(_NODES) - kernel, np.ones(_NODES))
    return 1 + float((norm.pdf(x / lam - shift) * w / lam) @ inside)


def cusum_arl(shift: float = 0.0, *, k: float = 0.5, h: float = 5.0, sides: int = 2, head_start: float = 0.0) -> float:
    """ARL of a tabular CUSUM.

    Args:
        shift: In standard deviations of one value.
        k: Reference value, in standard deviations.
        h: Decision interval, in standard deviations.
        sides: 1 (upwards) or 2.
        head_start: Where the sums start, from 0 to below h; both sides together are then right where a signal of one
            side finds the other at 0, as it does for k ≥ h/4 or so.

    Raises:
        UsageError: Parameters out of range.

    Source: Lucas & Crosier (1982), Technometrics 24:199, for two sides and for the head start.

    Example:
        >>> round(cusum_arl(0.0, k=0.5, h=4.0))
        168
    """
    if not k >= 0 or not h > 0 or sides not in (1, 2) or not 0 <= head_start < h:
        raise UsageError("k is 0 or more, h above 0, sides are 1 or 2, and a head start lies from 0 to below h")
    up, begun_up = _one_sided(shift, k, h, head_start)
    if sides == 1:
        return begun_up
    down, begun_down = _one_sided(-shift, k, h, head_start)
    return (begun_up * down + begun_down * up - up * down) / (up + down)


def _one_sided(shift: float, k: float, h: float, head_start: float) -> tuple[float, float]:
    """ARL from 0 and from the head start."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    x, w = h / 2 * (nodes + 1), h / 2 * weights
    start = np.concatenate([[0.0], x, [head_start]])  # 0 holds an atom: the sum rests there
    kernel = np.empty((_NODES + 2, _NODES + 1))
    kernel[:, 0] = norm.cdf(k - start - shift)
    kernel[:, 1:] = norm.pdf(x[None, :] + k - start[:, None] - shift) * w
    solved = np.linalg.solve(np.eye(_NODES + 1) - kernel[:-1], np.ones(_NODES + 1))
    return float(solved[0]), 1 + float(kernel[-1] @ solved)


def autocorrelation(x: ArrayLike) -> float:
    """Lag-one autocorrelation, in [−1, 1]; 0 for fewer than three values or none of which differ."""
    values = np.asarray(x, dtype=np.float64)
    centred = values - values.mean() if len(values) else values
    power = float(centred @ centred)
    return float(centred[1:] @ centred[:-1] / power) if len(values) > 2 and power > 0 else 0.0


def autocorrelated_arl(
    chart: str,
    rho: float,
    *,
    shift: float = 0.0,
    lam: float = 0.2,
    width: float = 3.0,
    k: float = 0.5,
    h: float = 5.0,
    head_start: float = 0.0,
    seed: int = 0,
    runs: int = 2000,
    longest: int = 5000,
) -> tuple[float, float]:
    """ARL of a chart designed for independent values, on an AR(1) process of the same mean and variance.

    Args:
        chart: ``shewhart``, ``ewma`` or ``cusum``.
        rho: Lag-one autocorrelation, in (−1, 1).
        shift: Of the mean, in standard deviations.
        lam: λ of the EWMA.
        width: L of Shewhart and EWMA.
        k: Reference value of the CUSUM.
        h: Its decision interval.
        head_start: Where its sums start.
        seed: Seed of the simulation.
        runs: Simulated runs.
        longest: Where a run without a signal is cut; the ARL is then a lower bound.

    Returns:
        The ARL and its standard error.

    Raises:
        UsageError: Parameters out of range.
    """
    charts: dict[str, Callable[[Floats], list[int]]] = {
        "shewhart": lambda x: [int(i) for i in np.flatnonzero(np.abs(x) > width)],
        "ewma": lambda x: ewma(x, target=0.0, sigma=1.0, lam=lam, width=width, limits="asymptotic").signals,
        "cusum": lambda x: cusum(x, target=0.0, k=k, h=h, head_start=head_start).signals,
    }
    if chart not in charts or not -1 < rho < 1 or runs < 2 or longest < 1:
        raise UsageError(f"a chart is {', '.join(charts)}, rho lies between -1 and 1, and there are 2 runs or more")
    rng, lengths = np.random.default_rng(seed), np.empty(runs)
    for i in range(runs):
        start, noise = rng.standard_normal(), rng.standard_normal(longest) * math.sqrt(1 - rho**2)
        series, _ = lfilter([1.0], [1.0, -rho], noise, zi=[rho * start])
        signals = charts[chart](series + shift)
        lengths[i] = signals[0] + 1 if signals else longest
    return float(lengths.mean()), float(lengths.std(ddof=1) / math.sqrt(runs))
