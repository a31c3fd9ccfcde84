"""The drift between two sets of proofs for the same claims."""

from __future__ import annotations

from ophamin.comparing.drift.classes import Transition
from ophamin.comparing.drift.compare import Drift, Pair, PartDrift, Unmatched, compare
from ophamin.comparing.drift.effects import Effect, Sides
from ophamin.comparing.drift.family import CORRECTIONS, Correction
from ophamin.comparing.drift.mover import Bounds, mover_difference
from ophamin.comparing.drift.proofs import Proof, SeriesKey, proof_of

__all__ = [
    "CORRECTIONS",
    "Bounds",
    "Correction",
    "Drift",
    "Effect",
    "Pair",
    "PartDrift",
    "Proof",
    "SeriesKey",
    "Sides",
    "Transition",
    "Unmatched",
    "compare",
    "mover_difference",
    "proof_of",
]
