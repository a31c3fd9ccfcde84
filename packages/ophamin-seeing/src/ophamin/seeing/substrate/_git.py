"""Git, asked safely: no hook, no filter, no network, no prompt, nothing of ours written into the repository asked."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

__all__ = ["GitError", "git"]

_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.autocrlf=false",
    "protocol.allow=never",
    "submodule.recurse=false",
    "filter.lfs.smudge=",
    "filter.lfs.process=",
    "filter.lfs.required=false",
)
# A process that runs inside a hook has GIT_DIR and its like set, which would point every question elsewhere.
_KEPT = ("GIT_CONFIG", "GIT_EXEC_PATH", "GIT_SSL")
_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "LC_ALL": "C",
}


class GitError(Exception):
    """Git refused, is not there, or took too long; the message is its last line."""


def git(folder: Path, *args: str, timeout_s: float = 20.0) -> str:
    """What git says when asked in ``folder``, without the white space around it.

    Raises:
        GitError: It could not answer.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") or k.startswith(_KEPT)}
    settings = [word for setting in _SETTINGS for word in ("-c", setting)]
    try:
        done = subprocess.run(
            ["git", *settings, "-C", str(folder), *args],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=timeout_s,
            check=False,
            env={**environment, **_ENVIRONMENT},
        )
    except FileNotFoundError:
        raise GitError("git is not installed") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GitError(str(error)) from error
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise GitError(lines[-1] if lines else f"git {args[0]} ended with status {done.returncode}")
    return done.stdout.decode("utf-8", "replace").strip()
