"""The contract of a corpus."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

from ophamin.proof.errors import CorpusUnavailable
from ophamin.protocols import Availability, DatasetConnector, DatasetInfo, Record
from ophamin.testing._values import assert_json, attempt

__all__ = ["check_corpus"]

_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_STATES = ("ok", "absent", "partial", "wrong")


def check_corpus(make: Callable[[Path], DatasetConnector], tmp_path: Path) -> None:
    """Check a corpus on a sample it writes itself, and on folders where it is not.

    Args:
        make: Makes the connector for a data root, always with the same parameters.
        tmp_path: An empty folder to write in.

    Raises:
        AssertionError: With a sentence on what is wrong.
    """
    _check_absent(make, tmp_path)
    root = make(tmp_path / "made").write_sample(tmp_path / "made", 1)
    corpus = make(root)
    assert isinstance(corpus, DatasetConnector), f"{type(corpus).__name__} lacks a member of DatasetConnector"
    state = corpus.availability()
    assert state.state == "ok", f"its own sample is {state.state}: {state.found}"
    records = _check_records(corpus)
    _check_sample(corpus, records)
    _check_describe(corpus)

    again = make(make(tmp_path / "again").write_sample(tmp_path / "again", 1))
    assert again.content_hash() == corpus.content_hash(), "the same seed wrote another sample"
    other = make(make(tmp_path / "other").write_sample(tmp_path / "other", 2))
    differs = [_content(r) for r in other.records()] != [_content(r) for r in records]
    assert (other.content_hash() != corpus.content_hash()) or not differs, "other records have the same content_hash"


def _check_absent(make: Callable[[Path], DatasetConnector], tmp_path: Path) -> None:
    nowhere, empty = tmp_path / "nowhere", tmp_path / "empty"
    for folder in make(empty).folders:
        (empty / folder).mkdir(parents=True)
    for root in (nowhere, empty):
        corpus = make(root)
        state = corpus.availability()
        assert isinstance(state, Availability), "availability() must be an Availability"
        assert state.state in _STATES, f"the state of a corpus is one of {_STATES}, not {state.state!r}"
        assert state.state != "ok", f"a corpus in the empty folder {root.name!r} says it is there"
        for name in ("looked_in", "how_to_get", "size", "licence"):
            assert getattr(state, name), f"an absent corpus must say {name}"
        _check_refusals(corpus)


def _check_refusals(corpus: DatasetConnector) -> None:
    uses: dict[str, Callable[[], object]] = {
        "records()": lambda: list(corpus.records()),
        "count()": corpus.count,
        "content_hash()": corpus.content_hash,
        "sample()": lambda: corpus.sample(1, 0),
    }
    for name, use in uses.items():
        _, refused = attempt(use, CorpusUnavailable, f"{name} of an absent corpus")
        assert refused, f"{name} of an absent corpus must raise CorpusUnavailable"


def _content(record: Record) -> tuple[str, str, str | None, bytes]:
    return record.id, repr(record.payload), record.group, assert_json(record.labels, "labels")


def _check_records(corpus: DatasetConnector) -> list[Record]:
    found = corpus.records()
    assert iter(found) is found, "records() must be an iterator: a corpus need not fit into memory"
    records = list(found)
    assert records, "the corpus has no records"
    for record in records:
        assert isinstance(record, Record), f"records() yields {type(record).__name__}, not Record"
        assert isinstance(record.id, str), f"the id {record.id!r} is not a string"
        assert record.id, "a record has an empty id"
        assert record.group is None or isinstance(record.group, str), f"the group of {record.id} is not a string"
        assert_json(record.labels, f"the labels of {record.id}")
        assert_json(record.meta, f"the meta of {record.id}")
    ids = [r.id for r in records]
    twice = sorted({i for i in ids if ids.count(i) > 1}) if len(set(ids)) < len(ids) else []
    assert not twice, f"ids stand for one record each, but these stand twice: {twice[:5]}"
    second = list(corpus.records())
    assert [_content(r) for r in second] == [_content(r) for r in records], "records() differ from call to call"
    assert corpus.count() == len(records), f"count() is {corpus.count()}, but there are {len(records)} records"
    assert _HASH.fullmatch(corpus.content_hash()), f"content_hash is 'sha256:' and 64 hex, not {corpus.content_hash()}"
    assert corpus.content_hash() == corpus.content_hash(), "content_hash() changes from call to call"
    return records


def _check_sample(corpus: DatasetConnector, records: list[Record]) -> None:
    total, place = len(records), {r.id: i for i, r in enumerate(records)}
    known = {r.id: _content(r) for r in records}
    n = max(1, total // 3)
    first = corpus.sample(n, 3)
    ids = [r.id for r in first]
    assert len(ids) == n, f"sample({n}) gave {len(ids)} of {total} records"
    assert len(set(ids)) == n, "sample() drew a record twice"
    assert all(_content(r) == known.get(r.id) for r in first), "sample() gave records that records() does not"
    assert [r.id for r in corpus.sample(n, 3)] == ids, "sample() with the same seed drew others"
    assert corpus.sample(0, 3) == [], "sample(0) is empty"
    everything = corpus.sample(total + 5, 3)
    assert sorted(r.id for r in everything) == sorted(known), "sample() of more than there is must be all there is"
    chosen = set(list(known)[::2])
    some = corpus.sample(total, 3, lambda r: r.id in chosen)
    assert {r.id for r in some} == chosen, "sample() must draw from all records that 'where' allows, and no others"
    if total >= 10:
        _check_uniform(corpus, place, n, total)


def _check_uniform(corpus: DatasetConnector, place: dict[str, int], n: int, total: int) -> None:
    """Samples, not heads: over 40 seeds the first half is drawn as often as it should, within six deviations."""
    draws = [[place[r.id] for r in corpus.sample(n, seed)] for seed in range(40)]
    assert len({tuple(d) for d in draws}) > 1, "sample() draws the same records whatever the seed"
    if n >= 3:
        assert any(d != sorted(d) for d in draws), "sample() must come in seeded order, not in the corpus's"
    half = total // 2
    share, drawn = half / total, sum(p < half for d in draws for p in d)
    deviation = math.sqrt(40 * n * share * (1 - share) * (total - n) / (total - 1))
    expected = 40 * n * share
    assert abs(drawn - expected) <= 6 * deviation + 1, (
        f"sample() is not uniform: the first half of the corpus was drawn {drawn} times, expected {expected:.0f}"
    )


def _check_describe(corpus: DatasetConnector) -> None:
    info = corpus.describe()
    assert isinstance(info, DatasetInfo), "describe() must be a DatasetInfo"
    assert info.name == corpus.name, f"describe() says {info.name!r}, and the corpus is {corpus.name!r}"
    for name in ("kind", "source", "licence"):
        assert getattr(info, name), f"describe() must say the {name}"
    assert_json(info, "describe()")
    assert not isinstance(corpus.folders, str), "folders is a sequence of names, not one string"
