"""From bounds to verdicts: gaps in the data, co-primary thresholds, attempts, families.

The verdict itself is formed in one place only, ``ophamin.proof.decision.outcome``; this room prepares
what it is given. Standard library: an estimator is loaded by name when a threshold is decided.
"""

from ophamin.measuring.decision._alpha import alpha_for, error_bound
from ophamin.measuring.decision._check import check_claim
from ophamin.measuring.decision._claim import ClaimDecision, decide_claim
from ophamin.measuring.decision._families import (
    Corrected,
    Member,
    benjamini_hochberg,
    benjamini_yekutieli,
    bonferroni,
    correct_family,
    corrected_outcome,
    hochberg,
    holm,
)
from ophamin.measuring.decision._least import least_n
from ophamin.measuring.decision._part import PartDecision, decide

__all__ = [
    "ClaimDecision",
    "Corrected",
    "Member",
    "PartDecision",
    "alpha_for",
    "benjamini_hochberg",
    "benjamini_yekutieli",
    "bonferroni",
    "check_claim",
    "correct_family",
    "corrected_outcome",
    "decide",
    "decide_claim",
    "error_bound",
    "hochberg",
    "holm",
    "least_n",
]
