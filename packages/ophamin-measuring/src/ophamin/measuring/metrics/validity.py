"""Tier 2: is the run still valid, and has it seen enough? Followed cycle by cycle, in constant time each.

The numbers equal those of pillars A and O on the cycles so far; each may be looked at after every cycle. The registered
numbers (shares, hypotheses, reference) are given beforehand; what is not registered is not followed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ophamin.measuring.pillars.observability.drift import make_detector
from ophamin.proof.errors import UsageError

__all__ = ["Registered", "Validity"]


@dataclass(frozen=True)
class Registered:
    """What was fixed before the first cycle.

    Args:
        shares: Planned share of each arm: ``srm_p``, as of ``A.srm``.
        concentration: Weight of that test's prior, in units.
        h0: Proportion under H₀ and
        h1: under H₁: ``llr``, the log likelihood ratio of outcomes 0 and 1, as of ``A.sprt``.
        mean: Reference mean of the value: ``always_valid_p`` that it has not moved, as of ``A.msprt``, and
        sigma: its standard deviation: with the mean ``drift_score``, the standardised EWMA, as of ``O.ewma``.
        tau: Standard deviation of the shifts looked for; default: ``sigma``.
        weight: λ of the EWMA.
    """

    shares: Mapping[str, float] | None = None
    concentration: float = 100.0
    h0: float | None = None
    h1: float | None = None
    mean: float | None = None
    sigma: float | None = None
    tau: float | None = None
    weight: float = 0.2

    def __post_init__(self) -> None:
        """Refuse what could not be followed."""
        if self.shares is not None and (len(self.shares) < 2 or not all(s > 0 for s in self.shares.values())):
            raise UsageError("shares are planned for two or more arms, each above 0")
        if (self.h0 is None) != (self.h1 is None) or (self.mean is None) != (self.sigma is None):
            raise UsageError("h0 goes with h1, and mean with sigma")
        if self.h0 is not None and self.h1 is not None and not (0 < self.h0 < 1 and 0 < self.h1 < 1):
            raise UsageError("h0 and h1 are proportions between 0 and 1")
        if self.sigma is not None and not self.sigma > 0:
            raise UsageError("sigma lies above 0")
        if not (0 < self.weight <= 1 and self.concentration > 0 and (self.tau is None or self.tau > 0)):
            raise UsageError("the EWMA's weight lies in (0, 1], concentration and tau above 0")


class Validity:
    """Validity and stopping, updated after every cycle.

    Example:
        >>> v = Validity(Registered(h0=0.5, h1=0.8))
        >>> v.update(outcome=1.0); v.update(outcome=1.0)
        >>> round(v.snapshot()["llr"], 4)
        0.94
    """

    def __init__(self, registered: Registered) -> None:
        self._r = registered
        shares = registered.shares or {}
        total = sum(shares.values())
        self._shares = {arm: share / total for arm, share in shares.items()}
        self._counts = dict.fromkeys(self._shares, 0)
        self._log_factor = 0.0
        self._srm_p = 1.0
        self._llr = 0.0
        self._n, self._sum, self._p = 0, 0.0, 1.0
        self._ewma = registered.mean or 0.0
        self._detector = make_detector("adwin")
        self._changes = 0
        self._values = 0

    def update(self, *, arm: str | None = None, outcome: float | None = None, value: float | None = None) -> None:
        """Take in a cycle; what is ``None`` was not seen.

        Args:
            arm: Arm the cycle was allocated to.
            outcome: 0 or 1.
            value: The followed number.

        Raises:
            UsageError: An arm that was not planned, an outcome that is not 0 or 1, or a value that is not finite.
        """
        r = self._r
        if arm is not None and self._shares and arm not in self._shares:
            raise UsageError(f"the arm {arm!r} is not planned; the plan names {', '.join(self._shares)}")
        if outcome is not None and outcome not in (0, 1):
            raise UsageError(f"an outcome is 0 or 1, not {outcome!r}")
        if value is not None and not math.isfinite(value):
            raise UsageError(f"a value is finite, not {value!r}")
        if arm is not None and self._shares:
            # The predictive chance of this arm over its planned share: the Dirichlet–multinomial factor, one unit on.
            seen = sum(self._counts.values())
            prior = r.concentration * self._shares[arm]
            self._log_factor += math.log((prior + self._counts[arm]) / (r.concentration + seen) / self._shares[arm])
            self._counts[arm] += 1
            self._srm_p = min(self._srm_p, math.exp(-max(self._log_factor, 0.0)))
        if outcome is not None and r.h0 is not None and r.h1 is not None:
            self._llr += math.log(r.h1 / r.h0) if outcome else math.log((1 - r.h1) / (1 - r.h0))
        if value is None:
            return
        self._values += 1
        self._detector.update(float(value))
        self._changes += bool(self._detector.drift_detected)
        if r.mean is not None and r.sigma is not None:
            self._n += 1
            self._sum += value - r.mean
            variance, tau2 = r.sigma**2, (r.tau or r.sigma) ** 2
            spread = variance + self._n * tau2
            log_lambda = 0.5 * math.log(variance / spread) + tau2 * self._sum**2 / (2 * variance * spread)
            self._p = min(self._p, math.exp(-max(log_lambda, 0.0)))
            self._ewma += r.weight * (value - self._ewma)

    def snapshot(self) -> dict[str, float]:
        """What is followed, by flat name; what has seen nothing yet is absent."""
        r, values = self._r, {}
        if sum(self._counts.values()):
            values["srm_p"] = self._srm_p
        if r.h0 is not None:
            values["llr"] = self._llr
        if self._n and r.sigma is not None and r.mean is not None:
            w = r.weight
            sd = r.sigma * math.sqrt(w / (2 - w) * (1 - (1 - w) ** (2 * self._n)))
            values["always_valid_p"] = self._p
            values["drift_score"] = (self._ewma - r.mean) / sd
        if self._values:
            values["drift_changes"] = float(self._changes)
        return values
