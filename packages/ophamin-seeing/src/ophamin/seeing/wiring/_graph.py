"""Which module imports which, resolved within the tree."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from ophamin.seeing.wiring._imports import Import, Source
from ophamin.seeing.wiring._tree import File, Tree

__all__ = ["Graph", "build_graph"]


@dataclass
class Graph:
    """Edges between the files of a tree; files are named by their relative path, because two may share a module name.

    Args:
        runtime: File → files its import executes, dynamic literals included.
        typing: File → files it imports only for type checkers.
        broken: Imports of modules of the tree's own packages that do not exist: file, line, what is missing.
    """

    runtime: dict[str, set[str]] = field(default_factory=dict)
    typing: dict[str, set[str]] = field(default_factory=dict)
    broken: list[tuple[str, int, str]] = field(default_factory=list)

    def reached(self, roots: Iterable[str]) -> set[str]:
        """Everything that is executed when ``roots`` are imported and what they do is done."""
        seen = set(roots)
        waiting = deque(seen)
        while waiting:
            for target in self.runtime.get(waiting.popleft(), ()):
                if target not in seen:
                    seen.add(target)
                    waiting.append(target)
        return seen

    def importers(self, edges: dict[str, set[str]]) -> dict[str, list[str]]:
        """File → the files that import it, sorted."""
        found: dict[str, list[str]] = {}
        for source in sorted(edges):
            for target in edges[source]:
                found.setdefault(target, []).append(source)
        return found


class _Resolver:
    def __init__(self, tree: Tree) -> None:
        self.by_module: dict[str, list[File]] = {}
        self.by_folder: dict[tuple[str, str], File] = {}
        for file in tree.files:
            self.by_module.setdefault(file.module, []).append(file)
            folder, _, last = file.name.removesuffix("/__init__.py").removesuffix(".py").rpartition("/")
            self.by_folder[folder, last] = file
        self.extensions = tree.extensions
        self.known = {*self.by_module, *tree.extensions}
        self.prefixes = {m.rsplit(".", i)[0] for m in self.known for i in range(1, m.count(".") + 1)}
        self.packages = {f.module for f in tree.files if f.is_package}

    def find(self, module: str, importer: File) -> list[File]:
        """The files of a module; of several the one beside the importer, as a script's folder comes first."""
        found = self.by_module.get(module, [])
        if len(found) > 1:
            found = [max(found, key=lambda f: _shared(f.name, importer.name))]
        if not found and "." not in module and not importer.in_package:
            beside = self.by_folder.get((importer.name.rpartition("/")[0], module))
            found = [beside] if beside else []
        return found

    def exists(self, module: str) -> bool:
        return module in self.known or module in self.prefixes

    def with_parents(self, module: str, importer: File) -> list[File]:
        """The files executed by importing a module: its packages from the top, then itself."""
        parts = module.split(".")
        return [f for i in range(1, len(parts) + 1) for f in self.find(".".join(parts[:i]), importer)]


def _shared(left: str, right: str) -> int:
    n = 0
    for a, b in zip(left.split("/"), right.split("/"), strict=False):
        if a != b:
            break
        n += 1
    return n


def build_graph(tree: Tree, sources: dict[str, Source]) -> Graph:
    """Resolve every import of every file.

    Args:
        tree: The files.
        sources: What each imports, by relative path.
    """
    graph, resolver = Graph(), _Resolver(tree)
    for file in tree.files:
        runtime, typing = graph.runtime.setdefault(file.name, set()), graph.typing.setdefault(file.name, set())
        for statement in sources[file.name].imports:
            base = _absolute(statement, file)
            targets = _targets(statement, base, file, resolver) if base is not None else []
            into = typing if statement.kind == "typing" else runtime
            into.update(f.name for f in targets if f.name != file.name)
            if missing := _missing(statement, base, resolver):
                graph.broken.append((file.name, statement.line, missing))
        # Importing a module executes the packages it lies in.
        runtime.update(f.name for f in resolver.with_parents(file.module, file)[:-1] if f.name != file.name)
        typing -= runtime
    return graph


def _absolute(statement: Import, file: File) -> str | None:
    """The absolute name an import begins from; ``None`` when its dots lead out of the top package."""
    # pkg.__init__ is another name of the package itself.
    module = f".{statement.module}".removesuffix(".__init__").removeprefix(".")
    if not statement.level:
        return module
    parts = file.module.split(".")
    drop = statement.level - 1 if file.is_package else statement.level
    if drop >= len(parts):
        return None
    kept = parts[: len(parts) - drop]
    return ".".join([*kept, *([module] if module else [])])


def _targets(statement: Import, base: str, file: File, resolver: _Resolver) -> list[File]:
    found = resolver.with_parents(base, file)
    for name in statement.names:
        if name != "*":
            found += resolver.find(f"{base}.{name}", file)
    return found


def _missing(statement: Import, base: str | None, resolver: _Resolver) -> str:
    if statement.guarded or statement.kind == "typing":
        return ""
    if base is None:
        return f"{'.' * statement.level}{statement.module} leads out of its package"
    if resolver.exists(base):
        return ""
    # Missing for certain only below a package that lies here; anything else may be installed elsewhere.
    parts = base.split(".")
    above = {".".join(parts[:i]) for i in range(1, len(parts))}
    return base if above & resolver.packages else ""
