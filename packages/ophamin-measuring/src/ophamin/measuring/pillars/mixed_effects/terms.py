"""F tests of whole terms of a mixed model: a factor with all its levels, a product with all its columns."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2
from scipy.stats import f as fisher

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.mixed_effects.degrees import satterthwaite
from ophamin.measuring.pillars.mixed_effects.kenward_roger import kenward_roger
from ophamin.measuring.pillars.mixed_effects.linear import DEGREES, MixedModel
from ophamin.proof.errors import UsageError

__all__ = ["TermTest", "term_tests"]


@dataclass(frozen=True)
class TermTest:
    """One term of a mixed model.

    Args:
        term: Its name; of a product both, with a colon.
        f: Statistic; Kenward and Roger's is scaled.
        df1: Columns of the term.
        df2: Denominator degrees of freedom; ∞ where nothing tells, NaN (and F and p with it) where rows are too few.
        p_value: Of no effect.
    """

    term: str
    f: float
    df1: int
    df2: float
    p_value: float


def term_tests(model: MixedModel, df: str = "satterthwaite") -> list[TermTest]:
    """Test each term that enters no product: what a lower one means depends on the coding of the other.

    Args:
        model: A fitted model, by REML for Kenward and Roger's test.
        df: One of :data:`~ophamin.measuring.pillars.mixed_effects.linear.DEGREES`.

    Raises:
        UsageError: Unknown degrees of freedom, or Kenward and Roger's of a model fitted by ML.

    Source: Kenward & Roger (1997), Biometrics 53:983, as ``KRmodcomp`` of R's pbkrtest; Fai & Cornelius (1996), J Stat
    Comput Simul 54:363, as ``contestMD`` of R's lmerTest.

    Example:
        >>> from ophamin.measuring.pillars.mixed_effects.linear import mixed_model
        >>> y = [1.0, 2.0, 4.0, 1.5, 3.0, 4.5, 2.0, 2.5, 5.0]
        >>> one, = term_tests(mixed_model(y, list("aaabbbccc"), factors={"dose": [1, 2, 3] * 3}))
        >>> one.term, one.df1, round(one.df2, 3), round(one.f, 3)
        ('dose', 2, 4.0, 84.0)
    """
    if df not in DEGREES:
        raise UsageError(f"degrees of freedom are one of {', '.join(DEGREES)}, not {df!r}")
    if df == "kenward-roger" and not model.criterion.reml:
        raise UsageError("Kenward and Roger's tests are those of a restricted likelihood: fit by REML")
    triangle = np.linalg.qr(model.fixed.matrix, mode="r")
    back = np.linalg.inv(triangle) * math.sqrt(model.n)  # what takes the fitted effects to those of the table
    terms = [term for term in dict.fromkeys(model.fixed.terms) if term]
    inside = {name for term in terms if len(term) > 1 for name in term}
    tests = []
    for term in terms:
        if len(term) == 1 and term[0] in inside:
            continue
        columns = [i for i, other in enumerate(model.fixed.terms) if other == term]
        f, df2 = _joint(model, back[columns], model.beta[columns] / (model.sigma * model.scale), df)
        q = len(columns)
        p = chi2.sf(f * q, q) if math.isinf(df2) else fisher.sf(f, q, df2)
        tests.append(TermTest(":".join(term), f, q, df2, float(p)))
    return tests


def _joint(model: MixedModel, rows: Floats, beta: Floats, df: str) -> tuple[float, float]:
    """F of effects (over σ, in units of the fit) that are ``rows`` of the fitted ones, and its denominator df."""
    if df == "kenward-roger":
        found = kenward_roger(model.criterion, model.theta)
        df2, factor = found.joint(rows)
        return factor * float(beta @ np.linalg.solve(rows @ found.adjusted @ rows.T, beta)) / len(rows), df2
    solved = model.criterion.solve(model.theta)
    assert solved is not None
    covariance = rows @ solved.unscaled @ rows.T
    f = float(beta @ np.linalg.solve(covariance, beta)) / len(rows)
    if df == "asymptotic":
        return f, math.inf
    # F is a mean of squared t statistics of uncorrelated combinations; its df make its expectation right.
    single = satterthwaite(model.criterion, model.theta, model.sigma, np.linalg.eigh(covariance)[1].T @ rows)
    if np.ptp(single) < 1e-8 or not np.isfinite(single).all():
        return f, float(single.mean())
    if single.min() <= 2:
        return f, 2.0
    expected = float((single / (single - 2)).sum())
    return f, 2 * expected / (expected - len(single))
