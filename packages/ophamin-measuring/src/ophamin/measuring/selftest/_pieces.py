"""A simulation cut into pieces: each is counted by itself, here or in a worker, now or when a run goes on."""

from __future__ import annotations

import gc
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from ophamin.measuring.selftest._check import Check, Tally
from ophamin.measuring.selftest.catalogue import catalogue

__all__ = ["Counted", "Piece", "all_checks", "count", "pieces_of"]

_CUTS = {"quick": 4, "full": 16}
"""Pieces each simulation is cut into: a full one is worth keeping in small parts."""
_STRESSED = {"quick": 200, "full": 2000}
"""Most runs of a stress law, whose error is only shown."""


@dataclass(frozen=True)
class Piece:
    """Part of one simulation; named, so that a worker finds it in its own catalogue.

    Args:
        label: Of which check.
        law: −1: the check itself, else which of its stress laws.
        number: Which part.
        runs: How often it simulates; 0: every outcome is enumerated.
    """

    label: str
    law: int
    number: int
    runs: int


@dataclass(frozen=True)
class Counted:
    """A piece that is done.

    Args:
        tally: What it counted.
        cpu_s: Seconds of one core it took; no part of what was found.
    """

    tally: Tally
    cpu_s: float


@cache
def all_checks() -> Mapping[str, Check]:
    """Every check by its label."""
    return {check.label: check for check in catalogue()}


def pieces_of(checks: Sequence[Check], mode: str) -> list[Piece]:
    """All pieces of these checks, in their order."""
    made = []
    for check in checks:
        runs = check.runs(mode)
        if not runs:
            made.append(Piece(check.label, -1, 0, 0))
        for law in range(-1 if runs else 0, len(check.stress)):
            here = runs if law < 0 else min(runs or _STRESSED[mode], _STRESSED[mode])
            pieces = min(_CUTS[mode], here)
            cuts = [here * i // pieces for i in range(pieces + 1)]
            made += [Piece(check.label, law, i, cuts[i + 1] - cuts[i]) for i in range(pieces)]
    return made


def count(piece: Piece, seed: int) -> Counted:
    """Count one piece; its numbers depend on the seed and on which piece it is, on nothing else."""
    began = time.process_time()
    gc.freeze()  # statsmodels collects garbage at every call of Holm's: so it need not look through all there is
    try:
        tally = _tally(piece, seed)
    finally:
        gc.unfreeze()
    return Counted(tally, time.process_time() - began)


def _tally(piece: Piece, seed: int) -> Tally:
    check = all_checks()[piece.label]
    try:
        if check.run is None and piece.law < 0:
            assert check.enumerate is not None
            return check.enumerate()
        rng = np.random.default_rng([seed, zlib.crc32(piece.label.encode()), piece.law + 1, piece.number])
        run = check.run if piece.law < 0 else check.stress[piece.law].run
        assert run is not None
        return run(rng, piece.runs)
    except Exception as error:  # noqa: BLE001 - what is tried may be broken in any way, and that is its result
        return Tally(0, 0, piece.runs, max(1, piece.runs), f"{type(error).__name__}: {error}")
