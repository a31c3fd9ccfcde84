"""Choosing the records: seeded, without those of earlier attempts, counted in independent units."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from ophamin.measuring.scenarios._road.setup import Setup
from ophamin.proof.canonical import digest
from ophamin.proof.errors import UsageError
from ophamin.protocols import Record

__all__ = ["Selection", "by_ids", "select"]

# A corpus of few, large groups never reaches the units asked for; this ends the search.
RECORDS_PER_UNIT = 8


@dataclass(frozen=True)
class Selection:
    """The records of one attempt, in the order they are measured.

    Args:
        records: In seeded order.
        units: Independent unit of each record.
        content_hash: ``sha256:…`` of the list of ids, in order.
        method: How they were drawn, in words.
        n_units: Distinct units.
    """

    records: Sequence[Record]
    units: Sequence[str]
    content_hash: str
    method: str
    n_units: int


def _draw(
    setup: Setup, n: int | None, seed: int, where: Callable[[Record], bool], one_per_unit: bool
) -> list[tuple[Record, str]]:
    """Up to ``n`` units of the corpus, in seeded order; ``None`` takes all there are."""
    if n == 0:
        return []
    unit, most = setup.unit, setup.n_records
    asked = most if n is None else min(n, most)
    while True:
        found = setup.corpus.sample(asked, seed, where)
        kept: list[tuple[Record, str]] = []
        seen: set[str] = set()
        for record in found:
            name = unit(record)
            new = name not in seen
            if n is not None and new and len(seen) == n:
                break
            if new or not one_per_unit:
                kept.append((record, name))
            seen.add(name)
        exhausted = len(found) < asked or asked >= most
        if n is None or len(seen) >= n or exhausted:
            return kept
        if not one_per_unit and asked >= n * RECORDS_PER_UNIT:
            return kept
        asked = min(asked * 2, most)


def select(setup: Setup, n: int | None, seed: int, used: Collection[str]) -> Selection:
    """Draw the records of one attempt.

    Args:
        setup: The prepared run.
        n: Units, per stratum where the scenario has strata; ``None``: the whole corpus.
        seed: Seed of the draw and of the order.
        used: Ids measured by earlier attempts, which are left out.

    Raises:
        UsageError: No record is left that no earlier attempt has seen.
    """
    strata = setup.strata or {"": lambda record: True}
    pairs: list[tuple[Record, str]] = []
    for name, inside in strata.items():
        drawn = _draw(setup, n, seed, lambda r, i=inside: r.id not in used and i(r), setup.one_per_unit)  # type: ignore[misc]
        if not drawn and n != 0:
            which = f" of stratum {name!r}" if name else ""
            if used:
                raise UsageError(
                    f"no fresh record{which} is left in {setup.corpus_spec!r}: earlier attempts at this claim measured "
                    f"{len(used)}; a new attempt needs records nobody has looked at (add data, or state another claim)"
                )
            raise UsageError(f"corpus {setup.corpus_spec!r} has no record{which} that this claim speaks of")
        pairs += drawn
    if len(strata) > 1:
        random.Random(seed).shuffle(pairs)
        # A record in two strata is still measured once.
        pairs = list({record.id: (record, unit) for record, unit in pairs}.values())
    ids = [record.id for record, _ in pairs]
    if len(set(ids)) != len(ids):
        raise UsageError(f"corpus {setup.corpus_spec!r} gives the same record id twice; ids must be unique")
    units = [unit for _, unit in pairs]
    method = "the whole corpus, seeded order" if n is None else "uniform without replacement, seeded order"
    if setup.strata:
        method += f", per stratum {', '.join(setup.strata)}"
    if setup.one_per_unit:
        method += ", one record per unit"
    if used:
        method += f", without {len(used)} records of earlier attempts"
    return Selection([r for r, _ in pairs], units, digest(ids), method, len(set(units)))


def by_ids(setup: Setup, ids: Sequence[str]) -> list[Record]:
    """The records of these ids, in this order.

    Raises:
        UsageError: The corpus no longer holds one of them.
    """
    wanted = set(ids)
    found: dict[str, Record] = {}
    for record in setup.corpus.records():
        if record.id in wanted:
            found[record.id] = record
            if len(found) == len(wanted):
                break
    lost = [i for i in ids if i not in found]
    if lost:
        raise UsageError(f"corpus {setup.corpus_spec!r} no longer holds record {lost[0]!r} ({len(lost)} in all)")
    return [found[i] for i in ids]
