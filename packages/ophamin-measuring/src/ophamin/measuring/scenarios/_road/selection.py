"""Choosing the records: seeded, without those of earlier attempts, counted in independent units."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from ophamin.measuring.scenarios._road.setup import Setup, payload_hash
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


def _draw(setup: Setup, n: int | None, seed: int, where: Callable[[Record], bool]) -> list[tuple[Record, str]]:
    """Up to ``n`` units of the corpus with all their records drawn so far; ``None`` takes all there are."""
    unit, most = setup.unit, setup.n_records
    asked = most if n is None else min(n, most)
    while True:
        found = setup.corpus.sample(asked, seed, where)
        kept: list[tuple[Record, str]] = []
        seen: set[str] = set()
        for record in found:
            name = unit(record)
            if n is not None and name not in seen and len(seen) == n:
                break
            kept.append((record, name))
            seen.add(name)
        exhausted = len(found) < asked or asked >= most
        if n is None or len(seen) >= n or exhausted or asked >= n * RECORDS_PER_UNIT:
            return kept
        asked = min(asked * 2, most)


def _draw_units(setup: Setup, n: int | None, seed: int, where: Callable[[Record], bool]) -> list[tuple[Record, str]]:
    """``n`` units, uniform over units whatever their sizes, and of each one record, uniform within the unit.

    Each record and each unit draws a lot from the seed and its own name; the lowest lots win.
    """
    lowest: dict[str, tuple[bytes, Record]] = {}
    for record in setup.corpus.records():
        if not where(record):
            continue
        name, lot = setup.unit(record), _lot(seed, "record", record.id)
        if name not in lowest or lot < lowest[name][0]:
            lowest[name] = lot, record
    chosen = sorted(lowest, key=lambda name: _lot(seed, "unit", name))[:n]
    return [(lowest[name][1], name) for name in chosen]


def _lot(seed: int, what: str, name: str) -> bytes:
    return hashlib.blake2b(f"{seed}:{what}:{name}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _fresh(setup: Setup, used: Collection[str], payloads: Collection[str]) -> Callable[[Record], bool]:
    """Whether no earlier attempt has seen a record, nor its identical input or template under another id."""
    if not used and not payloads:
        return lambda record: True
    seen = {setup.unit(r) for r in setup.corpus.records() if r.id in used}

    def fresh(record: Record) -> bool:
        if record.id in used:
            return False
        # A copy is nothing new, whatever column now names it, and whatever group it is put into.
        if (record.group is None or isinstance(record.payload, (str, bytes))) and payload_hash(record) in payloads:
            return False
        # A registered group (an author, a session) may give further records.
        copies = setup.one_per_unit or record.group is None
        return not (copies and setup.unit(record) in seen)

    return fresh


def select(
    setup: Setup,
    n: int | None,
    seed: int,
    used: Collection[str],
    payloads: Collection[str] = (),
    *,
    interrupted: bool = False,
    own: bool = False,
) -> Selection:
    """Draw the records of one attempt.

    Args:
        setup: The prepared run.
        n: Units, per stratum where the scenario has strata; ``None``: the whole corpus.
        seed: Seed of the draw and of the order.
        used: Ids measured by earlier attempts, which are left out.
        payloads: Payload hashes of the same records, which are left out under any other id.
        interrupted: Whether an earlier attempt can be resumed.
        own: Whether other runs of the claim count as earlier attempts, and fewer than ``n`` units will not do.

    Raises:
        UsageError: No record is left that no earlier attempt has seen, or too few of its own.
    """
    strata = setup.strata or {"": lambda record: True}
    fresh, draw = _fresh(setup, used, payloads), _draw_units if setup.one_per_unit else _draw
    pairs: list[tuple[Record, str]] = []
    for name, inside in strata.items():
        if n == 0:
            continue
        drawn = draw(setup, n, seed, lambda r, i=inside: i(r) and fresh(r))  # type: ignore[misc]
        which = f" of stratum {name!r}" if name else ""
        if own and n is not None and (left := len({unit for _, unit in drawn})) < n:
            raise UsageError(
                f"corpus {setup.corpus_spec!r} has {left} units{which} left that no other run of this claim measured, "
                f"and {n} are asked for; add data, or ask for fewer (--n)"
            )
        if not drawn:
            if used:
                raise UsageError(
                    f"no fresh record{which} is left in {setup.corpus_spec!r}: {len(used)} were selected by "
                    "earlier attempts at this claim; a new attempt needs records nobody has looked at (add data, or "
                    "state another claim)"
                    + ("; one of them was interrupted: run the same command to resume it" if interrupted else "")
                )
            advice = getattr(setup.scenario, "strata_advice", {}).get(name)
            raise UsageError(
                f"corpus {setup.corpus_spec!r} has no record{which} that this claim speaks of"
                + (f": {advice}" if advice else "")
            )
        pairs += drawn
    if len(strata) > 1:
        random.Random(seed).shuffle(pairs)
        # A record in two strata is still measured once.
        pairs = list({record.id: (record, unit) for record, unit in pairs}.values())
    if setup.sequential:
        pairs = _unit_by_unit(pairs)
    ids = [record.id for record, _ in pairs]
    if len(set(ids)) != len(ids):
        raise UsageError(f"corpus {setup.corpus_spec!r} gives the same record id twice; ids must be unique")
    units = [unit for _, unit in pairs]
    method = "the whole corpus, seeded order" if n is None else "uniform without replacement, seeded order"
    if setup.strata:
        method += f", per stratum {', '.join(setup.strata)}"
    if setup.one_per_unit:
        method = method.replace("uniform", "uniform over units") + ", one record per unit"
    if setup.sequential and len(set(units)) < len(units):
        method += ", units one after another"
    if used:
        method += f", without {len(used)} records of {'other runs of this claim' if own else 'earlier attempts'}"
    return Selection([r for r, _ in pairs], units, digest(ids), method, len(set(units)))


def _unit_by_unit(pairs: Sequence[tuple[Record, str]]) -> list[tuple[Record, str]]:
    """The same in seeded order of units, so that a run that stops early stops between two of them."""
    together: dict[str, list[tuple[Record, str]]] = {}
    for record, unit in pairs:
        together.setdefault(unit, []).append((record, unit))
    return [pair for unit in together.values() for pair in unit]


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
