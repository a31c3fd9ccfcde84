"""Drawing units: uniform over units whatever their sizes, and never a unit an earlier attempt has seen."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ophamin.measuring.scenarios._road.selection import _draw_units, select
from ophamin.protocols import Record

# One template with 91 records and nine with one each.
RECORDS = [Record(f"big{i}", "big") for i in range(91)] + [Record(f"small{i}", f"small {i}") for i in range(9)]


def setup(**more: Any) -> Any:
    corpus = SimpleNamespace(records=lambda: iter(RECORDS))
    known = {"corpus": corpus, "unit": lambda r: r.payload, "one_per_unit": True, "strata": None}
    known |= {"corpus_spec": "c", "sequential": False}
    return SimpleNamespace(**{**known, "n_records": len(RECORDS), **more})


def test_a_large_unit_is_drawn_as_often_as_a_small_one():
    drawn = [{unit for _, unit in _draw_units(setup(), 5, seed, lambda r: True)} for seed in range(2000)]
    counts = {unit: sum(unit in d for d in drawn) for unit in {r.payload for r in RECORDS}}
    # Each unit is in half of the draws: 1,000 of 2,000, within 5 standard deviations of a binomial.
    assert all(888 <= c <= 1112 for c in counts.values()), counts


def test_of_a_unit_every_record_may_stand_for_it():
    stood = {
        r.id for seed in range(2000) for r, unit in _draw_units(setup(), None, seed, lambda r: True) if unit == "big"
    }
    assert len(stood) == 91


def test_another_record_of_a_unit_seen_before_is_not_fresh():
    first = select(setup(), 5, 1, ())
    second = select(setup(), 5, 2, [r.id for r in first.records])
    assert not {*first.units} & {*second.units}
    assert len(second.units) == 5


def test_the_same_seed_draws_the_same_records_in_the_same_order():
    assert select(setup(), 5, 3, ()).records == select(setup(), 5, 3, ()).records
