"""Content hashes: right, remembered, and never stale."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ophamin.seeing.corpus import _hashing, _remembered
from ophamin.seeing.corpus._hashing import file_sha256, manifest_hash, tree_hash

MIB = 1 << 20
LATER = _remembered.RACY_NS + 1_000_000_000


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPHAMIN_HOME", str(tmp_path / "home"))


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the files had been written three seconds ago."""
    now = time.time_ns
    monkeypatch.setattr(_hashing.time, "time_ns", lambda: now() + LATER)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were really read."""
    seen: list[Path] = []
    real = _hashing._digest

    def counting(path: Path, inflate: bool) -> str:
        seen.append(path)
        return real(path, inflate)

    monkeypatch.setattr(_hashing, "_digest", counting)
    return seen


def big(path: Path, fill: bytes = b"a") -> Path:
    path.write_bytes(fill * MIB)
    return path


def entries(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "home").rglob("*.json"))


@pytest.mark.usefixtures("settled")
def test_a_large_file_is_read_once(tmp_path: Path, reads: list[Path]) -> None:
    path = big(tmp_path / "data.bin")
    expected = hashlib.sha256(b"a" * MIB).hexdigest()
    assert [file_sha256(path) for _ in range(3)] == [expected] * 3
    assert reads == [path]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data.bin", "home"], "nothing beside the data"


def test_what_was_changed_just_now_is_not_trusted(tmp_path: Path, reads: list[Path]) -> None:
    path = big(tmp_path / "data.bin")
    first = path.stat()
    assert file_sha256(path) == hashlib.sha256(b"a" * MIB).hexdigest()
    with path.open("r+b") as file:  # in place, so that the inode stays
        file.write(b"b" * MIB)
    os.utime(path, ns=(first.st_atime_ns, first.st_mtime_ns))
    assert file_sha256(path) == hashlib.sha256(b"b" * MIB).hexdigest()
    assert len(reads) == 2
    assert entries(tmp_path) == []


def test_a_file_changed_in_the_tick_it_was_hashed_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: list[Path]
) -> None:
    """Hashing took longer than the racy window, so its end says nothing about its beginning."""
    path = big(tmp_path / "data.bin")
    clock = iter([path.stat().st_mtime_ns, *(path.stat().st_mtime_ns + 60 * LATER for _ in range(9))])
    monkeypatch.setattr(_hashing.time, "time_ns", lambda: next(clock))
    file_sha256(path)
    assert entries(tmp_path) == []


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("how", ["content", "same size and mtime", "replaced"])
def test_a_change_is_seen(tmp_path: Path, how: str) -> None:
    path = big(tmp_path / "data.bin")
    before, state = file_sha256(path), path.stat()
    assert len(entries(tmp_path)) == 1
    if how == "content":
        big(path, b"c").write_bytes(b"c" * (MIB + 1))
    elif how == "same size and mtime":
        time.sleep(0.02)  # one tick of the kernel's clock: ctime must move
        big(path, b"c")
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    else:
        big(tmp_path / "new", b"c").replace(path)
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert file_sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest() != before


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("damage", ["empty", "cut", "garbage", "other hash", "deep", "not hex"])
def test_a_damaged_memory_is_no_answer(tmp_path: Path, damage: str) -> None:
    path = big(tmp_path / "data.bin")
    expected = file_sha256(path)
    [entry] = entries(tmp_path)
    text = entry.read_text(encoding="utf-8")
    known = json.loads(text)
    entry.write_text(
        {
            "empty": "",
            "cut": text[:40],
            "garbage": "\x00\xff",
            "other hash": json.dumps(known | {"sha256": "0" * 64}),
            "deep": "[" * 100_000,
            "not hex": json.dumps(known | {"sha256": 7}),
        }[damage],
        encoding="utf-8",
    )
    assert file_sha256(path) == expected


@pytest.mark.usefixtures("settled")
def test_without_a_home_to_write_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "taken").write_text("a file, not a folder", encoding="utf-8")
    monkeypatch.setenv("OPHAMIN_HOME", str(tmp_path / "taken"))
    path = big(tmp_path / "data.bin")
    assert file_sha256(path) == hashlib.sha256(b"a" * MIB).hexdigest()


@pytest.mark.usefixtures("settled")
def test_several_writers_at_once(tmp_path: Path) -> None:
    path = big(tmp_path / "data.bin")
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.extend(file_sha256(path) for _ in range(5))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == {hashlib.sha256(b"a" * MIB).hexdigest()}
    assert len(found) == 40
    assert len(list((tmp_path / "home").rglob("*"))) == len([*(tmp_path / "home").rglob("*.json")]) + 3


@pytest.mark.usefixtures("settled")
def test_compressed_content(tmp_path: Path) -> None:
    text = os.urandom(2 * MIB)
    fast, small = tmp_path / "fast.gz", tmp_path / "small.gz"
    fast.write_bytes(gzip.compress(text, 1))
    small.write_bytes(gzip.compress(text, 9))
    for _ in range(2):
        assert file_sha256(fast) == file_sha256(small) == hashlib.sha256(text).hexdigest()
        assert file_sha256(fast, inflate=False) == hashlib.sha256(fast.read_bytes()).hexdigest()


def walker(root: Path) -> Callable[[], Iterator[Path]]:
    return lambda: iter(sorted(p for p in root.rglob("*") if p.is_file()))


@pytest.mark.usefixtures("settled")
def test_a_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "tree"
    (root / "b").mkdir(parents=True)
    (root / "a").write_bytes(b"1")
    (root / "b" / "c").write_bytes(b"2")
    lines = "".join(f"{hashlib.sha256(d).hexdigest()}  {n}\n" for n, d in (("a", b"1"), ("b/c", b"2")))
    expected = f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"
    assert tree_hash(root, walker(root)) == expected
    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", None)  # the memory answers; nothing is read
        assert tree_hash(root, walker(root)) == expected
    (root / "b" / "c").write_bytes(b"3")
    changed = tree_hash(root, walker(root))
    (root / "b" / "d").write_bytes(b"")
    assert len({expected, changed, tree_hash(root, walker(root))}) == 3


def test_a_manifest_does_not_depend_on_the_order(tmp_path: Path) -> None:
    files = [tmp_path / name for name in "abc"]
    for path in files:
        path.write_text(path.name, encoding="utf-8")
    assert manifest_hash(tmp_path, files) == manifest_hash(tmp_path, reversed(files))
