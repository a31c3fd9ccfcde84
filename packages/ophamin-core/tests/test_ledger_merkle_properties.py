"""Proofs of trees of any size verify, and changed ones do not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ophamin.proof import merkle

SIZES = st.integers(1, 70)


def data(n: int) -> list[bytes]:
    return [f"leaf {i}".encode() for i in range(n)]


def hashes(n: int) -> list[str]:
    return [merkle.leaf_hash(d) for d in data(n)]


@given(SIZES, st.data())
def test_every_inclusion_proof_verifies_and_no_changed_one_does(n, draw):
    hashed, index = hashes(n), draw.draw(st.integers(0, n - 1))
    root, proven = merkle.root_hash(hashed), merkle.inclusion_path(hashed, index)
    assert merkle.verify_inclusion(hashed[index], index, n, proven, root)
    wrong = "ab" * 32
    assert not merkle.verify_inclusion(wrong, index, n, proven, root)
    assert not merkle.verify_inclusion(hashed[index], index, n, proven, wrong)
    assert not merkle.verify_inclusion(hashed[index], index, n, [*proven, wrong], root)
    assert not merkle.verify_inclusion(hashed[index], n, n, proven, root)
    assert not merkle.verify_inclusion(hashed[index], -1, n, proven, root)
    if proven:
        assert not merkle.verify_inclusion(hashed[index], index, n, proven[:-1], root)
        at = draw.draw(st.integers(0, len(proven) - 1))
        assert not merkle.verify_inclusion(hashed[index], index, n, [*proven[:at], wrong, *proven[at + 1 :]], root)
        other = draw.draw(st.integers(0, n - 1).filter(lambda i: i != index))
        assert not merkle.verify_inclusion(hashed[index], other, n, proven, root)


@given(SIZES, st.data())
def test_every_consistency_proof_verifies_and_no_changed_one_does(new, draw):
    old = draw.draw(st.integers(0, new))
    hashed = hashes(new)
    before, after = merkle.root_hash(hashed[:old]), merkle.root_hash(hashed)
    proven = merkle.consistency_path(hashed, old)
    assert merkle.verify_consistency(old, new, before, after, proven)
    wrong = "ab" * 32
    assert not merkle.verify_consistency(old, new, wrong, after, proven)
    assert not merkle.verify_consistency(old, new, before, after, [*proven, wrong])
    if old > 0:
        assert not merkle.verify_consistency(old, new, before, wrong, proven)
        rewritten = [merkle.leaf_hash(b"rewritten"), *hashed[1:]]
        forged = merkle.consistency_path(rewritten, old)
        assert not merkle.verify_consistency(old, new, before, merkle.root_hash(rewritten), forged)
    if proven:
        assert not merkle.verify_consistency(old, new, before, after, proven[:-1])
        at = draw.draw(st.integers(0, len(proven) - 1))
        assert not merkle.verify_consistency(old, new, before, after, [*proven[:at], wrong, *proven[at + 1 :]])


@given(SIZES)
def test_a_growing_tree_gives_each_new_leaf_its_path(n):
    tree = merkle.Frontier()
    for index, leaf in enumerate(hashes(n)):
        proven = tree.append(leaf)
        assert merkle.verify_inclusion(leaf, index, tree.size, proven, tree.root)
    assert tree.root == merkle.root_hash(hashes(n))
    other = tree.copy()
    other.push(merkle.leaf_hash(b"more"))
    assert tree.root == merkle.root_hash(hashes(n))
    assert other.size == tree.size + 1
