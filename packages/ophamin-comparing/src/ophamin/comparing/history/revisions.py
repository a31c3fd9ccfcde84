"""Which revisions: the commits of ``A..B``, and the systems that can be measured at each of them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ophamin import registry
from ophamin.proof.errors import UsageError
from ophamin.proof.git import GitRefused, git, is_changed
from ophamin.registry import Spec

__all__ = ["Moving", "Revision", "commit_of", "moving", "range_of", "uncommitted", "walk"]

_FORMAT = "--format=%H%x1f%cI%x1f%s"
_SHALLOW = "; this is a shallow clone, so its past may be cut off: git fetch --unshallow"


@dataclass(frozen=True)
class Revision:
    """A commit.

    Args:
        commit: Its full object id.
        date: When it was committed, ISO 8601.
        subject: First line of its message.
    """

    commit: str
    date: str
    subject: str


@dataclass(frozen=True)
class Moving:
    """The arms of a run of which some move through the revisions of one repository.

    An arm moves when its substrate takes a parameter ``rev`` and its spec names none; an arm that names one stays
    there, as a baseline does.

    Args:
        arms: Arm name → substrate spec, as given.
        names: The arms that move.
        repository: The repository they move in.
    """

    arms: Mapping[str, str]
    names: tuple[str, ...]
    repository: Path

    def at(self, commit: str) -> dict[str, str]:
        """The arms at one commit."""
        moved = {}
        for name, text in self.arms.items():
            spec = Spec.parse(text)
            moved[name] = str(Spec(spec.name, spec.arg, {**spec.params, "rev": commit})) if name in self.names else text
        return moved


def moving(arms: Mapping[str, str]) -> Moving:
    """Find the arms that move, and their repository.

    Raises:
        UsageError: None can, they lie in different repositories, or there is no repository.
        UnknownPlugin: No such substrate.
    """
    names, places = [], []
    for name, text in arms.items():
        spec = Spec.parse(text)
        takes = "rev" in inspect.signature(registry.substrates.get(spec.name)).parameters
        if takes and "rev" not in spec.params:
            names.append(name)
            places.append(_root(Path(spec.arg).expanduser()))
    if not names:
        raise UsageError(
            "no system here moves through revisions: name one that takes rev= and leave rev= out, such as "
            "--substrate 'repo:.?target=pkg.mod:func'"
        )
    if len({_common(place) for place in places}) > 1:
        raise UsageError(f"the arms {', '.join(names)} lie in different repositories; fix all but one by rev=")
    return Moving(dict(arms), tuple(names), places[0])


def _root(path: Path) -> Path:
    if not path.is_dir():
        raise UsageError(f"{path} is no folder; name a git checkout")
    _common(path)
    return path.resolve()


def _common(path: Path) -> str:
    try:
        return git(path, "rev-parse", "--path-format=absolute", "--git-common-dir")
    except GitRefused as error:
        raise UsageError(f"{path} is not usable as a git repository: {error}") from None


def commit_of(repository: Path, name: str) -> str:
    """Object id of the commit a name means.

    Raises:
        UsageError: There is none.
    """
    try:
        return git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    except GitRefused:
        raise UsageError(f"{repository} has no commit {name!r}{_shallow(repository)}") from None


def walk(repository: Path, first: str, last: str, *, first_parent: bool = False, every: int = 1) -> list[Revision]:
    """The commits from ``first`` to ``last``, both included, oldest first.

    Args:
        repository: Where they lie.
        first: Name of a commit that ``last`` descends from.
        last: Name of a commit.
        first_parent: Walk along first parents only, so that a merge is one step.
        every: Keep each ``every``-th, counted from the first; the last is always kept.

    Raises:
        UsageError: No such commits, or the last does not descend from the first.
    """
    if every < 1:
        raise UsageError(f"--every takes a number of commits from 1 on, not {every}")
    begin, end = commit_of(repository, first), commit_of(repository, last)
    try:
        git(repository, "merge-base", "--is-ancestor", begin, end)
    except GitRefused:
        raise UsageError(
            f"{last} does not descend from {first}, so there is no way from one to the other{_shallow(repository)}"
        ) from None
    way = ["--first-parent"] if first_parent else ["--topo-order", "--ancestry-path"]
    lines = [git(repository, "log", "-1", _FORMAT, begin)]
    if begin != end:
        lines += git(repository, "log", "--reverse", *way, _FORMAT, f"{begin}..{end}").split("\n")
    found = [_revision(line) for line in lines]
    kept = found[::every]
    return kept if kept[-1] == found[-1] else [*kept, found[-1]]


def _revision(line: str) -> Revision:
    commit, date, subject = [*line.split("\x1f", 2), "", ""][:3]
    return Revision(commit, date, subject)


def range_of(words: str) -> tuple[str, str]:
    """The two ends of ``A..B``; ``A..`` and ``A`` end at HEAD.

    Raises:
        UsageError: It is no such range.

    Example:
        >>> range_of("v1..main"), range_of("v1..")
        (('v1', 'main'), ('v1', 'HEAD'))
    """
    first, dots, last = words.partition("..")
    if not first or last.startswith(".") or ".." in last:
        raise UsageError(f"--revisions {words!r} is not A..B, such as v1.0..HEAD; A itself is measured too")
    return first, last if dots and last else "HEAD"


def uncommitted(repository: Path, commits: Sequence[str]) -> str:
    """A sentence for whoever measures HEAD while files are changed, or ""."""
    try:
        if git(repository, "rev-parse", "HEAD") not in commits or not is_changed(repository, untracked=True):
            return ""
    except GitRefused:  # a bare repository has no files
        return ""
    return f"{repository} has uncommitted changes; clean checkouts of commits are measured, so they are left out"


def _shallow(repository: Path) -> str:
    try:
        return _SHALLOW if git(repository, "rev-parse", "--is-shallow-repository") == "true" else ""
    except GitRefused:
        return ""
