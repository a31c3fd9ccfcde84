"""git, asked safely: nothing that a repository configures is run, nothing is fetched, written to it or prompted for.

Whoever unpacks an archive has its ``.git/config`` too, and git runs programs that are named there: monitors, filters,
hooks, drivers of diffs, verifiers of signatures. None of them is needed to answer what is asked here.

There are two stances. To somebody's own checkout git applies the user's and the machine's settings, and git's check
of who owns it stays on. A *foreign* repository, a corpus, is read whoever owns it and without any settings of the
user, so that everybody reads the same.

Of the repository's settings the filters cannot be switched off by one word, so those it names are looked up first and
set to what they are without it. What follows:

- A checkout has the files as they are stored: where the repository's own settings demand a filter (git-crypt, or Git
  LFS set up for it alone), its files stay encrypted, or pointers. Git LFS fills in nothing anywhere. Filters that the
  user set up for all repositories are the user's programs and do run.
- A file that such a filter would have to clean is called changed once git has to look into it.
- Submodules have settings of their own, which git would obey: it looks at their commit only. ``is_changed`` asks each
  of them in turn.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ophamin.proof.errors import UsageError

__all__ = [
    "GitError",
    "GitRefused",
    "GitUnavailable",
    "first_line",
    "git",
    "git_command",
    "git_environment",
    "git_output",
    "have_git",
    "is_changed",
]

_SETTINGS = (
    f"core.hooksPath={os.devnull}",
    "core.fsmonitor=false",
    "core.pager=cat",
    "core.alternateRefsCommand=",
    "protocol.allow=never",
    "submodule.recurse=false",
    "filter.lfs.smudge=",
    "filter.lfs.process=",
    "filter.lfs.required=false",
    "log.showSignature=false",
    # Of the format of a log, %G runs a verifier.
    "format.pretty=medium",
    "color.ui=false",
    "advice.graftFileDeprecated=false",
    "gc.auto=0",
    "maintenance.auto=false",
)
# A process that runs inside a hook has GIT_DIR and its like set, which would point every question elsewhere.
_KEPT = ("GIT_CONFIG_", "GIT_EXEC_PATH", "GIT_SSL", "GIT_CEILING")
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
# Drivers of diffs and the submodules' own status can be switched off by options only, right after the command.
_DIFF = ("--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty", "--no-color")
_OPTIONS = {
    "status": ("--ignore-submodules=dirty",),
    "log": (*_DIFF, "--no-show-signature"),
    "show": (*_DIFF, "--no-show-signature"),
    **dict.fromkeys(("diff", "diff-index", "diff-files", "diff-tree"), _DIFF),
}
# They read objects, references and names of files: what a filter is for does not occur.
_UNFILTERED = frozenset(
    ("cat-file", "config", "for-each-ref", "init", "ls-tree", "merge-base", "rev-list", "rev-parse")
)
# ls-files compares contents only when it is asked for what was modified.
_NAMES = frozenset(
    ("--", "--cached", "--deleted", "--error-unmatch", "--exclude-standard", "--full-name", "--others", "--stage", "-z")
)


class GitError(Exception):
    """git gave no answer; the message is one line."""


class GitRefused(GitError):
    """git ended with an error; the message is what it said, ``status`` its exit status."""

    def __init__(self, message: str, status: int = 128) -> None:
        super().__init__(message)
        self.status = status


class GitUnavailable(GitError, UsageError):
    """git is not installed, cannot be started, took too long or said too much."""


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
    """The command line that asks one repository, for commands that read objects and references only.

    Args:
        where: Which, as options: ``--git-dir=…``, or ``-C`` and a folder.
        arguments: The command; nothing of a user's may stand where an option could.
        foreign: Whoever owns it; see the module.

    Raises:
        GitUnavailable: git is not installed.
    """
    program = shutil.which("git")
    if program is None:
        raise GitUnavailable("git is not installed: install it, e.g. apt install git")
    settings = (*_SETTINGS, *(("safe.directory=*",) if foreign else ()))
    name, *rest = arguments
    words = [word for setting in settings for word in ("-c", setting)]
    return [program, "--no-pager", *words, *where, name, *_OPTIONS.get(name, ()), *rest]


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
        arguments: The command; nothing of a user's may stand where an option could.
        foreign: As for ``git_command``.
        timeout_s: Longest to wait, seconds; ``None``: as long as it takes.
        limit: Bytes; a longer answer is a failure.

    Raises:
        GitRefused: It ended with an error.
        GitUnavailable: It could not be asked, took too long, or said too much.
    """
    environment = git_environment(foreign=foreign)
    if not _reads_no_file(arguments):
        environment |= _without_filters(where, environment, foreign, timeout_s)
    said = _run(git_command(where, arguments, foreign=foreign), environment, timeout_s)
    if len(said) > limit:
        raise GitUnavailable(f"git {arguments[0]} gave an answer of {len(said)} bytes")
    return said


def git(folder: Path, *arguments: str, timeout_s: float = 60.0) -> str:
    """What git says of somebody's own checkout when asked in ``folder``, without the white space around it.

    Args:
        folder: In a checkout, or a bare repository.
        *arguments: The command; nothing of a user's may stand where an option could.
        timeout_s: Longest to wait, seconds.

    Raises:
        GitRefused: It ended with an error.
        GitUnavailable: It could not be asked, took too long, or said too much.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = git(folder, "init", "--quiet", "--template=")
        >>> git(folder, "rev-parse", "--is-inside-work-tree")
        'true'
    """
    said = git_output(("-C", str(folder)), arguments, foreign=False, timeout_s=timeout_s)
    return said.decode("utf-8", "replace").strip()


def is_changed(folder: Path, *, below: bool = False, untracked: bool = False, timeout_s: float = 60.0) -> bool:
    """Whether a checkout differs from its commit, its submodules and what is changed inside of them included.

    Args:
        folder: In a checkout.
        below: Whether only what lies in ``folder`` is looked at, and not all of the checkout.
        untracked: Whether a file git knows nothing of counts.
        timeout_s: Longest to wait for one answer, seconds.

    Raises:
        GitRefused: It is no checkout.
        GitUnavailable: It could not be asked, took too long, or said too much.
    """
    shown, part = "--untracked-files=" + ("normal" if untracked else "no"), "." if below else ":/"
    if git(folder, "status", "--porcelain", shown, "--", part, timeout_s=timeout_s):
        return True
    root = Path(git(folder, "rev-parse", "--show-toplevel", timeout_s=timeout_s))
    if not (root / ".gitmodules").is_file():
        return False
    names = git(folder, "ls-files", "--stage", "--full-name", "-z", "--", part, timeout_s=timeout_s).split("\0")
    inside = [root / entry.partition("\t")[2] for entry in names if entry.startswith("160000 ")]
    # One that was never fetched is an empty folder, and cannot differ.
    return any(is_changed(p, untracked=untracked, timeout_s=timeout_s) for p in inside if (p / ".git").exists())


def first_line(said: bytes) -> str:
    """The line of an error message that says most: the fatal one, else the first that is no hint."""
    lines = [line for line in said.decode("utf-8", "replace").splitlines() if line and not line.startswith("hint:")]
    return next((line for line in lines if line.startswith("fatal:")), lines[0] if lines else "")[:200]


def _run(command: Sequence[str], environment: dict[str, str], timeout_s: float | None) -> bytes:
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise GitUnavailable(f"git did not answer within {timeout_s:g} s") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in a word
        raise GitUnavailable(f"git cannot be asked: {error}") from error
    if done.returncode:
        said = first_line(done.stderr) or f"git ended with status {done.returncode}"
        raise GitRefused(said, done.returncode)
    return done.stdout


def _reads_no_file(arguments: Sequence[str]) -> bool:
    if arguments[0] == "ls-files":
        return all(word in _NAMES for word in arguments if word.startswith("-"))
    return arguments[0] in _UNFILTERED


def _without_filters(
    where: Sequence[str], environment: dict[str, str], foreign: bool, timeout_s: float | None
) -> dict[str, str]:
    """Settings, as variables, that make every filter of the repository what it is without the repository.

    As variables, for there a name may hold anything, an equals sign too.
    """
    pattern = r"^filter\..*\.(clean|smudge|process|required)$"
    listing = ("config", "--includes", "--null", "--show-scope", "--get-regexp", pattern)
    try:
        listed = _run(git_command(where, listing, foreign=foreign), environment, timeout_s)
    except GitRefused as error:
        if error.status == 1:  # there are none
            return {}
        raise
    words = os.fsdecode(listed).split("\0")
    users: dict[str, str] = {}
    named = []
    for scope, entry in zip(words[::2], words[1::2], strict=False):
        name, has_value, value = entry.partition("\n")
        if scope in ("local", "worktree"):
            named.append(name)
        else:
            users[name] = value if has_value else "true"
    first = int(said) if (said := environment.get("GIT_CONFIG_COUNT", "")).isdecimal() else 0
    named = sorted({*named})
    added = {"GIT_CONFIG_COUNT": str(first + len(named))} if named else {}
    for number, name in enumerate(named, first):
        added[f"GIT_CONFIG_KEY_{number}"] = name
        added[f"GIT_CONFIG_VALUE_{number}"] = users.get(name, "false" if name.endswith(".required") else "")
    return added
