"""What a corpus looks like in numbers, so that a later one can be told from it.

A digest says that something changed; the summary says whether what goes into the system still looks alike: how long
the inputs are, and how often each label occurs. It cannot see meaning: other words of the same length under the same
labels look the same.

Source of the index: Siddiqi, Credit Risk Scorecards (2006), ch. 7: population stability index, with its rule of thumb
that over 0.25 a population has shifted. It is no test and has no error rate; ``ophamin drift`` has those.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from ophamin.protocols import Record

__all__ = ["SHIFTED", "shift", "summarize"]

JSON = Any
SHIFTED = 0.25
"""PSI from which a population is taken to have shifted."""

BINS = 10
MOST_VALUES = 50
_OTHER = "(others)"
_FLOOR = 1e-4  # an empty bin would make the index infinite


def summarize(records: Iterable[Record], like: Mapping[str, JSON] | None = None) -> dict[str, JSON]:
    """Number, sizes and labels of records.

    Args:
        records: All of them are read, none is kept.
        like: An earlier summary, whose bins and labels are then used; by default its own deciles and the 50 most
            frequent values of each label.

    Returns:
        ``n``, and ``parts``: for ``size`` and every label its shares (of all records; they sum to 1).

    Example:
        >>> summary = summarize([Record("a", "x", labels={"kind": "good"}), Record("b", "yy", labels={"kind": "bad"})])
        >>> summary["parts"]["label kind"]["shares"]
        {'"bad"': 0.5, '"good"': 0.5}
    """
    sizes: Counter[int] = Counter()
    labels: dict[str, Counter[str]] = {}
    for record in records:
        sizes[_size(record.payload)] += 1
        for name, value in record.labels.items():
            labels.setdefault(f"label {name}", Counter())[_value(value)] += 1
    n = sizes.total()
    parts = (like or {}).get("parts", {})
    edges = parts["size"]["edges"] if parts else _deciles(sizes)
    binned: Counter[str] = Counter()
    for size, count in sizes.items():
        binned[str(bisect_right(edges, size))] += count
    names = [str(i) for i in range(len(edges) + 1)]
    found: dict[str, JSON] = {"size": {"edges": edges, "shares": _shares(binned, names, n)}}
    for name in sorted({*labels, *(part for part in parts if part != "size")}):
        counts = labels.get(name, Counter())
        if counts.total() < n:
            counts["(none)"] = n - counts.total()
        kept = list(parts[name]["shares"]) if name in parts else [v for v, _ in counts.most_common(MOST_VALUES)]
        found[name] = {"shares": _shares(counts, sorted(kept), n)}
    return {"n": n, "parts": found}


def shift(reference: Mapping[str, JSON], current: Mapping[str, JSON]) -> dict[str, float]:
    """Population stability index of every part both summaries have.

    Args:
        reference: From ``summarize``.
        current: From ``summarize(…, like=reference)``.

    Returns:
        Part → index, ≥ 0; 0 for equal shares. Parts that one of them lacks are infinite.
    """
    both = [summary["parts"] for summary in (reference, current)]
    return {
        name: _psi(both[0][name]["shares"], both[1][name]["shares"]) if all(name in p for p in both) else math.inf
        for name in sorted({*both[0], *both[1]})
    }


def _psi(reference: Mapping[str, float], current: Mapping[str, float]) -> float:
    pairs = ((max(reference.get(v, 0), _FLOOR), max(current.get(v, 0), _FLOOR)) for v in {*reference, *current})
    return math.fsum((b - a) * math.log(b / a) for a, b in pairs)


def _deciles(sizes: Counter[int]) -> list[int]:
    """Inner edges with about a tenth of the records between two; fewer where sizes repeat."""
    total, seen, edges = sizes.total(), 0, []
    for (_, count), (following, _) in pairwise(sorted(sizes.items())):
        before, seen = seen, seen + count
        if before * BINS // total != seen * BINS // total:
            edges.append(following)
    return edges


def _shares(counts: Counter[str], names: Sequence[str], n: int) -> dict[str, float]:
    shares = {name: counts[name] / n if n else 0.0 for name in names if name != _OTHER}
    rest = counts.total() - sum(counts[name] for name in shares)
    return shares if rest == 0 and _OTHER not in names else {**shares, _OTHER: rest / n if n else 0.0}


def _size(payload: JSON) -> int:
    try:
        return len(payload)
    except TypeError:
        return len(str(payload))


def _value(value: JSON) -> str:
    return json.dumps(value, sort_keys=True, default=str)[:200]
