"""``command:./prog --flag``: a program that is kept alive and answers JSON lines."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ophamin.proof.canonical import digest
from ophamin.proof.errors import UsageError
from ophamin.protocols import CycleResult, Record, SubstrateIdentity
from ophamin.seeing._params import choice, integer
from ophamin.seeing.substrate._lines import LineTalk
from ophamin.seeing.substrate._revision import file_hash, git_revision

__all__ = ["CommandSubstrate"]


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
        restart: ``never``: one process for the whole run, told of each reset. ``reset``: every ``reset(seed)`` ends the
            process and starts a new one, which is told the seed first; what a claim about memory or start-up needs.

    Example:
        >>> import sys
        >>> echo = 'import sys,json\\nfor l in sys.stdin: print(json.dumps({"id": json.loads(l)["id"], "output": 1}))'
        >>> program = CommandSubstrate(shlex.join([sys.executable, "-u", "-c", echo]))
        >>> [result] = program.run_batch([Record("a", "x")], seed=0, timeout_s=60)
        >>> program.close()
        >>> result.output
        {'output': 1}
    """

    def __init__(self, arg: str, *, pipeline: str | int = 1, restart: str = "never") -> None:
        try:
            self._argv = shlex.split(arg)
        except ValueError as error:
            raise UsageError(f"command:{arg}: {error}") from None
        if not self._argv:
            raise UsageError("command needs a program, such as command:'./prog --flag'")
        self._name = shlex.join(self._argv)  # one system, however its command line is spaced
        self._pipeline = integer("pipeline", pipeline, low=1, high=10_000)
        self._restart = choice("restart", restart, ("never", "reset"))
        self._talk = LineTalk(
            f"command:{self._name}",
            self._argv,
            pipeline=self._pipeline,
            fresh="reset" if self._restart == "reset" else "never",
        )
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
            config: dict[str, Any] = {"argv": self._argv, "pipeline": self._pipeline}
            config["files"] = [file_hash(path) for path in files]
            if self._restart != "never":
                config["restart"] = self._restart
            self._identity = SubstrateIdentity("command", self._name, digest(config), revision, dirty)
        return self._identity

    def reset(self, seed: int) -> None:
        """Tell the program to start over, seeded; starts it when it does not run, or anew with ``restart=reset``.

        Raises:
            SubstrateFailure: It cannot be started.
        """
        self._talk.reset(seed)

    def run_batch(self, records: Sequence[Record], *, seed: int, timeout_s: float) -> Iterator[CycleResult]:
        """One result per record, in order.

        Args:
            records: The stimuli.
            seed: The run's seed; the program gets one derived from it and the record.
            timeout_s: Longest to wait for an answer, from sending the request.

        Raises:
            SubstrateFailure: The program cannot be started or kept alive.
        """
        return self._talk.run_batch(records, seed=seed, timeout_s=timeout_s)

    def processes(self) -> list[int]:
        """The program's pid while it runs."""
        return self._talk.processes()

    def close(self) -> None:
        """Close its standard input, wait a second, and end its whole process group."""
        self._talk.close()
