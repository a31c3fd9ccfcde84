"""Planned shares of the arms of an experiment, as words."""

from __future__ import annotations

import math

from ophamin.proof.errors import UsageError

__all__ = ["planned"]


def planned(text: str) -> dict[str, float]:
    """Planned shares by arm; empty for empty words.

    Raises:
        UsageError: Words that are not NAME=SHARE, or a share that is not above 0.

    Example:
        >>> planned("a=0.5,b=0.5")
        {'a': 0.5, 'b': 0.5}
    """
    plan = {}
    for word in filter(None, (w.strip() for w in text.split(","))):
        name, equals, share = word.rpartition("=")
        try:
            plan[name] = float(share)
        except ValueError:
            equals = ""
        if not equals or not name or not plan[name] > 0 or not math.isfinite(plan[name]):
            raise UsageError(f'a plan names shares above 0, such as "a=0.5,b=0.5", not {text!r}')
    return plan
