"""Renderers of entry-point group ``ophamin.renderers``: modules ``markdown`` and ``html``."""

from __future__ import annotations

__all__: list[str] = []
