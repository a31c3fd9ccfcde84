"""``linux``: the commits of a git repository, e.g. of the Linux kernel."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from ophamin.proof.errors import UsageError
from ophamin.proof.git import GitError, have_git
from ophamin.protocols import Availability, DatasetInfo, Record
from ophamin.seeing.corpus._base import ROOT_VARIABLE, candidates, data_root_of, foreign, require, tried
from ophamin.seeing.corpus._commit import CommitMeta, Identities, declared_encoding, message_of
from ophamin.seeing.corpus._git_objects import framed, git_dir, object_stream, repository_says
from ophamin.seeing.corpus._linux_sample import SAMPLE_NOTE, write_linux_sample
from ophamin.seeing.corpus._mailmap import Mailmap
from ophamin.seeing.corpus._problems import Problems
from ophamin.seeing.corpus._streamed import StreamedCorpus

__all__ = ["LinuxCorpus"]

_HOW = (
    "git clone --bare --filter=tree:0 https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git "
    "<data root>/linux/linux.git, or a generated sample: ophamin corpus sample linux --out data; "
    f"then name the folder by --data-root or {ROOT_VARIABLE}"
)
_SIZE = "about 1 GB without trees and files, 1.4 million commits"
_LICENCE = "GPL-2.0 (Linux); of another repository its own; commits carry names and addresses of their authors"
_SOURCE = "https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git"
_BREAKS_OFF = "the history breaks off"
_PREFERRED = ("linux.git", "linux", "torvalds-linux.git")


class LinuxCorpus(StreamedCorpus):
    """One record per commit: the payload is its message, ``id`` its object id, ``group`` its author's address.

    Labels: ``author`` (the name), ``merge`` (whether it has several parents) and ``subsystem`` (what stands before the
    first colon of the subject, as the kernel writes it, else ``None``). ``meta`` holds parents, dates, committer,
    trailers and what else the object says; see ``CommitMeta``. A message is text as the commit's ``encoding`` says,
    else UTF-8, else Windows-1252 or Latin-1, and then it is counted in ``problems()``.

    Any repository is read: with or without a working tree, partial (``--filter=blob:none``, ``tree:0``) or shallow.
    Nothing is fetched. Order is that of ``git rev-list``. The tip's object id is the ``revision``.

    Args:
        arg: The repository, or a file of ``git cat-file --batch`` output; default: the first one in the folder.
        data_root: Holds ``linux``, or is that folder; default ``$OPHAMIN_DATA_ROOT``.
        rev: Commits reachable from here, e.g. ``v6.1``; ``all`` for all branches and tags.
        mailmap: A ``.mailmap`` file to apply to names and addresses, or ``none``; default: the repository's own, where
            it has that file.

    Example:
        >>> import tempfile
        >>> root = LinuxCorpus().write_sample(Path(tempfile.mkdtemp()), seed=1)
        >>> corpus = LinuxCorpus(data_root=root)
        >>> record = next(corpus.select(lambda r: r.labels["merge"]))
        >>> len(record.meta["parents"]) > 1, record.id == corpus.describe().revision or len(record.id)
        (True, 40)
    """

    name = "linux"
    folders: Sequence[str] = ("linux",)

    def __init__(self, arg: str = "", data_root: Path | None = None, *, rev: str = "HEAD", mailmap: str = "") -> None:
        self._arg, self._rev, self._mailmap = arg, rev, mailmap
        self._roots = self._places = candidates(data_root_of(data_root), self.folders)
        if arg:
            named = Path(arg).expanduser()
            self._places = [named] if named.is_absolute() else [named, *(place / named for place in self._roots)]

    def availability(self) -> Availability:
        """Whether there is a repository, whether its history is whole, and what lies there instead."""
        looked = tried(self._places)
        path, others = self._found()
        if path is None:
            return Availability("absent", looked, self._instead(), _HOW, _SIZE, _LICENCE)
        if path.is_file():
            wrong = foreign(path, "text")
            return Availability("wrong" if wrong else "ok", looked, wrong or str(path), _HOW, _SIZE, _LICENCE)
        if not have_git():
            return Availability("absent", looked, f"{path}, but git is not installed", "install git", _SIZE, _LICENCE)
        repository = git_dir(path)
        assert repository is not None  # _found() said so
        try:
            self._tips(repository)
            shallow = repository_says(repository, "rev-parse", "--is-shallow-repository").strip() == b"true"
        except GitError as error:
            found = f"{path} is a repository without the commits of {self._rev} (git says: {error})"
            return Availability("wrong", looked, found, _HOW, _SIZE, _LICENCE)
        if shallow:
            found = f"{path} is a shallow clone, its older history is cut off: run git fetch --unshallow there"
            return Availability("partial", looked, found, _HOW, _SIZE, _LICENCE)
        broken = next((reason for reason in self._passed or () if reason.startswith(_BREAKS_OFF)), "")
        if broken:
            return Availability("partial", looked, f"{path}: {broken}", _HOW, _SIZE, _LICENCE)
        found = f"{path}: generated sample" if _generated(path) else str(path)
        if others:
            found += f"; also there: {', '.join(others)} (name one: linux:{others[0]})"
        return Availability("ok", looked, found, _HOW, _SIZE, _LICENCE)

    def content_hash(self) -> str:
        """``sha256:…`` over the object ids of the tips and of the shallow boundary, and over the mailmap.

        An object id is a hash over the commit and all its ancestors, so nothing needs to be read again, and nothing
        is remembered that could become stale. Of a file of ``cat-file`` output, over its bytes.
        """
        path = self._usable()
        lines = [f"mailmap {hashlib.sha256(self._people_text(path).encode('utf-8', 'surrogatepass')).hexdigest()}\n"]
        repository = None if path.is_file() else git_dir(path)
        if repository is None:
            lines.append(f"batch {hashlib.sha256(path.read_bytes()).hexdigest()}\n")
        else:
            lines += [f"tip {oid}\n" for oid in self._tips(repository)]
            boundary = Path(repository_says(repository, "rev-parse", "--git-path", "shallow").decode().rstrip("\n"))
            if boundary.is_file():
                lines += [f"shallow {oid}\n" for oid in sorted(boundary.read_text("ascii").split())]
        return f"sha256:{hashlib.sha256(''.join(lines).encode()).hexdigest()}"

    def describe(self) -> DatasetInfo:
        """Source, licence and the tip."""
        path, _ = self._found()
        repository = git_dir(path) if path is not None and path.is_dir() else None
        if path is None or repository is None or not have_git():
            return DatasetInfo(self.name, "git history", str(path or _SOURCE), _LICENCE)
        size = sum(file.stat().st_size for file in repository.rglob("objects/pack/*.pack"))
        try:
            revision = self._tips(repository)[0]
        except GitError:
            revision = ""
        if _generated(path):
            source = "ophamin corpus sample linux"
            return DatasetInfo(self.name, "generated sample", source, "CC0-1.0", "", size, revision)
        try:
            url = repository_says(repository, "config", "--get", "remote.origin.url").decode("utf-8", "replace").strip()
        except GitError:
            url = ""
        return DatasetInfo(self.name, "git history", _without_secret(url) or str(path), _LICENCE, "", size, revision)

    def write_sample(self, directory: Path, seed: int) -> Path:
        """Write ``linux/sample.git``, a bare repository of generated commits; returns ``directory``.

        Raises:
            UsageError: git is not installed.
        """
        write_linux_sample(directory / self.folders[0], seed)
        return directory

    def _read(self, problems: Problems) -> Iterator[Record]:
        path = self._usable()
        people = Identities(Mailmap(self._people_text(path)))
        try:
            for oid, kind, data in self._objects(path):
                if kind != b"commit":
                    reason = "an object that is missing" if kind == b"missing" else "an object that is no commit"
                    problems.add(oid.decode("ascii", "replace"), reason)
                    continue
                head, _, body = data.partition(b"\n\n")
                begin = head.find(b"\nauthor ") + 8
                if begin < 8 or not head.startswith(b"tree "):
                    problems.add(oid.decode("ascii", "replace"), "a commit without tree or author")
                    continue
                end = head.find(b"\n", begin) % (len(head) + 1)  # -1, no further line: the end
                declared = declared_encoding(head)
                name, address = people.proper(head[begin : head.rfind(b">", begin, end) + 1], declared)
                identifier = oid.decode("ascii")
                text, encoding, doubt = message_of(body, declared)
                if doubt:
                    problems.add(identifier, f"{doubt} (kept)")
                labels = {
                    "author": name,
                    "merge": head.count(b"\nparent ", 0, begin) > 1,
                    "subsystem": _subsystem(text),
                }
                meta = CommitMeta(head, text, encoding, people)
                yield Record(identifier, text, address.lower() or None, labels, meta)
        except GitError as error:
            problems.add(str(path), f"{_BREAKS_OFF} ({error})")

    def _objects(self, path: Path) -> Iterator[tuple[bytes, bytes, bytes]]:
        repository = None if path.is_file() else git_dir(path)
        if repository is not None:
            yield from object_stream(repository, ["--all"] if self._rev == "all" else self._tips(repository))
            return
        with path.open("rb") as file:
            yield from framed(file)

    def _tips(self, repository: Path) -> list[str]:
        """Object ids of the commits everything is reached from.

        Raises:
            GitError: There are none.
        """
        if self._rev == "all":
            said = repository_says(repository, "rev-list", "--no-walk", "--all").decode().split()
            if not said:
                raise GitError("no branch and no tag")
            return sorted(set(said))
        return [
            repository_says(repository, "rev-parse", "--verify", "--end-of-options", f"{self._rev}^{{commit}}")
            .decode()
            .strip()
        ]

    def _people_text(self, path: Path) -> str:
        """The mailmap's text, "" where there is none."""
        if self._mailmap == "none":
            return ""
        if self._mailmap:
            named = Path(self._mailmap).expanduser()
            file = next((p for p in (named, *(place / named for place in self._roots)) if p.is_file()), None)
            if file is None:
                raise UsageError(f"mailmap={self._mailmap}: no such file")
            return file.read_bytes().decode("utf-8", "replace")
        repository = None if path.is_file() else git_dir(path)
        if repository is None:
            return ""
        try:
            tip = self._tips(repository)[0]
            return repository_says(repository, "cat-file", "blob", f"{tip}:.mailmap").decode("utf-8", "replace")
        except GitError:  # it has none, or is a partial clone that lacks it
            return ""

    def _usable(self) -> Path:
        """The repository or file.

        Raises:
            CorpusUnavailable: There is none, or something else lies there.
        """
        require(self.name, self.availability())
        path, _ = self._found()
        assert path is not None  # it is available
        return path

    def _found(self) -> tuple[Path | None, list[str]]:
        """The first repository (or file of objects) at or in the places, and the names of others beside it."""
        for place in self._places:
            if self._arg and place.is_file():
                return place, []
            if git_dir(place) is not None:
                return place, []
            if not place.is_dir():
                continue
            inside = sorted(child.name for child in place.iterdir() if child.is_dir() and git_dir(child))
            inside.sort(key=lambda name: name not in _PREFERRED)
            if inside:
                return place / inside[0], inside[1:]
        return None, []

    def _instead(self) -> str:
        """What lies where a repository was looked for, in words."""
        for place in self._places:
            for folder in (place, *(place / name for name in _PREFERRED)):
                if (folder / "Makefile").is_file() or (folder / "Kconfig").is_file():
                    return f"{folder} has source files but no history: a release archive is no clone"
        return ""


def _subsystem(text: str) -> str | None:
    """What stands before the first colon and space of the subject."""
    end = text.find(": ", 0, 100)
    return None if end < 0 or "\n" in text[:end] else text[:end]


def _without_secret(url: str) -> str:
    """An address without the user and password that may stand in it."""
    scheme, sep, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if sep and "@" in rest.partition("/")[0] else url


def _generated(path: Path) -> bool:
    return (path.parent / SAMPLE_NOTE).exists()
