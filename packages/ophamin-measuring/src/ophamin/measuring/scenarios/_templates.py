"""The template of an input: what is left of it when its numerals, case and spacing are folded."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["template_of"]

_NUMERALS = re.compile(r"\d+(?:[.,]\d+)*")
_SPACE = re.compile(r"\s+")


def template_of(payload: Any) -> str:
    """Fold a payload to its template.

    A numeral, or a list of them without blanks, becomes one ``#``; case is folded, white space becomes one
    blank. So 1,439 numerals are one template and count once.

    Args:
        payload: Text, bytes (read as UTF-8), or anything else, by its ``repr``.

    Example:
        >>> template_of("SELECT  12.5 FROM t7"), template_of("1439") == template_of("7,25")
        ('select # from t#', True)
    """
    if isinstance(payload, (bytes, bytearray)):
        payload = bytes(payload).decode("utf-8", "replace")
    text = payload if isinstance(payload, str) else repr(payload)
    return _SPACE.sub(" ", _NUMERALS.sub("#", text.casefold())).strip()
