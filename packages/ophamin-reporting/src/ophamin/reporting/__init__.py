"""Records shown to people: Markdown, one self-contained HTML page, interval charts.

``renderers`` makes documents of records of any kind, ``charts`` draws. Everything a record says is
untrusted text: it is escaped where it is written, never before.
"""

from __future__ import annotations

__all__: list[str] = []
