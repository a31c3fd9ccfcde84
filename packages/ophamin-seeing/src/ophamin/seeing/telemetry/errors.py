"""What can be wrong with a metrics endpoint, each by its own name."""

from __future__ import annotations

from ophamin.proof.errors import OphaminError, SubstrateFailure, UsageError

__all__ = [
    "EndpointDown",
    "EndpointSlow",
    "MalformedMetrics",
    "NotMetrics",
    "Redirected",
    "ResponseTooBig",
    "WrongScheme",
]


class EndpointDown(SubstrateFailure):
    """Nothing answers there, it hangs up, or it answers with an HTTP error."""


class EndpointSlow(SubstrateFailure, TimeoutError):
    """The whole answer did not come within the time it had."""


class NotMetrics(OphaminError, ValueError):
    """It answers, but not in a text format of Prometheus or OpenMetrics."""


class MalformedMetrics(NotMetrics):
    """The text breaks its format; the line is named.

    Args:
        line: From 1; where the parser stopped.
        reason: What the parser said.
    """

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line} of the metrics is malformed: {reason}")
        self.line, self.reason = line, reason


class ResponseTooBig(NotMetrics):
    """Longer than a scrape may be."""


class Redirected(OphaminError, ValueError):
    """It answers that the metrics are elsewhere; only the address that was named is asked."""


class WrongScheme(UsageError):
    """An address that is not http or https."""
