"""The objects of a git repository as one stream, whoever owns it; see ``ophamin.proof.git`` for what is not run."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from ophamin.proof.git import GitError, first_line, git_command, git_environment, git_output

__all__ = ["framed", "git_dir", "object_stream", "repository_says"]

_BUFFER = 1 << 20
_LARGEST = 1 << 30


def git_dir(place: Path) -> Path | None:
    """The repository at ``place`` itself (never one above it): its ``.git``, or the folder of a bare one."""
    if (place / ".git").exists():
        return place / ".git"
    if (place / "HEAD").is_file() and (place / "objects").is_dir():
        return place
    return None


def repository_says(repository: Path, *arguments: str) -> bytes:
    """What one git command prints.

    Args:
        repository: As ``git_dir`` gives it.
        arguments: The command; nothing of a user's may stand where an option could.

    Raises:
        GitError: It ended with an error, or said too much.
    """
    return git_output((f"--git-dir={repository}",), arguments, foreign=True)


def object_stream(repository: Path, revisions: Sequence[str]) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Every commit reachable from ``revisions``: object id, type and content, as ``cat-file`` frames them.

    ``git rev-list`` writes straight into ``git cat-file --batch --buffer``: neither the list nor the history is held,
    and a partial clone needs nothing it lacks. Of a missing object the type is ``missing`` and the content empty.

    Args:
        repository: As ``git_dir`` gives it.
        revisions: Full object ids, or ``--all``.

    Raises:
        GitError: The history breaks off; after everything before that was yielded.
    """
    with tempfile.TemporaryFile() as said:

        def start(arguments: Sequence[str], stdin: int | IO[bytes]) -> subprocess.Popen[bytes]:
            command = git_command((f"--git-dir={repository}",), arguments, foreign=True)
            environment = git_environment(foreign=True)
            return subprocess.Popen(
                command, env=environment, stdin=stdin, stdout=subprocess.PIPE, stderr=said, bufsize=_BUFFER
            )

        listing = start(["rev-list", *revisions], subprocess.DEVNULL)
        assert listing.stdout is not None
        reading = start(["cat-file", "--batch", "--buffer"], listing.stdout)
        assert reading.stdout is not None
        listing.stdout.close()  # its other end belongs to cat-file, which must see it end
        try:
            yield from framed(reading.stdout)
            codes = (listing.wait(), reading.wait())
            if any(codes):
                said.seek(0)
                raise GitError(first_line(said.read(4096)) or f"git ended with {max(codes)}")
        finally:
            for process in (reading, listing):
                process.kill()
                process.wait()
            reading.stdout.close()


def framed(stream: IO[bytes]) -> Iterator[tuple[bytes, bytes, bytes]]:
    """The objects of a ``cat-file --batch`` stream.

    Args:
        stream: A binary file.

    Raises:
        GitError: It is no such stream, or it ends within an object.
    """
    readline, read = stream.readline, stream.read
    while line := readline(4096):
        try:
            oid, kind, size = line.split()
            length = int(size)
        except ValueError:
            words = line.split()
            if len(words) == 2 and words[1] == b"missing":
                yield words[0], b"missing", b""
                continue
            raise GitError("no stream of git cat-file --batch") from None
        if not 0 <= length <= _LARGEST:
            raise GitError(f"an object of {length} bytes")
        data = read(length + 1)
        if len(data) != length + 1:
            raise GitError("the stream ends within an object")
        yield oid, kind, data[:-1]
