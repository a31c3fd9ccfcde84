"""What every connector does the same way: finding its folder, sampling, and telling a corpus from what is not one."""

from __future__ import annotations

import codecs
import hashlib
import heapq
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ophamin.proof.errors import CorpusUnavailable
from ophamin.protocols import Availability, Record

__all__ = [
    "ROOT_VARIABLE",
    "candidates",
    "counted",
    "data_root_of",
    "foreign",
    "require",
    "seeded_sample",
    "tried",
    "unavailable",
]

ROOT_VARIABLE = "OPHAMIN_DATA_ROOT"


def data_root_of(data_root: Path | str | None) -> Path | None:
    """The data root asked for, else ``$OPHAMIN_DATA_ROOT``, else ``None``."""
    if data_root:
        return Path(data_root).expanduser()
    from_environment = os.environ.get(ROOT_VARIABLE, "")
    return Path(from_environment).expanduser() if from_environment else None


def candidates(data_root: Path | None, folders: Sequence[str]) -> list[Path]:
    """Where a corpus may lie: its folders under the data root, then the root itself."""
    return [] if data_root is None else [*(data_root / name for name in folders), data_root]


def tried(places: Sequence[Path]) -> tuple[str, ...]:
    """The places a corpus was looked for in, in words that follow "looked in"."""
    return tuple(map(str, places)) or (f"no folder, because neither --data-root nor {ROOT_VARIABLE} is set",)


def seeded_sample(
    records: Iterable[Record], n: int, seed: int, where: Callable[[Record], bool] | None = None
) -> list[Record]:
    """Up to ``n`` records, uniform without replacement, in seeded order.

    Every record is ranked by a keyed hash of its id, and the ``n`` lowest are kept: only those are held, the order of
    reading does not matter, and a sample of n is the beginning of any larger sample with the same seed.

    Args:
        records: All records, read once.
        n: How many, at least 0.
        seed: 0 ≤ seed < 2**32.
        where: Keep only the records it accepts.

    Source: bottom-k sampling, Cohen and Kaplan (2007), "Summarizing data using bottom-k sketches", PODC.
    """
    key = seed.to_bytes(16, "big")

    def rank(record: Record) -> bytes:
        return hashlib.blake2b(record.id.encode("utf-8", "surrogatepass"), digest_size=16, key=key).digest()

    return heapq.nsmallest(n, records if where is None else filter(where, records), key=rank)


_FORMATS = (
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"PK\x03\x04", "a zip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"%PDF-", "a PDF document"),
)


def foreign(path: Path, expected: str = "") -> str:
    """What lies at ``path`` instead of data, in words, or "" when nothing looks wrong.

    Knows an empty file, a git-lfs or git-annex pointer, an HTML page or an XML or JSON error saved under the file's
    name, and, where a format is expected, a file of another one.

    Args:
        path: The file.
        expected: One of the formats it knows, e.g. ``a gzip archive`` or ``an HDF5 file``; ``text`` for none of them;
            "" for anything.
    """
    try:
        kind = path.stat().st_mode
        if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):  # a pipe would be waited for
            return f"{path.name} is neither a file nor a folder"
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        return f"{path.name} cannot be read ({error.strerror})"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        return f"{path.name} is empty"
    if start.startswith(b"version https://git-lfs.github.com/"):
        return f"{path.name} is a git-lfs pointer, not the file: run git lfs pull"
    if start.startswith(b"/annex/objects/") or b"/.git/annex/objects/" in head:
        return f"{path.name} is a git-annex pointer, not the file: run git annex get"
    if start.startswith((b"<!doctype html", b"<html")):
        return f"{path.name} is an HTML page, not the file: the download was answered by a web page"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return f"{path.name} is UTF-16 text, not UTF-8: convert it by iconv -f utf-16 -t utf-8"
    is_now = next((words for sign, words in _FORMATS if head.startswith(sign)), "")
    if not expected or is_now == expected or (expected == "text" and not is_now):
        return ""
    if expected != "text" and start.startswith((b"<?xml", b"<error", b'{"')):
        return f"{path.name} is an answer of a server, not {expected}: the download failed"
    return f"{path.name} is {is_now or 'something else'}, not {expected}"


def unavailable(name: str, state: Availability) -> CorpusUnavailable:
    """The error for a corpus that cannot be read, as one sentence."""
    found = f" ({state.found})" if state.found else ""
    get = f"; to get it: {state.how_to_get}" if state.how_to_get else ""
    named = (("size", state.size), ("licence", state.licence))
    facts = "; ".join(f"{name} {fact}" for name, fact in named if fact)
    return CorpusUnavailable(
        f"the corpus {name} is {state.state}{found}; looked in {', '.join(state.looked_in)}{get}"
        f"{f' ({facts})' if facts else ''}"
    )


def require(name: str, state: Availability) -> None:
    """Go on when there is something to read.

    Raises:
        CorpusUnavailable: The corpus is absent or something else lies there.
    """
    if state.state not in ("ok", "partial"):
        raise unavailable(name, state)


def counted(items: Iterable[object]) -> int:
    """How many an iterator yields."""
    return sum(1 for _ in items)
