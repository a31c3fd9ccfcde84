"""The verdicts of a sweep as one family: Holm over all its cells, both ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ophamin.comparing.drift.family import adjusted

__all__ = ["corrected", "p_values"]

JSON = Any


def p_values(record: Mapping[str, JSON], share: float) -> tuple[float, float]:
    """p to validate and p to refute of a proof; 1 for what it did not decide.

    A later attempt at a claim has less than the α of the first, so its p counts α/α_used times: else trying again
    would cost the family nothing.

    Co-primary thresholds: the largest p validates, K times the smallest refutes. Where a rule decides without a
    p-value, the α it spent stands in, which its p is at most.

    Args:
        record: The proof.
        share: α of an attempt when no earlier one spent any: the claim's α over the attempts registered in advance.
    """
    outcome, used = record["verdict"]["outcome"], float(record["preregistration"]["alpha_used"])
    primary = [e for e in record["evidence"] if (e.get("role") or "primary") == "primary"]
    found: dict[str, float] = {}
    for name, won in (("p_validated", "VALIDATED"), ("p_refuted", "REFUTED")):
        given = [(e.get("detail") or {}).get(name) for e in primary]
        known = [float(p) for p in given if isinstance(p, (int, float)) and 0 <= p <= 1]
        if outcome != won:
            found[name] = 1.0
        elif len(known) < len(given) or not known:
            found[name] = used
        else:
            found[name] = max(known) if name == "p_validated" else min(1.0, len(known) * min(known))
    times = max(1.0, share / used) if used > 0 else 1.0
    return min(1.0, times * found["p_validated"]), min(1.0, times * found["p_refuted"])


def corrected(cells: Sequence[Mapping[str, JSON]], alpha: float) -> list[dict[str, JSON]]:
    """The cells' verdicts at a family-wise α; each can only weaken.

    Args:
        cells: ``outcome`` (``FAILED`` where there is none), ``exact``, ``p_validated``, ``p_refuted``.
        alpha: Of the family, each way.

    Returns:
        ``p_validated_holm``, ``p_refuted_holm`` and ``corrected`` of each cell; exact ones stand outside.
    """
    inside = [i for i, cell in enumerate(cells) if not cell["exact"]]
    ways = [adjusted([float(cells[i][name]) for i in inside], "holm") for name in ("p_validated", "p_refuted")]
    found = [{"p_validated_holm": None, "p_refuted_holm": None, "corrected": cell["outcome"]} for cell in cells]
    for i, validated, refuted in zip(inside, *ways, strict=True):
        stands = {"VALIDATED": validated <= alpha, "REFUTED": refuted <= alpha}.get(cells[i]["outcome"], True)
        found[i] = {
            "p_validated_holm": validated,
            "p_refuted_holm": refuted,
            "corrected": cells[i]["outcome"] if stands else "INCONCLUSIVE",
        }
    return found
