"""ONNX models by onnxruntime: one session, one call, and a time limit that reaches into it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]  # ships no types

from ophamin.proof.errors import UsageError
from ophamin.seeing.substrate._batches import told

__all__ = ["Session"]

_TYPES: Mapping[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int16)": np.int16,
    "tensor(int8)": np.int8,
    "tensor(uint64)": np.uint64,
    "tensor(uint32)": np.uint32,
    "tensor(uint16)": np.uint16,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.str_,
}
_FATAL = 4  # onnxruntime logs on the descriptor itself; what it has to say comes as an exception too


class Session:
    """A loaded model on the CPU.

    Args:
        path: The model's file.
        threads: Threads for one call; 0 leaves it to onnxruntime.

    Raises:
        UsageError: It is not there, is no ONNX model, or takes something other than tensors.
    """

    def __init__(self, path: Path, threads: int) -> None:
        if not path.is_file():
            raise UsageError(f"{path} is no file; name an ONNX model")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = _FATAL
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions have no common base below this
            raise UsageError(f"{path} cannot be loaded as an ONNX model: {told(error)}") from error
        self.inputs = {value.name: value for value in self._session.get_inputs()}
        self.outputs = [value.name for value in self._session.get_outputs()]
        for name, value in self.inputs.items():
            if value.type not in _TYPES:
                raise UsageError(f"{path}: input {name!r} is a {value.type}, which no payload can be")

    def stacks(self) -> bool:
        """Whether every input leaves its first dimension open, so that many stimuli may go in at once."""
        return all(value.shape and not isinstance(value.shape[0], int) for value in self.inputs.values())

    def array(self, name: str, values: list[Any]) -> Any:
        """Values of one input for a chunk of stimuli, one per row, in the input's own type and rank."""
        value = self.inputs[name]
        kind = _TYPES[value.type]
        rows = np.asarray(values, dtype=np.object_ if kind is np.str_ else kind)
        if rows.ndim == len(value.shape) + 1 and len(values) == 1 and not self.stacks():
            return rows[0]
        # A stimulus that is one number or text, for a model that wants rows of them.
        while rows.ndim < len(value.shape):
            rows = rows[..., np.newaxis]
        return rows

    def run(self, feeds: Mapping[str, Any], limit_s: float) -> dict[str, Any]:
        """Outputs by name; broken off when the time is up."""
        options = onnxruntime.RunOptions()
        options.log_severity_level = _FATAL

        def stop() -> None:
            options.terminate = True

        timer = threading.Timer(limit_s, stop) if limit_s < threading.TIMEOUT_MAX else None
        if timer is not None:
            timer.daemon = True
            timer.start()
        try:
            return dict(zip(self.outputs, self._session.run(None, dict(feeds), options), strict=True))
        finally:
            if timer is not None:
                timer.cancel()
