"""Text from anywhere, as a record can hold it and as a terminal can show it."""

from __future__ import annotations

__all__ = ["printable", "text"]


def text(value: object) -> str:
    r"""Text that a record can hold: bytes that are no UTF-8, and lone surrogates, become ``\udcff`` and the like.

    Example:
        >>> text("a\udcff")
        'a\\udcff'
    """
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")


def printable(value: object) -> str:
    r"""Text that cannot steer a terminal: control and bidi characters are made visible.

    Example:
        >>> printable("a\x1b[2J\u202e")
        'a\\u001b[2J\\u202e'
    """
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in str(value))
