"""Interval formulas for shares over whole arrays, each bound at its own one-sided α."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.special import betainccinv, betaincinv, ndtri

from ophamin.measuring.estimators._table import Floats

__all__ = ["FORMULAS", "agresti_coull", "clopper_pearson", "jeffreys", "newcombe", "wilson", "wilson_corrected"]


def clopper_pearson(k: Any, n: Any, alpha: Any) -> tuple[Floats, Floats]:
    """Exact bounds. Source: Clopper & Pearson (1934), Biometrika 26:404, as beta quantiles.

    Args:
        k: Successes, 0 ≤ k ≤ n; any shape.
        n: Trials, > 0; broadcast against k.
        alpha: One-sided error rate of each bound; broadcast too.

    Returns:
        ``(lower, upper)``; exactly 0 where k = 0, exactly 1 where k = n.
    """
    k, n = np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64)
    # The clip keeps the unused quantile at an end finite.
    lower = np.where(k <= 0, 0.0, betaincinv(np.maximum(k, 1e-300), n - k + 1, alpha))
    upper = np.where(k >= n, 1.0, betainccinv(k + 1, np.maximum(n - k, 1e-300), alpha))
    return lower, upper


def wilson(k: Any, n: Any, alpha: Any) -> tuple[Floats, Floats]:
    """Score bounds. Source: Wilson (1927), JASA 22:209; Newcombe (1998), Statist. Med. 17:857, method 3."""
    k, n, z = np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64), -ndtri(alpha)
    centre, half = (k + z * z / 2) / (n + z * z), z / (n + z * z) * np.sqrt(k * (n - k) / n + z * z / 4)
    return np.where(k <= 0, 0.0, np.maximum(0.0, centre - half)), np.where(k >= n, 1.0, np.minimum(1.0, centre + half))


def wilson_corrected(k: Any, n: Any, alpha: Any) -> tuple[Floats, Floats]:
    """Score bounds with continuity correction. Source: Newcombe (1998), Statist. Med. 17:857, method 4."""
    k, n, z = np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64), -ndtri(alpha)
    p = k / n
    low = 2 * k + z * z - 1 - z * np.sqrt(np.maximum(z * z - 2 - 1 / n + 4 * p * (n - k + 1), 0))
    high = 2 * k + z * z + 1 + z * np.sqrt(np.maximum(z * z + 2 - 1 / n + 4 * p * (n - k - 1), 0))
    scale = 2 * (n + z * z)
    return np.where(k <= 0, 0.0, np.maximum(0.0, low / scale)), np.where(k >= n, 1.0, np.minimum(1.0, high / scale))


def agresti_coull(k: Any, n: Any, alpha: Any) -> tuple[Floats, Floats]:
    """Wald bounds about Wilson's centre. Source: Agresti & Coull (1998), Am. Stat. 52:119."""
    k, n, z = np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64), -ndtri(alpha)
    size = n + z * z
    p = (k + z * z / 2) / size
    half = z * np.sqrt(p * (1 - p) / size)
    return np.maximum(0.0, p - half), np.minimum(1.0, p + half)


def jeffreys(k: Any, n: Any, alpha: Any) -> tuple[Floats, Floats]:
    """Quantiles of Beta(k + ½, n − k + ½), 0 and 1 at the ends.

    Source: Brown, Cai & DasGupta (2001), Stat. Sci. 16:101.
    """
    k, n = np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64)
    lower = np.where(k <= 0, 0.0, betaincinv(k + 0.5, n - k + 0.5, alpha))
    upper = np.where(k >= n, 1.0, betainccinv(k + 0.5, n - k + 0.5, alpha))
    return lower, upper


FORMULAS: Mapping[str, Callable[[Any, Any, Any], tuple[Floats, Floats]]] = {
    "clopper-pearson": clopper_pearson,
    "wilson": wilson,
    "wilson-corrected": wilson_corrected,
    "agresti-coull": agresti_coull,
    "jeffreys": jeffreys,
}


def newcombe(k1: Any, n1: Any, k2: Any, n2: Any, alpha: Any) -> tuple[Floats, Floats]:
    """Bounds for p1 − p2 from the Wilson bounds of both.

    Source: Newcombe (1998), Statist. Med. 17:873, method 10.
    """
    (l1, u1), (l2, u2) = wilson(k1, n1, alpha), wilson(k2, n2, alpha)
    p1, p2 = np.asarray(k1) / np.asarray(n1), np.asarray(k2) / np.asarray(n2)
    d = p1 - p2
    lower = d - np.sqrt((p1 - l1) ** 2 + (u2 - p2) ** 2)
    upper = d + np.sqrt((u1 - p1) ** 2 + (p2 - l2) ** 2)
    return np.maximum(lower, -1.0), np.minimum(upper, 1.0)
