"""The rule of the cost gate: when two revisions' times say "slower", "not slower", or nothing.

One round gives one number, x = log(head / base), from the least time of each in a process of its own. The claim is
that the typical x is at most log(1 + margin). It is decided at a few looks, fixed before the first round, from the
10 %-trimmed mean m of the rounds so far:

    bounds at look k:  m ± t(1 − α_k; h − 1) · s,   s² = SSD_w / (h (h − 1)),   h = n − 2⌊0.1 n⌋

with SSD_w the sum of squared deviations of the winsorised values (Tukey & McLaughlin 1963, Sankhyā A 25:331; Yuen 1974,
Biometrika 61:165). Below 10 rounds nothing is trimmed and this is Student's t. α is spent over the looks as α·f³ at a
fraction f of the rounds (Kim & DeMets 1987, Biometrika 74:149); each look gets what was added since the one before, so
the levels sum to α and by Bonferroni the whole is held to α whatever the dependence of the looks, as far as each t is.
Rounds of a session may depend on each other, and then they say less than so many. So s is widened by what the session
shows of it and might hide: with ρ the lag-1 autocorrelation of head, of base and of the ratios, on average, corrected
for its bias, and 0.6/√n above that (a standard error of such an average, found by simulation),

    s² is multiplied by V (n − 1) / (n − V),   V = 1 + 2 Σ (1 − k/n) ρ^k

the variance of a mean of n values with that ρ over what their squares say of it (Anderson 1971, *The Statistical
Analysis of Time Series*, section 8.3). Independent rounds then err less than α; what 10 rounds cannot show of a strong
dependence remains (simulated exactly at the margin, α = 1 %: 0.4 % for ρ = 0, 0.9 % for 0.3, 2.4 % for 0.6; without the
widening 0.8, 2.8 and 9.8 %).

Each side has its own α, because only one of the two verdicts can be wrong. Several systems in one session: α / m each.

How noisy a session is, it says itself: base against base and head against head in successive rounds are comparisons of
identical code. Where their spread (the scale s √n of the same trimmed mean) exceeds the limit, no look decides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from ophamin.proof.decision import Outcome, outcome
from ophamin.proof.errors import MissingDependency, UsageError
from ophamin.proof.types import Threshold

__all__ = ["GateRule", "Look", "dependence", "noise", "trimmed_mean", "widening"]

TRIM = 0.1
_RHO = 3
_SHARES = (0.5, 0.75, 1.0)
_LEAST_ROUNDS = 4
_UNSEEN = 0.6
_HIGHEST_RHO = 0.9


@dataclass(frozen=True)
class GateRule:
    """What is registered before the first round.

    Args:
        margin: Slower by more than this is an alarm; a share, 0.03 is 3 %.
        alpha: Error of each side over all looks and all systems of the session.
        rounds: Rounds at most.
        noise_limit: Spread of identical code beyond which nothing is decided, in log ratio.
        systems: How many systems the session measures.

    Raises:
        UsageError: One of them makes no sense.

    Example:
        >>> GateRule().looks, [round(a, 5) for a in GateRule().levels]
        ((5, 8, 10), [0.00125, 0.00387, 0.00488])
    """

    margin: float = 0.03
    alpha: float = 0.01
    rounds: int = 10
    noise_limit: float = 0.05
    systems: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.margin < 10:
            raise UsageError(f"the margin is a share from 0 on, such as 0.03 for 3 %, not {self.margin:g}")
        if not 0 < self.alpha < 0.5:
            raise UsageError(f"alpha lies between 0 and 0.5, not {self.alpha:g}")
        if not _LEAST_ROUNDS <= self.rounds <= 1000:
            raise UsageError(f"a gate takes {_LEAST_ROUNDS} to 1000 rounds, not {self.rounds}")
        if self.systems < 1 or not self.noise_limit > 0:
            raise UsageError("a gate measures at least one system, and its noise limit is above 0")

    @property
    def threshold(self) -> Threshold:
        """The claim: head costs at most 1 + margin times what base costs."""
        return Threshold("cost_ratio", "<=", 1 + self.margin)

    @property
    def looks(self) -> tuple[int, ...]:
        """Rounds after which it is looked at."""
        return tuple(sorted({math.ceil(share * self.rounds) for share in _SHARES}))

    @property
    def levels(self) -> tuple[float, ...]:
        """α of each look, for one system; they sum to α / systems."""
        spent = [self.alpha / self.systems * (look / self.rounds) ** _RHO for look in self.looks]
        return tuple(now - before for now, before in zip(spent, [0.0, *spent], strict=False))

    def look(self, base: Sequence[float], head: Sequence[float]) -> Look:
        """Decide at a look from the rounds so far.

        Args:
            base: Least time of each round, seconds, above 0.
            head: Likewise, of the same rounds.

        Raises:
            UsageError: It is not the time for a look, or a time is none.
            MissingDependency: scipy is not there.
        """
        n = len(base)
        if n not in self.looks or len(head) != n:
            raise UsageError(f"looks are after {', '.join(map(str, self.looks))} rounds of both, not after {n}")
        if not all(0 < time < math.inf for time in (*base, *head)):
            raise UsageError("a pass took no time that the clock can tell; let one call do more, or give more records")
        ratios = [math.log(h / b) for b, h in zip(base, head, strict=True)]
        mean, error, df = trimmed_mean(ratios)
        level = self.levels[self.looks.index(n)]
        rho = dependence(base, head)
        half = _quantile(df, level) * error * widening(rho, n)
        spread = noise(base, head)
        noisy = spread > self.noise_limit
        lower, upper = math.exp(mean - half), math.exp(mean + half)
        # Equal ratios in every round have no spread to judge by.
        found: Outcome = "INCONCLUSIVE" if noisy or error == 0 else outcome(self.threshold, lower, upper)
        return Look(n, level, math.exp(mean), lower, upper, spread, noisy, found, rho)

    def rounds_to_tell(self, look: Look) -> int | None:
        """Rounds with which another session, at half of this α, would decide, were its ratios as those of this one.

        Args:
            look: Of this rule; one that decided nothing.

        Returns:
            From this rule's rounds on; ``None`` when even 1,000 would not do, or the look says nothing of the spread.
        """
        n, width = look.rounds, math.log(look.upper / look.ratio)
        if look.noisy or not width > 0:
            return None
        spread = width / (_quantile(_df(n), look.level) * widening(look.rho, n)) * math.sqrt(n)
        seen = look.rho - _UNSEEN / math.sqrt(n)
        distance = abs(math.log1p(self.margin) - math.log(look.ratio))
        for rounds in range(self.rounds, 1001):
            rule = GateRule(self.margin, self.alpha / 2, rounds, self.noise_limit, self.systems)
            rho = min(_HIGHEST_RHO, max(0.0, seen + _UNSEEN / math.sqrt(rounds)))
            if _quantile(_df(rounds), rule.levels[-1]) * widening(rho, rounds) * spread < distance * math.sqrt(rounds):
                return rounds
        return None


@dataclass(frozen=True)
class Look:
    """What a look says.

    Args:
        rounds: After how many.
        level: α of each bound.
        ratio: Trimmed mean of head / base.
        lower: Its lower bound.
        upper: Its upper bound.
        spread: Of identical code, in log ratio.
        noisy: Whether that is beyond the limit.
        outcome: VALIDATED: not slower than the margin; REFUTED: slower; INCONCLUSIVE: neither was shown.
        rho: Autocorrelation of the rounds that the bounds allow for.
    """

    rounds: int
    level: float
    ratio: float
    lower: float
    upper: float
    spread: float
    noisy: bool
    outcome: Outcome
    rho: float


def trimmed_mean(values: Sequence[float], trim: float = TRIM) -> tuple[float, float, int]:
    """Trimmed mean, its standard error, and its degrees of freedom.

    Args:
        values: At least two.
        trim: Share cut off at each end, in [0, 0.5).

    Source: Tukey & McLaughlin (1963); the standard error in Yuen's (1974) form.

    Example:
        >>> mean, error, df = trimmed_mean([1, 2, 3, 4, 5, 6, 7, 8, 9, 100])
        >>> mean, round(error, 4), df
        (5.5, 1.0897, 7)
    """
    n, cut = len(values), math.floor(trim * len(values) + 1e-9)
    kept = n - 2 * cut
    if kept < 2:
        raise UsageError(f"{n} values are too few for a trimmed mean and its spread")
    ordered = sorted(values)
    middle = ordered[cut : n - cut]
    mean = math.fsum(middle) / kept
    winsorised = [middle[0]] * cut + middle + [middle[-1]] * cut
    centre = math.fsum(winsorised) / n
    squares = math.fsum((v - centre) ** 2 for v in winsorised)
    return mean, math.sqrt(squares / (kept * (kept - 1))), kept - 1


def _df(n: int) -> int:
    return n - 2 * math.floor(TRIM * n + 1e-9) - 1


def noise(base: Sequence[float], head: Sequence[float]) -> float:
    """Spread of comparisons of identical code: log ratios of successive rounds, of base and of head.

    Args:
        base: Times of base by round, above 0.
        head: Times of head.

    Returns:
        Their scale s √n, which is the standard deviation where nothing is trimmed.

    Source: successive differences do not take a slow drift for noise (von Neumann et al. 1941, Ann. Math. Stat. 12,
    page 153).
    """
    apart = [math.log(after / before) for side in (base, head) for before, after in pairwise(side)]
    return trimmed_mean(apart)[1] * math.sqrt(len(apart))


def dependence(base: Sequence[float], head: Sequence[float]) -> float:
    """Autocorrelation from round to round that must be allowed for, from 0 to 0.9.

    Args:
        base: Times of base by round, above 0; at least two.
        head: Times of head.

    Source: bias of the estimate: Marriott & Pope (1954), Biometrika 41:390.

    Example:
        >>> slow_then_fast = [1.2, 1.21, 1.2, 1.19, 1.0, 1.01, 1.0, 1.0]
        >>> dependence(slow_then_fast, [1.0, 1.1] * 4) > 0.3
        True
    """
    n = len(base)
    logs = [math.log(t) for t in base], [math.log(t) for t in head]
    ratios = [h - b for b, h in zip(*logs, strict=True)]
    raw = math.fsum(_autocorrelation(x) for x in (*logs, ratios)) / 3
    corrected = (raw + 1 / n) / max(1 - 3 / n, 0.3)
    return min(_HIGHEST_RHO, max(0.0, corrected + _UNSEEN / math.sqrt(n)))


def _autocorrelation(values: Sequence[float]) -> float:
    centre = math.fsum(values) / len(values)
    apart = [v - centre for v in values]
    squares = math.fsum(v * v for v in apart)
    return math.fsum(a * b for a, b in pairwise(apart)) / squares if squares > 0 else 0.0


def widening(rho: float, n: int) -> float:
    """What the standard error of a mean of ``n`` values with this autocorrelation is multiplied by.

    Example:
        >>> widening(0.0, 10), round(widening(0.6, 10), 2)
        (1.0, 2.08)
    """
    v = 1 + 2 * math.fsum((1 - k / n) * rho**k for k in range(1, n))
    return math.sqrt(v * (n - 1) / max(n - v, 0.5))


@cache
def _quantile(df: int, level: float) -> float:
    try:
        from ophamin.comparing.history._student import upper_quantile
    except ImportError as error:
        raise MissingDependency("the cost gate", "scipy", "ophamin-comparing[stats]") from error
    return upper_quantile(df, level)
