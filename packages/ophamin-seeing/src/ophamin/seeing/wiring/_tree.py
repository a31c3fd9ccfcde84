"""The files of a source tree, and the names their modules are imported by."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ophamin.proof.errors import UsageError
from ophamin.seeing._signed import text
from ophamin.seeing.wiring._config import WiringConfig

__all__ = ["File", "Tree", "find_files"]

SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages"})
BUILT = frozenset({"build", "dist", "venv", "env"})
"""Skipped unless they are packages."""
_IMPORT_FOLDERS = ("src", "site-packages", "dist-packages")
PROJECT_FILES = ("pyproject.toml", "setup.py", "setup.cfg")
_EXTENSIONS = (".so", ".pyd", ".pyx")


@dataclass(frozen=True)
class File:
    """A Python file of the tree.

    Args:
        path: Where it lies.
        name: Path relative to the tree, POSIX style.
        module: Dotted name it is imported by.
        is_package: Whether it is an ``__init__.py``.
        in_package: Whether its folder is a package; else it may be a script, whose folder is searched first.
    """

    path: Path
    name: str
    module: str
    is_package: bool
    in_package: bool


@dataclass
class Tree:
    """What was found.

    Args:
        base: The folder that was looked at.
        files: By relative path.
        skipped: What was left out, with the reason.
        extensions: Dotted names of compiled modules, which others may import.
        projects: Folders with a project file.
        roots: Folders whose contents are imported by their path below them.
    """

    base: Path
    files: list[File] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    extensions: set[str] = field(default_factory=set)
    projects: list[Path] = field(default_factory=list)
    roots: list[Path] = field(default_factory=list)


def find_files(path: Path | str, config: WiringConfig) -> Tree:
    """Look at a tree; links are not followed, so loops end nowhere.

    Args:
        path: A folder.
        config: What is excluded, and the roots if they are declared.

    Raises:
        UsageError: No such folder, no Python file in it, or a declared root that is none.
    """
    base = Path(os.path.realpath(path))
    if not base.is_dir():
        what = "is no folder" if base.exists() else "does not exist"
        raise UsageError(f"{text(path)} {what}; name the folder of a source tree")
    tree = Tree(base)
    pythons, compiled = _walk(tree, config)
    if not pythons:
        raise UsageError(f"no Python file lies in {text(path)}; name the folder of a source tree")
    packages = {p.parent for p in pythons if p.name == "__init__.py"}
    tree.roots = _roots(tree, packages, config)
    for file in sorted(pythons):
        root = _root_of(file.parent, tree.roots, packages)
        parts = list(file.relative_to(root).parts)
        is_package = parts[-1] == "__init__.py"
        parts = parts[:-1] if is_package else [*parts[:-1], parts[-1].removesuffix(".py")]
        name = text(PurePosixPath(file.relative_to(base)))
        module = text(".".join(parts)) or text(base.name)
        tree.files.append(File(file, name, module, is_package, file.parent in packages))
    for file in compiled:
        root = _root_of(file.parent, tree.roots, packages)
        parts = list(file.relative_to(root).parts)
        tree.extensions.add(text(".".join([*parts[:-1], parts[-1].partition(".")[0]])))
    return tree


def _walk(tree: Tree, config: WiringConfig) -> tuple[list[Path], list[Path]]:
    pythons: list[Path] = []
    compiled: list[Path] = []

    def unreadable(error: OSError) -> None:
        place = Path(os.fsdecode(error.filename or ""))
        tree.skipped.append((_relative(place, tree.base), f"cannot be read: {error.strerror or error}"))

    for folder, below, names in os.walk(tree.base, onerror=unreadable):
        here = Path(folder)
        kept = []
        for name in sorted(below):
            sub = here / name
            if name.startswith(".") or name in SKIPPED or (sub / "pyvenv.cfg").exists():
                continue
            if name in BUILT and not (sub / "__init__.py").exists():
                continue
            if sub.is_symlink():
                tree.skipped.append((_relative(sub, tree.base), "a link to a folder is not followed"))
            elif not _excluded(_relative(sub, tree.base) + "/", config):
                kept.append(name)
        below[:] = kept
        if any(name in names for name in PROJECT_FILES):
            tree.projects.append(here)
        for name in sorted(names):
            file = here / name
            if name.endswith(_EXTENSIONS):
                compiled.append(file)
            if not name.endswith(".py") or _excluded(_relative(file, tree.base), config):
                continue
            if reason := _unfit(file):
                tree.skipped.append((_relative(file, tree.base), reason))
            else:
                pythons.append(file)
    return pythons, compiled


def _unfit(file: Path) -> str:
    try:
        mode = file.lstat().st_mode
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    if stat.S_ISLNK(mode):
        return "a link is not followed"
    return "" if stat.S_ISREG(mode) else "not a regular file"


def _excluded(name: str, config: WiringConfig) -> bool:
    return any(p.is_path and p.fits(name, "") for p in config.exclude)


def _relative(path: Path, base: Path) -> str:
    return text(PurePosixPath(os.path.relpath(path, base)))


def _roots(tree: Tree, packages: set[Path], config: WiringConfig) -> list[Path]:
    """Deepest first: declared ones, else every ``src`` folder and project folder that is no package, and the top."""
    found: set[Path] = set()
    if config.roots:
        for glob in config.roots:
            matched = [tree.base] if glob == "." else [p for p in sorted(tree.base.glob(glob)) if p.is_dir()]
            if not matched:
                raise UsageError(f"roots: no folder of the tree is called {glob!r}")
            found.update(matched)
    else:
        found.update(p for p in tree.projects if p not in packages)
        for package in packages:
            found.update(p for p in package.parents if p.name == "src" and p not in packages and tree.base in p.parents)
    top = tree.base
    while (top / "__init__.py").is_file() and top.parent != top:
        top = top.parent  # the tree itself lies in a package
    above = next((p for p in (top, *top.parents) if p.name in _IMPORT_FOLDERS), top)
    found.add(above if top != tree.base or above == tree.base else tree.base)
    return sorted(found, key=lambda p: (-len(p.parts), p))


def _root_of(folder: Path, roots: list[Path], packages: set[Path]) -> Path:
    for root in roots:
        if (root == folder or root in folder.parents) and root not in packages:
            return root
    return roots[-1]
