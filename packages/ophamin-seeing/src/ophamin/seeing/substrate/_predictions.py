"""What an estimator says of a chunk of stimuli, as outputs of cycles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from ophamin.protocols import Record
from ophamin.seeing._payload import payload_text
from ophamin.seeing.substrate._json import to_json

__all__ = ["classes_of", "predict"]


def classes_of(model: Any) -> list[str] | None:
    """Names of the classes ``predict_proba`` has columns for; ``None`` where there is no such thing to be had."""
    if not callable(getattr(model, "predict_proba", None)):
        return None
    classes = getattr(model, "classes_", None)
    if classes is None or isinstance(classes, list):  # several answers per input
        return None
    names = [str(name) for name in np.asarray(classes).tolist()]
    return names if len(set(names)) == len(names) else None


def predict(model: Any, classes: Sequence[str] | None, chunk: Sequence[Record]) -> list[dict[str, Any]]:
    """One output per stimulus.

    Args:
        model: A fitted estimator.
        classes: Names of the columns of ``predict_proba``; ``None`` to call ``predict`` alone.
        chunk: The stimuli.
    """
    inputs = _inputs(chunk)
    if classes is None:
        return [{"answer": answer} for answer in _plain(model.predict(inputs))]
    if isinstance(model, Pipeline):
        # What the steps before the last make of the inputs serves both calls.
        inputs = model[:-1].transform(inputs) if len(model) > 1 else inputs
        model = model[-1]
    answers = _plain(model.predict(inputs))
    outputs = []
    for answer, row in zip(answers, _plain(model.predict_proba(inputs)), strict=True):
        probabilities = dict(zip(classes, row, strict=True))
        outputs.append({"answer": answer, "confidence": probabilities.get(str(answer)), "probabilities": probabilities})
    return outputs


def _plain(answers: Any) -> list[Any]:
    """Predictions as JSON: by the array where that is sure to be plain, by a walk over each where it is not."""
    array = np.asarray(answers)
    sure = array.dtype.kind in "biu" or (array.dtype.kind == "f" and bool(np.isfinite(array).all()))
    values: list[Any] = array.tolist()
    if sure:
        return values
    if array.ndim == 1 and all(type(value) is str for value in values):  # labels: many of few
        known = {value: to_json(value) for value in set(values)}
        return [known[value] for value in values]
    return [to_json(value) for value in values]


def _inputs(chunk: Sequence[Record]) -> Any:
    payloads = [record.payload for record in chunk]
    first = payloads[0]
    if isinstance(first, str | bytes | bytearray | memoryview):
        return [payload if type(payload) is str else payload_text(payload) for payload in payloads]
    if isinstance(first, Mapping):
        import pandas as pd

        return pd.DataFrame.from_records([dict(payload) for payload in payloads])
    rows = np.asarray(payloads)
    return rows.reshape(len(rows), -1) if rows.ndim == 1 else rows
