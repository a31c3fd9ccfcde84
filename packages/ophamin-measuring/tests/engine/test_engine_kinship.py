"""What relatives of a claim have spent: the count that is kept is the one that reading the whole ledger gives."""

from __future__ import annotations

import math
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ophamin.measuring.scenarios._road.attempts import counts
from ophamin.measuring.scenarios._road.kinship import _Kinship
from ophamin.measuring.scenarios.cell import CellDesk
from ophamin.proof.errors import LedgerError, UsageError
from ophamin.proof.ledger import Ledger

REGISTRATION = st.fixed_dictionaries(
    {
        "scenario": st.sampled_from(["metric", "metric", "other"]),
        "metrics": st.sets(st.sampled_from("ab"), min_size=1).map(sorted),
        "substrates": st.sampled_from([[["mock", "x"]], [["mock", "x"], ["mock", "y"]]]),
        "data_hash": st.sampled_from(["d1", "d2"]),
        "source": st.sampled_from(["s1", "s2"]),
        "attempt_key": st.sampled_from(["k1", "k2", "k3"]),
        "alpha_used": st.sampled_from([0.05, 0.025, 0.1, 1 / 3]),
    }
)
END = st.fixed_dictionaries({}, optional={"cycles": st.integers(0, 6), "resumed": st.booleans()})
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("register"), st.integers(0, 1), REGISTRATION),
        st.tuples(
            st.just("close"),
            st.integers(0, 1),
            st.integers(0, 9),
            st.sampled_from(["VALIDATED", "NOT_APPLICABLE", "ERRORED", "ABORTED"]),
            END,
        ),
        st.tuples(st.just("resume"), st.integers(0, 1), st.integers(0, 9)),
    ),
    max_size=12,
)


def is_kin(own, other):
    return (
        own["scenario"] == other["scenario"]
        and own["substrates"] == other["substrates"]
        and not set(own["metrics"]).isdisjoint(other["metrics"])
        and (own["data_hash"] == other["data_hash"] or own["source"] == other["source"])
    )


def read_again(ledger, own):
    """The same from all entries, read anew."""
    kin, ends = {}, {}
    for entry in ledger.entries():
        value = entry.value
        if value["type"] == "registration":
            if value["attempt_key"] != own["attempt_key"] and is_kin(own, value):
                kin[entry.index] = value
        else:
            ends[value["registration"]] = value
    arms = len(own["substrates"])
    spent = [v["alpha_used"] for i, v in kin.items() if counts(arms, ends.get(i, {}).get("outcome"), ends.get(i))]
    return {"registrations": len(spent), "alpha_spent": math.fsum(spent)}


@settings(max_examples=60)
@given(STEPS, REGISTRATION)
def test_the_count_that_is_kept_is_the_one_of_the_whole_ledger(steps, own):
    with tempfile.TemporaryDirectory() as folder:
        ledgers = [Ledger(Path(folder)) for _ in range(2)]
        for kind, writer, *words in steps:
            ledger = ledgers[writer]
            try:
                if kind == "register":
                    ledger.register(words[0])
                elif kind == "close":
                    ledger.close(words[0], words[1], **words[2])
                else:
                    ledger.resume(words[0])
            except UsageError:
                continue  # no such registration, or not in that state
            assert ledgers[0].view(_Kinship).of(own, own["attempt_key"]) == read_again(ledgers[0], own)
        for ledger in ledgers:
            assert ledger.view(_Kinship).of(own, own["attempt_key"]) == read_again(ledger, own)


def test_what_taught_nobody_anything_spent_nothing_until_it_is_resumed(tmp_path):
    ledger = Ledger(tmp_path)
    own = {
        "scenario": "metric", "metrics": ["a"], "substrates": [["mock", "x"]], "data_hash": "d", "source": "s",
    }  # fmt: skip
    ledger.register({**own, "attempt_key": "k1", "alpha_used": 0.05})
    counted = []
    for change in (
        lambda: None,
        lambda: ledger.close(0, "ABORTED", cycles=0),
        lambda: ledger.resume(0),
        lambda: ledger.close(0, "NOT_APPLICABLE", cycles=1),
    ):
        change()
        counted.append(ledger.view(_Kinship).of(own, "mine")["registrations"])
    assert counted == [1, 0, 1, 0]


@pytest.mark.parametrize(
    "odd",
    [
        {"metrics": 3},
        {"metrics": [["a"]]},
        {"substrates": None},
        {"attempt_key": ["k"]},
        {"alpha_used": "0.05"},
        {"scenario": {}},
    ],
)
def test_a_registration_of_another_shape_is_nobodys_relative(tmp_path, odd):
    ledger = Ledger(tmp_path)
    own = {
        "scenario": "metric", "metrics": ["a"], "substrates": [["mock", "x"]], "data_hash": "d", "source": "s",
    }  # fmt: skip
    ledger.register({**own, "attempt_key": "k1", "alpha_used": 0.05})
    ledger.close(ledger.register({**own, "attempt_key": "k2", "alpha_used": 0.05, **odd}).index, "VALIDATED")
    assert ledger.view(_Kinship).of(own, "mine") == {"registrations": 1, "alpha_spent": 0.05}


def test_a_ledger_that_was_rewritten_meanwhile_registers_nothing_more(world, road):
    spec = road.spec(n=20)
    desk = CellDesk(spec)
    try:
        desk.register(spec)
        file = road.folder / ".ophamin" / "ledger" / "log.jsonl"
        good = file.read_bytes()
        # An entry of another claim, which nothing asked for below would read.
        file.write_bytes(good.replace(b'"n_planned":20', b'"n_planned":30'))
        other = replace(spec, arms={"main": "tiny:other"})
        with pytest.raises(LedgerError, match="entry 0"):
            desk.register(other)
        file.write_bytes(good)
        assert desk.register(other)["index"] == 1
    finally:
        desk.close()
