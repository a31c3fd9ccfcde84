"""A generated kernel-style history as a bare git repository, the same bytes for the same seed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random

from ophamin.proof.errors import UsageError
from ophamin.proof.git import git_environment

__all__ = ["SAMPLE_NOTE", "generated_history", "write_linux_sample"]

SAMPLE_NOTE = "SAMPLE.md"
_COMMITS = 300
_EPOCH = 1_577_836_800  # 2020-01-01

_NOTE = """# Generated sample

Written by `ophamin corpus sample linux` (seed {seed}). `sample.git` is a bare repository of generated commits in the
style of the Linux kernel, by people who do not exist; none of its history or code. Use it to try things out, never to
claim something about real development. Licence: CC0-1.0.
"""

_PEOPLE = (
    "Ada Brandt <ada@example.org>",
    "Bo Li <bo.li@example.com>",
    "Chidi Okafor <chidi@example.net>",
    "Dana Costa <dana@example.org>",
    "Émile Roux <emile@example.com>",
    "F. Haas <fhaas@example.net>",
)
_ALSO = {"Ada Brandt <ada@example.org>": "abrandt <ada@old.example.org>"}
_MAILMAP = "# generated\nAda Brandt <ada@example.org> <ada@old.example.org>\n"
_PARTS = ("net", "mm", "sched", "x86/entry", "drm/toy", "docs", "usb: gadget", "fs/sample")
_VERBS = ("fix", "drop", "rework", "document", "simplify", "check")
_THINGS = ("the reference count", "an unused helper", "error paths", "the lock order", "a typo", "the fast path")
_WHYS = (
    "It could be freed twice when probe() fails.",
    "Nobody calls it since the last cleanup.",
    "Found by reading the code; no functional change.",
    "The old order deadlocks under memory pressure.",
    "This makes the next patch smaller.",
)


def write_linux_sample(folder: Path, seed: int) -> None:
    """Write the bare repository ``sample.git`` and ``SAMPLE.md`` into ``folder``.

    Raises:
        UsageError: git is not installed, or refuses.
    """
    git = shutil.which("git")
    if git is None:
        raise UsageError("git is not installed, and writes the sample of linux: install it, e.g. apt install git")
    folder.mkdir(parents=True, exist_ok=True)
    repository = folder / "sample.git"
    stream = b"".join(generated_history(Random(seed), _COMMITS))
    initial = ["init", "--quiet", "--bare", "--template=", "--initial-branch=master", str(repository)]
    # Always one pack, made by one thread: loose objects and their order would depend on the machine.
    environment = git_environment(foreign=True)
    steady = ["-c", "fastimport.unpackLimit=0", "-c", "pack.threads=1", f"--git-dir={repository}"]
    for arguments, fed in ((initial, b""), ([*steady, "fast-import", "--quiet"], stream)):
        done = subprocess.run([git, *arguments], input=fed, env=environment, capture_output=True, check=False)
        if done.returncode:
            raise UsageError(f"git cannot write the sample: {done.stderr.decode('utf-8', 'replace').strip()[:200]}")
    for report in repository.glob("fast_import_crash_*"):
        os.unlink(report)
    (folder / SAMPLE_NOTE).write_text(_NOTE.format(seed=seed), encoding="utf-8", newline="\n")


def generated_history(rng: Random, commits: int) -> Iterator[bytes]:
    """A history for ``git fast-import``: a line of ``commits`` commits with what real histories have.

    Two roots, merges of several parents, empty and non-UTF-8 messages, an ``encoding`` header, authors that need the
    mailmap, odd zones, authors dated after committers, trailers of all kinds.
    """
    sides: list[int] = []
    for number in range(1, commits + 1):
        author = rng.choice(_PEOPLE)
        written = _ALSO.get(author, author) if rng.random() < 0.3 else author
        when = _EPOCH + number * 3607 + rng.randrange(3600)
        zone = rng.choice(("+0000", "-0700", "+0530", "+1245"))
        committed = when - 86_400 if number % 50 == 0 else when + rng.randrange(600)
        branch = "refs/heads/side" if number % 25 in (5, 6, 7) else "refs/heads/master"
        message, encoding = _message(rng, number, author)
        lines = [f"commit {branch}", f"mark :{number}", f"author {written} {when} {zone}"]
        lines.append(f"committer {rng.choice(_PEOPLE)} {committed} {zone}")
        if encoding:
            lines.append(f"encoding {encoding}")
        begin = "\n".join(lines).encode(encoding or "utf-8") + b"\n" + _data(message)
        if number == 2:  # a second root
            begin = b"reset refs/heads/side\n" + begin
            begin = begin.replace(b"refs/heads/master", b"refs/heads/side")
            sides = [number]
        elif branch == "refs/heads/side":
            # Each side branch starts at the same old commit, so that a merge can have several parents.
            begin += b"from :2\n"
            sides.append(number)
        elif number % 25 == 8 and sides:
            begin += b"".join(b"merge :%d\n" % side for side in sides[-3:])
            sides = []
        elif number % 25 == 9:
            sides = []
        path = f"{rng.choice(_PARTS).partition(':')[0]}/{rng.choice('abcdef')}.txt"
        change = f"M 100644 inline {path}\n".encode() + _data(f"change {number}\n".encode())
        if number == 1:
            change += b"M 100644 inline .mailmap\n" + _data(_MAILMAP.encode())
        yield begin + change + b"\n"


def _message(rng: Random, number: int, author: str) -> tuple[bytes, str]:
    if number % 97 == 0:
        return b"", ""
    subject = f"{rng.choice(_PARTS)}: {rng.choice(_VERBS)} {rng.choice(_THINGS)} (patch {number})"
    paragraphs = [subject, rng.choice(_WHYS)]
    ends = [f"Signed-off-by: {author}"]
    if rng.random() < 0.3:
        ends.insert(0, f'Fixes: {rng.randrange(16**12):012x} ("{rng.choice(_PARTS)}: {rng.choice(_VERBS)} it")')
    if rng.random() < 0.3:
        ends.insert(0, f"Reviewed-by: {rng.choice(_PEOPLE)}\n (as far as it goes)")
    text = "\n\n".join([*paragraphs, "\n".join(ends)]) + "\n"
    if number % 41 == 0:
        return text.replace("It ", "Früher: ").encode("latin-1", "replace"), "ISO-8859-1"
    if number % 43 == 0:
        return ("Grüße\n\n" + text).encode("latin-1", "replace"), ""
    return text.encode(), ""


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)
