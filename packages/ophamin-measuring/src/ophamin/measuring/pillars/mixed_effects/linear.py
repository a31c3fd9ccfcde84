"""Linear mixed models: fixed effects with degrees of freedom, standard deviations of the random ones, BLUPs, ICC."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm
from scipy.stats import t as student

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars._evidence import OWN
from ophamin.measuring.pillars.mixed_effects._library import confirmed
from ophamin.measuring.pillars.mixed_effects.criterion import BOUNDARY, Criterion
from ophamin.measuring.pillars.mixed_effects.degrees import satterthwaite
from ophamin.measuring.pillars.mixed_effects.design import Fixed, Random, fixed_design, random_design
from ophamin.measuring.pillars.mixed_effects.kenward_roger import kenward_roger
from ophamin.proof.errors import UsageError

__all__ = ["DEGREES", "MixedModel", "mixed_model"]

DEGREES = ("satterthwaite", "kenward-roger", "asymptotic")
"""Where the degrees of freedom of fixed effects come from."""


@dataclass(frozen=True)
class MixedModel:
    """A fitted model, in the units of the table.

    Args:
        names: Names of the fixed effects, p.
        beta: Fixed effects, shape (p,).
        se: Standard errors, shape (p,); Kenward and Roger's where their df were asked for.
        df: Degrees of freedom, shape (p,); ∞ where the interval is asymptotic.
        p_values: Two-sided, shape (p,).
        lower: Lower ends, shape (p,).
        upper: Upper ends, shape (p,).
        sd: Standard deviation of each random term by name.
        correlation: Of intercept and slope; NaN where the model has none.
        residual_sd: Standard deviation of the residual.
        neg2loglik: −2 log-likelihood, restricted under REML, as R's lme4 counts its constants.
        n: Rows.
        n_groups: Groups.
        singular: Whether a variance lies at 0, or a correlation at ±1.
        library: ``statsmodels`` when it confirmed the maximum, else this wheel.
        fixed: Fixed part.
        random: Random part.
        criterion: Likelihood, in the units of the fit.
        theta: Parameters of Λ at the maximum.
        sigma: σ in the units of the fit.
        scale: Units of the table per unit of the fit.
    """

    names: list[str]
    beta: Floats
    se: Floats
    df: Floats
    p_values: Floats
    lower: Floats
    upper: Floats
    sd: Mapping[str, float]
    correlation: float
    residual_sd: float
    neg2loglik: float
    n: int
    n_groups: int
    singular: bool
    library: str
    fixed: Fixed
    random: Random
    criterion: Criterion
    theta: Floats
    sigma: float
    scale: float

    @property
    def icc(self) -> float:
        """Share of the variance between units of the random terms; NaN with a slope, where it has no one value."""
        if self.random.transform is not None:
            return math.nan
        between = sum(s * s for s in self.sd.values())
        return between / (between + self.residual_sd**2)

    def blups(self) -> list[tuple[str, list[str], Floats, Floats]]:
        """Conditional modes of the random effects.

        Returns:
            For each term its name, its units, the effects and their conditional standard deviations, shape (units,).
        """
        modes, spread = self.criterion.effects(self.theta)
        if self.random.transform is not None:
            modes = modes @ self.random.transform.T
            spread = self.random.transform @ spread @ self.random.transform.T
        found = []
        for name, levels, units in zip(self.random.names, self.random.levels, self.random.units, strict=True):
            at, column = units.T
            sd = self.sigma * np.sqrt(np.maximum(spread[at, column, column], 0.0))
            found.append((name, levels, self.scale * modes[at, column], self.scale * sd))
        return found


def mixed_model(
    value: ArrayLike,
    group: Sequence[Any],
    *,
    numeric: Mapping[str, ArrayLike] | None = None,
    factors: Mapping[str, Sequence[Any]] | None = None,
    structure: str = "intercept",
    slope: str | None = None,
    second: Sequence[Any] | None = None,
    interactions: bool = False,
    reml: bool = True,
    df: str = "satterthwaite",
    level: float = 0.95,
) -> MixedModel:
    """Fit a linear mixed model.

    The maximum is sought on standardised columns through the profiled likelihood, then handed to statsmodels' MixedLM,
    which must converge to it; where it does not, or a variance is 0, the maximum found here stands.

    Args:
        value: Outcomes, shape (n,).
        group: Grouping, shape (n,).
        numeric: Covariates by name, shape (n,) each.
        factors: Categorical predictors by name, shape (n,) each; treatment contrasts.
        structure: Random part: ``intercept``, ``slope``, ``slope-uncorrelated``, ``nested`` or ``crossed``.
        slope: Name of the covariate whose slope varies between groups.
        second: Second grouping, for ``nested`` and ``crossed``.
        interactions: Whether products of two fixed terms enter.
        reml: Restricted likelihood; ``False``: maximum likelihood.
        df: One of :data:`DEGREES`: ``kenward-roger`` (REML only) also widens the standard errors for what the variances
            are not known, ``asymptotic`` is normal and too narrow with few groups.
        level: Two-sided confidence.

    Returns:
        The model.

    Raises:
        UsageError: Malformed arguments, or data that does not determine the model.

    Source: Bates, Mächler, Bolker & Walker (2015), J Stat Softw 67(1); Satterthwaite's df as in Kuznetsova, Brockhoff &
    Christensen (2017), J Stat Softw 82(13); Kenward & Roger (1997), Biometrics 53:983, as R's pbkrtest.

    Example:
        >>> y, g = [1.0, 1.2, 3.1, 2.9, 5.2, 4.8], ["a", "a", "b", "b", "c", "c"]
        >>> found = mixed_model(y, g)
        >>> round(float(found.beta[0]), 3), round(float(found.df[0]), 2), round(found.icc, 3)
        (3.033, 2.0, 0.99)
    """
    if df not in DEGREES:
        raise UsageError(f"degrees of freedom are one of {', '.join(DEGREES)}, not {df!r}")
    if df == "kenward-roger" and not reml:
        raise UsageError("Kenward and Roger's degrees of freedom are those of a restricted likelihood: fit by REML")
    if not 0 < level < 1:
        raise UsageError(f"a level lies between 0 and 1, such as 0.95, not {level!r}")
    y = np.asarray(value, dtype=float)
    covariates = {name: np.asarray(x, dtype=float) for name, x in (numeric or {}).items()}
    lengths = {len(y), len(group), *map(len, covariates.values()), *map(len, (factors or {}).values())}
    if len(lengths | ({len(second)} if second is not None else set())) > 1:
        raise UsageError("the columns of one model must have equal lengths")
    if slope is not None and slope not in covariates:
        raise UsageError(f"the slope varies on a covariate, and {slope!r} is none")
    if not np.isfinite(y).all() or not all(np.isfinite(x).all() for x in covariates.values()):
        raise UsageError("a mixed model needs finite numbers; leave incomplete rows out")
    n = len(y)
    if n < 3:
        raise UsageError(f"{n} observations do not determine a mixed model")
    fixed = fixed_design(n, covariates, factors or {}, interactions=interactions)
    random = random_design(
        structure, group, slope=covariates[slope] if slope is not None else None, second=second,
        names=("group", slope or "time", "group_2"),
    )  # fmt: skip
    _determined(y, fixed, random, group, covariates[slope] if slope is not None else None)
    centre, scale = float(y.mean()), float(y.std())
    orthogonal, triangle = np.linalg.qr(fixed.matrix)
    q: Floats = np.asarray(orthogonal * math.sqrt(n), dtype=float)
    r: Floats = np.asarray(triangle / math.sqrt(n), dtype=float)
    criterion = Criterion(q, (y - centre) / scale, random, reml=reml)
    theta = criterion.minimum()
    if theta is None:
        raise UsageError(
            "predictors and units reproduce the outcomes exactly, so no likelihood has a maximum; leave a term out"
        )
    theta, library = _confirm(criterion, q, (y - centre) / scale, theta)
    solved = criterion.solve(theta)
    assert solved is not None
    sigma = math.sqrt(criterion.sigma2(solved.rss))
    back: Floats = np.asarray(np.linalg.inv(r), dtype=np.float64)
    beta = scale * (back @ solved.beta)
    beta[0] += centre
    free = (n - fixed.matrix.shape[1]) if reml else n
    constant = 2 * free * math.log(scale) + (2 * float(np.log(np.abs(np.diag(r))).sum()) if reml else 0.0)
    se = scale * sigma * np.sqrt(np.diag(back @ solved.unscaled @ back.T))
    degrees = np.full(len(beta), math.inf)
    if df == "satterthwaite":
        degrees = satterthwaite(criterion, theta, sigma, back)
    elif df == "kenward-roger":
        known = kenward_roger(criterion, theta)
        se, degrees = scale * sigma * np.sqrt(known.variances(back)), known.degrees(back)
    t = beta / se
    p_values = np.where(np.isfinite(degrees), 2 * student.sf(np.abs(t), degrees), 2 * norm.sf(np.abs(t)))
    critical = np.where(
        np.isfinite(degrees), student.ppf((1 + level) / 2, np.where(np.isfinite(degrees), degrees, 1.0)),
        norm.ppf((1 + level) / 2),
    )  # fmt: skip
    sds, correlation, singular = deviations(random, theta, sigma * scale)
    return MixedModel(
        fixed.names, beta, se, degrees, p_values, beta - critical * se, beta + critical * se, sds, correlation,
        sigma * scale, criterion.profiled(theta) + constant, n, len(random.levels[0]), singular, library, fixed,
        random, criterion, theta, sigma, scale,
    )  # fmt: skip


def deviations(random: Random, theta: Floats, sigma: float) -> tuple[dict[str, float], float, bool]:
    """Standard deviations by term, the correlation, and whether either lies on the edge of what is possible."""
    if random.structure != "slope":
        back = np.ones(len(theta)) if random.transform is None else np.diag(random.transform)
        sd = {name: float(sigma * t * b) for name, t, b in zip(random.names, theta, back, strict=True)}
        return sd, math.nan, bool((theta < BOUNDARY).any())
    assert random.transform is not None
    half = random.transform @ random.root(theta)
    covariance = sigma**2 * half @ half.T
    both = np.sqrt(np.diag(covariance))
    # Judged as fitted (centred and scaled), where sizes can be compared with the residual's.
    singular = bool(theta[0] < BOUNDARY or theta[2] < BOUNDARY)
    correlation = min(max(float(covariance[0, 1] / (both[0] * both[1])), -1.0), 1.0) if both.all() else math.nan
    return dict(zip(random.names, both.tolist(), strict=True)), correlation, singular


def _confirm(criterion: Criterion, x: Floats, y: Floats, theta: Floats) -> tuple[Floats, str]:
    """The maximum by statsmodels where it agrees with ours, else ours."""
    edge = [theta[i] < BOUNDARY for i, bounded in enumerate(criterion.random.nonnegative) if bounded]
    solved = criterion.solve(theta)
    if any(edge) or solved is None:
        return criterion.settled(theta), OWN
    theirs = confirmed(x, y, criterion.random, theta, solved.beta, reml=criterion.reml)
    if theirs is None or criterion.profiled(theirs) > criterion.profiled(theta) + 1e-5:
        return criterion.settled(theta), OWN
    return theirs, "statsmodels"


def _determined(y: Floats, fixed: Fixed, random: Random, group: Sequence[Any], slope: Floats | None) -> None:
    """Refuse what no amount of optimising can tell.

    Raises:
        UsageError: One group, as many units as rows, constant outcomes or slopes, too few rows.
    """
    n, p = fixed.matrix.shape
    if not np.ptp(y):
        raise UsageError("the outcomes are all equal, so there is no variance to divide")
    for name, levels in zip(random.names, random.levels, strict=True):
        if len(levels) < 2:
            raise UsageError(f"the term {name!r} has one unit, so nothing says how units differ")
        if len(levels) >= n and slope is None:
            raise UsageError(f"the term {name!r} has a unit per row, so it cannot be told from the residual")
    if slope is not None and not np.ptp(slope):
        raise UsageError("the covariate of the slope is constant")
    if slope is not None and n <= 2 * len(random.levels[0]):
        raise UsageError("a slope per group needs more than two rows per group")
    if n <= p + 1:
        raise UsageError(f"{n} rows do not determine {p} fixed effects and the variances")
