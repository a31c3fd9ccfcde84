"""The drift between two sets of proofs for the same claims."""

from __future__ import annotations

from ophamin.comparing.drift.classes import Transition
from ophamin.comparing.drift.compare import Drift, Pair, PartDrift, Unmatched, compare
from ophamin.comparing.drift.mover import Bounds, mover_difference
from ophamin.comparing.drift.proofs import Proof, SeriesKey, proof_of

__all__ = [
    "Bounds",
    "Drift",
    "Pair",
    "PartDrift",
    "Proof",
    "SeriesKey",
    "Transition",
    "Unmatched",
    "compare",
    "mover_difference",
    "proof_of",
]
