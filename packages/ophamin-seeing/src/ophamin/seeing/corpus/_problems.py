"""What gave no record, or a doubtful one: counted exactly, with the first places of each reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

__all__ = ["Problems"]

_REASONS, _PLACES, _LONGEST = 1000, 20, 300
_MORE = "other reasons"


class Problems(Mapping[str, int]):
    """Reason → how often, in the order of first sight; memory is bounded, the counts are exact.

    Beyond 1,000 distinct reasons further ones are counted together; of each reason the first 20 places are kept.

    Example:
        >>> problems = Problems()
        >>> problems.add("inbox/3.", "no header")
        >>> problems.add("inbox/7.", "no header")
        >>> dict(problems), problems.total, problems.places("no header")
        ({'no header': 2}, 2, ('inbox/3.', 'inbox/7.'))
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._places: dict[str, list[str]] = {}

    def add(self, where: str, reason: str) -> None:
        """Count one.

        Args:
            where: Where in the corpus: a file, a line, an object id; control characters are escaped.
            reason: Why, in words that are the same for every such case.
        """
        if reason not in self._counts and len(self._counts) >= _REASONS:
            reason = _MORE
        self._counts[reason] = self._counts.get(reason, 0) + 1
        places = self._places.setdefault(reason, [])
        if len(places) < _PLACES:
            places.append(_printable(where))

    @property
    def total(self) -> int:
        """How many, whatever the reason."""
        return sum(self._counts.values())

    def places(self, reason: str) -> tuple[str, ...]:
        """The first places of a reason."""
        return tuple(self._places.get(reason, ()))

    def __getitem__(self, reason: str) -> int:
        return self._counts[reason]

    def __iter__(self) -> Iterator[str]:
        return iter(self._counts)

    def __len__(self) -> int:
        return len(self._counts)

    def __repr__(self) -> str:
        return f"Problems({self._counts})"


def _printable(text: str) -> str:
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"
