"""Standard output is for a command's answer: one JSON object, and nothing that runs print, whoever prints it."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ophamin.proof.printable import text

__all__ = ["json_line", "to_standard_error"]


def json_line(value: Any) -> str:
    r"""An answer as JSON on one line, always UTF-8: bytes of a file name that are none stand as an escape of JSON.

    Example:
        >>> print(json_line({"path": "a\udcff", "alpha": "α"}))
        {"path": "a\udcff", "alpha": "α"}
    """
    return text(json.dumps(value, ensure_ascii=False))


@contextmanager
def to_standard_error() -> Iterator[None]:
    """Point the descriptor of standard output at standard error, for this process and for all it starts."""
    sys.stdout.flush()
    try:
        kept = os.dup(1)
        os.dup2(2, 1)
    except OSError:  # one of the two is closed, so there is nothing to mix
        yield
        return
    try:
        yield
    finally:
        _flush_c()
        os.dup2(kept, 1)
        os.close(kept)


def _flush_c() -> None:
    """What a C library printed may wait in its buffer, and would come out later in the wrong place."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # Windows has no handle of "all of this process"
        ctypes.CDLL(None).fflush(None)
