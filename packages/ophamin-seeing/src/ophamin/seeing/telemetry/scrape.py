"""One scrape of an endpoint."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ophamin.proof.errors import MissingDependency, UsageError
from ophamin.seeing._params import choice
from ophamin.seeing.telemetry._fetch import ACCEPT, fetch, without_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Scrape", "scrape"]

JSON = Any


@dataclass(frozen=True)
class Scrape:
    """What an endpoint said once.

    Args:
        url: The address, without user name and password.
        format: ``text`` or ``openmetrics``.
        content_type: As sent.
        scraped_at: ISO-8601 UTC.
        wall_s: Seconds it took.
        n_bytes: Length of the body.
        digest: ``sha256:…`` of the body.
        families: As the record has them.
        warnings: What is odd about it.
    """

    url: str
    format: str
    content_type: str
    scraped_at: str
    wall_s: float
    n_bytes: int
    digest: str
    families: Sequence[Mapping[str, JSON]]
    warnings: Sequence[str] = ()

    @property
    def n_samples(self) -> int:
        """Series in all families."""
        return sum(len(f["samples"]) for f in self.families)

    def summary(self) -> dict[str, JSON]:
        """Its row in the record."""
        return {
            "scraped_at": self.scraped_at,
            "wall_s": self.wall_s,
            "n_bytes": self.n_bytes,
            "digest": self.digest,
            "n_families": len(self.families),
            "n_samples": self.n_samples,
        }


def scrape(url: str, *, timeout_s: float = 10.0, format: str = "auto") -> Scrape:
    """Ask an endpoint for its metrics.

    Args:
        url: ``http`` or ``https``.
        timeout_s: Seconds for the whole answer.
        format: ``auto`` prefers OpenMetrics, which alone has exemplars; ``text`` and ``openmetrics`` ask for that one.

    Raises:
        MissingDependency: Without prometheus-client.
        WrongScheme: Another scheme than http or https.
        EndpointDown: Nothing answers, or it answers with an HTTP error.
        EndpointSlow: The whole answer takes longer.
        Redirected: The metrics are said to be elsewhere.
        ResponseTooBig: Longer than 32 MiB, or more series than a record holds.
        NotMetrics: Another format.
        MalformedMetrics: The text breaks its format; the line is named.

    Example:
        >>> scrape("http://localhost:9100/metrics").n_samples  # doctest: +SKIP
        1184
    """
    try:
        from ophamin.seeing.telemetry._parse import format_of, parse_metrics
    except ImportError as error:
        raise MissingDependency("reading metrics", "prometheus-client", "ophamin-seeing[telemetry]") from error
    choice("format", format, tuple(ACCEPT))
    if not 0 < timeout_s <= 3600:
        raise UsageError(f"a timeout is more than 0 and at most 3600 seconds, not {timeout_s:g}")
    shown = without_secrets(url)
    at = datetime.now(timezone.utc).isoformat(timespec="microseconds")
    response = fetch(url, accept=ACCEPT[format], timeout_s=timeout_s)
    kind = format_of(response.content_type, shown)
    families, warnings = parse_metrics(response.body, kind, shown)
    return Scrape(
        url=shown,
        format=kind,
        content_type=response.content_type,
        scraped_at=at,
        wall_s=response.wall_s,
        n_bytes=len(response.body),
        digest="sha256:" + hashlib.sha256(response.body).hexdigest(),
        families=families,
        warnings=warnings,
    )
