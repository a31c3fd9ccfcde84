"""git, asked about a tree that may be hostile: no hook, filter, monitor or transport of its repository is started."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

__all__ = ["GitError", "git"]

_SETTINGS = (f"core.hooksPath={os.devnull}", "core.fsmonitor=false", "protocol.allow=never")
# A process that runs inside a hook has GIT_DIR and its like set, which would point every question elsewhere.
_KEPT = ("GIT_CONFIG", "GIT_EXEC_PATH", "GIT_SSL", "GIT_CEILING")
_ENVIRONMENT = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}
_PROGRAMS = r"^filter\..*\.(clean|smudge|process|required)$"


class GitError(Exception):
    """There is no git, no such repository, it said no, or it took too long."""


def git(root: Path, *words: str, timeout_s: float = 60.0) -> bytes:
    """What git says about the repository whose working tree ``root`` is.

    To see whether a file was changed, git may have to convert it: ``status`` and ``diff`` would run whatever program
    the repository's own settings name as a filter. Those settings are emptied; the user's own ones (large files) hold.

    Args:
        root: The folder with ``.git``.
        *words: Command and arguments; nothing of a user's may stand where an option could.
        timeout_s: Longest to wait, seconds.

    Raises:
        GitError: No answer.
    """
    if not (root / ".git").exists():
        raise GitError(f"{root} is no working tree")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") or k.startswith(_KEPT)}
    environment |= _ENVIRONMENT
    settings = [word for setting in _SETTINGS for word in ("-c", setting)]
    start = ["git", *settings, "-C", str(root)]
    try:
        own = subprocess.run(
            [*start, "config", "--local", "--includes", "--null", "--name-only", "--get-regexp", _PROGRAMS],
            capture_output=True, stdin=subprocess.DEVNULL, timeout=timeout_s, check=False, env=environment,
        )  # fmt: skip
        named = sorted({os.fsdecode(name) for name in own.stdout.split(b"\0") if name})
        return subprocess.run(
            [*start, *words],
            capture_output=True, stdin=subprocess.DEVNULL, timeout=timeout_s, check=True,
            env={**environment, **_emptied(named, environment)},
        ).stdout  # fmt: skip
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise GitError(str(error)) from error


def _emptied(names: list[str], environment: dict[str, str]) -> dict[str, str]:
    """Settings as variables: there a name may hold anything, an equals sign too."""
    said = environment.get("GIT_CONFIG_COUNT", "")
    first = int(said) if said.isdecimal() else 0
    added = {"GIT_CONFIG_COUNT": str(first + len(names))} if names else {}
    for number, name in enumerate(names, first):
        added |= {f"GIT_CONFIG_KEY_{number}": name}
        added |= {f"GIT_CONFIG_VALUE_{number}": "false" if name.endswith(".required") else ""}
    return added
