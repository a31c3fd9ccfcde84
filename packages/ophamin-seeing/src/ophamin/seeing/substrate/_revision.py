"""Which version of a source file is running: the commit of its repository, or its distribution's version."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path

from ophamin.proof.git import GitError, git, is_changed

__all__ = ["file_hash", "git_revision", "module_version"]


def _git(folder: Path, *args: str) -> str | None:
    try:
        return git(folder, *args)
    except GitError:
        return None


def git_revision(path: Path) -> tuple[str, bool] | None:
    """Commit of the repository that holds ``path``, and whether its working tree differs from it.

    A file git ignores (an installed package in a virtual environment inside the repository) belongs to no commit.
    Untracked files elsewhere in the tree do not make it dirty; an untracked ``path`` does.

    Returns:
        ``(commit, dirty)``, or ``None`` outside a repository, before its first commit, or without git.
    """
    folder = path.parent
    listed = _git(folder, "ls-files", "--cached", "--others", "--exclude-standard", "--", path.name)
    commit = _git(folder, "rev-parse", "--verify", "HEAD") if listed else None
    if not commit:
        return None
    tracked = _git(folder, "ls-files", "--error-unmatch", "--", path.name)
    try:
        return commit, not tracked or is_changed(folder)
    except GitError:
        return commit, False


def module_version(module: str) -> str:
    """Version of the installed distribution that brings a module, "" when none does."""
    for distribution in _distributions(tuple(sys.path)).get(module.partition(".")[0], ()):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return ""


@lru_cache(maxsize=4)
def _distributions(_: tuple[str, ...]) -> Mapping[str, Sequence[str]]:
    """Top-level module → distributions, for one search path: a sweep asks for every cell, and the answer takes long."""
    return packages_distributions()


def file_hash(path: Path) -> str:
    """``sha256:…`` of a file's bytes, "" when it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except OSError:
        return ""
    return f"sha256:{digest.hexdigest()}"
