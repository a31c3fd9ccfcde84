"""Proofs against proofs: what changed between two sets of records, and whether it matters.

``drift`` compares. An interval decides here too: that two intervals overlap, or do not, is no test.
"""

from __future__ import annotations

__all__: list[str] = []
