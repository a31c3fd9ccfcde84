"""``financial``: daily prices, index levels and rates from the files their publishers give out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ophamin.proof.errors import UsageError
from ophamin.protocols import Availability, DatasetInfo, Record
from ophamin.seeing._params import choice
from ophamin.seeing.corpus._base import ROOT_VARIABLE, candidates, data_root_of, foreign, require, tried
from ophamin.seeing.corpus._financial_dates import DayOrder
from ophamin.seeing.corpus._financial_forms import ADJUSTMENTS, Form
from ophamin.seeing.corpus._financial_rows import Block, Unreadable, open_form, read_blocks
from ophamin.seeing.corpus._financial_sample import SAMPLE_NOTE, write_financial_sample
from ophamin.seeing.corpus._financial_views import drawdown, price, returns
from ophamin.seeing.corpus._hashing import manifest_hash
from ophamin.seeing.corpus._problems import Problems
from ophamin.seeing.corpus._streamed import StreamedCorpus

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["FinancialCorpus"]

_HOW = (
    "put price files as their publishers give them into <data root>/financial, e.g. curl -o "
    "<data root>/financial/fred_SP500.csv 'https://fred.stlouisfed.org/graph/fredgraph.csv?id=SP500', or a generated "
    f"sample: ophamin corpus sample financial --out data; then name the folder by --data-root or {ROOT_VARIABLE}"
)
_SIZE = "from 50 KB a series (FRED) to 1.8 GB (all of Quandl WIKI)"
_LICENCE = (
    "that of each publisher: FRED and Shiller free to use, Yahoo and Stooq for personal use, Quandl WIKI public domain"
)
_ENDINGS = (".csv", ".csv.gz", ".txt", ".txt.gz", ".tsv", ".tsv.gz")
_OTHERS = ("cyber", "enron", "flores", "linux", "the_well", "maildir")
"""Folders of other corpora beside ours, some with half a million files."""
_NOT_PRICES = ("readme", "license", "source")


class FinancialCorpus(StreamedCorpus):
    """One record for each day (or bar) of each instrument: a mapping by column name, the number in question as a label.

    The payload of ``view=price`` maps the columns the file has (``open``, ``high``, ``low``, ``close``, ``adj_close``,
    ``volume``, ``value``…; a missing number is ``None``); of ``returns``: ``return, price, previous, days, gap``; of
    ``drawdown``: ``drawdown, price, peak, days``. Labels: ``value`` (the price, the return or the drawdown, always a
    number), ``instrument``, ``date`` (ISO 8601), ``column`` (which price), ``adjusted`` (``none``, ``split``,
    ``split+dividend`` or ``unknown``: how that price is adjusted). ``group`` is the instrument, in whichever files it
    comes, or a calendar block of it.

    Which form a file has, how its days are spelled and what counts as missing: the tables in ``_financial_forms``,
    ``_financial_dates`` and ``_financial_rows``. Days come in ascending order, each once. A day with contradicting
    rows, a row that cannot be read and a day without the price give no record and are counted in ``problems()``.

    Args:
        arg: A file or pattern below the folder, e.g. ``yahoo/*.csv``; default all.
        data_root: Holds ``financial``, or is that folder; default ``$OPHAMIN_DATA_ROOT``.
        view: ``price``, ``returns`` or ``drawdown``.
        returns: ``simple`` or ``log``.
        gaps: ``break``: no return over missing days; ``bridge``: one, with ``gap`` true in its payload.
        price: Column the value is taken from; default ``adj_close`` where there is one, else ``close``, else ``value``.
        instrument: Only these, comma-separated.
        group: ``instrument``, or the ``year``, ``quarter`` or ``month`` of it.
        dates: ``mdy`` or ``dmy``, for a file whose days do not say; default by each file's own days.
        adjusted: What the files' prices are adjusted for, where their form does not say.

    Example:
        >>> import tempfile
        >>> root = FinancialCorpus().write_sample(Path(tempfile.mkdtemp()), seed=1)
        >>> corpus = FinancialCorpus("yahoo/*.csv", root, view="returns")
        >>> first = next(corpus.records())
        >>> first.labels["date"], first.labels["adjusted"], first.payload["days"]
        ('2020-01-03', 'split+dividend', 1)
    """

    name = "financial"
    folders: Sequence[str] = ("financial",)

    def __init__(
        self,
        arg: str = "",
        data_root: Path | None = None,
        *,
        view: str = "price",
        returns: str = "simple",
        gaps: str = "break",
        price: str = "",
        instrument: str = "",
        group: str = "instrument",
        dates: str = "",
        adjusted: str = "",
    ) -> None:
        self._pattern = arg
        self._view = choice("view", view, ("price", "returns", "drawdown"))
        self._log = choice("returns", returns, ("simple", "log")) == "log"
        self._bridge = choice("gaps", gaps, ("break", "bridge")) == "bridge"
        self._price = price
        self._instruments = {name.strip() for name in instrument.split(",")} if instrument else set()
        self._group = choice("group", group, ("instrument", "year", "quarter", "month"))
        orders: dict[str, DayOrder] = {"mdy": "mdy", "dmy": "dmy"}
        self._order: DayOrder = orders[choice("dates", dates, tuple(orders))] if dates else ""
        self._adjusted = adjusted and choice("adjusted", adjusted, ADJUSTMENTS)
        self._places = candidates(data_root_of(data_root), self.folders)

    def availability(self) -> Availability:
        """Whether there are price files of a known form; the first that is none is named."""
        looked = tried(self._places)
        root, paths = self._files()
        if root is None:
            return Availability("absent", looked, "", _HOW, _SIZE, _LICENCE)
        if not paths:
            return Availability("absent", looked, f"no price file{self._named()} in {root}", _HOW, _SIZE, _LICENCE)
        wrong = [reason for path in paths if isinstance(reason := self._form(root, path), str)]
        read = len(paths) - len(wrong)
        about = f"{read} of {len(paths)} files in {root}" if wrong else f"{read} files in {root}"
        if wrong:
            state = "partial" if read else "wrong"
            return Availability(state, looked, f"{about}; {wrong[0]}", _HOW, _SIZE, _LICENCE)  # type: ignore[arg-type]
        generated = ": generated sample" if (root / SAMPLE_NOTE).exists() else ""
        return Availability("ok", looked, f"{about}{generated}", _HOW, _SIZE, _LICENCE)

    def content_hash(self) -> str:
        """``sha256:…`` over the chosen price files (not over licences and notes beside them)."""
        require(self.name, self.availability())
        root, paths = self._files()
        assert root is not None  # require() refused
        return manifest_hash(root, paths)

    def describe(self) -> DatasetInfo:
        """Where the prices come from, by the forms of the files."""
        root, paths = self._files()
        size = sum(path.stat().st_size for path in paths) if root else None
        if root is not None and (root / SAMPLE_NOTE).exists():
            return DatasetInfo(self.name, "generated sample", "ophamin corpus sample financial", "CC0-1.0", "", size)
        forms = {form.name for path in paths if root and isinstance(form := self._form(root, path), Form)}
        return DatasetInfo(self.name, "prices", ", ".join(sorted(forms)) or "none found", _LICENCE, "", size)

    def write_sample(self, directory: Path, seed: int) -> Path:
        """Write generated prices in ten layouts of as many publishers; returns ``directory``."""
        write_financial_sample(directory / self.folders[0], seed)
        return directory

    def table(self) -> DataFrame:
        """The whole corpus as a pandas ``DataFrame``, a row for each record, in the same order.

        Columns: ``file``, ``instrument``, ``date`` (``datetime64[s]``), ``value``, then the payload's; a missing number
        is NaN.

        Raises:
            CorpusUnavailable: There is nothing to read.
        """
        from ophamin.seeing.corpus._financial_frame import from_records, joined, quick

        root, forms = self._readable(Problems())
        frames = []
        for form in forms:
            made = None
            if self._view == "price" and not self._instruments:
                made = quick(root / form.file, form, self._order, self._price_of(form, list(form.series[0].columns)))
            frames.append(from_records(self._records(root, form, Problems())) if made is None else made)
        return joined(frames, [form.file for form in forms])

    def _read(self, problems: Problems) -> Iterator[Record]:
        root, forms = self._readable(problems)
        for form in forms:
            yield from self._records(root, form, problems)

    def _records(self, root: Path, form: Form, problems: Problems) -> Iterator[Record]:
        try:
            for block in read_blocks(root / form.file, form, self._order, problems):
                if not self._instruments or block.instrument in self._instruments:
                    yield from self._block(form, block, problems)
        except Unreadable as error:
            problems.add(f"{form.file} {error}", "a file that is not read")

    def _block(self, form: Form, block: Block, problems: Problems) -> Iterator[Record]:
        column = self._price_of(form, block.columns)
        views: dict[str, Any] = {
            "price": price,
            "returns": partial(returns, log=self._log, bridge=self._bridge),
            "drawdown": drawdown,
        }
        adjusted = self._adjusted_of(form, column)
        instrument, file, name, period = block.instrument, form.file, form.name, self._group
        where, group = f"{file}:{instrument}:", instrument
        for day, line, payload, value in views[self._view](file, block, column, problems):
            if period != "instrument":
                group = f"{instrument} {_period(day, period)}"
            yield Record(
                where + day,
                payload,
                group,
                {"value": value, "instrument": instrument, "date": day, "column": column, "adjusted": adjusted},
                {"file": file, "line": line, "form": name},
            )

    def _price_of(self, form: Form, columns: Sequence[str]) -> str:
        if self._price and self._price not in columns:
            raise UsageError(
                f"price={self._price}: {form.file} has only {', '.join(columns)}; name files, as in financial:yahoo/*"
            )
        return self._price or form.price(columns)

    def _adjusted_of(self, form: Form, column: str) -> str:
        stated = form.adjusted[column]
        return self._adjusted or stated if stated == "unknown" else stated

    def _readable(self, problems: Problems) -> tuple[Path, list[Form]]:
        """Folder and the forms of its files.

        Raises:
            CorpusUnavailable: None is readable.
        """
        require(self.name, self.availability())
        root, paths = self._files()
        assert root is not None  # require() refused
        forms = []
        for path in paths:
            form = self._form(root, path)
            if isinstance(form, str):
                problems.add(form, "a file that is not read")
            else:
                forms.append(form)
        return root, forms

    def _form(self, root: Path, path: Path) -> Form | str:
        """The file's form, or why it has none."""
        name = path.relative_to(root)
        if wrong := foreign(path, "a gzip archive" if path.suffix == ".gz" else "text"):
            return f"{name.parent / wrong}" if name.parent.parts else wrong
        try:
            return open_form(path, name)
        except Unreadable as error:
            return f"{name} {error}"

    def _files(self) -> tuple[Path | None, list[Path]]:
        for place in self._places:
            if place.is_dir():
                own = place.name in self.folders
                parts = [part for part in place.iterdir() if own or part.name not in _OTHERS]
                under = chain.from_iterable(part.rglob("*") if part.is_dir() else [part] for part in parts)
                found = sorted(p for p in under if p.name.lower().endswith(_ENDINGS) and p.is_file())
                chosen = [p for p in found if not p.name.lower().startswith(_NOT_PRICES)]
                if self._pattern:
                    chosen = [p for p in chosen if _matches(p.relative_to(place).as_posix(), self._pattern)]
                if not own:  # the data root itself, which may hold other tables
                    chosen = [p for p in chosen if isinstance(self._form(place, p), Form)]
                if chosen or own:
                    return place, chosen
        return None, []

    def _named(self) -> str:
        return f" {self._pattern}" if self._pattern else ""


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or name.startswith(pattern.rstrip("/") + "/")


def _period(day: str, period: str) -> str:
    if period == "year":
        return day[:4]
    return day[:7] if period == "month" else f"{day[:4]}-Q{(int(day[5:7]) + 2) // 3}"
