"""git as a reader: nothing is fetched, written or executed on behalf of the repository that is read."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from ophamin.proof.errors import CorpusUnavailable

__all__ = ["GitFailed", "framed", "git_dir", "git_environment", "git_output", "have_git", "object_stream"]

_BUFFER = 1 << 20
# What a repository's own configuration could run, turned off; it is somebody else's, so its owner does not matter.
_SAFE = (
    "safe.directory=*",
    "core.fsmonitor=false",
    f"core.hooksPath={os.devnull}",
    "core.pager=cat",
    "core.alternateRefsCommand=",
    "protocol.allow=never",
    "advice.graftFileDeprecated=false",
    "gc.auto=0",
    "maintenance.auto=false",
)


class GitFailed(Exception):
    """git ended with an error; the message is its first line."""


def have_git() -> bool:
    """Whether there is a git to call."""
    return shutil.which("git") is not None


def git_environment() -> dict[str, str]:
    """The environment of every call: no ``GIT_*`` of the caller, no settings of the user, no network, no prompt.

    ``GIT_NO_LAZY_FETCH`` keeps a partial clone from fetching what it lacks; git before 2.44 does not know it, so every
    transport is forbidden as well.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_GRAFT_FILE": os.devnull,
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }


def git_dir(place: Path) -> Path | None:
    """The repository at ``place`` itself (never one above it): its ``.git``, or the folder of a bare one."""
    if (place / ".git").exists():
        return place / ".git"
    if (place / "HEAD").is_file() and (place / "objects").is_dir():
        return place
    return None


def git_output(repository: Path, *arguments: str, limit: int = 1 << 24) -> bytes:
    """What one git command prints.

    Args:
        repository: As ``git_dir`` gives it.
        arguments: The command; nothing of a user's may stand where an option could.
        limit: Bytes; a longer answer is a failure.

    Raises:
        GitFailed: It ended with an error, or said too much.
    """
    done = subprocess.run(
        _command(repository, arguments),
        env=git_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise GitFailed(_first_line(done.stderr) or f"git ended with {done.returncode}")
    if len(done.stdout) > limit:
        raise GitFailed(f"an answer of {len(done.stdout)} bytes")
    return done.stdout


def object_stream(repository: Path, revisions: Sequence[str]) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Every commit reachable from ``revisions``: object id, type and content, as ``cat-file`` frames them.

    ``git rev-list`` writes straight into ``git cat-file --batch --buffer``: neither the list nor the history is held,
    and a partial clone needs nothing it lacks. Of a missing object the type is ``missing`` and the content empty.

    Args:
        repository: As ``git_dir`` gives it.
        revisions: Full object ids, or ``--all``.

    Raises:
        GitFailed: The history breaks off; after everything before that was yielded.
    """
    with tempfile.TemporaryFile() as said:

        def start(arguments: Sequence[str], stdin: int | IO[bytes]) -> subprocess.Popen[bytes]:
            command = _command(repository, arguments)
            return subprocess.Popen(
                command, env=git_environment(), stdin=stdin, stdout=subprocess.PIPE, stderr=said, bufsize=_BUFFER
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
                raise GitFailed(_first_line(said.read(4096)) or f"git ended with {max(codes)}")
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
        GitFailed: It is no such stream, or it ends within an object.
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
            raise GitFailed("no stream of git cat-file --batch") from None
        data = read(length + 1)
        if len(data) != length + 1:
            raise GitFailed("the stream ends within an object")
        yield oid, kind, data[:-1]


def _command(repository: Path, arguments: Sequence[str]) -> list[str]:
    git = shutil.which("git")
    if git is None:
        raise CorpusUnavailable("git is not installed, and reads the corpus linux: install it, e.g. apt install git")
    settings = [word for setting in _SAFE for word in ("-c", setting)]
    return [git, "--no-pager", *settings, f"--git-dir={repository}", *arguments]


def _first_line(said: bytes) -> str:
    lines = [line for line in said.decode("utf-8", "replace").splitlines() if line and not line.startswith("hint:")]
    return lines[0][:200] if lines else ""
