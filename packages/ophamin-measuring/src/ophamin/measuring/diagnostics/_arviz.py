"""R-hat and effective sample sizes by arviz."""

from __future__ import annotations

import warnings
from typing import Any

from ophamin.measuring.pillars._columns import Floats

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # arviz announces its next version when it is imported
    import arviz

_arviz: Any = arviz  # its functions are not typed

__all__ = ["ess", "rhat"]


def rhat(draws: Floats) -> float:
    """Rank-normalised split R-hat of draws of shape (chains, draws)."""
    return float(_arviz.rhat(draws))


def ess(draws: Floats, method: str) -> float:
    """Effective sample size, ``bulk`` or ``tail``, of draws of shape (chains, draws)."""
    return float(_arviz.ess(draws, method=method))
