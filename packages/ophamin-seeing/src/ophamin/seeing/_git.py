"""git, asked safely: no hook, filter, pager or monitor of a repository is run, nothing is fetched or prompted for.

Nothing of ours is written into the repository that is asked either. There are two stances. To the user's own checkout
git applies the user's settings, and git's own check of who owns it stays on, because some questions (``status``) could
run what an attacker's repository configures. A *foreign* repository, a corpus, is read whoever owns it: only objects
and references are asked for, which run nothing, and no settings of the user apply, so that everybody reads the same.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

__all__ = ["GitError", "first_line", "git", "git_command", "git_environment", "git_output", "have_git"]

_SETTINGS = (
    f"core.hooksPath={os.devnull}",
    "core.fsmonitor=false",
    "core.pager=cat",
    "core.alternateRefsCommand=",
    "core.autocrlf=false",
    "protocol.allow=never",
    "submodule.recurse=false",
    "filter.lfs.smudge=",
    "filter.lfs.process=",
    "filter.lfs.required=false",
    "advice.graftFileDeprecated=false",
    "gc.auto=0",
    "maintenance.auto=false",
)
# A process that runs inside a hook has GIT_DIR and its like set, which would point every question elsewhere.
_KEPT = ("GIT_CONFIG", "GIT_EXEC_PATH", "GIT_SSL")
_ENVIRONMENT = {
    # Keeps a partial clone from fetching what it lacks; git before 2.44 does not know it, so every transport is
    # forbidden as well.
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    # An object is what its id says.
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": os.devnull,
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "LC_ALL": "C",
}
_NO_SETTINGS = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}


class GitError(Exception):
    """git refused, is not there, took too long or said too much; the message is one line of what it said."""


def have_git() -> bool:
    """Whether there is a git to call."""
    return shutil.which("git") is not None


def git_environment(*, foreign: bool) -> dict[str, str]:
    """The environment of every call.

    Args:
        foreign: Without any settings of the user or the machine; see the module.
    """
    kept = () if foreign else _KEPT
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") or k.startswith(kept)}
    return environment | _ENVIRONMENT | (_NO_SETTINGS if foreign else {})


def git_command(where: Sequence[str], arguments: Sequence[str], *, foreign: bool) -> list[str]:
    """The command line that asks one repository.

    Args:
        where: Which, as options: ``--git-dir=…``, or ``-C`` and a folder.
        arguments: The command; nothing of a user's may stand where an option could.
        foreign: Whoever owns it; see the module.

    Raises:
        GitError: git is not installed.
    """
    program = shutil.which("git")
    if program is None:
        raise GitError("git is not installed: install it, e.g. apt install git")
    settings = (*_SETTINGS, *(("safe.directory=*",) if foreign else ()))
    return [program, "--no-pager", *(word for setting in settings for word in ("-c", setting)), *where, *arguments]


def git_output(
    where: Sequence[str],
    arguments: Sequence[str],
    *,
    foreign: bool,
    timeout_s: float | None = None,
    limit: int = 1 << 24,
) -> bytes:
    """What one git command prints.

    Args:
        where: As for ``git_command``.
        arguments: As for ``git_command``.
        foreign: As for ``git_command``.
        timeout_s: Longest to wait, seconds; ``None``: as long as it takes.
        limit: Bytes; a longer answer is a failure.

    Raises:
        GitError: It ended with an error, took too long, or said too much.
    """
    try:
        done = subprocess.run(
            git_command(where, arguments, foreign=foreign),
            env=git_environment(foreign=foreign),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:  # ValueError: a NUL in a word
        raise GitError(str(error)) from error
    if done.returncode:
        raise GitError(first_line(done.stderr) or f"git {arguments[0]} ended with status {done.returncode}")
    if len(done.stdout) > limit:
        raise GitError(f"an answer of {len(done.stdout)} bytes")
    return done.stdout


def git(folder: Path, *arguments: str, timeout_s: float = 20.0) -> str:
    """What git says of the user's own checkout when asked in ``folder``, without the white space around it.

    Raises:
        GitError: It could not answer.
    """
    said = git_output(("-C", str(folder)), arguments, foreign=False, timeout_s=timeout_s)
    return said.decode("utf-8", "replace").strip()


def first_line(said: bytes) -> str:
    """The line of an error message that says most: the fatal one, else the first that is no hint."""
    lines = [line for line in said.decode("utf-8", "replace").splitlines() if line and not line.startswith("hint:")]
    return next((line for line in lines if line.startswith("fatal:")), lines[0] if lines else "")[:200]
