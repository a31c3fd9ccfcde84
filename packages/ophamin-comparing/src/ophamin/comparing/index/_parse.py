"""The quickest parser at hand, for text whose meaning a signature then confirms.

``orjson`` reads a record in a third of the time ``json`` takes. It need not read every number as Python does: what
it reads is believed only when its canonical bytes are those that were signed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

__all__ = ["parse"]

parse: Callable[[bytes], Any]

try:
    from orjson import loads as parse
except ImportError:
    _decode = json.JSONDecoder().decode

    def parse(data: bytes) -> Any:
        """Parse UTF-8; any ``ValueError`` sends the text to the strict reader."""
        return _decode(data.decode("utf-8"))
