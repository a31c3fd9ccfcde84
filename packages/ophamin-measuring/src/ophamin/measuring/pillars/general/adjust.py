"""Adjusted p-values of a family of tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ophamin.measuring.estimators._adjust import (
    benjamini_hochberg,
    benjamini_yekutieli,
    bonferroni,
    hochberg,
    holm,
)
from ophamin.measuring.pillars._columns import Floats
from ophamin.proof.errors import UsageError

__all__ = ["METHODS", "adjust"]

METHODS: Mapping[str, Callable[[Sequence[float]], list[float]]] = {
    "holm": holm,
    "hochberg": hochberg,
    "bonferroni": bonferroni,
    "bh": benjamini_hochberg,
    "by": benjamini_yekutieli,
}


def adjust(p_values: Any, method: str = "holm") -> Floats:
    """Adjusted p-values in the order given; ``statsmodels``' multipletests says the same, after collecting garbage.

    ``holm`` and ``bonferroni`` hold the family-wise error rate under any dependence, ``hochberg`` under positive
    dependence; ``bh`` holds the false-discovery rate under positive dependence, ``by`` under any.

    Source: Holm (1979), Scand. J. Statist. 6:65; Hochberg (1988), Biometrika 75:800; Benjamini & Hochberg (1995),
    JRSS B 57:289; Benjamini & Yekutieli (2001), Ann. Statist. 29:1165.

    Raises:
        UsageError: Unknown method, or a p-value outside [0, 1].

    Example:
        >>> adjust([0.01, 0.04, 0.03, 0.005]).round(4).tolist()
        [0.03, 0.06, 0.06, 0.02]
    """
    if method not in METHODS:
        raise UsageError(f"no correction is called {method!r}; use {', '.join(METHODS)}")
    p = np.asarray(p_values, dtype=np.float64).ravel()
    if not ((p >= 0) & (p <= 1)).all():
        raise UsageError("a p-value lies between 0 and 1")
    return np.array(METHODS[method](p.tolist()), dtype=np.float64)
