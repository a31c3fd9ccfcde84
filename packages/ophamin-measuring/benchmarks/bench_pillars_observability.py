"""Pillar O: a chart with all rules against plain Python, ADWIN against a bare river loop."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from river.drift import ADWIN

from ophamin.measuring.pillars.observability.charts import individuals
from ophamin.measuring.pillars.observability.drift import detect
from ophamin.measuring.pillars.observability.rules import violations


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


def _adwin() -> dict[str, Any]:
    stream = (np.random.default_rng(2).random(1_000_000) < 0.3).astype(float).tolist()

    def bare() -> int:
        detector, changes = ADWIN(), 0
        for value in stream:
            detector.update(value)
            if detector.drift_detected:
                changes += 1
        return changes

    pairs = [(_seconds(bare), _seconds(lambda: detect(stream, "adwin"))) for _ in range(3)]
    ratio = statistics.median(b / o for b, o in pairs)
    return {
        "name": "ADWIN over 1,000,000 values / a bare river loop",
        "ratio": ratio,
        "bar": ">= 0.95",
        "ok": ratio >= 0.95,
        "detail": f"{statistics.median(o for _, o in pairs):.2f} s against {statistics.median(b for b, _ in pairs):.2f} s",
    }


def run() -> list[dict[str, Any]]:
    """The rows."""
    return [_chart(), _adwin()]
