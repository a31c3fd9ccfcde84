"""What happened between two snapshots of a family."""

from __future__ import annotations

from ophamin.instrumenting._account import COUNTED, NOTHING, Account, Reading
from ophamin.instrumenting._family import Snapshot

__all__ = ["difference"]

STARTED_TOLERANCE_S = 1.5  # start times count from the boot time, which the kernel tells in whole seconds
CPU_TOLERANCE_S = 0.03  # an ended process is told in clock ticks, user and system each cut off, a living one finer
_MINOR = Account._fields.index("minor_faults")
_SWITCHES = (Account._fields.index("voluntary"), Account._fields.index("involuntary"))
_BYTES = (Account._fields.index("read_bytes"), Account._fields.index("written_bytes"))
_TIMES = range(3)


def difference(before: Snapshot, after: Snapshot, seen: int, *, alone: bool) -> dict[str, float]:
    """What one cycle cost.

    Args:
        before: At its begin.
        after: At its end.
        seen: The most resident memory that was seen in between, bytes; 0 when nobody looked.
        alone: Whether one cycle was in flight, so that all of it was its own.

    Returns:
        By name; what cannot be told is absent.
    """
    own = before.own, after.own
    if before.own is not None and after.own is not None and not before.others and not after.others:
        return _by_itself(before.own, after.own, before, after, seen, alone)
    if before.external != after.external:
        # Its processes started or all ended in this cycle; what this process did meanwhile was not the system.
        own, seen = (None, None), 0
    measured = _states(before, after, own, seen)
    if not alone:
        return measured
    spent = _spent(own, before, after)
    for name, value in zip(COUNTED, spent, strict=True):
        if value is not None:
            measured[name] = value
    if "page_faults_minor" in measured and "page_faults_major" in measured:
        measured["page_faults"] = measured["page_faults_minor"] + measured["page_faults_major"]
    if before.collections is not None and after.collections is not None and own[1] is not None:
        measured["gc_collections"] = after.collections - before.collections
    return measured


Own = tuple[Reading | None, Reading | None]


def _states(before: Snapshot, after: Snapshot, own: Own, seen: int) -> dict[str, float]:
    """Memory and threads: how things stand at the end, and the most there was."""
    measured: dict[str, float] = {}
    now = [*after.others.values(), *([after.own] if own[1] is not None and after.own is not None else [])]
    alive = [r for r in now if r.rss_bytes is not None]
    if not alive:
        return measured
    rss = sum(r.rss_bytes for r in alive if r.rss_bytes is not None)
    measured["rss_bytes"] = rss
    then = [r.rss_bytes for r in before.others.values()]
    if own[0] is not None:
        then.append(own[0].rss_bytes)
    most = max(rss, seen, sum(size for size in then if size is not None))
    # A high-water mark that rose in this cycle was reached in it: of one process exactly the peak, of several a
    # lower bound for that of their sum.
    for process, reading in after.others.items():
        earlier = before.others.get(process)
        most = _raised(most, earlier, reading)
    if own[0] is not None and own[1] is not None:
        most = _raised(most, own[0], own[1])
    measured["rss_peak_bytes"] = most
    if all(r.threads is not None for r in alive):
        measured["threads"] = sum(r.threads for r in alive if r.threads is not None)
    return measured


def _raised(most: int, earlier: Reading | None, now: Reading) -> int:
    peak = now.rss_peak_bytes
    if peak is None or (earlier is not None and earlier.rss_peak_bytes is not None and peak <= earlier.rss_peak_bytes):
        return most
    return max(most, peak)


def _by_itself(
    own: Reading, now: Reading, before: Snapshot, after: Snapshot, seen: int, alone: bool
) -> dict[str, float]:
    """Of this process and of the children that came and went: the quick way, with nobody else to look at."""
    rss, peak = now.rss_bytes or 0, now.rss_peak_bytes
    most = max(rss, own.rss_bytes or 0, seen)
    if peak is not None and peak > most and peak > (own.rss_peak_bytes or 0):
        most = peak
    measured: dict[str, float] = {"rss_bytes": rss, "rss_peak_bytes": most}
    if now.threads is not None:
        measured["threads"] = now.threads
    if not alone:
        return measured
    for name, a, b, c, d in zip(COUNTED, own.own, now.own, before.waited, after.waited, strict=True):
        if a is not None and b is not None:
            grown = b - a if c is None or d is None else b - a + d - c
            measured[name] = grown if grown > 0 else 0
    if "page_faults_major" in measured and "page_faults_minor" in measured:
        measured["page_faults"] = measured["page_faults_minor"] + measured["page_faults_major"]
    if before.collections is not None and after.collections is not None:
        measured["gc_collections"] = after.collections - before.collections
    return measured


def _spent(own: Own, before: Snapshot, after: Snapshot) -> list[float | None]:
    """Growth of each account over living and ended processes; ``None`` where one has a hole."""
    gone = [r for p, r in before.others.items() if p not in after.others]
    pairs: list[tuple[Reading | None, Reading]] = []
    if own[0] is not None and own[1] is not None:
        pairs.append((own[0], own[1]))
    for process, reading in after.others.items():
        earlier = before.others.get(process)
        if earlier is None and process.started < before.at - STARTED_TOLERANCE_S:
            # It is older than the cycle: how much of its past belongs here is not known.
            return [None] * len(COUNTED)
        pairs.append((earlier, reading))
    waited = before.waited, after.waited
    spent = [
        _field(i, pairs, gone, waited, CPU_TOLERANCE_S if i in _TIMES else 0.0)
        for i in range(len(COUNTED))
    ]  # fmt: skip
    whole = spent[_MINOR] is not None
    for i in _BYTES:
        if not whole:
            spent[i] = None  # one ended and nobody of the family waited for it: its last part is lost
    if any(_ended_below(pair) for pair in pairs) or any(r.ended[_MINOR] for r in gone):
        for i in _SWITCHES:
            spent[i] = None  # no system tells the switches of processes that others waited for
    return spent


def _ended_below(pair: tuple[Reading | None, Reading]) -> bool:
    earlier, now = pair
    return bool(now.ended[_MINOR]) and (earlier is None or now.ended[_MINOR] != earlier.ended[_MINOR])


def _field(
    i: int,
    pairs: list[tuple[Reading | None, Reading]],
    gone: list[Reading],
    waited: tuple[Account, Account],
    slack: float,
) -> float | None:
    grown = moved = 0.0
    together = i in _BYTES  # bytes of storage are told of a process and of its ended children in one
    alone = together or i in _SWITCHES
    for earlier, now in pairs:
        value, then = now.own[i], 0 if earlier is None else earlier.own[i]
        if value is None or then is None:
            return None
        grown += value - then
        if not alone and now.ended is not NOTHING:
            value, then = now.ended[i], 0 if earlier is None else earlier.ended[i]
            if value is None or then is None:
                return None
            moved += value - then
    before, after = waited[0][i], waited[1][i]
    if before is None or after is None:
        if gone:
            return None
    else:
        moved += after - before
    for reading in gone:
        for value in (reading.own[i], 0 if alone else reading.ended[i]):
            if value is None:
                return None
            moved -= value  # counted in earlier cycles already
    if together:
        return grown + moved if grown + moved >= 0 else None
    if moved < -slack:
        return None  # one ended and nobody of this family waited for it: its last part is lost
    return max(grown + max(moved, 0), 0)
