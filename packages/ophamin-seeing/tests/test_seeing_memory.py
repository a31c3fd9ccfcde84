"""Streaming holds nothing: the resident memory of a fresh process, over histories and archives of growing length.

The full promise (500,000 mails, 1,000,000 commits) is measured by benchmarks/bench_corpora_{enron,linux}.py.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from ophamin.proof.git import git_environment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status"),
]

# VmHWM and not ru_maxrss: that one begins with the peak of the process that forked.
MEASURE = """
import sys
from ophamin.registry import make_corpus
def memory(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith(name))
for record in make_corpus(sys.argv[1]).records():
    pass  # everything is imported and warm
before = memory("VmRSS")
corpus = make_corpus(sys.argv[2])
seen = sum(1 for record in corpus.records())
print(seen, corpus.problems().total, memory("VmHWM") - before)
"""


def growth(warm: str, spec: str) -> tuple[int, int, int]:
    """Records, problems and bytes above start."""
    done = subprocess.run([sys.executable, "-c", MEASURE, warm, spec], check=True, capture_output=True, text=True)
    records, problems, above = map(int, done.stdout.split())
    return records, problems, above


def write_archive(path: Path, mails: int) -> None:
    # Plain tar: what is measured is memory, and packing takes longer than reading.
    with tarfile.open(path, "w|", format=tarfile.GNU_FORMAT) as archive:
        for number in range(mails):
            raw = b"From: a%d@b.org\r\nSubject: \r\n\r\nThis is text %d.\n" % (number % 900, number - number % 5 // 4)
            member = tarfile.TarInfo(f"maildir/u{number // 5000}/inbox/{number % 5000}.")
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))
            archive.members.clear()  # type: ignore[attr-defined]


def test_mails_without_duplicates(tmp_path: Path) -> None:
    write_archive(tmp_path / "few.tar", 2_000)
    write_archive(tmp_path / "many.tar", 50_000)
    records, left_out, above = growth(f"enron:{tmp_path}/few.tar", f"enron:{tmp_path}/many.tar")
    assert (records, left_out) == (40_000, 10_000)
    # Of 64 MiB for 500,000: two flat tables of 8 bytes a mail, at most doubled while they grow, and nothing else.
    assert above < 12 << 20


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_commits(tmp_path: Path) -> None:
    for name, commits in (("few", 1_000), ("many", 100_000)):
        path = tmp_path / f"{name}.git"
        subprocess.run(
            ["git", "init", "-q", "--bare", "-b", "master", str(path)], check=True, env=git_environment(foreign=True)
        )
        stream = b"".join(
            b"commit refs/heads/master\nauthor A <a%d@b.org> %d +0000\ncommitter A <a@b.org> %d +0000\ndata 12\n%-12d\n"
            % (number, 10**9 + number, 10**9 + number, number)
            for number in range(commits)
        )
        words = ["git", f"--git-dir={path}", "fast-import", "--quiet"]
        subprocess.run(words, input=stream, check=True, env=git_environment(foreign=True))
    records, left_out, above = growth(f"linux:{tmp_path}/few.git", f"linux:{tmp_path}/many.git")
    assert (records, left_out) == (100_000, 0)
    # 50,000 authors are remembered at most; there are twice as many.
    assert above < 32 << 20
