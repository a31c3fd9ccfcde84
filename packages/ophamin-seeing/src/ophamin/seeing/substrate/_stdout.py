"""Standard output belongs to Ophamin: what foreign code prints while it runs goes to standard error.

``contextlib.redirect_stdout`` would leave two threads that overlap with each other's stream; here the first one in
keeps the stream and the last one out puts it back. Entering and leaving costs less than a microsecond.

Limit: only what is written through ``sys.stdout``; C code and child processes write to the descriptor itself.
"""

from __future__ import annotations

import sys
import threading
from typing import TextIO

__all__ = ["prints_aside"]


class _PrintsAside:
    """A context manager without state per use, so that a loop may enter it for every call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._own: TextIO | None = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._own, sys.stdout = sys.stdout, sys.stderr
            self._inside += 1

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                sys.stdout, self._own = self._own, None


prints_aside = _PrintsAside()
