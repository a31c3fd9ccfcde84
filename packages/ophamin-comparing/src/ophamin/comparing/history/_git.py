"""Git, asked about commits: no hook, no network, no prompt, and nothing is written into the repository."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ophamin.proof.errors import UsageError

__all__ = ["GitRefused", "ask"]

_SETTINGS = ("core.hooksPath=/dev/null", "core.fsmonitor=false", "protocol.allow=never")
# A process that runs inside a hook has GIT_DIR and its like set, which would point every question elsewhere.
_KEPT = ("GIT_CONFIG", "GIT_EXEC_PATH", "GIT_SSL")
_ENVIRONMENT = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}


class GitRefused(Exception):
    """Git said no; the message is its last line."""


def ask(repository: Path, *words: str, timeout_s: float = 60.0) -> str:
    """What git says about a repository, without the white space around it.

    Args:
        repository: A checkout or a bare repository.
        *words: Command and arguments.
        timeout_s: Longest to wait, seconds.

    Raises:
        GitRefused: Git ended with an error.
        UsageError: Git is not installed, or did not answer in time.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") or k.startswith(_KEPT)}
    settings = [word for setting in _SETTINGS for word in ("-c", setting)]
    try:
        done = subprocess.run(
            ["git", *settings, "-C", str(repository), *words],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=timeout_s,
            check=False,
            env={**environment, **_ENVIRONMENT},
        )
    except FileNotFoundError:
        raise UsageError("git is not installed, and revisions are git's") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"git {words[0]} in {repository}: {error}") from error
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise GitRefused(lines[-1] if lines else f"git {words[0]} ended with status {done.returncode}")
    return done.stdout.decode("utf-8", "replace").strip()
