"""Charts as SVG text with a text alternative: module ``interval``; drawing needs the extra ``plots``."""

from __future__ import annotations

__all__: list[str] = []
