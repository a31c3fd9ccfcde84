"""What all streamed corpora share: problems, digests, selection, and what lies there instead of data."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophamin.protocols import Record
from ophamin.seeing.corpus._base import foreign
from ophamin.seeing.corpus._digests import DigestSet
from ophamin.seeing.corpus._problems import Problems
from ophamin.seeing.corpus._streamed import StreamedCorpus


class Numbers(StreamedCorpus):
    passes = 0

    def _read(self, problems: Problems) -> Iterator[Record]:
        self.passes += 1
        for number in range(10):
            if number % 5 == 4:
                problems.add(f"line {number}", "ends in 4 or 9")
            else:
                yield Record(str(number), number)


def test_one_pass_gives_everything() -> None:
    corpus = Numbers()
    assert dict(corpus.problems()) == {"ends in 4 or 9": 2}, "asked before any pass: one is made"
    assert corpus.passes == 1
    assert [r.payload for r in corpus.select(lambda r: r.payload > 6)] == [7, 8]
    assert corpus.count() == 8
    assert dict(corpus.problems()) == {"ends in 4 or 9": 2}, "of one pass, not of all passes together"
    before = corpus.passes
    next(corpus.records())
    assert corpus.problems().places("ends in 4 or 9") == ("line 4", "line 9"), "a pass cut short says nothing new"
    assert corpus.passes == before + 1
    found = corpus.select(lambda r: True)
    assert iter(found) is found, "selection is lazy"


def test_problems_are_bounded_and_counted_exactly() -> None:
    problems = Problems()
    tracemalloc.start()
    for number in range(200_000):
        problems.add(f"mail {number}" * 100, "no header" if number % 2 else f"odd date {number}")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert problems.total == sum(problems.values()) == 200_000
    assert problems["no header"] == 100_000
    assert problems["other reasons"] == 200_000 - 100_000 - 999
    assert len(problems.places("no header")) == 20
    assert peak < 4_000_000
    assert problems.places("never") == ()
    problems.add("\x1b[31m\udcff", "control")
    assert problems.places("other reasons")[-1].isprintable()


@given(st.lists(st.binary(max_size=3), max_size=4000))
def test_digests_are_a_set(contents: list[bytes]) -> None:
    seen, known = DigestSet(), set[bytes]()
    for content in contents:
        assert (content in seen) == (content in known)
        assert seen.add(content) == (content not in known)
        known.add(content)
    assert len(seen) == len(known)
    assert "text" not in seen


def test_digests_are_small() -> None:
    tracemalloc.start()
    seen = DigestSet()
    for number in range(200_000):
        seen.add(number.to_bytes(4, "big"))
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(seen) == 200_000
    assert held < 200_000 * 24
    assert peak < 200_000 * 36


@pytest.mark.parametrize(
    ("content", "expected", "says"),
    [
        (b"", "", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "", "git-lfs pointer"),
        (b"/annex/objects/SHA256E-s1--00.h5\n", "", "git-annex pointer"),
        (b"\xef\xbb\xbf\n<!DOCTYPE html><html>", "a gzip archive", "HTML page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied", "a gzip archive", "answer of a server"),
        (b'{"error": "quota"}', "an HDF5 file", "answer of a server"),
        (b"PK\x03\x04", "a gzip archive", "is a zip archive, not a gzip archive"),
        (b"\x1f\x8b\x08", "text", "is a gzip archive, not text"),
        (b"plain", "an HDF5 file", "something else"),
        (b"\x1f\x8b\x08", "a gzip archive", ""),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file", ""),
        (b"plain", "text", ""),
        (b"plain", "", ""),
    ],
)
def test_what_lies_there_instead(tmp_path: Path, content: bytes, expected: str, says: str) -> None:
    path = tmp_path / "data"
    path.write_bytes(content)
    found = foreign(path, expected)
    assert says in found
    assert bool(found) == bool(says)
