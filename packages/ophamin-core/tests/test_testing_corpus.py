"""The corpus kit: a good corpus passes, each planted fault is named."""

from __future__ import annotations

import hashlib
import itertools
import random

import pytest

from ophamin.proof.errors import CorpusUnavailable
from ophamin.protocols import Availability, DatasetInfo, Record
from ophamin.testing import check_corpus


class Good:
    """Lines of one text file."""

    name = "lines"
    folders = ("lines",)

    def __init__(self, arg="", *, data_root=None):
        self.file = data_root / "lines" / "lines.txt"

    def availability(self):
        state = "ok" if self.file.is_file() else "absent"
        return Availability(state, (str(self.file),), "", "write it", "1 KB", "CC0")

    def _lines(self):
        try:
            return self.file.read_text().splitlines()
        except FileNotFoundError:
            raise CorpusUnavailable(f"there is no {self.file}; write one") from None

    def records(self):
        for number, line in enumerate(self._lines()):
            yield Record(str(number), line, group=line[:2], labels={"kind": "line"})

    def sample(self, n, seed, where=None):
        fitting = [r for r in self.records() if where is None or where(r)]
        return random.Random(seed).sample(fitting, min(n, len(fitting)))

    def count(self):
        return len(self._lines())

    def content_hash(self):
        return "sha256:" + hashlib.sha256("\n".join(self._lines()).encode()).hexdigest()

    def describe(self):
        return DatasetInfo("lines", "text", "made up", "CC0")

    def write_sample(self, directory, seed):
        (directory / "lines").mkdir(parents=True)
        rng = random.Random(seed)
        text = "".join(f"{rng.randrange(10**6)}\n" for _ in range(30))
        (directory / "lines" / "lines.txt").write_text(text)
        return directory


def make(cls):
    return lambda root: cls(data_root=root)


class SaysItIsThere(Good):
    def availability(self):
        return Availability("ok")


class SilentWhenAbsent(Good):
    def availability(self):
        state = super().availability()
        return state if state.state == "ok" else Availability("absent", state.looked_in)


class RaisesPlainly(Good):
    def _lines(self):
        return self.file.read_text().splitlines()


class EmptyWhenAbsent(Good):
    def _lines(self):
        return self.file.read_text().splitlines() if self.file.exists() else []


class Lists(Good):
    def records(self):
        return list(super().records())


class SameIds(Good):
    def records(self):
        return (Record("x", r.payload) for r in super().records())


class Shuffled(Good):
    def records(self):
        found = list(super().records())
        random.shuffle(found)
        return iter(found)


class Miscounts(Good):
    def count(self):
        return super().count() + 1


class Heads(Good):
    def sample(self, n, seed, where=None):
        return list(itertools.islice((r for r in self.records() if where is None or where(r)), n))


class MostlyHeads(Good):
    def sample(self, n, seed, where=None):
        early = super().sample(10**6, seed, where)
        early.sort(key=lambda r: (int(r.id) > 20, random.Random(f"{seed}{r.id}").random()))
        return early[:n]


class CorpusOrder(Good):
    def sample(self, n, seed, where=None):
        return sorted(super().sample(n, seed, where), key=lambda r: int(r.id))


class SeedlessSample(Good):
    def sample(self, n, seed, where=None):
        return super().sample(n, 1, where)


class UnseededSample(Good):
    def sample(self, n, seed, where=None):
        return super().sample(n, random.random(), where)


class Replaces(Good):
    def sample(self, n, seed, where=None):
        found = [r for r in self.records() if where is None or where(r)]
        return random.Random(seed).choices(found, k=min(n, len(found))) if found else []


class FiltersLate(Good):
    def sample(self, n, seed, where=None):
        return [r for r in super().sample(n, seed)[: max(n - 1, 0)] if where is None or where(r)]


class FixedHash(Good):
    def content_hash(self):
        super().content_hash()
        return "sha256:" + "0" * 64


class BareHash(Good):
    def content_hash(self):
        return super().content_hash().removeprefix("sha256:")


class UnseededWriting(Good):
    def write_sample(self, directory, seed):
        return super().write_sample(directory, random.random())


class NoLicence(Good):
    def describe(self):
        return DatasetInfo("lines", "text", "made up")


class OtherName(Good):
    def describe(self):
        return DatasetInfo("rows", "text", "made up", "CC0")


def test_a_good_corpus_passes(tmp_path):
    check_corpus(make(Good), tmp_path)


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (SaysItIsThere, "says it is there"),
        (SilentWhenAbsent, "must say how_to_get"),
        (RaisesPlainly, "raises FileNotFoundError"),
        (EmptyWhenAbsent, "must raise CorpusUnavailable"),
        (Lists, "must be an iterator"),
        (SameIds, "stand twice"),
        (Shuffled, "differ from call to call"),
        (Miscounts, "count"),
        (Heads, "whatever the seed"),
        (MostlyHeads, "not uniform"),
        (CorpusOrder, "seeded order"),
        (SeedlessSample, "whatever the seed"),
        (UnseededSample, "same seed drew others"),
        (Replaces, "twice"),
        (FiltersLate, "gave 9 of 30|must draw from all"),
        (FixedHash, "same content_hash"),
        (BareHash, "'sha256:' and 64 hex"),
        (UnseededWriting, "wrote another sample"),
        (NoLicence, "licence"),
        (OtherName, "says 'rows'"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_planted_fault_is_named(fault, named, tmp_path):
    with pytest.raises(AssertionError, match=named):
        check_corpus(make(fault), tmp_path)
