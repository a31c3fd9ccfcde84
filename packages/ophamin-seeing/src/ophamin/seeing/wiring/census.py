"""Every module of a tree with what it is: wired, wire candidate, archived, stub, orphan, test, or unparsed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ophamin.proof.errors import LimitError
from ophamin.seeing.wiring._config import WiringConfig
from ophamin.seeing.wiring._entries import RUN_BY_NAME, declared_entries
from ophamin.seeing.wiring._graph import Graph, build_graph
from ophamin.seeing.wiring._imports import WALKERS, Source, read_source
from ophamin.seeing.wiring._tree import File, Tree, find_files

__all__ = ["CLASSES", "MAX_MODULES", "Census", "take_census"]

JSON = Any
CLASSES = ("wired", "wire_candidate", "archived", "stub", "orphan", "test", "unparsed")
"""What a module can be; each is exactly one of these.

- ``unparsed``: it could not be read or parsed, so what it imports is unknown.
- ``test``: it is a test, or something only tests are made of.
- ``archived``: it lies where the owner keeps what is not meant to be used.
- ``wired``: an entry point, or code run from one, imports it. Entry points are declared ones, ``__main__``, scripts,
  and the faces of top-level packages. Imports in tests or under ``TYPE_CHECKING`` do not wire.
- ``wire_candidate``: declared to be meant for wiring, and not wired.
- ``stub``: not wired, and all its functions do nothing yet.
- ``orphan``: none of these: nobody uses it, as far as can be read.
"""
MAX_MODULES = 15_000
"""More would pass the limits every reader of records has."""
_SHOWN = 5


@dataclass
class Census:
    """What was seen of a tree.

    Args:
        base: The folder.
        modules: One entry a module, by path, as the record has them.
        dynamic: Dynamic imports whose module is unknown.
        broken: Imports of modules that do not exist.
        skipped: Files left out, with the reason.
        notes: What the configuration declares that the tree does not have.

    Example:
        >>> import tempfile
        >>> tree = Path(tempfile.mkdtemp())
        >>> (tree / "pkg").mkdir()
        >>> _ = (tree / "pkg/__init__.py").write_text("from .used import f")
        >>> _ = (tree / "pkg/used.py").write_text("def f(): return 1")
        >>> _ = (tree / "pkg/lost.py").write_text("x = 1")
        >>> [(m["module"], m["classification"]) for m in take_census(tree).modules]
        [('pkg', 'wired'), ('pkg.lost', 'orphan'), ('pkg.used', 'wired')]
    """

    base: Path
    modules: list[dict[str, JSON]] = field(default_factory=list)
    dynamic: list[dict[str, JSON]] = field(default_factory=list)
    broken: list[dict[str, JSON]] = field(default_factory=list)
    skipped: list[dict[str, JSON]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def take_census(
    path: Path | str, config: WiringConfig | None = None, *, progress: Callable[[int, int], None] | None = None
) -> Census:
    """Look at a source tree; nothing of it is run.

    Args:
        path: Its folder.
        config: What the owner declares; default: what is usual.
        progress: Told how many files of how many are read.

    Raises:
        UsageError: No such folder, or no Python file in it.
        LimitError: More modules than a record holds.
    """
    config = config or WiringConfig()
    tree = find_files(path, config)
    if len(tree.files) > MAX_MODULES:
        raise LimitError(
            f"{len(tree.files)} modules are more than the {MAX_MODULES} of a record; name a smaller folder"
        )
    sources: dict[str, Source] = {}
    for done, file in enumerate(tree.files, 1):
        sources[file.name] = read_source(file.path, file.module)
        if progress is not None:
            progress(done, len(tree.files))
    return _Taking(tree, sources, config).census()


class _Taking:
    """One census in the making."""

    def __init__(self, tree: Tree, sources: Mapping[str, Source], config: WiringConfig) -> None:
        self.tree, self.sources, self.config = tree, sources, config
        self.graph: Graph = build_graph(tree, dict(sources))
        self.files = {f.name: f for f in tree.files}
        self.tests = {f.name for f in tree.files if any(p.fits(f.name, f.module) for p in config.tests)}
        self.archived = {f.name for f in tree.files if self._declared(f, config.archived, "archived")}
        self.candidates = {f.name for f in tree.files if self._declared(f, config.candidates, "candidate")}
        self.entries, self.problems = self._entries()
        self.live = self.graph.reached(set(self.entries) - self.tests - self.archived)

    def _declared(self, file: File, patterns: Sequence[Any], annotation: str) -> bool:
        return self.sources[file.name].annotation == annotation or any(p.fits(file.name, file.module) for p in patterns)

    def _entries(self) -> tuple[dict[str, str], list[tuple[str, str]]]:
        """File → why it counts as used from outside."""
        declared, singles, problems = declared_entries(self.tree)
        packages = {f.module for f in self.tree.files if f.is_package}
        found: dict[str, str] = {}
        for file in self.tree.files:
            source = self.sources[file.name]
            last = file.name.rpartition("/")[2]
            if file.module in declared:
                found[file.name] = f"entry point in {declared[file.module]}"
            elif last == "__main__.py":
                found[file.name] = "python -m"
            elif any(p.fits(file.name, file.module) for p in self.config.entry):
                found[file.name] = "declared an entry"
            elif file.is_package and file.module.rpartition(".")[0] not in packages:
                found[file.name] = "the face of a top-level package"
            elif not file.in_package and "." not in file.module and file.module in singles:
                found[file.name] = "the module of the project"
            elif not file.in_package and (source.runnable or last in RUN_BY_NAME or file.name.endswith("docs/conf.py")):
                found[file.name] = "script"
        return found, problems

    def census(self) -> Census:
        made = Census(self.tree.base)
        imported, typed = self.graph.importers(self.graph.runtime), self.graph.importers(self.graph.typing)
        mentions = self._mentions()
        prefixes = self._dynamic(made)
        for file in self.tree.files:
            made.modules.append(self._module(file, imported.get(file.name, []), typed.get(file.name, [])))
            hints = made.modules[-1]
            if hints["classification"] in ("orphan", "stub", "wire_candidate"):
                hints["mentioned_at"] = mentions.get(file.module, "")
                hints["maybe_dynamic"] = any(file.module.startswith(p) for p in prefixes)
        made.broken = [{"path": p, "line": n, "missing": m} for p, n, m in sorted(self.graph.broken)]
        skipped = [*self.tree.skipped, *self.problems]
        made.skipped = [{"path": p, "reason": r} for p, r in sorted(skipped)]
        made.notes = self._notes()
        counts = Counter(m["classification"] for m in made.modules)
        if counts["orphan"] > counts["wired"]:
            made.notes.append(
                f"{counts['orphan']} orphans and {counts['wired']} wired: if users import modules of this library "
                "directly, name those as entry in wiring.toml"
            )
        return made

    def _module(self, file: File, importers: Sequence[str], typed: Sequence[str]) -> dict[str, JSON]:
        source = self.sources[file.name]
        # A package that was executed only because something below it was, was not imported by that.
        by = [i for i in importers if not self._is_below(i, file)]
        live = [i for i in by if i not in self.tests]
        tests = [i for i in by if i in self.tests]
        return {
            "path": file.name,
            "module": file.module,
            "stratum": self._stratum(file),
            "classification": self._class(file.name, source),
            "entry": self.entries.get(file.name, ""),
            "lines": source.lines,
            "problem": source.problem,
            "scanned": source.scanned,
            "n_imported_by": len(live),
            "n_imported_by_tests": len(tests),
            "n_imported_for_typing": len(typed),
            "imported_by": live[:_SHOWN],
            "imported_by_tests": tests[:_SHOWN],
            "n_functions": source.functions,
            "n_stubs": source.stubs,
            "n_classes": source.classes,
            "is_stub": source.is_stub,
            "runnable": source.runnable,
            "candidate": file.name in self.candidates,
            "archived": file.name in self.archived,
            "live": file.name in self.live,
            "mentioned_at": "",
            "maybe_dynamic": False,
        }

    def _is_below(self, importer: str, file: File) -> bool:
        if not file.is_package or not self.files[importer].module.startswith(f"{file.module}."):
            return False
        return not any(
            i.kind != "typing" and (i.module == file.module or i.level) for i in self.sources[importer].imports
        )

    def _class(self, name: str, source: Source) -> str:
        if source.problem:
            return "unparsed"
        if name in self.tests:
            return "test"
        if name in self.archived:
            return "archived"
        if name in self.live:
            return "wired"
        if name in self.candidates:
            return "wire_candidate"
        return "stub" if source.is_stub else "orphan"

    def _stratum(self, file: File) -> str:
        for stratum in self.config.strata:
            if any(p.fits(file.name, file.module) for p in stratum.match):
                return stratum.name
        if self.config.strata:
            return ""
        if file.name in self.tests:
            return "tests"
        return file.module.partition(".")[0]

    def _mentions(self) -> dict[str, str]:
        """Dotted name → where it first stands as text in code that is no test."""
        found: dict[str, str] = {}
        for file in self.tree.files:
            if file.name not in self.tests:
                for name, line in self.sources[file.name].mentions.items():
                    found.setdefault(name, f"{file.name}:{line}")
        return found

    def _dynamic(self, made: Census) -> list[str]:
        """List the unknown dynamic imports; returns what the names of their modules may begin with."""
        prefixes = []
        for file in self.tree.files:
            package = file.module if file.is_package else file.module.rpartition(".")[0]
            for call in self.sources[file.name].dynamic:
                made.dynamic.append({"path": file.name, "line": call.line, "call": call.call, "prefix": call.prefix})
                if file.name in self.tests or file.name not in self.live:
                    continue
                bare = call.prefix.lstrip(".")
                if call.prefix.startswith("."):
                    prefixes.append(f"{package}.{bare}")
                elif bare:
                    prefixes.append(bare)
                elif package and call.call in WALKERS:  # it looks through a package, and most likely its own
                    prefixes.append(f"{package}.")
        return sorted(set(prefixes))

    def _notes(self) -> list[str]:
        notes = []
        for name in ("archived", "candidates", "entry"):
            if getattr(self.config, name) == getattr(WiringConfig(), name):
                continue
            for pattern in getattr(self.config, name):
                if not any(pattern.fits(f.name, f.module) for f in self.tree.files):
                    notes.append(f"{name}: nothing in the tree fits {pattern.glob!r}")
        for stratum in self.config.strata:
            if not any(p.fits(f.name, f.module) for p in stratum.match for f in self.tree.files):
                notes.append(f"strata.{stratum.name}: nothing in the tree fits it")
        return notes
