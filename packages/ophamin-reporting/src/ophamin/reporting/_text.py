"""Values as words: numbers rounded for people, and characters that hide made visible."""

from __future__ import annotations

import json
import math
import unicodedata
from typing import Any

__all__ = ["clip", "measured", "number", "percent", "shown", "visible"]

JSON = Any
LONGEST = 2000
"""Characters of one value that a page shows."""
MISSING = "—"

# Control and format characters (bidi overrides among them), unpaired surrogates, line and paragraph separators.
_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
_LAYOUT = "\n\t"


def visible(text: str) -> str:
    """Text in which nothing hides: control, bidi and zero-width characters as ``⟨U+202E⟩``.

    Line feeds and tabs stay; each renderer writes them in its own way.

    Example:
        >>> visible("safe\\u202e")
        'safe⟨U+202E⟩'
    """
    if text.isprintable():
        return text
    return "".join(f"⟨U+{ord(c):04X}⟩" if _hides(c) else c for c in text)


def _hides(c: str) -> bool:
    # XML has no way to write U+FFFE and U+FFFF.
    return c not in _LAYOUT and (unicodedata.category(c) in _HIDDEN or ord(c) & 0xFFFE == 0xFFFE)


def clip(text: str, limit: int = LONGEST) -> str:
    """At most ``limit`` characters, and how many are missing."""
    return text if len(text) <= limit else f"{text[:limit]} … ({len(text) - limit:,} more characters)"


def number(value: JSON) -> str:
    """A number with six significant digits, anything else as text.

    Example:
        >>> number(0.03250000001), number(1439), number(None)
        ('0.0325', '1,439', '—')
    """
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        # Very long integers are refused by Python's own conversion limit in some processes.
        return f"{value:,}" if abs(value) < 10**30 else "an integer of more than 30 digits"
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else str(value)
    return shown(value)


def measured(value: JSON, theta: JSON = None) -> str:
    """A measured number with four significant digits, or up to six where four would make it look like ``theta``.

    Example:
        >>> measured(0.0591852), measured(0.900004, 0.9), measured(123456.7)
        ('0.05919', '0.900004', '123457')
    """
    if not isinstance(value, float) or not math.isfinite(value):
        return number(value)
    for digits in (4, 5):
        text = f"{value:.{digits}g}"
        if text != number(theta) and ("e" not in text or abs(value) < 1):
            return text
    return number(value)


def percent(share: JSON) -> str:
    """A share as per cent; ``—`` for what is no number.

    Example:
        >>> percent(0.0125), percent(0.05)
        ('1.25 %', '5 %')
    """
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not abs(share) <= 1e6:
        return MISSING
    return f"{100 * share:.4g} %"


def shown(value: JSON) -> str:
    """Any JSON value as one clipped piece of text; nothing at all as ``—``."""
    if value is None or value == "":
        return MISSING
    if isinstance(value, str):
        return clip(value)
    if isinstance(value, (bool, int, float)):
        return number(value)
    return clip(json.dumps(value, ensure_ascii=False))
