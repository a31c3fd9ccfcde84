"""``payload-filter``: a text classifier that says whether a web application's input is an attack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ophamin.proof.canonical import digest
from ophamin.proof.errors import LeakageError, UsageError
from ophamin.protocols import CycleResult, DatasetConnector, Record, SubstrateIdentity
from ophamin.registry import make_corpus
from ophamin.seeing._params import integer, probability
from ophamin.seeing._payload import content_key, payload_text

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

__all__ = ["PayloadFilter"]

# What the model is made of; every value is part of the identity.
_TFIDF = {"analyzer": "char", "ngram_range": (1, 3), "lowercase": True, "sublinear_tf": True, "min_df": 2}
_LOGISTIC = {"C": 20.0, "solver": "liblinear", "random_state": 0, "max_iter": 200}

# Training takes seconds and gives the same model every time, so one process does it once per configuration.
_TRAINED: dict[str, tuple[Pipeline, frozenset[str]]] = {}


class PayloadFilter:
    """Character n-gram TF-IDF and logistic regression, trained on one half of a corpus.

    The output is ``{blocked, label, answer, confidence, score}``: ``score`` is P(attack), ``blocked`` says that it
    reaches the threshold, ``label`` and ``answer`` are ``attack`` or ``benign`` accordingly, and ``confidence`` is the
    model's probability of that answer. ``admit`` refuses records it was trained on.

    Args:
        arg: Takes none.
        corpus: Corpus spec to train on; its records need ``labels["kind"]`` ``attack`` or ``benign``.
        data_root: Where corpora lie; default ``$OPHAMIN_DATA_ROOT``.
        threshold: Block from this P(attack) on, 0..1.
        max_train: Train on at most this many records, a seeded sample.
        batch: Classify this many at once; above 1 a cycle has no ``wall_s`` of its own.

    Source: scikit-learn ``TfidfVectorizer`` and ``LogisticRegression`` (liblinear, Fan et al. 2008, JMLR 9:1871).

    Example:
        >>> import tempfile
        >>> from ophamin.registry import get_corpus, make_substrate
        >>> root = get_corpus("cyber-payloads")("").write_sample(Path(tempfile.mkdtemp()), seed=1)
        >>> waf = make_substrate(f"payload-filter?data_root={root}")
        >>> [result] = waf.run_batch([Record("a", "1' or 1=1--")], seed=0, timeout_s=60)
        >>> result.output["blocked"]
        True
    """

    def __init__(
        self,
        arg: str = "",
        *,
        corpus: str = "cyber-payloads?split=train",
        data_root: str = "",
        threshold: str | float = 0.5,
        max_train: str | int = 20_000,
        batch: str | int = 1,
    ) -> None:
        if arg:
            raise UsageError(f"payload-filter takes no argument, only parameters such as threshold=0.5, not {arg!r}")
        self._spec = corpus
        self._corpus: DatasetConnector = make_corpus(corpus, Path(data_root) if data_root else None)
        self._threshold = probability("threshold", threshold)
        self._max_train = integer("max_train", max_train, low=2)
        self._batch = integer("batch", batch, low=1)
        self._identity: SubstrateIdentity | None = None
        self._model: tuple[Pipeline, frozenset[str]] | None = None

    def identity(self) -> SubstrateIdentity:
        """Hash of the training data, the parameters and scikit-learn's version; trains nothing.

        Raises:
            CorpusUnavailable: The training corpus is not there.
        """
        if self._identity is None:
            sklearn = version("scikit-learn")
            config = {"model": self._model_key(), "threshold": self._threshold}
            self._identity = SubstrateIdentity(
                "payload-filter", f"payload-filter on {self._spec}", digest(config), f"scikit-learn {sklearn}", False
            )
        return self._identity

    def reset(self, seed: int) -> None:
        """Train, if this process has not yet, so that no cycle pays for it; the model has no state and no chance."""
        self._trained()

    def admit(self, records: Sequence[Record]) -> None:
        """Refuse records the filter was trained on, whatever their id.

        Raises:
            LeakageError: Some were; says how many, by the hash of the normalised payload.
        """
        _, seen = self._trained()
        leaked = sum(content_key(record.payload) in seen for record in records)
        if leaked:
            raise LeakageError(
                f"payload-filter was trained on {leaked} of these {len(records)} records ({self._spec}); "
                "measure it on others, such as --corpus 'cyber-payloads?split=test'"
            )

    def run_batch(self, records: Sequence[Record], *, seed: int, timeout_s: float) -> Iterator[CycleResult]:
        """One result per record, in order.

        Args:
            records: The stimuli; a payload that is not text is classified as its text.
            seed: Not used: the model is deterministic.
            timeout_s: A cycle (or batch) found to have taken longer is an error.
        """
        model, _ = self._trained()
        for begin in range(0, len(records), self._batch):
            chunk = records[begin : begin + self._batch]
            started = perf_counter()
            scores = model.predict_proba([payload_text(record.payload) for record in chunk])[:, 1].tolist()
            took_s = perf_counter() - started
            wall_s = took_s if self._batch == 1 else None
            for offset, (record, score) in enumerate(zip(chunk, scores, strict=True)):
                if took_s > timeout_s * len(chunk):
                    late = f"timeout after {timeout_s * len(chunk):g} s"
                    yield CycleResult(begin + offset, record.id, "", "error", None, late, wall_s)
                else:
                    yield CycleResult(begin + offset, record.id, "", "ok", self._output(score), None, wall_s)

    def processes(self) -> list[int]:
        """None: it runs in this process."""
        return []

    def close(self) -> None:
        """Nothing to release; the trained model stays for the process."""

    def _output(self, score: float) -> dict[str, Any]:
        blocked = score >= self._threshold
        answer = "attack" if blocked else "benign"
        confidence = score if blocked else 1.0 - score
        return {"blocked": blocked, "label": answer, "answer": answer, "confidence": confidence, "score": score}

    def _model_key(self) -> str:
        return digest(
            {
                "corpus": self._spec,
                "content": self._corpus.content_hash(),
                "max_train": self._max_train,
                "tfidf": {**_TFIDF, "ngram_range": list(_TFIDF["ngram_range"])},  # type: ignore[call-overload]
                "logistic": _LOGISTIC,
                "scikit-learn": version("scikit-learn"),
            }
        )

    def _trained(self) -> tuple[Pipeline, frozenset[str]]:
        """The model, and the content keys of what it was trained on."""
        if self._model is None:
            self._model = self._train()
        return self._model

    def _train(self) -> tuple[Pipeline, frozenset[str]]:
        key = self._model_key()
        if key not in _TRAINED:
            records = self._corpus.sample(self._max_train, 0, _labelled)
            kinds = [record.labels["kind"] for record in records]
            if set(kinds) != {"attack", "benign"}:
                raise UsageError(
                    f"payload-filter cannot train on {self._spec!r}: it needs records of both kinds, attack and benign"
                )
            from ophamin.seeing.substrate._filter_model import fitted  # on use: it loads for a second

            texts = [payload_text(record.payload) for record in records]
            model = fitted(texts, [kind == "attack" for kind in kinds], _TFIDF, _LOGISTIC)
            _TRAINED[key] = (model, frozenset(content_key(r.payload) for r in records))
        return _TRAINED[key]


def _labelled(record: Record) -> bool:
    return record.labels.get("kind") in ("attack", "benign")
