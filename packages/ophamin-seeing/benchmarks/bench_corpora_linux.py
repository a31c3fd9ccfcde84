"""git history: all commits against ``cat-file --batch`` with bare framing, and memory over 1,000,000 commits."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from ophamin.proof.git import git_environment
from ophamin.seeing.corpus._linux_sample import generated_history
from ophamin.seeing.corpus.linux import LinuxCorpus

COMMITS = 30_000
MANY = 1_000_000

_spec = importlib.util.spec_from_file_location(
    "bench_corpora_enron", Path(__file__).with_name("bench_corpora_enron.py")
)
assert _spec is not None
assert _spec.loader is not None
_enron = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_enron)


def many(commits: int) -> Iterator[bytes]:
    """A straight line of small commits, quick to write."""
    for number in range(commits):
        message = f"net: change {number}\n\nBecause of {number}.\n\nSigned-off-by: A <a{number % 5000}@example.org>\n"
        yield (
            f"commit refs/heads/master\nauthor A <a{number % 5000}@example.org> {10**9 + number} +0000\n"
            f"committer A <a@example.org> {10**9 + number} +0000\ndata {len(message)}\n{message}"
        ).encode()


def repository(path: Path, stream: Iterator[bytes]) -> Path:
    """A bare repository of a generated history, packed as a server would send it."""
    environment = git_environment(foreign=True)
    git = ["git", f"--git-dir={path}"]
    subprocess.run(
        ["git", "init", "-q", "--bare", "--template=", "-b", "master", str(path)], check=True, env=environment
    )
    importing = subprocess.Popen([*git, "fast-import", "--quiet"], stdin=subprocess.PIPE, env=environment)
    assert importing.stdin is not None
    for part in stream:
        importing.stdin.write(part)
    importing.stdin.close()
    assert importing.wait() == 0
    return path


def _ours(path: Path) -> int:
    return sum(len(r.payload) for r in LinuxCorpus(str(path)).records())


def _bare(path: Path) -> int:
    git, environment, total = ["git", f"--git-dir={path}"], git_environment(foreign=True), 0
    listing = subprocess.Popen([*git, "rev-list", "HEAD"], stdout=subprocess.PIPE, env=environment)
    reading = subprocess.Popen(
        [*git, "cat-file", "--batch", "--buffer"],
        stdin=listing.stdout,
        stdout=subprocess.PIPE,
        env=environment,
        bufsize=1 << 20,
    )
    assert reading.stdout is not None
    while line := reading.stdout.readline():
        total += len(reading.stdout.read(int(line.split()[2]) + 1))
    reading.wait(), listing.wait()
    return total


def run() -> list[dict[str, Any]]:
    """One row per promise: name, ratio, bar, ok, detail."""
    rows = []
    with tempfile.TemporaryDirectory() as name, patch.dict(os.environ, {"OPHAMIN_HOME": f"{name}/home"}):
        folder = Path(name)
        path = repository(folder / "bench.git", generated_history(Random(1), COMMITS))
        subprocess.run(
            ["git", f"--git-dir={path}", "repack", "-adq", "--threads=1"], check=True, env=git_environment(foreign=True)
        )
        ratio, seconds = _enron.ratio_of(lambda: _bare(path), lambda: _ours(path))
        detail = f"{LinuxCorpus(str(path)).count() / seconds:,.0f} commits/s"
        rows.append(
            {
                "name": "git history / cat-file --batch and bare framing",
                "ratio": ratio,
                "bar": ">= 0.6",
                "ok": ratio >= 0.6,
                "detail": detail,
            }
        )
        large = repository(folder / "many.git", many(MANY))
        records, mib, left_out = _enron.growth(f"linux:{path}", f"linux:{large}")
        detail = f"MiB above start; {records:,} records, {left_out:,} left out"
        rows.append(
            {
                "name": "memory, streaming git history",
                "ratio": mib,
                "bar": "<= 64",
                "ok": mib <= 64 and records == MANY,
                "detail": detail,
            }
        )
    return rows


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']:58} {row['ratio']:6.2f} {row['bar']:8} {'ok' if row['ok'] else 'MISSED'}  {row['detail']}")
    sys.exit(0)
