"""Enron: the archive against tarfile and a split by hand, hashing against hashlib, and memory over 500,000 mails."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from ophamin.seeing.corpus._enron_sample import generated_mails
from ophamin.seeing.corpus.enron import EnronCorpus

MAILS, ROUNDS = 8_000, 7
MANY = 500_000
HASHED = 256 << 20

# In a process of its own. VmHWM and not ru_maxrss: that one begins with the peak of the process that forked.
MEASURE = """
import sys
from ophamin.registry import make_corpus
def memory(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name))
for record in make_corpus(sys.argv[1]).records():
    pass  # everything is imported and warm
before = memory("VmRSS")
corpus = make_corpus(sys.argv[2])
seen = sum(1 for record in corpus.records() if record.payload is not None)
print(seen, memory("VmHWM") - before, corpus.problems().total)
"""


def write_archive(path: Path, mails: int, padding: int = 2000) -> int:
    """A generated archive of at least so many mails, and how many there are; texts are padded to about the size real mails have."""
    rng = Random(1)
    words = [rng.randbytes(3).hex() for _ in range(2000)]
    with (
        gzip.open(path, "wb", compresslevel=6 if padding else 1) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.GNU_FORMAT) as archive,
    ):
        done, chunk = 0, 0
        while done < mails:
            chunk += 1
            for name, raw in generated_mails(Random(chunk), min(1000, mails - done)):
                user, _, rest = name.partition("/")
                extra = " ".join(rng.choices(words, k=padding // 7)) if padding else f"batch {chunk}"
                content = raw + extra.encode() + b"\n"
                member = tarfile.TarInfo(f"maildir/{user}-{chunk}/{rest}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
                archive.members.clear()
                done += 1
    return done


def _ours(path: Path) -> int:
    return sum(len(r.payload) + len(r.labels["user"]) for r in EnronCorpus(str(path)).records())


def _bare(path: Path) -> int:
    total = 0
    with tarfile.open(path, "r|gz") as archive:
        for member in archive:
            if member.isfile():
                raw = archive.extractfile(member).read()
                head, _, body = raw.partition(b"\r\n\r\n")
                headers = {k.lower(): v for k, _, v in (line.partition(b":") for line in head.split(b"\r\n"))}
                user = member.name.split("/")[1]
                total += len(body) + len(user) + len(headers)
    return total


def ratio_of(bare: Callable[[], object], ours: Callable[[], object], rounds: int = ROUNDS) -> tuple[float, float]:
    """Bare time over ours, interleaved in alternating order: the median, and our seconds."""
    bare(), ours()
    ratios, seconds = [], []
    for turn in range(rounds):
        took = {}
        for which in (bare, ours) if turn % 2 else (ours, bare):
            began = time.perf_counter()
            which()
            took[which] = time.perf_counter() - began
        ratios.append(took[bare] / took[ours])
        seconds.append(took[ours])
    return statistics.median(ratios), statistics.median(seconds)


def growth(warm: str, spec: str) -> tuple[int, float, int]:
    """Records, MiB above start, and duplicates, of streaming a corpus in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, warm, spec], check=True, capture_output=True, text=True, env=os.environ
    )
    records, kib, duplicates = map(int, done.stdout.split())
    return records, kib / 1024, duplicates


def _hash(path: Path) -> None:
    with path.open("rb") as file:
        hashlib.file_digest(file, "sha256").hexdigest()


def run() -> list[dict[str, Any]]:
    """One row per promise: name, ratio, bar, ok, detail."""
    rows = []
    with tempfile.TemporaryDirectory() as name, patch.dict(os.environ, {"OPHAMIN_HOME": f"{name}/home"}):
        folder = Path(name)
        path = folder / "enron_mail_bench.tar.gz"
        mails = write_archive(path, MAILS)
        ratio, seconds = ratio_of(lambda: _bare(path), lambda: _ours(path))
        detail = (
            f"{mails / seconds:,.0f} mails/s, {path.stat().st_size / mails:,.0f} packed bytes each, duplicates left out"
        )
        rows.append(
            {
                "name": "enron .tar.gz, payload and labels / tarfile and a split",
                "ratio": ratio,
                "bar": ">= 0.5",
                "ok": ratio >= 0.5,
                "detail": detail,
            }
        )

        big = folder / "enron_mail_big.tar.gz"
        with big.open("wb") as file:
            file.write(b"\x1f\x8b")
            for _ in range(HASHED >> 20):
                file.write(os.urandom(1 << 20))
        corpus = EnronCorpus(str(big))
        corpus._whole = lambda *_: (None, "")  # type: ignore[method-assign]  # no archive, only bytes to hash
        ratio, seconds = ratio_of(lambda: _hash(big), corpus.content_hash)
        detail = f"{HASHED / seconds / 2**20:,.0f} MiB/s, nothing remembered"
        rows.append(
            {"name": "content_hash / hashlib", "ratio": ratio, "bar": ">= 0.9", "ok": ratio >= 0.9, "detail": detail}
        )
        big.unlink()

        many = folder / "enron_mail_many.tar.gz"
        written = write_archive(many, MANY, padding=0)
        records, mib, duplicates = growth(f"enron:{path}", f"enron:{many}")
        detail = f"MiB above start; {records:,} records and {duplicates:,} duplicates of {written:,} mails"
        rows.append(
            {
                "name": "memory, streaming enron",
                "ratio": mib,
                "bar": "<= 64",
                "ok": mib <= 64 and records + duplicates == written >= MANY,
                "detail": detail,
            }
        )
    return rows


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']:58} {row['ratio']:6.2f} {row['bar']:8} {'ok' if row['ok'] else 'MISSED'}  {row['detail']}")
