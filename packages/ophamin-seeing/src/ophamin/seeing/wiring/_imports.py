"""What one source file imports, read from its syntax tree; the file is never run."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ophamin.seeing._signed import text

__all__ = ["MAX_PARSED", "WALKERS", "Dynamic", "Import", "Source", "read_source"]

MAX_PARSED = 2_000_000
"""Bytes of a file that is parsed; of a longer one, which only a generator writes, the import lines are read."""

_IMPORT_LINE = re.compile(rb"^[ \t]*(?:import[ \t]+[^\n#]+|from[ \t]+[.\w]+[ \t]+import[ \t]+[^\n#]+)", re.MULTILINE)
_ANNOTATION = re.compile(rb"^#[ \t]*wiring:[ \t]*(candidate|archived)\b", re.MULTILINE)
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+(?::[A-Za-z_][\w.]*)?")
_IMPORTERS = frozenset({"import_module", "__import__"})
_PLAIN_DECORATORS = frozenset({"property", "staticmethod", "classmethod", "setter", "cached_property"})
WALKERS = frozenset({"iter_modules", "walk_packages", "find_modules"})
"""Functions that look through a package, to import what lies there."""


@dataclass(frozen=True, slots=True)
class Import:
    """One import statement, or a dynamic import whose name is a literal.

    Args:
        module: As written, without the leading dots.
        level: Leading dots; 0 for an absolute import.
        names: Names after ``from … import``; empty for ``import module``.
        line: From 1.
        kind: ``runtime``, ``typing`` (only under ``TYPE_CHECKING``) or ``dynamic`` (a literal in ``import_module``).
        guarded: It stands in a ``try`` that catches its failure.
    """

    module: str
    level: int
    names: tuple[str, ...]
    line: int
    kind: str = "runtime"
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class Dynamic:
    """A dynamic import whose module is known only when the code runs.

    Args:
        line: From 1.
        call: What is called, e.g. ``import_module``.
        prefix: What its name begins with, as far as that is a literal; "" when nothing is known.
    """

    line: int
    call: str
    prefix: str = ""


@dataclass
class Source:
    """What one file says of itself.

    Args:
        problem: Why it could not be read or parsed; "" when it was.
        lines: Number of lines.
        scanned: It was too long to parse, so only its import lines were read.
        annotation: ``candidate`` or ``archived`` from a comment ``# wiring: …``, else "".
        runnable: It has ``if __name__ == "__main__"`` or begins with ``#!``.
        functions: Functions and methods, without abstract, overloaded and protocol ones.
        stubs: Those of them whose body does nothing (``pass``, ``…``, ``raise NotImplementedError``).
        classes: Classes.
        statements: Module-level statements beside docstring and imports.
        mentions: Dotted names that stand in it as text, with their first line.
    """

    problem: str = ""
    lines: int = 0
    scanned: bool = False
    annotation: str = ""
    runnable: bool = False
    imports: list[Import] = field(default_factory=list)
    dynamic: list[Dynamic] = field(default_factory=list)
    functions: int = 0
    stubs: int = 0
    classes: int = 0
    statements: int = 0
    mentions: dict[str, int] = field(default_factory=dict)

    @property
    def is_stub(self) -> bool:
        """Whether there are functions, and none of them does anything."""
        return self.functions > 0 and self.stubs == self.functions


def read_source(path: Path, name: str) -> Source:
    """Read one file; whatever it holds, this ends and does not raise.

    Args:
        path: The file.
        name: Its dotted module name, for ``import_module(f"{__name__}.x")``.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        return Source(problem=f"cannot be read: {error.strerror or error}")
    source = Source(lines=data.count(b"\n") + (not data.endswith(b"\n") and bool(data)))
    if found := _ANNOTATION.search(data):
        source.annotation = found[1].decode("ascii")
    if len(data) > MAX_PARSED:
        _scan(data, source)
        return source
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the file's own compiler would warn of is not our business
            tree = ast.parse(data, filename=str(path))
    except SyntaxError as error:
        source.problem = text(f"syntax error at line {error.lineno or 0}: {error.msg}")
        return source
    except (ValueError, RecursionError, MemoryError) as error:  # null bytes; nested deeper than the parser goes
        source.problem = text(f"cannot be parsed: {str(error) or type(error).__name__}")
        return source
    source.runnable = data.startswith(b"#!")
    try:
        _Reader(source, name).read(tree)
    except RecursionError:
        return Source(problem="cannot be parsed: an expression is nested too deeply", lines=source.lines)
    return source


def _scan(data: bytes, source: Source) -> None:
    source.scanned = True
    source.statements = 1
    seen: set[bytes] = set()
    line, counted = 1, 0
    for match in _IMPORT_LINE.finditer(data):
        line, counted = line + data.count(b"\n", counted, match.start()), match.start()
        statement = match[0].strip()
        if statement in seen:
            continue
        seen.add(statement)
        try:
            node = ast.parse(statement.rstrip(b"(\\").strip()).body[0]
        except (SyntaxError, ValueError, IndexError):
            head = statement.split(b" import")[0]  # names go on over several lines: the module alone is known
            try:
                node = ast.parse(head + b" import *").body[0]
            except (SyntaxError, ValueError):
                continue
        source.imports += [Import(i.module, i.level, i.names, line) for i in _imports_of(node, "runtime", False)]


def _imports_of(node: ast.AST, kind: str, guarded: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(alias.name, 0, (), node.lineno, kind, guarded)
    elif isinstance(node, ast.ImportFrom):
        names = tuple(alias.name for alias in node.names)
        yield Import(node.module or "", node.level, names, node.lineno, kind, guarded)


class _Reader:
    """Walks one tree with a stack of its own, so that depth costs no recursion."""

    def __init__(self, source: Source, name: str) -> None:
        self.source, self.name = source, name

    def read(self, tree: ast.Module) -> None:
        body = tree.body[1:] if ast.get_docstring(tree, clean=False) is not None else tree.body
        self.source.statements = sum(not isinstance(n, ast.Import | ast.ImportFrom) for n in body)
        stack: list[tuple[ast.AST, str, bool, bool]] = [(tree, "runtime", False, False)]
        while stack:
            node, kind, guarded, protocol = stack.pop()
            self.visit(node, kind, guarded, protocol)
            if isinstance(node, ast.If) and (side := _typing_side(node.test)):
                typing, runtime = (node.body, node.orelse) if side == "body" else (node.orelse, node.body)
                stack += [(n, "typing", guarded, protocol) for n in typing]
                stack += [(n, kind, guarded, protocol) for n in runtime]
                continue
            if isinstance(node, ast.Try) and _catches_import(node):
                stack += [(n, kind, True, protocol) for n in node.body]
                rest = [*node.handlers, *node.orelse, *node.finalbody]
                stack += [(n, kind, guarded, protocol) for n in rest]
                continue
            if isinstance(node, ast.ClassDef):
                protocol = any(_last(base) in ("Protocol", "ABC") for base in node.bases)
            stack += [(n, kind, guarded, protocol) for n in ast.iter_child_nodes(node)]
        self.source.imports.sort(key=lambda i: i.line)
        self.source.dynamic.sort(key=lambda d: d.line)

    def visit(self, node: ast.AST, kind: str, guarded: bool, protocol: bool) -> None:
        source = self.source
        if isinstance(node, ast.Import | ast.ImportFrom):
            source.imports += _imports_of(node, kind, guarded)
        elif isinstance(node, ast.Call):
            self.call(node, guarded)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if not protocol and not any(_last(d) in ("overload", "abstractmethod") for d in node.decorator_list):
                source.functions += 1
                source.stubs += _does_nothing(node)
        elif isinstance(node, ast.ClassDef):
            source.classes += 1
        elif isinstance(node, ast.If) and _is_main_guard(node.test):
            source.runnable = True
        elif isinstance(node, ast.Constant) and _is_dotted(node.value):
            source.mentions.setdefault(str(node.value).partition(":")[0], node.lineno)

    def call(self, node: ast.Call, guarded: bool) -> None:
        called = _last(node.func)
        if called in WALKERS:
            self.source.dynamic.append(Dynamic(node.lineno, called))
        if called not in _IMPORTERS:
            return
        wanted = node.args[0] if node.args else next((k.value for k in node.keywords if k.arg == "name"), None)
        known, whole = self.known_text(wanted) if wanted is not None else ("", False)
        if not whole:
            self.source.dynamic.append(Dynamic(node.lineno, called, text(known)))
            return
        bare = known.lstrip(".")
        self.source.imports.append(Import(bare, len(known) - len(bare), (), node.lineno, "dynamic", guarded))

    def known_text(self, node: ast.expr) -> tuple[str, bool]:
        """What is known of a text: how it begins, and whether that is all of it."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value, True
        if isinstance(node, ast.Name) and node.id == "__name__":
            return self.name, True
        if isinstance(node, ast.FormattedValue) and node.conversion == -1 and node.format_spec is None:
            return self.known_text(node.value)
        parts: list[ast.expr] = []
        if isinstance(node, ast.JoinedStr):
            parts = node.values
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            parts = [node.left, node.right]
        known = ""
        for part in parts:
            more, whole = self.known_text(part)
            known += more
            if not whole:
                return known, False
        return known, bool(parts)


def _is_dotted(value: object) -> bool:
    return isinstance(value, str) and len(value) < 200 and _DOTTED.fullmatch(value) is not None


def _last(node: ast.expr) -> str:
    """The last name of ``a.b.c``, ``a.b.c(…)`` or ``a.b.c[…]``."""
    while isinstance(node, ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _typing_side(test: ast.expr) -> str:
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return "orelse" if _last(test.operand) == "TYPE_CHECKING" else ""
    return "body" if _last(test) == "TYPE_CHECKING" else ""


def _catches_import(node: ast.Try) -> bool:
    for handler in node.handlers:
        caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        for error in caught:
            if error is None or _last(error) in ("ImportError", "ModuleNotFoundError", "Exception", "BaseException"):
                return True
    return False


def _is_main_guard(test: ast.expr) -> bool:
    if not isinstance(test, ast.Compare) or len(test.ops) != 1 or not isinstance(test.ops[0], ast.Eq):
        return False
    sides = [test.left, test.comparators[0]]
    named = any(isinstance(s, ast.Name) and s.id == "__name__" for s in sides)
    return named and any(isinstance(s, ast.Constant) and s.value == "__main__" for s in sides)


def _does_nothing(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    if any(_last(d) not in _PLAIN_DECORATORS for d in function.decorator_list):
        return False  # what it does may be the decorator's, as with click.group
    for statement in function.body:
        if isinstance(statement, ast.Pass):
            continue
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue
        raised = statement.exc if isinstance(statement, ast.Raise) else None
        if raised is None or _last(raised) != "NotImplementedError":
            return False
    return True
