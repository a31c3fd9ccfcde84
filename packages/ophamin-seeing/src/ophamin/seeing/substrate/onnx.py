"""``onnx:model.onnx``: a model in the Open Neural Network Exchange format, on the CPU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ophamin.proof.canonical import digest
from ophamin.proof.errors import MissingDependency, UsageError
from ophamin.protocols import CycleResult, Record, SubstrateIdentity
from ophamin.seeing._params import integer
from ophamin.seeing._payload import payload_text
from ophamin.seeing.substrate._batches import run_batches
from ophamin.seeing.substrate._revision import file_hash, git_revision

__all__ = ["OnnxSubstrate"]


class OnnxSubstrate:
    """An ONNX model; the output is an object of its outputs by name, each the row that belongs to the stimulus.

    A mapping as payload gives the inputs by name; any other payload is the model's one input, or the one ``input``
    names. With ``classes``, ``answer`` is added: the class whose score is highest in ``scores``; and ``confidence``,
    that score, where the row's scores are probabilities as they come (from 0 to 1, with sum 1).

    Args:
        arg: The model's file.
        input: Input the payload goes to, where the model has several and payloads are no mappings.
        batch: Stimuli to answer at once, if the model leaves its first dimension open; 1 gives cycles a ``wall_s``.
        classes: Names of the classes, separated by commas, in the order of the scores.
        scores: Output that holds the scores; needed with ``classes`` if there are several outputs.
        threads: Threads for one call; 0 leaves it to onnxruntime.

    Raises:
        MissingDependency: onnxruntime is not installed.
        UsageError: The file is no model, or has no such input or output.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "same.onnx"  # a model that gives back what it is given
        >>> _ = path.write_bytes(
        ...     bytes.fromhex(
        ...         "080842040a0010113a3c0a130a01781201791a017922084964656e746974791201675a"
        ...         "100a0178120b0a09080112050a0312014e62100a0179120b0a09080112050a0312014e"
        ...     )
        ... )
        >>> [result] = OnnxSubstrate(str(path)).run_batch([Record("a", 2.5)], seed=0, timeout_s=60)
        >>> result.output
        {'y': 2.5}
    """

    def __init__(
        self,
        arg: str,
        *,
        input: str = "",
        batch: str | int = 1,
        classes: str = "",
        scores: str = "",
        threads: str | int = 1,
    ) -> None:
        if not arg:
            raise UsageError("onnx needs a file, such as onnx:model.onnx")
        try:
            from ophamin.seeing.substrate._session import Session
        except ImportError as error:
            raise MissingDependency("the onnx substrate", "onnxruntime", "ophamin-seeing[onnx]") from error
        path = Path(arg).expanduser()
        self._session = Session(path, integer("threads", threads, high=1024))
        known = self._session.inputs
        if input and input not in known:
            raise UsageError(f"input={input}: the model's inputs are {', '.join(known)}")
        self._input = input or (next(iter(known)) if len(known) == 1 else "")
        self._batch = integer("batch", batch, low=1, high=1_000_000)
        if self._batch > 1 and not self._session.stacks():
            raise UsageError(
                f"batch={batch}: {path.name} fixes its first dimension, so it takes one stimulus at a time"
            )
        self._classes = classes.split(",") if classes else []
        outputs = self._session.outputs
        if scores and scores not in outputs:
            raise UsageError(f"scores={scores}: the model's outputs are {', '.join(outputs)}")
        if classes and not scores and len(outputs) > 1:
            raise UsageError(f"classes= needs scores=, one of the model's outputs {', '.join(outputs)}")
        if scores and not classes:
            raise UsageError("scores= needs classes=, the names of the classes in the order of the scores")
        self._scores = scores or outputs[0]
        content = file_hash(path)
        config = {
            "file": content,
            "input": self._input,
            "batch": self._batch,
            "classes": self._classes,
            "scores": scores,
            "threads": int(threads),
            "onnxruntime": version("onnxruntime"),
        }
        found = git_revision(path.resolve())
        # Outside a repository the file's own hash says which model it is.
        revision, dirty = found if found else (content[:19], None)
        self._identity = SubstrateIdentity("onnx", path.name, digest(config), revision, dirty)

    def identity(self) -> SubstrateIdentity:
        """The file's hash, the parameters and onnxruntime's version; the commit of the file, else part of its hash."""
        return self._identity

    def reset(self, seed: int) -> None:
        """Nothing: a model has no state here."""

    def run_batch(self, records: Sequence[Record], *, seed: int, timeout_s: float) -> Iterator[CycleResult]:
        """One result per record, in order.

        Args:
            records: The stimuli.
            seed: Not used.
            timeout_s: Longest a cycle may take; a batch has as many. A call is broken off inside the model.
        """
        return run_batches(records, self._batch, timeout_s, self._answers)

    def processes(self) -> list[int]:
        """None: it runs in this process."""
        return []

    def close(self) -> None:
        """Nothing to release; the model goes with this object."""

    def _answers(self, chunk: Sequence[Record], limit_s: float) -> list[dict[str, Any]]:
        feeds = {name: self._session.array(name, values) for name, values in self._columns(chunk).items()}
        stacked = self._session.stacks()
        answered = self._session.run(feeds, limit_s)
        found = {name: _rows(name, value, len(chunk), stacked) for name, value in answered.items()}
        outputs = [{name: rows[position] for name, rows in found.items()} for position in range(len(chunk))]
        return [self._judged(output) for output in outputs] if self._classes else outputs

    def _columns(self, chunk: Sequence[Record]) -> dict[str, list[Any]]:
        columns: dict[str, list[Any]] = {}
        for record in chunk:
            payload = record.payload
            if not isinstance(payload, Mapping):
                if not self._input:
                    raise ValueError(f"the model has the inputs {', '.join(self._session.inputs)}; name one by input=")
                payload = {self._input: payload}
            if missing := [name for name in self._session.inputs if name not in payload]:
                raise ValueError(f"the payload has no {', '.join(missing)}")
            for name in self._session.inputs:
                value = payload[name]
                columns.setdefault(name, []).append(payload_text(value) if isinstance(value, bytes) else value)
        return columns

    def _judged(self, output: dict[str, Any]) -> dict[str, Any]:
        scores = output[self._scores]
        if isinstance(scores, Mapping):
            scores = list(scores.values())
        if not isinstance(scores, list) or len(scores) != len(self._classes):
            raise ValueError(
                f"{self._scores} is {str(scores)[:60]}, not a score for each of {len(self._classes)} classes"
            )
        best = max(range(len(scores)), key=scores.__getitem__)
        judged = {**output, "answer": self._classes[best]}
        if all(0 <= score <= 1 for score in scores) and abs(sum(scores) - 1) < 1e-3:
            judged["confidence"] = scores[best]
        return judged


def _rows(name: str, value: Any, count: int, stacked: bool) -> list[Any]:
    """One item per stimulus out of an output, as plain values."""
    rows = value.tolist() if hasattr(value, "tolist") else value
    if not stacked:  # one stimulus; a first dimension of 1 stands for it, any other is its own
        return rows if isinstance(rows, list) and len(rows) == 1 else [rows]
    if not isinstance(rows, list) or len(rows) != count:
        raise ValueError(f"output {name!r} has no row for each of {count} stimuli; use batch=1")
    return rows
