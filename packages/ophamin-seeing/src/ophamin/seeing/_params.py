"""Parameters of a spec arrive as strings; these turn them into values or into one clear sentence."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from ophamin.proof.errors import UsageError

__all__ = ["boolean", "choice", "integer", "keywords", "nearest", "number", "probability"]

_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")


def number(name: str, value: str | float, *, low: float = -math.inf, high: float = math.inf) -> float:
    """A finite float within ``[low, high]``.

    Raises:
        UsageError: Not a number, not finite, or outside the range.
    """
    try:
        result = float(value)
    except ValueError:
        raise UsageError(f"{name}={value}: a number is needed") from None
    if not math.isfinite(result) or not low <= result <= high:
        raise UsageError(f"{name}={value}: must be a finite number from {low:g} to {high:g}")
    return result


def probability(name: str, value: str | float) -> float:
    """A number from 0 to 1.

    Raises:
        UsageError: It is not one.
    """
    return number(name, value, low=0.0, high=1.0)


def integer(name: str, value: str | int, *, low: int = 0, high: int = 2**32 - 1) -> int:
    """A whole number within ``[low, high]``.

    Raises:
        UsageError: Not a whole number, or outside the range.
    """
    try:
        result = int(value)
    except ValueError:
        raise UsageError(f"{name}={value}: a whole number is needed") from None
    if not low <= result <= high:
        raise UsageError(f"{name}={value}: must be a whole number from {low} to {high}")
    return result


def boolean(name: str, value: str | bool) -> bool:
    """``true``/``false`` (also 1/0, yes/no, on/off).

    Raises:
        UsageError: Neither.
    """
    text = str(value).lower()
    if text not in _TRUE and text not in _FALSE:
        raise UsageError(f"{name}={value}: must be true or false")
    return text in _TRUE


def choice(name: str, value: str, allowed: Sequence[str]) -> str:
    """One of the allowed words.

    Raises:
        UsageError: None of them; the nearest is named.
    """
    if value not in allowed:
        raise UsageError(f"{name}={value}: must be one of {', '.join(allowed)}{nearest(value, allowed)}")
    return value


def keywords(name: str, value: str) -> dict[str, Any]:
    """Keyword arguments from a JSON object; none from "".

    Raises:
        UsageError: It is no JSON object.
    """
    try:
        found = json.loads(value) if value else {}
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{name}={value}: is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise UsageError(f'{name}={value}: must be a JSON object, such as {{"depth": 3}}')
    return found


def nearest(word: str, known: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the known word closest to ``word``, or "" when none is close."""
    close = get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
