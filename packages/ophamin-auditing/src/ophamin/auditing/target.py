"""What is audited: a file or a tree, its place in its repository, and the hashes that pin it."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import tomllib

from ophamin.auditing._git import git
from ophamin.proof.canonical import digest
from ophamin.proof.errors import UsageError
from ophamin.proof.git import GitError, is_changed

__all__ = ["Target", "is_environment", "text"]

SKIPPED_FOLDERS = frozenset({"__pycache__", ".venv"})
"""Outside the target's hash, in every version of the record."""
UNREAD_FOLDERS = SKIPPED_FOLDERS | {".git", ".hg", ".svn", "node_modules"}
"""Where no tool of ours looks for sources or settings."""
_ENVIRONMENT = "pyvenv.cfg"
SOURCES = (".py", ".pyi", ".pyw", ".ipynb")
INSTALLED = frozenset({"site-packages", "dist-packages"})
"""Where packages are installed: a repository around such a folder is not theirs, nor are its settings."""
SETTINGS = frozenset(
    {
        "pyproject.toml", "setup.cfg", "tox.ini", ".gitignore", ".ignore", "ruff.toml", ".ruff.toml", ".bandit",
        "mypy.ini", ".mypy.ini", "radon.cfg",
    }
)  # fmt: skip


def is_environment(folder: str | Path) -> bool:
    """Whether a folder is a virtual environment, whatever it is called: what lies there is other people's code.

    An empty ``pyvenv.cfg`` makes none (:pep:`405` asks for its key ``home``), so that one hides no code by accident.
    """
    try:
        lines = Path(folder, _ENVIRONMENT).read_text("utf-8", "replace").splitlines()
    except (OSError, ValueError):
        return False
    return any(line.partition("=")[0].strip().lower() == "home" for line in lines)


def text(value: str | Path) -> str:
    r"""A path or message as text that JSON can hold: bytes that are no UTF-8 become ``\udcff`` and the like."""
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")


@dataclass(frozen=True)
class Target:
    """A file or a folder to audit.

    Args:
        path: Absolute, symbolic links resolved.
        root: The repository it lies in, or the folder that packages are installed in; else the folder itself (of a
            file: its folder).

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "a.py").write_text("x = 1\\n")
        >>> Target.at(folder).sources()
        ['a.py']
    """

    path: Path
    root: Path
    _lines: dict[str, list[bytes]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def at(cls, path: Path | str) -> Target:
        """The target a user means.

        Raises:
            UsageError: There is no file or folder of that name.
        """
        if not os.path.exists(path):
            raise UsageError(f"{text(path)}: no such file or folder; give a path to audit")
        real = Path(os.path.realpath(path))
        mode = real.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise UsageError(f"{text(path)}: neither a file nor a folder; give a path to audit")
        folder = real if stat.S_ISDIR(mode) else real.parent
        above = (folder, *folder.parents)
        root = next((p for p in above if p.name in INSTALLED or (p / ".git").exists()), folder)
        return cls(real, root)

    @property
    def is_folder(self) -> bool:
        """Whether it is a tree."""
        return self.path.is_dir()

    @property
    def name(self) -> str:
        """Its path in the repository, POSIX style; ``.`` for the whole."""
        return self.relative(self.path)

    def relative(self, path: Path | str) -> str:
        """A path as the record has it: relative to the root, POSIX style; absolute when it lies outside."""
        whole = os.path.normpath(os.path.join(self.root, path))
        try:
            return text(Path(whole).relative_to(self.root).as_posix())
        except ValueError:
            return text(Path(whole).as_posix())

    @cached_property
    def _tree(self) -> tuple[list[tuple[str, list[str]]], list[Path], list[Path]]:
        """Its folders, each with the names of its files, the virtual environments, which are none of them, and links.

        Linked folders are not entered, so loops end nowhere.
        """
        entered: list[tuple[str, list[str]]] = []
        environments: list[Path] = []
        links: list[Path] = []
        for folder, below, names in os.walk(self.path):
            entered.append((folder, names))
            apart = {d for d in below if is_environment(os.path.join(folder, d))}
            environments += (Path(folder, d) for d in apart)
            links += (Path(folder, d) for d in below if os.path.islink(os.path.join(folder, d)))
            below[:] = sorted(set(below) - UNREAD_FOLDERS - apart)
        return entered, sorted(environments), sorted(links)

    @property
    def environments(self) -> list[Path]:
        """Virtual environments in the tree, which no tool is to look into; the target itself may be one."""
        return self._tree[1] if self.is_folder else []

    @property
    def links(self) -> list[Path]:
        """Folders of the tree that are symbolic links: their files belong where they lie, and some lead round."""
        return self._tree[2] if self.is_folder else []

    def _files(self) -> Iterator[Path]:
        """Regular files of the tree."""
        for folder, names in self._tree[0]:
            for name in names:
                file = Path(folder, name)
                if name.endswith(SOURCES) or name in SETTINGS:
                    try:
                        if stat.S_ISREG(file.stat().st_mode):
                            yield file
                    except OSError:  # a link to nowhere
                        continue

    @cached_property
    def files(self) -> list[Path]:
        """Sources and settings a tool may read: in the target, and the settings above it up to the root."""
        found = set(self._files()) if self.is_folder else {self.path}
        folder = self.path if self.is_folder else self.path.parent
        for above in (folder, *folder.parents):
            found |= {above / name for name in SETTINGS if (above / name).is_file()}
            if above == self.root:
                break
        return sorted(found)

    def sources(self) -> list[str]:
        """Source files, as the record names them."""
        return [self.relative(f) for f in self.files if f.name.endswith(SOURCES) or f == self.path]

    def has(self, *endings: str) -> bool:
        """Whether any of its sources has a name with one of these endings."""
        return any(name.endswith(endings) for name in self.sources())

    def others(self) -> Iterator[Path]:
        """Files of the tree that are no sources by their names; some tools look whether they begin like a script."""
        for folder, names in self._tree[0] if self.is_folder else ():
            yield from (Path(folder, name) for name in names if not name.endswith(SOURCES))

    def settings(self, *names: str) -> list[Path]:
        """Settings files of these names, those nearest to the root first."""
        return sorted((f for f in self.files if f.name in names), key=lambda f: (len(f.parts), f))

    def above(self, file: Path) -> bool:
        """Whether settings in ``file`` lie at or above the target, so that they hold for all of it."""
        return self.path == file.parent or file.parent in self.path.parents

    def content_hash(self) -> str:
        """The target's hash as every version of the record has it.

        Returns:
            Hex SHA-256: of a file its bytes; of a folder the text ``[('a.py', '<hex>'), …]`` over its
            ``*.py`` outside ``__pycache__`` and ``.venv``, sorted.
        """
        if not self.is_folder:
            return _sha256(self.path)
        entries = []
        for folder, below, names in os.walk(self.path):
            below[:] = [d for d in below if d not in SKIPPED_FOLDERS]
            for name in names:
                file = Path(folder, name)
                if name.endswith(".py") and file.is_file():
                    entries.append((text(file.relative_to(self.path)), _sha256(file)))
        return hashlib.sha256(repr(sorted(entries)).encode("utf-8")).hexdigest()

    def inputs_hash(self) -> str:
        """``sha256:…`` over every source and settings file that can change what a tool reports."""
        fresh = Target(self.path, self.root)  # look again: this is also how a change during the audit is seen
        return digest([[fresh.relative(f), _sha256(f)] for f in fresh.files])

    def line(self, path: str, number: int) -> str:
        """A source line without its ends and with single spaces; "" when there is none.

        Args:
            path: As the record names it.
            number: From 1.
        """
        lines = self.lines(path)
        if not 1 <= number <= len(lines):
            return ""
        return " ".join(lines[number - 1].decode("utf-8", "backslashreplace").split())

    def lines(self, path: str) -> list[bytes]:
        """The lines of a source file; empty when it cannot be read."""
        if path not in self._lines:
            try:
                self._lines[path] = (self.root / path).read_bytes().splitlines()
            except (OSError, ValueError):
                self._lines[path] = []
        return self._lines[path]

    def nearest(self, holds: Callable[[Path], bool], *names: str) -> Path | None:
        """The settings file that counts for the whole target: from its folder up to the root, the first that ``holds``.

        Args:
            holds: Whether a file has settings of the tool at all.
            *names: In one folder, the first of these goes first.
        """
        folder = self.path if self.is_folder else self.path.parent
        for above in (folder, *folder.parents):
            for name in names:
                if (above / name) in self._known and holds(above / name):
                    return above / name
            if above == self.root:
                break
        return None

    def dangling(self) -> list[Path]:
        """What looks like a source and is no file: links that lead nowhere, such as an editor's locks, and pipes.

        Tools stumble over the ones, and wait for the others.
        """
        found = []
        for folder, names in self._tree[0] if self.is_folder else ():
            files = (Path(folder, name) for name in names if name.endswith(SOURCES))
            found += [file for file in files if not file.is_file()]
        return sorted(found)

    @cached_property
    def _known(self) -> frozenset[Path]:
        return frozenset(self.files)

    def toml_table(self, file: Path, table: str) -> bool:
        """Whether a TOML file has ``[tool.<table>]``; an unreadable one is for the tool to complain about."""
        content = file.read_text("utf-8", "replace")
        try:
            return table in tomllib.loads(content).get("tool", {})
        except (ValueError, AttributeError):
            return f"[tool.{table}" in content

    def revision(self) -> tuple[str, bool | None]:
        """Git commit of the repository, and whether tracked files were changed; ``("", None)`` without git."""
        try:
            head = git(self.root, "rev-parse", "--verify", "HEAD")
            return head.decode().strip(), is_changed(self.root)
        except GitError:
            return "", None


def _sha256(file: Path) -> str:
    """Hex SHA-256 of a file; "" when it cannot be read."""
    sha = hashlib.sha256()
    try:
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                sha.update(chunk)
    except OSError:
        return ""
    return sha.hexdigest()
