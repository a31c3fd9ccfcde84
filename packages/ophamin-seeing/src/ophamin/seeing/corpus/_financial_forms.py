"""Which published form a price table has: told by the names in its header, never by position.

===========  ===================================================  ==================================================
form         its header                                           how its prices are adjusted
===========  ===================================================  ==================================================
yahoo        Date, Open, High, Low, Close, Adj Close, Volume      split; ``adj_close`` split+dividend
yfinance     …, Volume, Dividends, Stock Splits                   split+dividend (its default, ``auto_adjust``)
quantmod     Date, AAPL.Open … AAPL.Adjusted                      split; ``adj_close`` split+dividend
stooq        <TICKER>, <PER>, <DATE>, <TIME>, <OPEN> …            split+dividend
stooq        Date, Open, High, Low, Close, Volume, the file named split+dividend
             ``aapl_us_d.csv`` or in a folder ``stooq``
fred         DATE, VALUE; DATE, ID…; observation_date, ID…        none (a published level)
shiller      Date, SP500, Dividend, Earnings, … PE10              none; **0.0 means missing**
quandl-wiki  ticker, date, open … ex-dividend, split_ratio,       none; ``adj_*`` split+dividend
             adj_open … (any spelling of these)
kaggle-sp500 date, open, high, low, close, volume, Name           unknown (its publisher does not say)
kaggle-nyse  date, symbol, open, close, low, high, volume         none; split when the file is named
                                                                  ``prices-split-adjusted``
nasdaq       Date, Close/Last, Volume, Open, High, Low            unknown
barchart     Time, Open, High, Low, Last, Change, Volume          unknown
long         Date, stock, value                                   unknown
ohlc         any other Date with prices                           unknown
===========  ===================================================  ==================================================
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ADJUSTMENTS", "Form", "Series", "recognise"]

ADJUSTMENTS = ("none", "split", "split+dividend", "unknown")

_DATES = ("date", "observationdate", "datetime", "timestamp", "time")
_INSTRUMENTS = ("ticker", "symbol", "stock", "name")
_COLUMNS = {
    **{name: name for name in ("open", "high", "low", "close", "volume", "value", "change", "dividends")},
    **dict.fromkeys(("last", "latest", "closelast"), "close"),
    "vol": "volume",
    "openint": "open_interest",
    **dict.fromkeys(("adjclose", "adjusted", "adjustedclose"), "adj_close"),
    **{f"adj{name}": f"adj_{name}" for name in ("open", "high", "low", "volume")},
    "exdividend": "dividend",
    "splitratio": "split_ratio",
    "stocksplits": "stock_splits",
}
_SHILLER = {
    "sp500": "price",
    "dividend": "dividend",
    "earnings": "earnings",
    "consumerpriceindex": "cpi",
    "longinterestrate": "long_rate",
    "realprice": "real_price",
    "realdividend": "real_dividend",
    "realearnings": "real_earnings",
    "pe10": "pe10",
}
_PRICES = ("adj_close", "close", "value", "price")
_SERIES_ID = re.compile(r"[A-Z][A-Z0-9_.]*", re.ASCII)
_STOOQ_FILE = re.compile(r"[a-z0-9.^_-]+_[a-z]{2}_[dwmqy]|\^?[a-z0-9]+_[dwmqy]|[a-z0-9_-]+\.[a-z]{2}", re.ASCII)
_FILE_NAMES = (
    re.compile(r"yahoofinance-(.+?)-\d{8}-\d{8}", re.ASCII),
    re.compile(r"(.+)_data", re.ASCII),
    re.compile(r"WIKI-(.+)", re.ASCII),
)


@dataclass(frozen=True, slots=True)
class Series:
    """Where the numbers of one instrument stand in a row; ``name`` is "" when a column or the file names it."""

    name: str
    columns: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Form:
    """How to read one file."""

    name: str
    file: str
    header: Sequence[str]
    separator: str
    date: int
    time: int | None
    instrument: int | None
    fallback: str
    series: Sequence[Series]
    adjusted: Mapping[str, str]
    zero_is_missing: bool = False

    def price(self, columns: Sequence[str]) -> str:
        """The column whose changes are returns: the adjusted close where there is one."""
        return next((name for name in _PRICES if name in columns), columns[0])


def recognise(header: Sequence[str], separator: str, path: Path) -> Form | str:
    """The form of a file with this header, or why it has none, in words that follow the file's name."""
    keys = [re.sub(r"[^a-z0-9]", "", name.lower()) for name in header]
    known = set(keys)
    dates = [key for key in _DATES if key in known]
    if not dates:
        return f"has no column of days (its header: {', '.join(header)[:80] or 'none'})"
    date = keys.index(dates[0])
    time = keys.index("time") if dates[0] != "time" and "time" in known else None
    taken = {date, time}
    if twice := [header[keys.index(k)] for k, n in Counter(keys).items() if n > 1 and (k in _COLUMNS or k in _DATES)]:
        return f"has the column {twice[0]!r} twice"
    name = _form_name(header, keys, path)
    if name == "shiller":
        found = {_SHILLER[key]: place for place, key in enumerate(keys) if key in _SHILLER}
        return _form(name, header, separator, (date, None, None), path, [Series("SP500", found)], zero=True)
    if name == "quantmod":
        return _form(name, header, separator, (date, time, None), path, _prefixed(header, taken))
    if name == "fred":
        named = [(place, text) for place, text in enumerate(header) if place not in taken]
        if len({text for _, text in named}) < len(named):
            return "has two series of one name"
        series = [Series("" if text.upper() == "VALUE" else text, {"value": place}) for place, text in named]
        return _form(name, header, separator, (date, None, None), path, series)
    instrument = next((keys.index(key) for key in _INSTRUMENTS if key in known), None)
    columns: dict[str, int] = {}
    for place, key in enumerate(keys):
        column = _COLUMNS.get(key)
        if column is None or place in taken:
            continue
        if column in columns:
            return f"has two columns for {column}: {header[columns[column]]!r} and {header[place]!r}"
        columns[column] = place
    if not set(_PRICES) & set(columns):
        return f"has no column of prices (its header: {', '.join(header)[:80]})"
    return _form(name, header, separator, (date, time, instrument), path, [Series("", columns)])


def _form_name(header: Sequence[str], keys: Sequence[str], path: Path) -> str:
    known = set(keys)
    if {"sp500", "earnings", "pe10"} <= known:
        return "shiller"
    if any(name.startswith("<") for name in header):
        return "stooq"
    if known >= {"exdividend", "splitratio"}:
        return "quandl-wiki"
    if any(re.fullmatch(r".+\.(Open|High|Low|Close|Adjusted)", name) for name in header):
        return "quantmod"
    if known >= {"close", "adjclose"}:
        return "yahoo"
    if known >= {"close", "dividends", "stocksplits"}:
        return "yfinance"
    if "closelast" in known:
        return "nasdaq"
    if known & {"last", "latest"}:
        return "barchart"
    if known >= {"close", "symbol"}:
        return "kaggle-nyse"
    if known >= {"close", "name"}:
        return "kaggle-sp500"
    if "value" in known and known & set(_INSTRUMENTS):
        return "long"
    others = [text for text, key in zip(header, keys, strict=True) if key not in _DATES]
    if others and all(
        (_SERIES_ID.fullmatch(text) and _plain(text) not in _COLUMNS) or text == "VALUE" for text in others
    ):
        return "fred"
    named_like_stooq = _STOOQ_FILE.fullmatch(_stem(path)) or "stooq" in (part.lower() for part in path.parts)
    return "stooq" if known >= {"open", "close"} and named_like_stooq else "ohlc"


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _prefixed(header: Sequence[str], taken: set[int | None]) -> list[Series]:
    found: dict[str, dict[str, int]] = {}
    for place, text in enumerate(header):
        prefix, _, rest = text.rpartition(".")
        column = _COLUMNS.get(_plain(rest))
        if prefix and column and place not in taken:
            found.setdefault(prefix, {})[column] = place
    return [Series(name, columns) for name, columns in found.items()]


def _form(
    name: str,
    header: Sequence[str],
    separator: str,
    places: tuple[int, int | None, int | None],
    path: Path,
    series: Sequence[Series],
    *,
    zero: bool = False,
) -> Form:
    plain, adjusted = {
        "yahoo": ("split", "split+dividend"),
        "quantmod": ("split", "split+dividend"),
        "yfinance": ("split+dividend", "split+dividend"),
        "stooq": ("split+dividend", "split+dividend"),
        "quandl-wiki": ("none", "split+dividend"),
        "fred": ("none", "none"),
        "shiller": ("none", "none"),
        "kaggle-nyse": ("split" if "split-adjusted" in path.name else "none",) * 2,
    }.get(name, ("unknown", "unknown"))
    columns = {column for one in series for column in one.columns}
    by_column = {column: adjusted if column.startswith("adj_") else plain for column in columns}
    date, time, instrument = places
    return Form(name, path.as_posix(), header, separator, date, time, instrument, _named(path), series, by_column, zero)


def _stem(path: Path) -> str:
    name = path.name.removesuffix(".gz")
    return name.rpartition(".")[0] or name


def _named(path: Path) -> str:
    """The instrument a file is named after: ``AAPL`` of ``AAPL_data.csv``, ``AAPL.US`` of ``aapl_us_d.csv``."""
    stem = _stem(path)
    for pattern in _FILE_NAMES:
        if found := pattern.fullmatch(stem):
            return found[1]
    if _STOOQ_FILE.fullmatch(stem):
        return re.sub(r"_[dwmqy]$", "", stem).replace("_", ".").upper()
    return stem
