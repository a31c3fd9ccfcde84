"""``sklearn:model.skops``: a scikit-learn estimator, loaded without unpickling anything unsafe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ophamin.proof.canonical import digest
from ophamin.proof.errors import MissingDependency, UsageError
from ophamin.protocols import CycleResult, Record, SubstrateIdentity
from ophamin.seeing._params import choice, integer
from ophamin.seeing.substrate._batches import run_batches
from ophamin.seeing.substrate._revision import file_hash, git_revision

__all__ = ["SklearnSubstrate"]


class SklearnSubstrate:
    """A fitted estimator in a file written by ``skops.io.dump``.

    The output is ``{"answer": …}`` from ``predict``; where the estimator has ``predict_proba`` (and for one answer per
    input) also ``confidence``, the probability of the answer, and ``probabilities`` by class. In a pipeline the steps
    before the last run once for both. Payloads that are text go in as text, mappings as rows of a table, numbers and
    arrays as rows of an array.

    Args:
        arg: The file.
        trust: Types to load beyond those skops knows to be harmless, full names separated by commas. A file that holds
            others is refused, and they are named. Pickles and joblib files are refused whatever they hold.
        batch: Inputs to predict at once; 1 gives every cycle a ``wall_s``. A batch that fails is asked one by one.
        proba: ``auto``, or ``false`` to call ``predict`` alone.

    Raises:
        MissingDependency: skops is not installed.
        UsageError: The file is not there, is a pickle, or holds types that nobody vouched for.
        SubstrateFailure: The installed scikit-learn cannot load it.

    Example:
        >>> import tempfile, skops.io
        >>> from sklearn.dummy import DummyClassifier
        >>> path = Path(tempfile.mkdtemp()) / "model.skops"
        >>> skops.io.dump(DummyClassifier(strategy="prior").fit([[0], [1], [2]], ["no", "yes", "yes"]), path)
        >>> model = SklearnSubstrate(str(path), proba="false")
        >>> [result] = model.run_batch([Record("a", [3.0])], seed=0, timeout_s=60)
        >>> result.output
        {'answer': 'yes'}
    """

    def __init__(self, arg: str, *, trust: str = "", batch: str | int = 1000, proba: str = "auto") -> None:
        if not arg:
            raise UsageError("sklearn needs a file, such as sklearn:model.skops")
        try:
            from ophamin.seeing.substrate import _predictions, _skops  # on use: scikit-learn loads for a second
        except ImportError as error:
            raise MissingDependency("the sklearn substrate", "skops", "ophamin-seeing[sklearn]") from error
        self._path = Path(arg).expanduser()
        self._batch = integer("batch", batch, low=1, high=1_000_000)
        trusted = sorted(filter(None, trust.split(",")))
        self._model = _skops.load_estimator(self._path, trusted)
        if not callable(getattr(self._model, "predict", None)):
            raise UsageError(f"{self._path} holds a {type(self._model).__name__}, which has no predict")
        with_proba = choice("proba", proba, ("auto", "false")) == "auto"
        self._classes = _predictions.classes_of(self._model) if with_proba else None
        self._predict = _predictions.predict
        content = file_hash(self._path)
        config = {
            "file": content,
            "trust": trusted,
            "batch": self._batch,
            "proba": proba,
            "scikit-learn": version("scikit-learn"),
        }
        found = git_revision(self._path.resolve())
        # Outside a repository the file's own hash says which model it is.
        revision, dirty = found if found else (content[:19], None)
        self._identity = SubstrateIdentity("sklearn", self._path.name, digest(config), revision, dirty)

    def identity(self) -> SubstrateIdentity:
        """The file's hash, the parameters and scikit-learn's version; the commit of the file, else part of its hash."""
        return self._identity

    def reset(self, seed: int) -> None:
        """Nothing: a fitted estimator neither learns nor draws."""

    def run_batch(self, records: Sequence[Record], *, seed: int, timeout_s: float) -> Iterator[CycleResult]:
        """One result per record, in order.

        Args:
            records: The stimuli.
            seed: Not used.
            timeout_s: Longest a cycle may take; a batch has as many.
        """
        return run_batches(records, self._batch, timeout_s, self._answers, plain=True)

    def processes(self) -> list[int]:
        """None: it runs in this process."""
        return []

    def close(self) -> None:
        """Nothing to release."""

    def _answers(self, chunk: Sequence[Record], limit_s: float) -> list[dict[str, Any]]:
        return self._predict(self._model, self._classes, chunk)
