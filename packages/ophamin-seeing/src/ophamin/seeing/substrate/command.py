"""``command:./prog --flag``: a program that is kept alive and answers JSON lines."""

from __future__ import annotations

import json
import shlex
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ophamin.proof.canonical import digest
from ophamin.proof.errors import SubstrateFailure, UsageError
from ophamin.protocols import CycleResult, Record, SubstrateIdentity
from ophamin.seeing._params import integer
from ophamin.seeing.substrate._json import UnsuitableOutput, as_output, to_json
from ophamin.seeing.substrate._process import LineProcess, StreamEnded
from ophamin.seeing.substrate._revision import file_hash, git_revision
from ophamin.seeing.substrate._seeds import cycle_seed

__all__ = ["CommandSubstrate"]

_DEATHS_IN_A_ROW = 10
_CLOSE_GRACE_S = 1.0


class CommandSubstrate:
    """A program that reads one JSON object a line and answers one a line, on standard input and output.

    In: ``{"id", "input", "meta", "seed"}``, or ``{"op": "reset", "seed"}``, which has no answer. Out:
    ``{"id", "output"}`` or ``{"id", "error"}``; logs go to standard error. The program must flush every line. ``seed``
    depends on the run's seed and the record alone. A payload that is not text comes as JSON by the rules of the
    ``python`` substrate, bytes that are not UTF-8 as ``{"base64": …}``.

    What the program does wrong is its behaviour: no answer in time, an answer that is not JSON (NaN is not), is for
    another id, or is longer than 10 MB, and dying, are status ``error`` of that cycle, with its exit status and last
    words. It is then killed, with its whole process group, and started again for the next cycle, and told the last
    reset. Only a program that cannot be started, or dies ten times in a row without one answer, stops the run.

    Args:
        arg: Command line, split as a shell would; no shell runs it, and relative paths are of the working folder.
        pipeline: How many requests may be in flight; answers may then come in any order. Above 1 a cycle has no
            ``wall_s``, and ``timeout_s`` is the longest silence. After a failure what was in flight is asked again,
            one at a time, so that the right cycle gets the blame.

    Example:
        >>> import sys
        >>> echo = 'import sys,json\\nfor l in sys.stdin: print(json.dumps({"id": json.loads(l)["id"], "output": 1}))'
        >>> program = CommandSubstrate(shlex.join([sys.executable, "-u", "-c", echo]))
        >>> [result] = program.run_batch([Record("a", "x")], seed=0, timeout_s=60)
        >>> program.close()
        >>> result.output
        {'output': 1}
    """

    def __init__(self, arg: str, *, pipeline: str | int = 1) -> None:
        try:
            self._argv = shlex.split(arg)
        except ValueError as error:
            raise UsageError(f"command:{arg}: {error}") from None
        if not self._argv:
            raise UsageError("command needs a program, such as command:'./prog --flag'")
        self._name = shlex.join(self._argv)  # one system, however its command line is spaced
        self._pipeline = integer("pipeline", pipeline, low=1, high=10_000)
        self._process: LineProcess | None = None
        self._seed: int | None = None
        self._deaths = 0
        self._identity: SubstrateIdentity | None = None

    def identity(self) -> SubstrateIdentity:
        """Hash of the command line and of every file in it; commit of the first such file inside a repository."""
        if self._identity is None:
            program = shutil.which(self._argv[0])
            named = [Path(program)] if program else []
            named += [Path(word) for word in self._argv[1:] if len(word) < 4096 and Path(word).is_file()]
            files = [path.resolve() for path in named]
            revisions = (git_revision(path) for path in files)
            revision, dirty = next((found for found in revisions if found), ("", None))
            config = {"argv": self._argv, "pipeline": self._pipeline, "files": [file_hash(path) for path in files]}
            self._identity = SubstrateIdentity("command", self._name, digest(config), revision, dirty)
        return self._identity

    def reset(self, seed: int) -> None:
        """Tell the program to start over, seeded; starts it when it does not run.

        Raises:
            SubstrateFailure: It cannot be started.
        """
        self._seed = seed
        if self._process is not None and self._process.alive():
            self._process.send(_line({"op": "reset", "seed": seed}))
            return
        self._abandon()
        self._started()

    def run_batch(self, records: Sequence[Record], *, seed: int, timeout_s: float) -> Iterator[CycleResult]:
        """One result per record, in order.

        Args:
            records: The stimuli.
            seed: The run's seed; the program gets one derived from it and the record.
            timeout_s: Longest to wait for an answer, from sending the request.

        Raises:
            SubstrateFailure: The program cannot be started or kept alive.
        """
        if self._pipeline == 1:
            for index, record in enumerate(records):
                yield self._ask(index, record, seed, timeout_s)
        else:
            waiting: dict[str, int] = {}
            try:
                yield from self._run_pipelined(records, seed, timeout_s, waiting)
            finally:
                if waiting:  # the batch was abandoned: its answers must not reach the next one
                    self._abandon()

    def processes(self) -> list[int]:
        """The program's pid while it runs."""
        return [self._process.pid] if self._process is not None and self._process.alive() else []

    def close(self) -> None:
        """Close its standard input, wait a second, and end its whole process group."""
        if self._process is not None:
            self._process.stop(_CLOSE_GRACE_S)
            self._process = None

    def _started(self) -> LineProcess:
        # Whether it is alive is not asked: one that died unasked is found by the next request, which is then an error
        # whether or not the exit was quick enough to be seen.
        if self._process is None:
            try:
                self._process = LineProcess(self._argv)
            except OSError as error:
                self._process = None
                reason = error.strerror or str(error)
                raise SubstrateFailure(f"command:{self._name} cannot be started: {self._argv[0]}: {reason}") from error
            if self._seed is not None:
                self._process.send(_line({"op": "reset", "seed": self._seed}))
        return self._process

    def _ask(self, index: int, record: Record, seed: int, timeout_s: float) -> CycleResult:
        try:
            request = _request(record, seed)
        except UnsuitableOutput as error:
            reason = str(error).replace("output", "payload", 1)
            return CycleResult(index, record.id, "", "unmeasured", None, f"not sent: {reason}")
        process = self._started()
        sent = time.perf_counter()
        process.send(request)
        try:
            line, arrived = process.receive(sent + timeout_s)
            output, error_text = _answer(line, record.id)
        except (TimeoutError, StreamEnded, _BadAnswer) as failure:
            wall_s = time.perf_counter() - sent
            return CycleResult(index, record.id, "", "error", None, self._failed(failure, timeout_s), wall_s)
        self._deaths = 0
        status: Any = "error" if error_text is not None else "ok"
        return CycleResult(index, record.id, "", status, output, error_text, max(0.0, arrived - sent))

    def _failed(self, failure: Exception, timeout_s: float) -> str:
        """End the program, and say why in one line; the next cycle starts it again."""
        process, self._process = self._process, None
        assert process is not None  # only one that was asked can fail
        if isinstance(failure, TimeoutError):
            process.stop()
            return f"timeout after {timeout_s:g} s"
        # One that closed its output is usually exiting: give it the moment in which its own status is known.
        process.stop(_CLOSE_GRACE_S if isinstance(failure, StreamEnded) else 0.0)
        epitaph = process.epitaph()
        reason = f"{failure} ({epitaph})" if epitaph else str(failure)
        self._deaths += 1
        if self._deaths >= _DEATHS_IN_A_ROW:
            raise SubstrateFailure(
                f"command:{self._name} failed {self._deaths} times in a row without one answer, last: {reason}"
            )
        return reason

    def _run_pipelined(
        self, records: Sequence[Record], seed: int, timeout_s: float, waiting: dict[str, int]
    ) -> Iterator[CycleResult]:
        """``waiting`` is what is in flight: id → index."""
        settled: dict[int, CycleResult] = {}
        following = emitted = 0
        while emitted < len(records):
            # An id in flight is not sent again: its two answers could not be told apart.
            while following < len(records) and len(waiting) < self._pipeline and records[following].id not in waiting:
                record = records[following]
                try:
                    request = _request(record, seed)
                except UnsuitableOutput:
                    settled[following] = self._ask(following, record, seed, timeout_s)
                else:
                    self._started().send(request)
                    waiting[record.id] = following
                following += 1
            if waiting:
                try:
                    assert self._process is not None  # something was sent to it
                    line, _ = self._process.receive(time.perf_counter() + timeout_s)
                    identifier, output, error_text = _parsed(line)
                    if identifier not in waiting:
                        _refuse(f"it answered for the id {identifier!r}, which is not in flight")
                except (TimeoutError, StreamEnded, _BadAnswer):
                    self._abandon()
                    for index in sorted(waiting.values()):
                        settled[index] = _untimed(self._ask(index, records[index], seed, timeout_s))
                    waiting.clear()
                else:
                    self._deaths = 0
                    index = waiting.pop(identifier)
                    status: Any = "error" if error_text is not None else "ok"
                    settled[index] = CycleResult(index, identifier, "", status, output, error_text)
            while emitted in settled:
                yield settled.pop(emitted)
                emitted += 1

    def _abandon(self) -> None:
        if self._process is not None:
            self._process.stop()
            self._process = None


class _BadAnswer(Exception):
    """A line that answers nothing that was asked."""


def _refuse(reason: str) -> NoReturn:
    raise _BadAnswer(reason)


def _line(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _request(record: Record, seed: int) -> bytes:
    meta = to_json(dict(record.meta))
    return _line({"id": record.id, "input": to_json(record.payload), "meta": meta, "seed": cycle_seed(seed, record.id)})


def _untimed(result: CycleResult) -> CycleResult:
    return CycleResult(result.index, result.record_id, "", result.status, result.output, result.error)


def _answer(line: bytes, identifier: str) -> tuple[Any, str | None]:
    given, output, error = _parsed(line)
    if given != identifier:
        _refuse(f"it answered for the id {given!r} instead of {identifier!r}")
    return output, error


def _parsed(line: bytes) -> tuple[str, Any, str | None]:
    """``(id, output, error)`` of one answer."""
    try:
        answer = json.loads(line, parse_constant=lambda name: _refuse(f"its answer holds {name}, which is not JSON"))
    except (ValueError, RecursionError):
        _refuse(f"its answer is not JSON: {line[:80]!r}")
    if isinstance(answer, dict) and answer.get("id", "") is None:
        # Every request has an id to give back; only the reset line has none.
        _refuse('it answered the reset line {"op": "reset"}, which has no answer')
    if not isinstance(answer, dict) or not isinstance(answer.get("id"), str):
        _refuse(f"its answer has no id: {line[:80]!r}")
    if ("output" in answer) == ("error" in answer):
        _refuse("its answer must have either output or error")
    if "error" in answer:
        return answer["id"], None, str(answer["error"])[:2000] or "the program said error without a reason"
    try:
        return answer["id"], as_output(answer["output"]), None
    except UnsuitableOutput as error:
        return answer["id"], None, str(error)
