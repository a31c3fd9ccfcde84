"""Confidence sequence of a proportion: the interval after every observation, against the package ``ville``."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
from ville import BernoulliCS

from ophamin.measuring.pillars.adaptive.sequences import beta_mixture_sequence

N = 10_000


def _ours(x: Any) -> tuple[float, Any]:
    began = time.perf_counter()
    found = beta_mixture_sequence(x)
    return time.perf_counter() - began, found


def _theirs_streamed(x: Any) -> float:
    """An interval at every step as its stream gives it: one observation, then ``interval()``."""
    sequence = BernoulliCS(intersect=True)
    began = time.perf_counter()
    for value in x:
        sequence.update(value)
        sequence.interval()
    return time.perf_counter() - began


def _theirs_whole(x: Any) -> tuple[float, Any]:
    began = time.perf_counter()
    sequence = BernoulliCS(intersect=True).fit(x)
    return time.perf_counter() - began, sequence


def _row(way: str, n: int, ratios: list[float], own: list[float]) -> dict[str, Any]:
    ratio = statistics.median(ratios)
    return {
        "name": f"Bernoulli confidence sequence, interval at each of {n:,} steps / ville, {way}",
        "ratio": ratio,
        "bar": ">= 50",
        "ok": ratio >= 50,
        "detail": f"{1000 * statistics.median(own):.2f} ms",
    }


def _streamed(x: Any) -> dict[str, Any]:
    times = [(_ours(x)[0], _theirs_streamed(x)) for _ in range(3)]  # tens of seconds each
    return _row("one observation at a time", len(x), [t / o for o, t in times], [o for o, _ in times])


def _whole(x: Any, repeats: int) -> dict[str, Any]:
    ratios, own = [], []
    for _ in range(repeats):
        seconds, found = _ours(x)
        others, theirs = _theirs_whole(x)
        ratios.append(others / seconds)
        own.append(seconds)
        assert np.allclose(found.lower, theirs.lower_, atol=1e-9)
        assert np.allclose(found.upper, theirs.upper_, atol=1e-9)
    return _row("fit() over the whole stream", len(x), ratios, own)


def run() -> list[dict[str, Any]]:
    """The rows."""
    x = (np.random.default_rng(1).random(100_000) < 0.7).astype(float)
    _ours(x)
    return [_streamed(x[:N]), _whole(x[:N], 21), _whole(x, 9)]
