"""A clean tree of one revision of somebody's repository, made without touching that repository.

The tree is a repository of its own whose objects are read from the original (git's *alternates*), so that a checkout
copies files and nothing else, and hooks, filters and settings of the original are never used. Trees are kept in the
user's cache, one per revision. Whoever uses one holds a shared lock on it; it is cleaned before each use that nobody
shares, and the least recently used beyond a few are removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
from pathlib import Path

from ophamin.proof.errors import SubstrateFailure, UsageError
from ophamin.proof.git import GitError, git
from ophamin.seeing._home import cache_folder

__all__ = ["WorkTree", "find_commit"]

_KEPT_TREES = 8
_CHECKOUT_TIMEOUT_S = 600.0


def find_commit(repository: Path, revision: str) -> str:
    """Object id of the commit a revision names.

    Raises:
        UsageError: There is no repository, or no such commit in it.
    """
    if not repository.is_dir():
        raise UsageError(f"{repository} is no folder; name a git checkout")
    try:
        git(repository, "rev-parse", "--git-dir")
    except GitError as error:
        raise UsageError(f"{repository} is not usable as a git repository: {error}") from None
    try:
        return git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    except GitError:
        raise UsageError(f"{repository} has no commit {revision!r}; fetch it, or name another by rev=") from None


class WorkTree:
    """The tree of one commit, locked against removal while this object is open.

    Args:
        repository: The repository, a checkout or bare; only read.
        commit: Full object id.

    Raises:
        SubstrateFailure: It cannot be checked out, for instance because a partial clone lacks the files.
    """

    def __init__(self, repository: Path, commit: str) -> None:
        root = cache_folder("worktrees")
        if root is None:
            raise UsageError("there is no home folder to keep a worktree in; set OPHAMIN_HOME")
        common = Path(git(repository, "rev-parse", "--path-format=absolute", "--git-common-dir")).resolve()
        folder = root / hashlib.sha256(os.fsencode(common)).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / commit
        self._lock = _Lock(folder / f"{commit}.lock")
        if self._lock.alone():
            # Nobody else has it: whatever an earlier run left in it goes.
            try:
                self._make(repository, commit) if not self.path.is_dir() else _clean(self.path, commit)
            except GitError as error:
                self._lock.release()
                raise SubstrateFailure(
                    f"revision {commit[:12]} of {repository} cannot be checked out: {error}"
                ) from error
            except BaseException:
                self._lock.release()
                raise
        self._lock.share()
        if not self.path.is_dir():
            self._lock.release()
            raise SubstrateFailure(
                f"revision {commit[:12]} of {repository} was not checked out by who began to; try again"
            )
        if not _as_begun(self.path):
            self._lock.release()
            raise SubstrateFailure(
                f"another run that is still going changed files in {self.path}; wait until it has ended"
            )
        _prune(folder, keep=commit)

    def close(self) -> None:
        """Let go of the tree, which stays in the cache; may be called twice."""
        self._lock.release()

    def _make(self, repository: Path, commit: str) -> None:
        objects = git(repository, "rev-parse", "--path-format=absolute", "--git-path", "objects")
        shallow = Path(git(repository, "rev-parse", "--path-format=absolute", "--git-path", "shallow"))
        kind = git(repository, "rev-parse", "--show-object-format")
        making = self.path.with_suffix(".making")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir()
        try:
            git(making, "init", "--quiet", f"--object-format={kind}", "--template=")
            # The files as they are stored, whatever the user wants line ends to be.
            git(making, "config", "core.autocrlf", "false")
            info = making / ".git" / "objects" / "info"
            info.mkdir(parents=True, exist_ok=True)
            (info / "alternates").write_bytes(os.fsencode(objects) + b"\n")
            if shallow.is_file():
                shutil.copyfile(shallow, making / ".git" / "shallow")
            git(making, "checkout", "--quiet", "--detach", commit, timeout_s=_CHECKOUT_TIMEOUT_S)
            if git(making, "ls-files", "--deleted"):
                raise GitError("the repository lacks some of its files; where it is a partial clone, fetch them first")
            _note(making)
            making.rename(self.path)
        except BaseException:
            shutil.rmtree(making, ignore_errors=True)
            raise


def _clean(tree: Path, commit: str) -> None:
    git(tree, "checkout", "--quiet", "--force", "--detach", commit, timeout_s=_CHECKOUT_TIMEOUT_S)
    git(tree, "clean", "--quiet", "-ffdx", timeout_s=_CHECKOUT_TIMEOUT_S)
    _note(tree)


# Where attributes and line endings disagree, git calls a fresh checkout changed: what it says at first is the measure.


def _state(tree: Path) -> str:
    return git(tree, "status", "--porcelain", "--untracked-files=no")


def _note(tree: Path) -> None:
    (tree / ".git" / "ophamin-state").write_text(_state(tree), encoding="utf-8")


def _as_begun(tree: Path) -> bool:
    try:
        return _state(tree) == (tree / ".git" / "ophamin-state").read_text(encoding="utf-8")
    except (GitError, OSError):
        return False


def _prune(folder: Path, keep: str) -> None:
    trees = [path for path in folder.iterdir() if path.is_dir() and path.name != keep and not path.suffix]
    trees.sort(key=lambda path: _used(folder / f"{path.name}.lock"))
    for tree in trees[: max(0, len(trees) + 1 - _KEPT_TREES)]:
        with _Lock(folder / f"{tree.name}.lock") as lock:
            if lock.alone():
                shutil.rmtree(tree, ignore_errors=True)


def _used(lock: Path) -> float:
    try:
        return lock.stat().st_mtime
    except OSError:
        return 0.0


class _Lock:
    """A lock on a file that dies with its process; where the platform has none, everybody is alone."""

    def __init__(self, path: Path) -> None:
        self._descriptor: int | None = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        with contextlib.suppress(OSError):
            os.utime(path)

    def alone(self) -> bool:
        """Take it exclusively, or say at once that somebody has it."""
        if sys.platform == "win32" or self._descriptor is None:
            return True
        import fcntl

        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def share(self) -> None:
        """Take it together with others, once nobody has it alone."""
        if sys.platform == "win32" or self._descriptor is None:
            return
        import fcntl

        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def release(self) -> None:
        """Let go; may be called twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> _Lock:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()
