"""``repo:PATH?target=pkg.mod:func``: code of a git repository, at one revision, in its own interpreter."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ophamin.proof.canonical import digest
from ophamin.proof.errors import SubstrateFailure, UsageError
from ophamin.proof.git import GitError, git, is_changed
from ophamin.protocols import CycleResult, Record, SubstrateIdentity
from ophamin.seeing._params import choice, keywords, number
from ophamin.seeing.substrate import _inside
from ophamin.seeing.substrate._json import UnsuitableOutput, to_json
from ophamin.seeing.substrate._lines import LineTalk
from ophamin.seeing.substrate._worktree import WorkTree, find_commit

__all__ = ["RepoSubstrate"]

_RUNNER = Path(_inside.__file__).with_name("runner.py")
_IN_PLACE = "."
_INPUTS = ("payload", "text", "record", "self_driven")


class RepoSubstrate:
    """A target inside a git repository, run by that repository's own interpreter at a revision of its own.

    The revision is checked out into a clean worktree in the user's cache; the repository itself is only read. A module
    that turns out to come from anywhere else (an editable install, an older copy) is refused. The target is
    ``module:function``, ``module:Class`` (its ``__call__``) or ``module:Class.method``; objects are constructed by
    ``init``. Outputs are written as JSON by the rules of ``python``. Before every cycle ``random`` (and numpy's global
    generator, where it is loaded) is seeded from the run's seed and the record: no cycle depends on another's draws.

    An exception, a timeout, garbage and dying are status ``error`` of that cycle; the process is then started again. A
    target that cannot be imported or constructed stops the run with its reason.

    Args:
        arg: Path of the repository: a checkout, or a bare one.
        target: See above.
        rev: Commit, tag or branch; ``.`` runs the checkout as it lies there, uncommitted changes included, and the
            identity says whether there are any.
        python: Interpreter (3.8 or later): a path or a name; default: ``.venv`` or ``venv`` of the checkout, else ours.
        mode: ``batch``: one process from one ``reset(seed)`` to the next; ``process``: a new one for every cycle.
        src: Folder below the repository to import from; default: ``src`` if it holds the module, else the repository.
        input: ``payload``; ``text``, which leaves payloads that are no text unmeasured; ``record`` for a mapping
            ``{id, payload, meta, seed}``; or ``self_driven`` for a target that takes no stimulus.
        convert: ``module:function`` that makes the target's argument from the payload; a tuple becomes several.
        init: Keyword arguments of the constructor, a JSON object.
        kwargs: Further keyword arguments of every call, a JSON object.
        seed_argument: Argument of the constructor that takes the cycle's seed; only with ``input=self_driven``, whose
            object is constructed for every cycle.
        start_timeout_s: Longest that importing and constructing may take, seconds.

    Raises:
        UsageError: No such repository, revision or interpreter, or a parameter makes no sense.

    Example:
        >>> import tempfile, ophamin.proof.git as g
        >>> path = Path(tempfile.mkdtemp())
        >>> _ = (path / "shout.py").write_text("def shout(text): return text.upper()")
        >>> who = ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "one")
        >>> _ = [g.git(path, *words) for words in (("init", "-q"), ("add", "."), who)]
        >>> system = RepoSubstrate(str(path), target="shout:shout")
        >>> [result] = system.run_batch([Record("a", "hello")], seed=0, timeout_s=60)
        >>> system.close()
        >>> result.output
        {'output': 'HELLO'}
    """

    kind = "repo"

    def __init__(
        self,
        arg: str,
        *,
        target: str = "",
        rev: str = "HEAD",
        python: str = "",
        mode: str = "batch",
        src: str = "",
        input: str = "payload",
        convert: str = "",
        init: str = "",
        kwargs: str = "",
        seed_argument: str = "",
        start_timeout_s: str | float = 120.0,
    ) -> None:
        if not arg:
            raise UsageError(
                f"{self.kind} needs the path of a git repository, such as {self.kind}:../checkout?rev=v1.2"
            )
        self._repository = Path(arg).expanduser().resolve()
        self._target = _named("target", target)
        self._in_place = rev == _IN_PLACE
        self._commit = find_commit(self._repository, "HEAD" if self._in_place else rev)
        self._mode = choice("mode", mode, ("batch", "process"))
        self._src = src
        self._input = choice("input", input, _INPUTS)
        self._convert = _named("convert", convert) if convert else ""
        self._init, self._kwargs = keywords("init", init), keywords("kwargs", kwargs)
        if seed_argument and self._input != "self_driven":
            raise UsageError("seed_argument needs input=self_driven: other objects are constructed once, not per cycle")
        self._seed_argument = seed_argument
        self._start_timeout_s = number("start_timeout_s", start_timeout_s, low=0.0)
        self._python = _interpreter(self._repository, python)
        self._tree: WorkTree | None = None
        self._talk: LineTalk | None = None
        self._identity: SubstrateIdentity | None = None

    def identity(self) -> SubstrateIdentity:
        """The commit, the target and its parameters, and the interpreter's version; nothing is checked out for it."""
        if self._identity is None:
            config = {
                "target": self._target,
                "input": self._input,
                "convert": self._convert,
                "init": self._init,
                "kwargs": self._kwargs,
                "seed_argument": self._seed_argument,
                "mode": self._mode,
                "src": self._src,
                "python": _version(self._python),
            }
            dirty = self._in_place and _dirty(self._repository)
            name = f"{self._repository.name}:{self._target}"
            self._identity = SubstrateIdentity(self.kind, name, digest(config), self._commit, dirty)
        return self._identity

    def reset(self, seed: int) -> None:
        """Begin anew: a new process, seeded before it imports and constructs.

        Raises:
            SubstrateFailure: The revision cannot be checked out, or the target not be imported or constructed.
        """
        self._talking().reset(seed)

    def run_batch(self, records: Sequence[Record], *, seed: int, timeout_s: float) -> Iterator[CycleResult]:
        """One result per record, in order, each as soon as it is there.

        Args:
            records: The stimuli.
            seed: The run's seed; each cycle is seeded by it and the record.
            timeout_s: Longest to wait for an answer.

        Raises:
            SubstrateFailure: As ``reset``, or the process dies again and again without an answer.
        """
        yield from self._talking().run_batch(records, seed=seed, timeout_s=timeout_s)

    def processes(self) -> list[int]:
        """The interpreter's pid while it runs."""
        return self._talk.processes() if self._talk is not None else []

    def close(self) -> None:
        """End the process and let go of the worktree, which stays in the cache."""
        if self._talk is not None:
            self._talk.close()
            self._talk = None
        if self._tree is not None:
            self._tree.close()
            self._tree = None

    def probe(self) -> list[dict[str, Any]]:
        """What can be done with the target at this revision: one row.

        Returns:
            ``[{target, input, applicable, importable, constructible, signature, why}]``; ``why`` is "" if all is well.
        """
        row: dict[str, Any] = {"target": self._target, "input": self._input, "applicable": True}
        row.update({"importable": False, "constructible": False, "signature": ""})
        talk = self._conversation({"op": "probe", "id": "probe"})
        try:
            said = talk.greeted()
        except SubstrateFailure as error:
            return [{**row, "why": str(error)}]
        finally:
            talk.close()
        return [{**row, **said}]

    def _talking(self) -> LineTalk:
        if self._talk is None:
            self._talk = self._conversation({"op": "load", "id": "load"})
        return self._talk

    def _conversation(self, greeting: Mapping[str, Any]) -> LineTalk:
        root = self._root()
        config = {
            "root": str(root),
            "paths": [str(path) for path in _import_folders(root, self._src, self._target)],
            "target": self._target,
            "convert": self._convert,
            "init": self._init,
            "kwargs": self._kwargs,
            "input": self._input,
            "seed_argument": self._seed_argument,
        }
        return LineTalk(
            f"{self.kind}:{self._repository.name}:{self._target}",
            [str(self._python), str(_RUNNER), json.dumps(config)],
            fresh="reset" if self._mode == "batch" else "cycle",
            greeting=greeting,
            greeting_timeout_s=self._start_timeout_s,
            cwd=root,
            environment=_environment(),
            encode=self._encoded,
        )

    def _root(self) -> Path:
        """Where the code lies: the worktree, or the checkout itself."""
        try:
            if self._in_place:
                return Path(git(self._repository, "rev-parse", "--show-toplevel")).resolve()
            if self._tree is None:
                self._tree = WorkTree(self._repository, self._commit)
        except GitError as error:
            raise SubstrateFailure(f"{self.kind}:{self._repository}: {error}") from error
        return self._tree.path.resolve()

    def _encoded(self, record: Record) -> Any:
        if self._input == "self_driven":
            return None
        plain = to_json(record.payload)
        if self._input == "text" and not isinstance(plain, str):
            raise UnsuitableOutput(f"output is a {type(record.payload).__name__}, and {self._target} takes text")
        return plain


def _named(parameter: str, value: str) -> str:
    module, colon, path = value.partition(":")
    words = [*module.split("."), *path.split(".")]
    if not colon or not all(word.isidentifier() for word in words):
        raise UsageError(f"{parameter}={value}: write {parameter}=pkg.mod:func or pkg.mod:Class.method")
    return value


def _interpreter(repository: Path, given: str) -> Path:
    """Its path, links unresolved: the link in a virtual environment is what makes it one."""
    if given:
        found = shutil.which(os.path.expanduser(given))
        if found is None:
            raise UsageError(f"python={given}: there is no such interpreter")
        return Path(os.path.abspath(found))
    inside = ("Scripts", "python.exe") if sys.platform == "win32" else ("bin", "python")
    for folder in (".venv", "venv"):
        candidate = repository.joinpath(folder, *inside)
        if candidate.is_file():
            return candidate
    return Path(sys.executable)


def _version(python: Path) -> str:
    try:
        done = subprocess.run(
            [str(python), "-c", "import platform as p; print(p.python_implementation(), p.python_version())"],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
            env=_environment(),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SubstrateFailure(f"{python} does not run: {error}") from error
    if done.returncode:
        raise SubstrateFailure(f"{python} does not run as Python: exit status {done.returncode}")
    return done.stdout.decode("utf-8", "replace").strip()


def _dirty(repository: Path) -> bool | None:
    try:
        return is_changed(repository, untracked=True)
    except GitError:
        return None


def _import_folders(root: Path, src: str, target: str) -> list[Path]:
    if src:
        folder = (root / src).resolve()
        if not folder.is_dir() or not folder.is_relative_to(root):
            raise UsageError(f"src={src}: the revision has no such folder")
        return [folder, root]
    top = target.partition(":")[0].partition(".")[0]
    inside = root / "src"
    return [inside, root] if (inside / top).is_dir() or (inside / f"{top}.py").is_file() else [root]


def _environment() -> dict[str, str]:
    """Ours without what steers Python: another interpreter is not to import our packages."""
    steering = ("VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
    passed = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON") and k not in steering}
    # Sets of text come in one order everywhere; no cache files appear in anybody's checkout.
    return {**passed, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"}
