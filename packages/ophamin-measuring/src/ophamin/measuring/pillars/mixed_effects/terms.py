"""F tests of whole terms of a mixed model: a factor with all its levels, a product with all its columns."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2
from scipy.stats import f as fisher

from ophamin.measuring.pillars.mixed_effects.kenward_roger import kenward_roger
from ophamin.measuring.pillars.mixed_effects.linear import MixedModel
from ophamin.proof.errors import UsageError

__all__ = ["TermTest", "term_tests"]


@dataclass(frozen=True)
class TermTest:
    """One term of a mixed model.

    Args:
        term: Its name; of a product both, with a colon.
        f: Kenward and Roger's scaled statistic.
        df1: Columns of the term.
        df2: Denominator degrees of freedom; ∞ where nothing tells, NaN (and F and p with it) where rows are too few.
        p_value: Of no effect.
    """

    term: str
    f: float
    df1: int
    df2: float
    p_value: float


def term_tests(model: MixedModel) -> list[TermTest]:
    """Test each term that enters no product: what a lower one means depends on the coding of the other.

    Args:
        model: Fitted by REML.

    Raises:
        UsageError: A model fitted by ML.

    Source: Kenward & Roger (1997), Biometrics 53:983, as ``KRmodcomp`` of R's pbkrtest.

    Example:
        >>> from ophamin.measuring.pillars.mixed_effects.linear import mixed_model
        >>> y = [1.0, 2.0, 4.0, 1.5, 3.0, 4.5, 2.0, 2.5, 5.0]
        >>> one, = term_tests(mixed_model(y, list("aaabbbccc"), factors={"dose": [1, 2, 3] * 3}))
        >>> one.term, one.df1, round(one.df2, 3), round(one.f, 3)
        ('dose', 2, 4.0, 46.5)
    """
    if not model.criterion.reml:
        raise UsageError("Kenward and Roger's tests are those of a restricted likelihood: fit by REML")
    found = kenward_roger(model.criterion, model.theta)
    triangle = np.linalg.qr(model.fixed.matrix, mode="r")
    back = np.linalg.inv(triangle) * math.sqrt(model.n)  # what takes the fitted effects to those of the table
    unit = model.sigma * model.scale
    terms = [term for term in dict.fromkeys(model.fixed.terms) if term]
    inside = {name for term in terms if len(term) > 1 for name in term}
    tests = []
    for term in terms:
        if len(term) == 1 and term[0] in inside:
            continue
        columns = [i for i, other in enumerate(model.fixed.terms) if other == term]
        rows, beta = back[columns], model.beta[columns] / unit
        df2, factor = found.joint(rows)
        f = factor * float(beta @ np.linalg.solve(rows @ found.adjusted @ rows.T, beta)) / len(rows)
        p = chi2.sf(f * len(rows), len(rows)) if math.isinf(df2) else fisher.sf(f, len(rows), df2)
        tests.append(TermTest(":".join(term), f, len(rows), df2, float(p)))
    return tests
