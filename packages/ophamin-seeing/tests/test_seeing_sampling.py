from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Iterator
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from ophamin.protocols import Record
from ophamin.seeing.corpus._base import seeded_sample

RECORDS = [Record(f"r{i}", i) for i in range(60)]


@given(n=st.integers(0, 70), seed=st.integers(0, 2**32 - 1), data=st.data())
def test_laws_of_a_sample(n: int, seed: int, data: st.DataObject) -> None:
    sample = seeded_sample(RECORDS, n, seed)
    assert len(sample) == len({r.id for r in sample}) == min(n, 60)
    shuffled = data.draw(st.permutations(RECORDS))
    assert seeded_sample(shuffled, n, seed) == sample, "the order of reading does not matter"
    assert seeded_sample(RECORDS, n + 5, seed)[: len(sample)] == sample, "a larger sample continues a smaller one"
    even = seeded_sample(RECORDS, n, seed, lambda r: r.payload % 2 == 0)
    assert even == [r for r in seeded_sample(RECORDS, 60, seed) if r.payload % 2 == 0][:n]


def chi_square(counts: Counter[object], cells: int) -> float:
    expected = counts.total() / cells
    assert len(counts) <= cells
    return sum((n - expected) ** 2 / expected for n in counts.values()) + (cells - len(counts)) * expected


def test_every_record_is_drawn_equally_often() -> None:
    counts = Counter(r.id for seed in range(6000) for r in seeded_sample(RECORDS, 10, seed))
    # Without replacement the sum of squares is smaller by (N − n)/(N − 1). The seeds are fixed, so this either holds
    # for ever or never; 110 is exceeded by chance once in 20,000 (chi-square, 59 degrees of freedom).
    assert chi_square(counts, 60) * 59 / 50 < 110
    assert chi_square(counts, 60) * 59 / 50 > 25, "nor suspiciously evenly"


def test_every_order_is_equally_likely() -> None:
    four = RECORDS[:4]
    counts = Counter(tuple(r.id for r in seeded_sample(four, 4, seed)) for seed in range(24_000))
    assert set(counts) == set(permutations(r.id for r in four))
    assert chi_square(counts, 24) < 58  # 23 degrees of freedom: once in 10,000


def test_neighbouring_seeds_share_no_more_than_chance() -> None:
    overlap = sum(
        len({r.id for r in seeded_sample(RECORDS, 10, s)} & {r.id for r in seeded_sample(RECORDS, 10, s + 1)})
        for s in range(2000)
    )
    assert abs(overlap / 2000 - 10 * 10 / 60) < 0.1


def test_the_corpus_is_not_held() -> None:
    def many() -> Iterator[Record]:
        for i in range(100_000):
            yield Record(str(i), "x" * 1000 + str(i))

    tracemalloc.start()
    assert len(seeded_sample(many(), 100, 1)) == 100
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000  # the corpus is 100 MB
