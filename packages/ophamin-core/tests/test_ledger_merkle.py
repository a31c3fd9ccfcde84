"""The tree against a recursive definition written from RFC 6962 §2.1 alone, and against its known roots."""

from __future__ import annotations

import hashlib

import pytest

from ophamin.proof import merkle


def h(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def mth(leaves: list[bytes]) -> bytes:
    if not leaves:
        return h(b"")
    if len(leaves) == 1:
        return h(b"\x00" + leaves[0])
    k = split(len(leaves))
    return h(b"\x01" + mth(leaves[:k]) + mth(leaves[k:]))


def split(n: int) -> int:
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def proof(m: int, leaves: list[bytes]) -> list[bytes]:
    return subproof(m, leaves, True)


def subproof(m: int, leaves: list[bytes], complete: bool) -> list[bytes]:
    n = len(leaves)
    if m == n:
        return [] if complete else [mth(leaves)]
    k = split(n)
    if m <= k:
        return [*subproof(m, leaves[:k], complete), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


def data(n: int) -> list[bytes]:
    return [f"leaf {i}".encode() for i in range(n)]


def hashes(n: int) -> list[str]:
    return [merkle.leaf_hash(d) for d in data(n)]


def test_the_empty_tree_and_prefixes_are_those_of_the_rfc():
    assert merkle.EMPTY_ROOT == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert merkle.root_hash([]) == merkle.EMPTY_ROOT
    assert merkle.leaf_hash(b"") == h(b"\x00").hex()
    assert merkle.leaf_hash(b"") == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert merkle.node_hash("00" * 32, "11" * 32) == h(b"\x01" + b"\x00" * 32 + b"\x11" * 32).hex()


def test_the_eight_leaves_every_implementation_is_tested_with():
    leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    hashed = [merkle.leaf_hash(bytes.fromhex(leaf)) for leaf in leaves]
    roots = [merkle.root_hash(hashed[: n + 1]) for n in range(8)]
    assert roots[0] == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert roots[1] == "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
    assert roots[7] == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 64, 65])
def test_roots_and_paths_are_those_of_the_definition(n):
    leaves, hashed = data(n), hashes(n)
    assert merkle.root_hash(hashed) == mth(leaves).hex()
    for index in range(n):
        assert merkle.inclusion_path(hashed, index) == [x.hex() for x in path(index, leaves)]
    for old in range(1, n + 1):
        assert merkle.consistency_path(hashed, old) == [x.hex() for x in proof(old, leaves)]


@pytest.mark.parametrize("bad", ["", "zz" * 32, "ab" * 31, "ab" * 33, " " * 64, None, 7, "é" * 64])
def test_malformed_hashes_are_false_never_an_exception(bad):
    good = merkle.leaf_hash(b"x")
    assert not merkle.verify_inclusion(bad, 0, 1, [], good)
    assert not merkle.verify_inclusion(good, 0, 1, [], bad)
    assert not merkle.verify_inclusion(good, 0, 2, [bad], good)
    assert not merkle.verify_consistency(1, 2, bad, good, [good])
    assert not merkle.verify_consistency(1, 2, good, good, [bad])


def test_there_is_no_path_to_what_is_not_there():
    for index in (-1, 3):
        with pytest.raises(IndexError, match="tree of 3"):
            merkle.inclusion_path(hashes(3), index)
    with pytest.raises(IndexError, match="earlier size 4"):
        merkle.consistency_path(hashes(3), 4)
