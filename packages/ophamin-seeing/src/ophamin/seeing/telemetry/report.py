"""Scrapes as a signed record in the project's store."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ophamin.proof.errors import LimitError, UsageError
from ophamin.protocols import Settings
from ophamin.seeing._signed import Kept, identity, keep, reproduction, signer_of
from ophamin.seeing.telemetry.errors import ResponseTooBig
from ophamin.seeing.telemetry.record import TELEMETRY
from ophamin.seeing.telemetry.scrape import scrape
from ophamin.seeing.telemetry.window import changes, missing_series

__all__ = ["report_telemetry"]

JSON = Any
_TICK_S = 0.5


def report_telemetry(
    url: str,
    settings: Settings,
    *,
    window_s: float | None = None,
    timeout_s: float = 10.0,
    format: str = "auto",
    key_file: Path | None = None,
    progress: Callable[[float, float], None] | None = None,
) -> Kept:
    """Scrape an endpoint once, or twice over a window, sign what it said and store it.

    Args:
        url: ``http`` or ``https``.
        settings: Of the project whose store is used.
        window_s: Seconds between two scrapes; ``None``: one scrape.
        timeout_s: Seconds for each whole answer.
        format: ``auto``, ``text`` or ``openmetrics``.
        key_file: Signing key; default: ``$OPHAMIN_SIGN_KEY`` or the installation's own.
        progress: Told the seconds waited and the whole.

    Raises:
        UsageError: A window that is no time.
        MissingDependency: Without prometheus-client.
        OphaminError: As ``scrape`` says.
        KeyPolicyError: The key cannot be used.
    """
    if window_s is not None and not 0 < window_s <= 86_400:
        raise UsageError(f"a window is more than 0 seconds and at most a day, not {window_s:g}")
    signer = signer_of(key_file)
    scrapes = [scrape(url, timeout_s=timeout_s, format=format)]
    began, between = time.monotonic(), None
    if window_s is not None:
        while (waited := time.monotonic() - began) < window_s:
            if progress is not None:
                progress(waited, window_s)
            time.sleep(min(_TICK_S, window_s - waited))
        between = time.monotonic() - began
        scrapes.append(scrape(url, timeout_s=timeout_s, format=format))
    first, last = scrapes[0], scrapes[-1]
    options = [] if window_s is None else ["--window", f"{window_s:g}"]
    options += [] if format == "auto" else ["--format", format]
    body: dict[str, JSON] = {
        "schema_version": TELEMETRY.version,
        "identity": identity(),
        "source": {"url": last.url, "format": last.format, "content_type": last.content_type},
        "scrapes": [s.summary() for s in scrapes],
        "window_s": between,
        "families": list(last.families),
        "changes": [] if between is None else changes(first.families, last.families, between),
        "missing": [] if between is None else missing_series(first.families, last.families),
        "warnings": list(last.warnings),
        "reproduction": reproduction(["ophamin", "scrape", last.url, *options]),
    }
    try:
        return keep(body, TELEMETRY, settings, signer)
    except LimitError as error:
        raise ResponseTooBig(
            f"{last.url} has {last.n_samples} series, more than a record holds with their labels"
            f"{'' if between is None else ' and increases'}; scrape a narrower address"
        ) from error
