"""statsmodels' MixedLM, started at a maximum that was found already, and only believed when it confirms it.

Left to itself MixedLM may stop early without saying so (``powell``, ``nm``), fail to converge on unscaled slopes, or
raise at a variance of zero; started here, on standardised columns, it settles at once or is not asked.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy import sparse
from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams, VCSpec

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.mixed_effects.design import Random

__all__ = ["confirmed"]

MOST_ROWS = 1500
"""Rows of one block beyond which MixedLM's dense matrices are too slow to ask."""


def _components(random: Random) -> VCSpec:
    """The terms of a random part without correlation, as statsmodels wants them: a matrix per term and block."""
    names = sorted(random.names)
    order = [random.names.index(name) for name in names]
    rows = [np.flatnonzero(random.block == b) for b in range(random.blocks)]
    mats: list[list[Any]] = []
    for term in order:
        column, loading = random.column[:, term], random.loading[:, term]
        mine = []
        for r in rows:
            _, at = np.unique(column[r], return_inverse=True)
            mine.append(sparse.csr_matrix((loading[r], (np.arange(len(r)), at))).toarray())
        mats.append(mine)
    labels = [[[str(i) for i in range(m.shape[1])] for m in mine] for mine in mats]
    return VCSpec(names, labels, mats)


def confirmed(x: Floats, y: Floats, random: Random, theta: Floats, beta: Floats, *, reml: bool) -> Floats | None:
    """MixedLM's own maximum as parameters of Λ, when it converges from ``theta``.

    Args:
        x: Fixed effects, shape (n, p).
        y: Outcomes, shape (n,).
        random: Random part.
        theta: Where to start.
        beta: Fixed effects there, shape (p,).
        reml: Whether the likelihood is the restricted one.

    Returns:
        Parameters of Λ, or ``None`` when it did not converge, raised, or was too big to ask.
    """
    if np.bincount(random.block).max() > MOST_ROWS:
        return None
    uncorrelated = random.structure in ("slope-uncorrelated", "nested", "crossed")
    order = np.argsort(random.names)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # Its warnings are what the caller checks by itself: convergence, the boundary, a singular covariance.
        warnings.simplefilter("ignore")
        try:
            if uncorrelated:
                model = MixedLM(y, x, groups=random.block, exog_vc=_components(random))
                start = MixedLMParams.from_components(fe_params=beta, vcomp=theta[order] ** 2)
            else:
                model = MixedLM(y, x, groups=random.block, exog_re=random.loading)
                start = MixedLMParams.from_components(fe_params=beta, cov_re_sqrt=random.root(theta))
            fit = model.fit(start_params=start, reml=reml, method="bfgs")
        except (np.linalg.LinAlgError, ValueError, ZeroDivisionError):
            return None
    if not fit.converged or not np.isfinite(fit.scale) or fit.scale <= 0:
        return None
    if uncorrelated:
        found = np.empty(len(theta))
        found[order] = np.sqrt(np.maximum(fit.vcomp, 0) / fit.scale)
        return found
    try:
        factor = np.linalg.cholesky(np.asarray(fit.cov_re) / fit.scale)
    except np.linalg.LinAlgError:
        return None
    return np.array([factor[0, 0]]) if len(theta) == 1 else np.array([factor[0, 0], factor[1, 0], factor[1, 1]])
