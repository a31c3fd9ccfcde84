from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ophamin.comparing.history.bisect import Search, steps_of


@given(st.integers(1, 300), st.data())
def test_the_first_bad_one_is_found_in_log2_n_steps(n, data):
    flip = data.draw(st.integers(1, n))
    asked = []

    def good(position: int) -> bool:
        asked.append(position)
        return position < flip

    found = Search(0, n)
    found.run(good)
    assert list(found.candidates) == [flip]
    assert len(asked) <= steps_of(n)
    assert len(set(asked)) == len(asked)
    assert not {0, n} & set(asked)


@given(st.integers(1, 60), st.data())
def test_what_cannot_be_told_widens_the_answer_and_never_moves_it(n, data):
    flip = data.draw(st.integers(1, n))
    silent = data.draw(st.sets(st.integers(1, n - 1))) if n > 1 else set()
    found = Search(0, n)
    found.run(lambda position: None if position in silent else position < flip)
    assert flip in found.candidates
    # Only what could not be told stands between what was.
    assert set(found.candidates) - {found.high} <= silent
    assert set(found.passed_over) <= silent


def test_the_steps_are_the_depth_of_the_tree():
    for n in range(1, 70):
        deepest = 0
        for flip in range(1, n + 1):
            asked = []
            found = Search(0, n)
            found.run(lambda i, flip=flip, asked=asked: asked.append(i) or i < flip)
            deepest = max(deepest, len(asked))
        assert deepest == (steps_of(n) if n > 1 else 0)
