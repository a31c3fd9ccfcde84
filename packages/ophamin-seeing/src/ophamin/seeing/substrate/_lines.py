"""The conversation with a child process in JSON lines: asking, pipelining, blaming, starting again."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn

from ophamin.proof.errors import SubstrateFailure
from ophamin.protocols import CycleResult, Record
from ophamin.seeing.substrate._json import MAX_DEPTH, UnsuitableOutput, as_output, to_json
from ophamin.seeing.substrate._process import LineProcess, StreamEnded
from ophamin.seeing.substrate._seeds import cycle_seed

__all__ = ["LineTalk"]

_DEATHS_IN_A_ROW = 10
_CLOSE_GRACE_S = 1.0
_DYING_GRACE_S = 3.0  # on a busy machine an exit takes its time; until it is over, its status is not known


class LineTalk:
    """A child that reads one JSON object a line and answers one a line; see ``command`` for the words.

    Args:
        name: What messages call the system, such as ``command:./prog``.
        argv: Program and arguments; no shell.
        pipeline: How many requests may be in flight.
        fresh: When a new process is begun though the old one lives: ``never``, at every ``reset``, or for every
            ``cycle`` (which needs ``pipeline`` 1).
        greeting: A request sent first to every new process, with the seed instead of a reset, and answered under its
            own id, so that what starting costs is no cycle's; or ``None``.
        greeting_timeout_s: How long that may take.
        cwd: Its working folder, or ours.
        environment: Its environment, or ours.
        encode: What of a record is the input; raises ``UnsuitableOutput`` for one that cannot be sent.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        pipeline: int = 1,
        fresh: Literal["never", "reset", "cycle"] = "never",
        greeting: Mapping[str, Any] | None = None,
        greeting_timeout_s: float = 60.0,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        encode: Callable[[Record], Any] = lambda record: to_json(record.payload),
    ) -> None:
        self._name, self._argv = name, list(argv)
        self._pipeline, self._fresh = pipeline, fresh
        self._greeting, self._greeting_timeout_s = greeting, greeting_timeout_s
        self._cwd, self._environment, self._encode = cwd, environment, encode
        self._process: LineProcess | None = None
        self._seed: int | None = None
        self._deaths = 0
        self._welcome: dict[str, Any] = {}

    def reset(self, seed: int) -> None:
        """Tell the child to start over, seeded; starts it when it does not run, or anew where that was asked for.

        Raises:
            SubstrateFailure: It cannot be started.
        """
        self._seed = seed
        if self._fresh == "never" and self._process is not None and self._process.alive():
            self._process.send(_line({"op": "reset", "seed": seed}))
            return
        self.close() if self._fresh == "reset" else self._abandon()
        self._started()

    def run_batch(self, records: Sequence[Record], *, seed: int, timeout_s: float) -> Iterator[CycleResult]:
        """One result per record, in order.

        Raises:
            SubstrateFailure: The child cannot be started or kept alive.
        """
        if self._pipeline == 1:
            for index, record in enumerate(records):
                yield self._ask(index, record, seed, timeout_s)
                if self._fresh == "cycle":
                    self.close()
            return
        waiting: dict[str, int] = {}
        try:
            yield from self._run_pipelined(records, seed, timeout_s, waiting)
        finally:
            if waiting:  # the batch was abandoned: its answers must not reach the next one
                self._abandon()

    def processes(self) -> list[int]:
        """The child's pid while it runs."""
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
                self._process = LineProcess(self._argv, cwd=self._cwd, environment=self._environment)
            except OSError as error:
                self._process = None
                reason = error.strerror or str(error)
                raise SubstrateFailure(f"{self._name} cannot be started: {self._argv[0]}: {reason}") from error
            if self._greeting is not None:
                self._greet(self._process, {**self._greeting, "seed": self._seed})
            elif self._seed is not None:
                self._process.send(_line({"op": "reset", "seed": self._seed}))
        return self._process

    def greeted(self) -> dict[str, Any]:
        """What the child said to the greeting; starts it when it does not run.

        Raises:
            SubstrateFailure: It cannot be started, or said error.
        """
        self._started()
        return self._welcome

    def _greet(self, process: LineProcess, greeting: Mapping[str, Any]) -> None:
        process.send(_line(greeting))
        error: str | None
        try:
            line, _ = process.receive(time.perf_counter() + self._greeting_timeout_s)
            self._welcome, error = _answer(line, greeting["id"])
        except TimeoutError:
            error = f"it was not ready after {self._greeting_timeout_s:g} s"
        except (StreamEnded, _BadAnswer) as failure:
            process.stop(_DYING_GRACE_S)
            error = _with_epitaph(failure, process)
        if error is not None:
            self._abandon()
            raise SubstrateFailure(f"{self._name}: {error}")

    def _ask(self, index: int, record: Record, seed: int, timeout_s: float) -> CycleResult:
        try:
            request = self._request(record, seed)
        except UnsuitableOutput as error:
            reason = str(error).replace("output", "payload", 1)
            return CycleResult(index, record.id, "", "unmeasured", None, f"not sent: {reason}")
        process = self._started()
        sent = time.perf_counter()
        try:
            if process.unasked():  # it could be taken for the answer
                said, _, _ = _parsed(process.answers.popleft())
                _refuse(f"it answered for the id {said!r} once more than it was asked")
            process.send(request)
            line, arrived = process.receive(sent + timeout_s)
            output, error_text = _answer(line, record.id)
        except (TimeoutError, StreamEnded, _BadAnswer) as failure:
            wall_s = time.perf_counter() - sent
            return CycleResult(index, record.id, "", "error", None, self._failed(failure, timeout_s), wall_s)
        except BaseException:  # interrupted: the answer must not reach whoever asks next
            self._abandon()
            raise
        self._deaths = 0
        status: Any = "error" if error_text is not None else "ok"
        return CycleResult(index, record.id, "", status, output, error_text, max(0.0, arrived - sent))

    def _failed(self, failure: Exception, timeout_s: float) -> str:
        """End the child, and say why in one line; the next cycle starts it again."""
        process, self._process = self._process, None
        assert process is not None  # only one that was asked can fail
        if isinstance(failure, TimeoutError):
            dead = not process.alive()  # and a child of its own holds the pipe
            process.stop()
            failure = TimeoutError(f"timeout after {timeout_s:g} s")
            if not dead:
                return str(failure)
        else:
            # One that closed its output is usually exiting: give it the moment in which its own status is known.
            process.stop(_DYING_GRACE_S if isinstance(failure, StreamEnded) and failure.dying else 0.0)
        reason = _with_epitaph(failure, process)
        self._deaths += 1
        if self._deaths >= _DEATHS_IN_A_ROW:
            raise SubstrateFailure(
                f"{self._name} failed {self._deaths} times in a row without one answer, last: {reason}"
            )
        return reason

    def _run_pipelined(
        self, records: Sequence[Record], seed: int, timeout_s: float, waiting: dict[str, int]
    ) -> Iterator[CycleResult]:
        """``waiting`` is what is in flight: id → index."""
        if self._process is not None:
            try:
                useless = self._process.unasked()
            except StreamEnded:
                useless = True
            if useless:  # what it said already could be taken for an answer
                self._abandon()
        settled: dict[int, CycleResult] = {}
        outgoing: list[bytes] = []
        again: list[int] = []  # what was in flight when something failed
        following = emitted = 0
        total, window = len(records), self._pipeline
        quarter = max(1, window // 4)
        while emitted < total:
            # An id in flight is not sent again: its two answers could not be told apart.
            while following < total and len(waiting) < window and records[following].id not in waiting:
                record = records[following]
                try:
                    request = self._request(record, seed)
                except UnsuitableOutput:
                    settled[following] = self._ask(following, record, seed, timeout_s)
                else:
                    if self._process is None:
                        self._started()
                    outgoing.append(request)
                    waiting[record.id] = following
                following += 1
            if waiting:
                try:
                    process = self._process
                    assert process is not None  # something is for it
                    answers = process.answers
                    # Requests go out together, a quarter of the window at a time: each write costs as much as a cycle,
                    # and a child left without any would be idle while we work off its answers.
                    if outgoing and (not answers or len(outgoing) >= quarter):
                        process.send(b"".join(outgoing))
                        outgoing.clear()
                    if not answers:
                        process.wait(time.perf_counter() + timeout_s)
                    identifier, output, error_text = _parsed(answers.popleft())
                    if identifier not in waiting:
                        _refuse(f"it answered for the id {identifier!r}, which is not in flight")
                except (TimeoutError, StreamEnded, _BadAnswer):
                    self._abandon()
                    outgoing.clear()
                    again = sorted(waiting.values())
                    waiting.clear()
                else:
                    self._deaths = 0
                    index = waiting.pop(identifier)
                    status: Any = "error" if error_text is not None else "ok"
                    result = CycleResult(index, identifier, "", status, output, error_text)
                    if index == emitted:
                        yield result
                        emitted += 1
                    else:
                        settled[index] = result
            while emitted in settled or again:
                if emitted in settled:
                    yield settled.pop(emitted)
                    emitted += 1
                else:
                    index = again.pop(0)
                    settled[index] = _untimed(self._ask(index, records[index], seed, timeout_s))

    def _request(self, record: Record, seed: int) -> bytes:
        given, meta = self._encode(record), to_json(dict(record.meta)) if record.meta else {}
        drawn = cycle_seed(seed, record.id)
        if type(given) is str and not meta:
            # The commonest request, put together: an encoder is set up anew for every object it is given.
            words = f'{{"id":{_encode(record.id)},"input":{_encode(given)},"meta":{{}},"seed":{drawn}}}\n'
            return words.encode("ascii")
        return _line({"id": record.id, "input": given, "meta": meta, "seed": drawn})

    def _abandon(self) -> None:
        if self._process is not None:
            self._process.stop()
            self._process = None


class _BadAnswer(Exception):
    """A line that answers nothing that was asked."""


def _refuse(reason: str) -> NoReturn:
    raise _BadAnswer(reason)


def _with_epitaph(failure: Exception, process: LineProcess) -> str:
    epitaph = process.epitaph()
    return f"{failure} ({epitaph})" if epitaph else str(failure)


# Made once: ``json.dumps`` and ``json.loads`` with options make a new one for every call.
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_decoder = json.JSONDecoder(
    parse_float=lambda digits: value if math.isfinite(value := float(digits)) else None,
    parse_constant=lambda name: _refuse(f"its answer holds {name}, which is not JSON"),
)
_PLAIN_LINE = 3000  # shorter than any integer that is too long


def _decode(text: str) -> Any:
    try:
        value, end = _decoder.raw_decode(text)
    except ValueError:
        end = -1  # white space before it, perhaps
    # ``decode`` looks for white space on either side, which hardly any answer has.
    return value if end == len(text) else _decoder.decode(text)


def _line(value: Any) -> bytes:
    return _encode(value).encode("ascii") + b"\n"


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
        answer = _decode(line.decode())
    except (ValueError, RecursionError):
        _refuse(f"its answer is not JSON: {line[:80]!r}")
    if type(answer) is not dict or "id" not in answer:
        _refuse(f"its answer has no id: {line[:80]!r}")
    identifier = answer["id"]
    if identifier is None:
        # Every request has an id to give back; only the reset line has none.
        _refuse('it answered the reset line {"op": "reset"}, which has no answer')
    if type(identifier) is not str:
        _refuse(f"its answer has no id: {line[:80]!r}")
    if "error" in answer:
        if "output" in answer:
            _refuse("its answer must have either output or error")
        return identifier, None, str(answer["error"])[:2000] or "the program said error without a reason"
    if "output" not in answer:
        _refuse("its answer must have either output or error")
    output = answer["output"]
    size = len(line)
    if (
        size < _PLAIN_LINE
        and b"\\u" not in line
        and (size < MAX_DEPTH or line.count(b"{") + line.count(b"[") <= MAX_DEPTH)
    ):
        # Just read as JSON, and too short to be too long, too deep or to hide half a character: nothing to convert.
        return identifier, output if type(output) is dict else {"output": output}, None
    try:
        return identifier, as_output(output), None
    except UnsuitableOutput as error:
        return identifier, None, str(error)
