"""What every streamed corpus gives once it can be read from beginning to end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

from ophamin.protocols import Record
from ophamin.seeing.corpus._base import counted, seeded_sample
from ophamin.seeing.corpus._problems import Problems

__all__ = ["StreamedCorpus"]


class StreamedCorpus(ABC):
    """``records``, ``select``, ``sample``, ``count`` and ``problems`` of a connector that implements ``_read``.

    ``select`` and ``problems`` are additions of this wheel to the members that ``DatasetConnector`` asks for.
    """

    _passed: Problems | None = None

    @abstractmethod
    def _read(self, problems: Problems) -> Iterator[Record]:
        """All records in a fixed order; what gives none is added to ``problems``."""

    def records(self) -> Iterator[Record]:
        """All records, lazily, in the corpus's order.

        Raises:
            CorpusUnavailable: The corpus is absent or something else lies there.
        """
        problems = Problems()
        yield from self._read(problems)
        self._passed = problems

    def select(self, where: Callable[[Record], bool]) -> Iterator[Record]:
        """The records that ``where`` accepts, lazily, in the corpus's order.

        Raises:
            CorpusUnavailable: The corpus is absent or something else lies there.
        """
        return filter(where, self.records())

    def sample(self, n: int, seed: int, where: Callable[[Record], bool] | None = None) -> list[Record]:
        """Up to ``n`` records, uniform without replacement, in seeded order; holds no more than ``n``."""
        return seeded_sample(self.records(), n, seed, where)

    def count(self) -> int:
        """Number of records: what ``records()`` yields."""
        return counted(self.records())

    def problems(self) -> Problems:
        """What gave no record, or a doubtful one, by reason, in the last pass that reached the end.

        Where there was none yet, one is made. Never a silent skip: everything the corpus holds is either a record or
        is counted here.
        """
        if self._passed is None:
            counted(self.records())
        assert self._passed is not None  # a pass that did not raise has ended
        return self._passed
