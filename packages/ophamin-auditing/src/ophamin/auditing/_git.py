"""git, asked about the repository whose working tree a folder is, and about none above it."""

from __future__ import annotations

from pathlib import Path

from ophamin.proof.git import GitError, git_output

__all__ = ["git"]


def git(root: Path, *words: str) -> bytes:
    """What git says about a working tree.

    Args:
        root: The folder with ``.git``.
        *words: Command and arguments; nothing of a user's may stand where an option could.

    Raises:
        GitError: No answer.
    """
    if not (root / ".git").exists():
        raise GitError(f"{root} is no working tree")
    return git_output(("-C", str(root)), words, foreign=False, timeout_s=60.0)
