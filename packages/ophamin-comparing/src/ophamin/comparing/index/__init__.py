"""An index over a store of proofs: which are sound, which series they form, and what is wrong with the rest."""

from __future__ import annotations

from ophamin.comparing.index._index import ProofIndex
from ophamin.comparing.index._types import Entry, Problem, Refreshed, Series

__all__ = ["Entry", "Problem", "ProofIndex", "Refreshed", "Series"]
