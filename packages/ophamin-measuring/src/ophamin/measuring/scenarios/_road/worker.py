"""A process that holds one substrate and answers one record at a time.

``python -m ophamin.measuring.scenarios._road.worker`` is the process, :class:`Worker` the hand on it. Both are this
interpreter and this code, so what goes between them is pickled.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from ophamin import registry
from ophamin.proof.errors import SubstrateFailure
from ophamin.protocols import CycleResult, Record

__all__ = ["Worker", "WorkerDied"]

GRACE_S = 5.0
"""Beyond its own timeout a system gets this long to say so before its process is killed."""


class WorkerDied(Exception):
    """The process ended, or was ended because it said nothing."""


class Worker:
    """The process of one substrate.

    Args:
        spec: Substrate spec; the current folder and ``sys.path`` are this process's.
        data_root: Where corpora lie.

    Raises:
        SubstrateFailure: It cannot be started or made there.
    """

    def __init__(self, spec: str, data_root: Path | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ophamin.measuring.scenarios._road.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        self._failed(self._call(("make", spec, data_root), None))

    def reset(self, seed: int) -> None:
        """Seed the substrate."""
        self._failed(self._call(("reset", seed), None))

    def ask(self, record: Record, seed: int, timeout_s: float) -> CycleResult:
        """One cycle.

        Raises:
            WorkerDied: The process did not live to answer.
        """
        answer = self._call(("cycle", record, seed, timeout_s), timeout_s + GRACE_S)
        if isinstance(answer, CycleResult):
            return answer
        raise SubstrateFailure(str(answer))

    def processes(self) -> list[int]:
        """Its pid."""
        return [self._process.pid] if self._process.poll() is None else []

    def close(self) -> None:
        """End it; may be called twice."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _failed(self, answer: Any) -> None:
        if answer is not None:
            self.close()
            raise SubstrateFailure(str(answer))

    def _call(self, message: Any, timeout_s: float | None) -> Any:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            pickle.dump(message, stdin)
            stdin.flush()
            if timeout_s is not None and os.name == "posix" and not select.select([stdout], [], [], timeout_s)[0]:
                self._process.kill()
                raise WorkerDied(f"no answer {timeout_s:g} s after the question, so its process was killed")
            return pickle.load(stdout)
        except (OSError, EOFError, pickle.UnpicklingError):
            self._process.kill()
            code = self._process.wait()
            how = f"signal {-code}" if code < 0 else f"exit status {code}"
            raise WorkerDied(f"its process died ({how})") from None


def _answer(substrate: Any, message: tuple[Any, ...]) -> tuple[Any, Any]:
    """The substrate from now on, and what is said."""
    if message[0] == "make":
        return registry.make_substrate(message[1], message[2]), None
    if message[0] == "reset":
        substrate.reset(message[1])
        return substrate, None
    _, record, seed, timeout_s = message
    return substrate, next(iter(substrate.run_batch([record], seed=seed, timeout_s=timeout_s)))


def _serve(questions: BinaryIO, say: Callable[[Any], None]) -> None:
    substrate: Any = None
    while True:
        try:
            message = pickle.load(questions)
        except EOFError:
            break
        try:
            substrate, answer = _answer(substrate, message)
        except Exception as error:  # noqa: BLE001 - foreign code: told to the parent, which says whose fault it is
            answer = f"{type(error).__name__}: {error}"
        say(answer)
    if substrate is not None:
        substrate.close()


def _main() -> None:
    # What the system prints must not get among the answers.
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)

    def say(answer: Any) -> None:
        pickle.dump(answer, answers)
        answers.flush()

    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        _serve(questions, say)


if __name__ == "__main__":
    _main()
