"""Pillar O: a chart with all rules against plain Python, streams against bare loops over river and scipy."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from river.drift import ADWIN
from scipy.signal import lfilter

from ophamin.measuring.pillars.observability.charts import individuals
from ophamin.measuring.pillars.observability.drift import BINARY, detect, make_detector
from ophamin.measuring.pillars.observability.rules import violations
from ophamin.measuring.pillars.observability.weighted import ewma


def _seconds(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _plain_chart(x: list[float]) -> int:
    """Individuals chart and Nelson's eight rules, a point at a time."""
    n = len(x)
    center = sum(x) / n
    sigma = sum(abs(b - a) for a, b in pairwise(x)) / (n - 1) / 1.128379
    z = [(v - center) / sigma for v in x]
    marks = 0
    for i in range(n):
        marks += abs(z[i]) > 3
        if i >= 8:
            p = z[i - 8 : i + 1]
            marks += all(v > 0 for v in p) or all(v < 0 for v in p)
        if i >= 5:
            p = z[i - 5 : i + 1]
            marks += all(a < b for a, b in pairwise(p)) or all(a > b for a, b in pairwise(p))
        if i >= 13:
            p = z[i - 13 : i + 1]
            steps = [b - a for a, b in pairwise(p)]
            marks += all(a * b < 0 for a, b in pairwise(steps))
        if i >= 2:
            p = z[i - 2 : i + 1]
            marks += sum(v > 2 for v in p) >= 2 or sum(v < -2 for v in p) >= 2
        if i >= 4:
            p = z[i - 4 : i + 1]
            marks += sum(v > 1 for v in p) >= 4 or sum(v < -1 for v in p) >= 4
        if i >= 14:
            marks += all(abs(v) < 1 for v in z[i - 14 : i + 1])
        if i >= 7:
            marks += all(abs(v) > 1 for v in z[i - 7 : i + 1])
    return marks


def _chart() -> dict[str, Any]:
    x = np.random.default_rng(1).normal(0, 1, 100_000)
    plain_values = x.tolist()
    ours = statistics.median(_seconds(lambda: violations(individuals(x).z, "nelson")) for _ in range(7))
    plain = statistics.median(_seconds(lambda: _plain_chart(plain_values)) for _ in range(3))
    ratio = plain / ours
    return {
        "name": "individuals chart of 100,000 points with Nelson's rules / plain Python",
        "ratio": ratio,
        "bar": ">= 20",
        "ok": ratio >= 20 and ours <= 0.05,
        "detail": f"{1000 * ours:.1f} ms (budget 50 ms) against {1000 * plain:.0f} ms",
    }


def _bare(name: str, stream: list[float]) -> tuple[list[int], list[int]]:
    """A loop over river as its manual writes it; detectors of errors take a bool, and a column holds 0 and 1."""
    detector, changes, warnings = make_detector(name), [], []
    if name not in BINARY:
        for i, value in enumerate(stream):
            detector.update(value)
            if detector.drift_detected:
                changes.append(i)
        return changes, []
    for i, value in enumerate(stream):
        detector.update(bool(value))
        if detector.drift_detected:
            changes.append(i)
        elif detector.warning_detected:
            warnings.append(i)
    return changes, warnings


def _adwin() -> dict[str, Any]:
    stream = (np.random.default_rng(2).random(1_000_000) < 0.3).astype(float).tolist()

    def bare() -> int:
        detector, changes = ADWIN(), 0
        for value in stream:
            detector.update(value)
            if detector.drift_detected:
                changes += 1
        return changes

    bare(), detect(stream, "adwin")
    pairs = [(_seconds(bare), _seconds(lambda: detect(stream, "adwin"))) for _ in range(7)]
    ratio = statistics.median(b / o for b, o in pairs)
    return {
        "name": "ADWIN over 1,000,000 values / a bare river loop",
        "ratio": ratio,
        "bar": ">= 0.95",
        "ok": ratio >= 0.95,
        "detail": f"{statistics.median(o for _, o in pairs):.2f} s against {statistics.median(b for b, _ in pairs):.2f} s",
    }


def _against(name: str, ours: Callable[[], Any], theirs: Callable[[], Any], repeats: int = 9) -> dict[str, Any]:
    ours(), theirs()
    pairs = [(_seconds(ours), _seconds(theirs)) for _ in range(repeats)]
    ratio = statistics.median(o / t for o, t in pairs)
    mine, other = (1000 * statistics.median(p[i] for p in pairs) for i in (0, 1))
    return {
        "name": name, "ratio": ratio, "bar": "<= 1.1", "ok": ratio <= 1.1,
        "detail": f"{mine:.1f} ms against {other:.1f} ms",
    }  # fmt: skip


def _detectors() -> list[dict[str, Any]]:
    rng, rows = np.random.default_rng(3), []
    # Long enough for river to take tens of milliseconds, with a change in the middle.
    for name, n in (("kswin", 5_000), ("page-hinkley", 50_000), *((name, 100_000) for name in sorted(BINARY))):
        if name in BINARY:
            stream = (rng.random(n) < np.where(np.arange(n) < n // 2, 0.1, 0.3)).astype(float).tolist()
        else:
            stream = (rng.normal(size=n) + (np.arange(n) >= n // 2)).tolist()
        found = detect(stream, name)
        assert (found.changes, found.warnings) == _bare(name, stream)
        rows.append(
            _against(
                f"{name} over {n:,} values / a bare river loop",
                lambda s=stream, d=name: detect(s, d),  # type: ignore[misc]
                lambda s=stream, d=name: _bare(d, s),  # type: ignore[misc]
            )
        )
    return rows


def _ewma() -> dict[str, Any]:
    x, lam = np.random.default_rng(4).normal(size=3_000_000), 0.2

    def theirs() -> Any:
        smooth = lfilter([lam], [1, lam - 1], x, zi=[0.0])[0]
        half = np.full(len(x), 3 * np.sqrt(lam / (2 - lam)))
        return smooth, -half, half

    return _against(
        "EWMA chart of 3,000,000 values / scipy.signal.lfilter and limits that stay",
        lambda: ewma(x, target=0.0, sigma=1.0, lam=lam),
        theirs,
    )


def run() -> list[dict[str, Any]]:
    """The rows."""
    return [_chart(), _ewma(), _adwin(), *_detectors()]
