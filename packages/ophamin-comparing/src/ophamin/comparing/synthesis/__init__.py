"""What a store of proofs says: counts and flips, the course of a metric, a proof's neighbours, a family's verdicts."""

from __future__ import annotations

from ophamin.comparing.synthesis.correction import Corrected, Correction, correct
from ophamin.comparing.synthesis.diagnosis import Bound, Diagnosis, diagnose
from ophamin.comparing.synthesis.summary import Flip, Summary, summarize
from ophamin.comparing.synthesis.trajectory import Point, Trajectory, analyze

__all__ = [
    "Bound",
    "Corrected",
    "Correction",
    "Diagnosis",
    "Flip",
    "Point",
    "Summary",
    "Trajectory",
    "analyze",
    "correct",
    "diagnose",
    "summarize",
]
