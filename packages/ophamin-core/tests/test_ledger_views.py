"""What a ledger answers from memory is what its file says, whoever appended meanwhile; a changed file is noticed."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ophamin.proof.errors import LedgerError, UsageError
from ophamin.proof.ledger import OUTCOMES, Ledger
from ophamin.proof.merkle import Tree, consistency_path, inclusion_path, leaf_hash

WRITERS = st.integers(0, 2)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("register"), WRITERS, st.sampled_from("kl")),
        st.tuples(st.just("close"), WRITERS, st.integers(0, 9), st.sampled_from(OUTCOMES)),
        st.tuples(st.just("resume"), WRITERS, st.integers(0, 9)),
        st.tuples(st.just("note"), WRITERS, st.sampled_from([0, 1, 2.0, True, "0", None, [1]])),
        st.tuples(st.just("look"), WRITERS),
    ),
    max_size=14,
)


class Everything(list):
    """A view that keeps all it is told."""

    def note(self, entry):
        self.append(entry)


def step(ledger, kind, *words):
    if kind == "register":
        ledger.register({"attempt_key": words[0], "metrics": ("a", "b")})  # a tuple, which a file does not have
    elif kind == "note":
        ledger.append({"type": "note", "registration": words[0]})
    elif kind == "look":
        ledger.view(Everything)
    else:
        with contextlib.suppress(UsageError):  # no such registration, or not in that state
            ledger.resume(words[0]) if kind == "resume" else ledger.close(words[0], words[1])


@settings(max_examples=60)
@given(STEPS)
def test_answers_from_memory_are_those_of_the_file(steps):
    with tempfile.TemporaryDirectory() as folder:
        ledgers = [Ledger(Path(folder)) for _ in range(3)]  # as three processes would have one each
        for kind, writer, *words in steps:
            step(ledgers[writer], kind, *words)
        fresh = Ledger(Path(folder), create=False)
        entries = list(fresh.entries())
        hashes = [entry.leaf_hash for entry in entries]
        for ledger in ledgers:
            ledger.check()
            assert ledger.view(Everything) == entries
            assert ledger.view(Everything) is ledger.view(Everything)
            for key in "kl":
                assert ledger.attempts(key) == fresh.attempts(key)
            for index in range(len(entries) + 1):
                assert ledger.about(index) == [e for e in entries if e.value.get("registration") == index]
            for size in range(1, len(entries) + 1):
                assert ledger.inclusion(size // 2, size) == inclusion_path(hashes[:size], size // 2)
                assert ledger.consistency(size // 2, size) == consistency_path(hashes[:size], size // 2)


@given(st.integers(0, 70), st.data())
def test_a_tree_that_remembers_gives_the_paths_of_rfc_6962(n, draw):
    hashes = [leaf_hash(bytes([i])) for i in range(n)]
    tree = Tree(hashes)
    size = draw.draw(st.integers(0, n))
    index = draw.draw(st.integers(-1, n))
    assert (tree.size, [tree.leaf(i) for i in range(n)]) == (n, hashes)
    for ours, reference in ((tree.inclusion, inclusion_path), (tree.consistency, consistency_path)):
        try:
            expected = reference(hashes[:size], index)
        except IndexError:
            with pytest.raises(IndexError):
                ours(index, size)
        else:
            assert ours(index, size) == expected
        with pytest.raises(IndexError, match="never had"):
            ours(0, n + 1)


def test_a_changed_byte_is_noticed_before_anything_is_answered_from_memory(tmp_path):
    ledger = Ledger(tmp_path)
    for number in range(3):
        ledger.close(ledger.register({"attempt_key": f"k{number}"}).index, "VALIDATED")
    file = tmp_path / "log.jsonl"
    good = file.read_bytes()
    for position in range(0, len(good), 7):
        file.write_bytes(good[:position] + bytes([good[position] ^ 1]) + good[position + 1 :])
        with pytest.raises(LedgerError):
            ledger.check()
    file.write_bytes(good)
    ledger.check()
    file.write_bytes(good[:-100])
    with pytest.raises(LedgerError):
        ledger.check()
    file.unlink()
    with pytest.raises(LedgerError, match="gone"):
        ledger.check()


def test_a_consistent_log_that_took_the_place_of_the_one_that_was_read_is_noticed(tmp_path):
    ledger, other = Ledger(tmp_path / "one"), Ledger(tmp_path / "other")
    ledger.register({"attempt_key": "k"})
    for _ in range(3):
        other.register({"attempt_key": "l"})
    assert other.verify().ok
    # Written into the same file, which is longer now: to whoever only looks at its end, something was appended.
    (tmp_path / "one" / "log.jsonl").write_bytes((tmp_path / "other" / "log.jsonl").read_bytes())
    with pytest.raises(LedgerError):
        ledger.check()


def test_a_view_that_cannot_be_made_is_not_kept(tmp_path):
    class Failing:
        def __init__(self):
            self.seen = []

        def note(self, entry):
            if fails:
                raise RuntimeError("no")
            self.seen.append(entry.index)

    ledger, fails = Ledger(tmp_path), True
    ledger.register({})
    with pytest.raises(RuntimeError):
        ledger.view(Failing)
    fails = False
    assert ledger.view(Failing).seen == [0]
