"""How the counters moved between two scrapes.

A counter that fell was reset, and then counts from 0: its increase is what it shows now (as ``increase`` of Prometheus
has it, without extrapolation). Where the endpoint says when a series was created (``_created``), a later date is a
reset too, although the number rose. Where the process started anew (``process_start_time_seconds``) and neither is
known, a counter that did not fall is *ambiguous*: no increase is stated. What was there and no longer is, is *missing*;
it is never 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["changes", "missing_series"]

JSON = Any
Key = tuple[str, tuple[tuple[str, str], ...]]
_COUNTED = ("counter", "histogram", "summary")
_START = ("process_start_time_seconds", ())


@dataclass(frozen=True)
class _Series:
    type: str
    value: JSON
    counts: bool


def _series(families: Sequence[Mapping[str, JSON]]) -> dict[Key, _Series]:
    found: dict[Key, _Series] = {}
    for family in families:
        for sample in family["samples"]:
            name = sample["name"]
            counts = family["type"] in _COUNTED and not name.endswith("_created")
            # The quantiles of a summary are levels, only its count and sum are counted up.
            if family["type"] == "summary":
                counts = name.endswith(("_count", "_sum"))
            found[_key(sample)] = _Series(family["type"], sample["value"], counts)
    return found


def _key(sample: Mapping[str, JSON]) -> Key:
    return sample["name"], tuple((k, v) for k, v in sample["labels"])


def _created(key: Key, series: Mapping[Key, _Series]) -> float | None:
    name, labels = key
    bare = tuple(pair for pair in labels if pair[0] != "le")
    for suffix in ("_total", "_bucket", "_count", "_sum", ""):
        if name.endswith(suffix):
            found = series.get((name.removesuffix(suffix) + "_created", bare))
            if found is not None and isinstance(found.value, (int, float)):
                return float(found.value)
    return None


def _start(series: Mapping[Key, _Series]) -> JSON:
    found = series.get(_START)
    return found.value if found is not None else None


def changes(
    before: Sequence[Mapping[str, JSON]], after: Sequence[Mapping[str, JSON]], window_s: float
) -> list[dict[str, JSON]]:
    """Every counted series of two scrapes with what it did.

    Args:
        before: Families of the first scrape.
        after: Families of the second.
        window_s: Seconds between them.

    Returns:
        One row a series, by name and labels: ``state`` is ``ok``, ``reset``, ``ambiguous``, ``missing`` or ``new``;
        ``delta`` and ``rate_per_s`` are ``None`` where the increase is not known.

    Example:
        >>> def scraped(value):
        ...     return [{"type": "counter", "samples": [{"name": "jobs_total", "labels": [], "value": value}]}]
        >>> [(c["state"], c["delta"]) for c in changes(scraped(5.0), scraped(3.0), 10.0)]
        [('reset', 3.0)]
    """
    old, new = _series(before), _series(after)
    restarted = _start(old) != _start(new)
    return [_row(key, old, new, restarted, window_s) for key in _counted(old, new)]


def _counted(old: Mapping[Key, _Series], new: Mapping[Key, _Series]) -> Iterator[Key]:
    for key in sorted({*old, *new}):
        if (new.get(key) or old[key]).counts:
            yield key


def _row(
    key: Key, old: Mapping[Key, _Series], new: Mapping[Key, _Series], restarted: bool, window_s: float
) -> dict[str, JSON]:
    before, after = old.get(key), new.get(key)
    state, delta = "ok", None
    if after is None:
        state = "missing"
    elif before is None:
        state = "new"
    else:
        state, delta = _moved(key, before.value, after.value, (_created(key, old), _created(key, new)), restarted)
    return {
        "name": key[0],
        "labels": [list(pair) for pair in key[1]],
        "state": state,
        "before": before.value if before else None,
        "after": after.value if after else None,
        "delta": delta,
        "rate_per_s": delta / window_s if delta is not None and window_s > 0 else None,
    }


def _moved(
    key: Key, before: JSON, after: JSON, created: tuple[float | None, float | None], restarted: bool
) -> tuple[str, float | None]:
    if not isinstance(before, (int, float)) or not isinstance(after, (int, float)):
        return "ambiguous", None  # NaN or infinite
    if None not in created:
        reset = created[0] != created[1]
    else:
        # A sum may hold negative observations and fall by itself, so only a count shows a reset.
        if after < before and key[0].endswith("_sum"):
            return "ambiguous", None
        reset = after < before
        if restarted and not reset and (before, after) != (0, 0):
            return "ambiguous", None
    delta = float(after) if reset else float(after) - float(before)
    if not math.isfinite(delta):
        return "ambiguous", None
    return ("reset" if reset else "ok"), delta


def missing_series(before: Sequence[Mapping[str, JSON]], after: Sequence[Mapping[str, JSON]]) -> list[dict[str, JSON]]:
    """Series of any type that the first scrape had and the second has not, by name and labels."""
    old, new = _series(before), _series(after)
    return [
        {"name": key[0], "labels": [list(pair) for pair in key[1]], "type": old[key].type}
        for key in sorted(old.keys() - new.keys())
    ]
