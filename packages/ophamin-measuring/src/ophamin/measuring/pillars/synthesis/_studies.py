"""What the plug-ins of pillar I share: reading studies, their columns and options, evidence of a pooled effect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ophamin.measuring.pillars._columns import complete, labels, numbers
from ophamin.measuring.pillars._evidence import finding, finite
from ophamin.measuring.pillars.synthesis.heterogeneity import METHODS
from ophamin.measuring.pillars.synthesis.pooling import PREDICTIONS, TESTS, Pooled
from ophamin.proof.types import PillarEvidence
from ophamin.protocols import Columns, OptionSpec, PillarResult

__all__ = ["LEVEL", "METHOD", "PREDICTION", "STUDIES", "TEST", "pooled_evidence", "read_studies", "refused"]

STUDIES: Mapping[str, str] = {
    "effect": "effect of each study; log scale for ratios",
    "variance": "its sampling variance",
    "study": "optional: name of the study",
}
METHOD = OptionSpec("REML", f"estimator of tau2: {', '.join(METHODS)}")
TEST = OptionSpec("z", f"how the interval is made: {', '.join(TESTS)}")
PREDICTION = OptionSpec("t-k-2", f"quantile of the prediction interval: {', '.join(PREDICTIONS)}")
LEVEL = OptionSpec(0.95, "two-sided confidence of the intervals")


def read_studies(pillar: str, columns: Columns, *more: str) -> tuple[Mapping[str, Any], list[str]]:
    """Effects, variances, names and further columns of the studies that have them all; and what was left out."""
    arrays = {name: numbers(pillar, columns, name) for name in ("effect", "variance", *more)}
    names = labels(pillar, columns, "study") if "study" in columns else np.arange(1, len(arrays["effect"]) + 1)
    kept, left_out = complete(**arrays)
    present = ~np.isnan(np.column_stack(list(arrays.values()))).any(axis=1)
    notes = [f"{left_out} studies lack a value and were left out"] if left_out else []
    return {**kept, "study": [str(n) for n in names[present]]}, notes


def refused(pillar: str, reason: str) -> PillarResult:
    """A typed answer where nothing can be computed."""
    return PillarResult([finding(pillar, "pooled_effect", None)], warnings=[reason])


def pooled_evidence(pillar: str, found: Pooled, method: str, test: str, level: float) -> list[PillarEvidence]:
    detail: dict[str, Any] = {
        "tau2_method": method,
        "test": test,
        "level": level,
        "df": found.df,
        "se": finite(found.se),
    }
    return [
        finding(
            pillar, "pooled_effect", found.estimate, low=found.lower, high=found.upper, p_value=found.p_value,
            n=found.k, method=f"{method} {test}", guarantee="approximate", **detail,
        ),
        finding(pillar, "tau2", found.tau2, library=found.tau2_library, n=found.k, method=method),
        finding(pillar, "Q", found.q, p_value=found.q_p_value, n=found.k, df=found.q_df),
        finding(pillar, "I2", found.i2, n=found.k, units="%", from_tau2=finite(found.i2_tau2)),
        finding(pillar, "H2", found.h2, n=found.k, from_tau2=finite(found.h2_tau2)),
    ]  # fmt: skip
