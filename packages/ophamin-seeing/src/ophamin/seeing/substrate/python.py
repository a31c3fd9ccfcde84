"""``python:module:callable``: a Python callable as the system under test."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import Any

from ophamin.proof.canonical import digest
from ophamin.proof.errors import SubstrateFailure, UsageError
from ophamin.protocols import CycleResult, Record, SubstrateIdentity
from ophamin.seeing._params import boolean, choice, integer, keywords, nearest
from ophamin.seeing.substrate._json import UnsuitableOutput, as_output
from ophamin.seeing.substrate._revision import file_hash, git_revision, module_version
from ophamin.seeing.substrate._seeds import cycle_seed
from ophamin.seeing.substrate._stdout import prints_aside
from ophamin.seeing.substrate._watchdog import Overrun, watchdog

__all__ = ["PythonSubstrate"]


class PythonSubstrate:
    """A callable in this process, called with each record's payload.

    A ``dict`` it returns is kept whole; any other value ``x`` becomes ``{"output": x}``. An exception is status
    ``error`` with ``TypeName: message``. The current folder is importable while the module loads. What the
    callable prints goes to standard error, because standard output is for results.

    ``reset(seed)`` seeds ``random`` (and numpy's global generator, where the program loaded numpy); a class is
    constructed without arguments, called through ``__call__``, and reset by its own ``reset(seed)`` or, without one,
    by constructing it anew.

    A cycle past ``timeout_s`` is status ``error``. On the main thread of a POSIX system it is interrupted by a signal;
    elsewhere, and inside C code, the call runs to its end and the overrun is found by measuring.

    Args:
        arg: ``module:callable``; the callable may be dotted (``module:Class.method``).
        input: ``payload``, or ``record`` for a mapping ``{id, payload, group, meta, seed}``.
        batch: Call ``f(list)`` with up to this many inputs and take a sequence of as many outputs; 0: one by one.
            Cycles of a batch share one call, so they have no ``wall_s`` of their own; the call has as many timeouts.
        init: Keyword arguments of a class's constructor, a JSON object.
        kwargs: Further keyword arguments of every call, a JSON object.
        labels: ``true`` adds ``labels`` to the mapping of ``input=record``: what the answer should be. For replaying
            recorded outputs only.

    Raises:
        UsageError: The name does not lead to a callable.
        SubstrateFailure: Importing the module or constructing the class failed.

    Example:
        >>> from ophamin.protocols import Record
        >>> length = PythonSubstrate("builtins:len")
        >>> [result] = length.run_batch([Record("a", "four")], seed=0, timeout_s=1)
        >>> result.output
        {'output': 4}
    """

    def __init__(
        self,
        arg: str,
        *,
        input: str = "payload",
        batch: str | int = 0,
        init: str = "",
        kwargs: str = "",
        labels: str | bool = False,
    ) -> None:
        self._whole_record = choice("input", input, ("payload", "record")) == "record"
        self._labels = boolean("labels", labels)
        if self._labels and not self._whole_record:
            raise UsageError("labels=true needs input=record: a bare payload has no place for labels")
        self._batch = integer("batch", batch)
        module_name, colon, path = arg.partition(":")
        if not colon or not module_name or not path:
            raise UsageError(f"python:{arg} is not python:module:callable, such as python:mypkg.filters:is_attack")
        self._module = _load_module(module_name)
        self._target = _walk(self._module, path)
        self._name = arg
        self._fresh = isinstance(self._target, type)
        self._init, self._kwargs = keywords("init", init), keywords("kwargs", kwargs)
        if self._init and not self._fresh:
            raise UsageError(f"init= is for a class, and python:{arg} is a {type(self._target).__name__}")
        self._object: Any = self._construct() if self._fresh else self._target
        self._call = self._bound()
        self._identity = self._identify()

    def identity(self) -> SubstrateIdentity:
        """Commit of the module's file where it lies in a repository, else its distribution's version."""
        return self._identity

    def reset(self, seed: int) -> None:
        """Seed the process's generators and return an object of a class to its initial state.

        Raises:
            SubstrateFailure: The object's own reset, or constructing it again, failed.
        """
        random.seed(seed)
        if (numpy := sys.modules.get("numpy")) is not None:
            numpy.random.seed(seed)
        if not self._fresh:
            return
        own = getattr(self._object, "reset", None)
        if callable(own):
            try:
                with prints_aside:
                    own(seed)
            except Exception as error:  # whatever foreign code raises
                raise SubstrateFailure(f"python:{self._name}: reset({seed}) failed: {_told(error)}") from error
        else:
            self._object = self._construct()
            self._call = self._bound()

    def run_batch(self, records: Sequence[Record], *, seed: int, timeout_s: float) -> Iterator[CycleResult]:
        """One result per record, in order, each as soon as its call returned.

        Args:
            records: The stimuli.
            seed: Passed on, per cycle, in the mapping of ``input=record``.
            timeout_s: Longest a cycle may take.
        """
        if self._batch:
            yield from self._run_batched(records, seed, timeout_s)
            return
        call = self._call
        with watchdog.armed(timeout_s) as guard:
            for index, record in enumerate(records):
                stimulus = self._mapping(record, seed) if self._whole_record else record.payload
                try:
                    with prints_aside:
                        started = perf_counter()
                        try:  # this try ends the deadline, the outer one catches a tick that falls in between
                            guard.deadline = started + timeout_s
                            returned = call(stimulus)
                            wall_s = perf_counter() - started
                            output = as_output(returned)  # may run its code as well: a generator, a tolist()
                        finally:
                            guard.deadline = None
                    if wall_s > timeout_s:
                        raise Overrun
                except Overrun:
                    wall_s = perf_counter() - started
                    yield CycleResult(index, record.id, "", "error", None, f"timeout after {timeout_s:g} s", wall_s)
                except KeyboardInterrupt:
                    raise  # the user's
                except BaseException as error:  # noqa: BLE001
                    # Whatever the system under test raises is its behaviour, and therefore data.
                    wall_s = perf_counter() - started
                    yield CycleResult(index, record.id, "", "error", None, _told(error), wall_s)
                else:
                    yield CycleResult(index, record.id, "", "ok", output, None, wall_s)

    def processes(self) -> list[int]:
        """None: it runs in this process."""
        return []

    def probe(self) -> list[dict[str, Any]]:
        """One row: the target, that it is there (it was imported and constructed), and its signature."""
        try:
            signature = str(inspect.signature(self._target))
        except (TypeError, ValueError):  # some built in C have none
            signature = ""
        row = {"target": self._name, "input": "record" if self._whole_record else "payload", "signature": signature}
        return [{**row, "applicable": True, "importable": True, "constructible": True, "why": ""}]

    def close(self) -> None:
        """Let an object of a class release what it holds, where it has ``close()``."""
        own = getattr(self._object, "close", None) if self._fresh else None
        if callable(own):
            try:
                with prints_aside:
                    own()
            except Exception as error:  # whatever foreign code raises
                raise SubstrateFailure(f"python:{self._name}: close() failed: {_told(error)}") from error

    def _run_batched(self, records: Sequence[Record], seed: int, timeout_s: float) -> Iterator[CycleResult]:
        for begin in range(0, len(records), self._batch):
            chunk = records[begin : begin + self._batch]
            stimuli = [self._mapping(r, seed) if self._whole_record else r.payload for r in chunk]
            limit_s = timeout_s * len(chunk)
            outcomes: list[tuple[dict[str, Any] | None, str | None]] = []
            failed = ""
            with watchdog.armed(limit_s) as guard:
                try:
                    with prints_aside:
                        started = perf_counter()
                        try:
                            guard.deadline = started + limit_s
                            outcomes = [_outcome(output) for output in self._call(stimuli)]
                        finally:
                            guard.deadline = None
                    if perf_counter() - started > limit_s:
                        raise Overrun
                except Overrun:
                    failed = f"timeout after {limit_s:g} s for a batch of {len(chunk)}"
                except KeyboardInterrupt:
                    raise
                except BaseException as error:  # noqa: BLE001 - as above
                    failed = _told(error)
            if not failed and len(outcomes) != len(chunk):
                failed = f"{len(outcomes)} outputs for a batch of {len(chunk)}"
            for offset, record in enumerate(chunk):
                output, why = (None, failed) if failed else outcomes[offset]
                yield CycleResult(begin + offset, record.id, "", "error" if why else "ok", output, why)

    def _mapping(self, record: Record, seed: int) -> dict[str, Any]:
        stimulus = {
            "id": record.id,
            "payload": record.payload,
            "group": record.group,
            "meta": dict(record.meta),
            "seed": cycle_seed(seed, record.id),
        }
        if self._labels:
            stimulus["labels"] = dict(record.labels)
        return stimulus

    def _construct(self) -> Any:
        try:
            with prints_aside:
                instance = self._target(**self._init)
        except Exception as error:  # whatever foreign code raises
            raise SubstrateFailure(f"python:{self._name}: {self._name}() failed: {_told(error)}") from error
        if not callable(instance):
            raise UsageError(f"python:{self._name} is a class whose objects cannot be called; give it __call__")
        return instance

    def _bound(self) -> Callable[[Any], Any]:
        # A bare callable costs nothing more per cycle.
        return partial(self._object, **self._kwargs) if self._kwargs else self._object

    def _identify(self) -> SubstrateIdentity:
        source = _source_file(self._module)
        git = git_revision(source) if source else None
        if git:
            revision, dirty = git
        else:
            name = self._module.__name__
            builtin = name.partition(".")[0] in sys.stdlib_module_names
            revision = ".".join(map(str, sys.version_info[:3])) if builtin else module_version(name)
            dirty = None
        config: dict[str, Any] = {
            "target": self._name,
            "input": "record" if self._whole_record else "payload",
            "labels": self._labels,
            "batch": self._batch,
            "source": file_hash(source) if source else "",
        }
        config |= {name: value for name, value in (("init", self._init), ("kwargs", self._kwargs)) if value}
        return SubstrateIdentity("python", self._name, digest(config), revision, dirty)


def _outcome(output: Any) -> tuple[dict[str, Any] | None, str | None]:
    """One output of a batch as JSON, or why it is none."""
    try:
        return as_output(output), None
    except Exception as error:  # noqa: BLE001 - its own conversion may raise anything
        return None, _told(error)


def _told(error: BaseException) -> str:
    if isinstance(error, UnsuitableOutput):
        return str(error)
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - an exception whose own __str__ fails is still only one failed cycle
        message = "(its message cannot be shown)"
    text = f"{type(error).__name__}: {message}".encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= 2000 else f"{text[:2000]}…"


def _load_module(name: str) -> ModuleType:
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        with prints_aside:
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise UsageError(
                f"python: no module is called {name!r}; it is looked for in {here} and on sys.path"
            ) from None
        raise SubstrateFailure(f"python: importing {name!r} failed: {_told(error)}") from error
    except Exception as error:  # whatever foreign code raises
        raise SubstrateFailure(f"python: importing {name!r} failed: {_told(error)}") from error
    finally:
        if here in sys.path:
            sys.path.remove(here)


def _walk(module: ModuleType, path: str) -> Any:
    found: Any = module
    for part in path.split("."):
        if not hasattr(found, part):
            known = [n for n in dir(found) if not n.startswith("_") and callable(getattr(found, n, None))]
            raise UsageError(f"python: {module.__name__!r} has no {path!r}{nearest(part, known)}")
        found = getattr(found, part)
    if not callable(found):
        raise UsageError(f"python: {module.__name__}:{path} is a {type(found).__name__}, which cannot be called")
    return found


def _source_file(module: ModuleType) -> Path | None:
    try:
        found = inspect.getsourcefile(module)
    except TypeError:  # built into the interpreter
        return None
    return Path(found).resolve() if found else None
