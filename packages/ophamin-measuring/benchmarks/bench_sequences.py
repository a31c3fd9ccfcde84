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


def run() -> list[dict[str, Any]]:
    """The rows."""
    x = (np.random.default_rng(1).random(N) < 0.7).astype(float)
    _ours(x)
    streamed, whole = [], []
    for turn in range(21):
        own, found = _ours(x)
        if turn < 3:  # tens of seconds each
            streamed.append(_theirs_streamed(x) / own)
        seconds, theirs = _theirs_whole(x)
        whole.append(seconds / own)
        assert np.allclose(found.lower, theirs.lower_, atol=1e-9)
        assert np.allclose(found.upper, theirs.upper_, atol=1e-9)
    detail = f"{1000 * own:.2f} ms"
    ways = (("one observation at a time", streamed), ("fit() over the whole stream", whole))
    return [
        {
            "name": f"Bernoulli confidence sequence, interval at each of {N} steps / ville, {way}",
            "ratio": statistics.median(ratios),
            "bar": ">= 50",
            "ok": statistics.median(ratios) >= 50,
            "detail": detail,
        }
        for way, ratios in ways
    ]
