"""A command line to paste into a shell, whatever its words hold."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence

__all__ = ["command_line"]


def command_line(words: Sequence[str]) -> str:
    r"""The words, quoted so that bash, zsh and ksh read them back as they are.

    Control characters, which would steer the terminal, and bytes that are no UTF-8 are written as ``$'\x1b'``.

    Args:
        words: Program and arguments.

    Example:
        >>> print(command_line(["ophamin", "audit", "it's here", "two\nlines"]))
        ophamin audit 'it'"'"'s here' $'two\nlines'
    """
    return " ".join(_quoted(word) for word in words)


def _quoted(word: str) -> str:
    if word.isprintable():
        return shlex.quote(word)
    named = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\\": "\\\\", "'": "\\'"}
    parts = [named.get(c) or (c if c.isprintable() else "".join(f"\\x{b:02x}" for b in os.fsencode(c))) for c in word]
    # In $'…' a hexadecimal digit after \xHH is not read into it: both shells take two at most.
    return "$'" + "".join(parts) + "'"
