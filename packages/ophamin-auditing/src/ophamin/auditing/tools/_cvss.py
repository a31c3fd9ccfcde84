"""How bad an advisory is: its reviewers' word, else the base score of its CVSS vector.

FIRST, *Common Vulnerability Scoring System v3.1: Specification Document*, sections 5 and 7.1,
https://www.first.org/cvss/v3.1/specification-document.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["UNSTATED", "WORDS", "base_score", "severity"]

JSON = Any

WORDS = {"critical": "critical", "high": "high", "moderate": "medium", "medium": "medium", "low": "low"}
"""GitHub's and NVD's words → ours."""
UNSTATED = "medium"
"""Of an advisory that states no severity we can read (none, or CVSS 2 or 4 alone)."""
BANDS = ((9.0, "critical"), (7.0, "high"), (4.0, "medium"), (0.1, "low"), (0.0, "info"))
"""Least base score of each severity: the qualitative rating scale, *none* being info."""

_WEIGHTS = {
    "AV": {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2},
    "AC": {"L": 0.77, "H": 0.44},
    "UI": {"N": 0.85, "R": 0.62},
    "C": {"H": 0.56, "L": 0.22, "N": 0.0},
    "I": {"H": 0.56, "L": 0.22, "N": 0.0},
    "A": {"H": 0.56, "L": 0.22, "N": 0.0},
}
_PRIVILEGES = {"U": {"N": 0.85, "L": 0.62, "H": 0.27}, "C": {"N": 0.85, "L": 0.68, "H": 0.5}}


def base_score(vector: str) -> float | None:
    """The base score of a CVSS 3.0 or 3.1 vector, 0 to 10; ``None`` when it is no such vector.

    Example:
        >>> base_score("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H")
        9.8
        >>> base_score("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N") is None
        True
    """
    head, *metrics = vector.split("/")
    if head not in ("CVSS:3.0", "CVSS:3.1"):
        return None
    values = dict(metric.partition(":")[::2] for metric in metrics)
    try:
        scope = values["S"]
        weights = {name: table[values[name]] for name, table in _WEIGHTS.items()}
        privileges = _PRIVILEGES[scope][values["PR"]]
    except KeyError:
        return None
    lost = 1 - (1 - weights["C"]) * (1 - weights["I"]) * (1 - weights["A"])
    impact = 6.42 * lost if scope == "U" else 7.52 * (lost - 0.029) - 3.25 * (lost - 0.02) ** 15
    if impact <= 0:
        return 0.0
    exploitability = 8.22 * weights["AV"] * weights["AC"] * privileges * weights["UI"]
    return _round_up(min((impact + exploitability) * (1.0 if scope == "U" else 1.08), 10.0))


def _round_up(value: float) -> float:
    """To one decimal, upwards, without the noise of binary fractions (the specification's appendix A)."""
    whole = round(value * 100_000)
    return whole / 100_000 if whole % 10_000 == 0 else (math.floor(whole / 10_000) + 1) / 10


def severity(advisory: Mapping[str, JSON]) -> tuple[str, str]:
    """The normalised severity of an OSV advisory.

    Returns:
        One of our severities, and the CVSS vector when there is one. Of several vectors the worst counts.

    Example:
        >>> severity({"database_specific": {"severity": "MODERATE"}}), severity({})
        (('medium', ''), ('medium', ''))
    """
    rated = _list(advisory.get("severity"))
    words = [_word(advisory.get("database_specific"))]
    for affected in _list(advisory.get("affected")):
        rated += _list(affected.get("severity"))
        words += [_word(affected.get("database_specific")), _word(affected.get("ecosystem_specific"))]
    vectors = [str(r["score"]) for r in rated if isinstance(r, Mapping) and "score" in r]
    scores = sorted(((s, v) for v in vectors if (s := base_score(v)) is not None), reverse=True)
    vector = scores[0][1] if scores else next(iter(sorted(vectors)), "")
    if word := next((w for w in words if w), ""):
        return word, vector
    if scores:
        return next(name for least, name in BANDS if scores[0][0] >= least), vector
    return UNSTATED, vector


def _word(specific: JSON) -> str:
    stated = specific.get("severity") if isinstance(specific, Mapping) else None
    return WORDS.get(stated.lower(), "") if isinstance(stated, str) else ""


def _list(value: JSON) -> list[JSON]:
    return list(value) if isinstance(value, list) else []
