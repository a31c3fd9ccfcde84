"""What a reader of a verdict has to know of its registration beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["remarks"]

JSON = Any


def remarks(preregistration: Mapping[str, JSON], datasets: Sequence[Mapping[str, JSON]] = ()) -> list[str]:
    """One sentence each: what the corpus left out, that the run was resumed, what else was tried on the metric.

    Args:
        preregistration: That section of a proof.
        datasets: Its ``data.datasets``.
    """
    found = []
    for dataset in datasets:
        problems = dataset.get("problems") or {}
        if problems:
            told = ", ".join(f"{count} × {reason}" for reason, count in list(problems.items())[:5])
            found.append(f"of the corpus {dataset['name']} some gave no record, or a doubtful one: {told}")
    resumed = (preregistration.get("plan") or {}).get("resumptions") or 0
    if resumed:
        found.append(f"resumed {'once' if resumed == 1 else f'{resumed} times'}")
    others = preregistration.get("related") or {}
    number = others.get("registrations") or 0
    if number:
        claims = "1 other claim" if number == 1 else f"{number} other claims"
        found.append(
            f"{claims} on the same metric and system {'was' if number == 1 else 'were'} registered in this ledger; "
            f"α {others['alpha_spent']:g} spent on {'it' if number == 1 else 'them'}"
        )
    return found
