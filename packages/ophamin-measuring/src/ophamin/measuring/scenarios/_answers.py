"""Whether an answer is the right one, whatever type the corpus spelled the right one in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["same_answer", "truth_of"]

JSON = Any
_WORDS = {"true": True, "false": False}


def truth_of(labels: Mapping[str, JSON]) -> JSON:
    """The right answer of a record: its label ``label``, else its ``kind``, else ``None``."""
    truth = labels.get("label")
    return labels.get("kind") if truth is None else truth


def same_answer(answer: JSON, truth: JSON) -> bool:
    """Whether they are equal, reading text as a number or a truth value where the other side is one.

    A table spells everything as text, so its ``4`` is the answer 4 and its ``true`` the answer true. Two texts
    are compared as they stand.

    Example:
        >>> same_answer(4, "4"), same_answer(True, "true"), same_answer("yes", "Yes")
        (True, True, False)
    """
    if isinstance(answer, str) == isinstance(truth, str):
        return bool(answer == truth)
    text, other = (answer, truth) if isinstance(answer, str) else (truth, answer)
    if isinstance(other, bool):
        return _WORDS.get(text.strip().lower()) is other
    if isinstance(other, (int, float)):
        try:
            return float(text) == other
        except ValueError:
            return False
    return False
