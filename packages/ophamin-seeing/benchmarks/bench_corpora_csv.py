"""CSV corpora against the bare parsers: ``table()`` against pandas, ``records()`` against ``csv.reader`` making the same dicts.

All sides read the same generated file of the same run, interleaved round by round in alternating order. A ratio is bare
time over ours (1 = nothing lost), its median over the rounds. What the bare sides do is what a careful user would write
by hand: pandas with the types named, ``csv.reader`` with the numbers of each row made floats.
"""

from __future__ import annotations

import csv
import random
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path

import pandas as pd

from ophamin.registry import make_corpus

ROUNDS = 5
STOCKS, DAYS = 60, 1250
ROWS = 60_000


def _prices(path: Path) -> None:
    """The layout of Kaggle's ``all_stocks_5yr.csv``."""
    rng = random.Random(1)
    days = [date(2013, 2, 8) + timedelta(days=i) for i in range(DAYS)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["date", "open", "high", "low", "close", "volume", "Name"])
        for stock in range(STOCKS):
            price = rng.uniform(10, 200)
            for day in days:
                price *= 1 + rng.gauss(0, 0.01)
                bar = [f"{price * (1 + rng.gauss(0, 0.005)):.4f}" for _ in range(4)]
                writer.writerow([day, *bar, rng.randrange(10**5, 10**7), f"S{stock:03}"])


def _rows(path: Path) -> None:
    """A table of answers of a system: texts, labels, numbers."""
    rng = random.Random(2)
    words = [
        "the",
        "order",
        "of",
        "a",
        "lamp",
        "and",
        "its",
        "green",
        "chair",
        "was",
        "sent",
        "by",
        "mail",
        "on",
        "day",
        "one",
        "of",
        "this",
        "week",
    ]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "text", "label", "group", "value", "confidence", "tokens", "answer"])
        for i in range(ROWS):
            text = " ".join(rng.choices(words, k=30))
            numbers = [f"{rng.gauss(0, 1):.6f}", f"{rng.random():.4f}", rng.randrange(500)]
            writer.writerow([f"r{i}", text, rng.choice("ab"), f"g{i // 40}", *numbers, rng.choice(words)])


def _drain(items: Iterable[object]) -> None:
    deque(items, maxlen=0)


Dicts = Iterator[tuple[dict[str, object], ...]]


def _bare_prices(path: Path) -> Dicts:
    """Payload, labels and meta of every record."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        names = next(reader)[1:6]
        for row in reader:
            payload = dict(zip(names, map(float, row[1:6]), strict=True))
            labels = {"value": payload["close"], "instrument": row[6], "date": row[0], "column": "close",
                      "adjusted": "unknown"}  # fmt: skip
            yield payload, labels, {"file": path.name, "line": reader.line_num, "form": "kaggle-sp500"}


def _bare_rows(path: Path) -> Dicts:
    """Labels and meta of every record; which column holds what is known beforehand."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        header = next(reader)
        names = ("label", *header[4:])
        for row in reader:
            values = (row[2], float(row[4]), float(row[5]), int(row[6]), row[7])
            yield dict(zip(names, values, strict=True)), {"line": reader.line_num}


def _pandas_prices(path: Path) -> pd.DataFrame:
    frame = pd.read_csv(path, dtype={"Name": str}, na_values=["", "null", "."], keep_default_na=False)
    frame["date"] = pd.to_datetime(frame["date"], format="%Y-%m-%d")
    return frame


def _seconds(function: Callable[[], object]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def _compare(name: str, bar: float, bare: Callable[[], object], ours: Callable[[], object], detail: str) -> dict:
    bare(), ours()
    pairs = []
    for turn in range(ROUNDS):
        first, second = (bare, ours) if turn % 2 else (ours, bare)
        one, two = _seconds(first), _seconds(second)
        pairs.append((one, two) if turn % 2 else (two, one))
    ratio = statistics.median(b / o for b, o in pairs)
    b, o = (statistics.median(side) for side in zip(*pairs, strict=True))
    return {"name": name, "ratio": ratio, "bar": f">= {bar}", "ok": ratio >= bar,
            "detail": f"{o:.3f} s against {b:.3f} s, {detail}"}  # fmt: skip


def run() -> list[dict]:
    """One row per promise: name, ratio, bar, ok, detail."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        prices = root / "financial" / "all_stocks_5yr.csv"
        prices.parent.mkdir()
        rows = root / "rows.csv"
        _prices(prices)
        _rows(rows)
        financial = make_corpus("financial", root)
        table = make_corpus("table:rows.csv?group=group", root)
        for record, bare in zip(financial.records(), _bare_prices(prices), strict=True):
            assert (record.payload, record.labels, record.meta) == bare
        for record, bare in zip(table.records(), _bare_rows(rows), strict=True):
            assert (record.labels, record.meta) == bare
        many, few = f"{STOCKS * DAYS:,} rows", f"{ROWS:,} rows"
        return [
            _compare("financial table() / pandas.read_csv", 0.7, lambda: _pandas_prices(prices), financial.table, many),
            _compare("table table() / pandas.read_csv", 0.7, lambda: pd.read_csv(rows), table.table, few),
            _compare("financial records() / csv.reader", 0.5, lambda: _drain(_bare_prices(prices)),
                     lambda: _drain(financial.records()), many),
            _compare("table records() / csv.reader", 0.5, lambda: _drain(_bare_rows(rows)),
                     lambda: _drain(table.records()), few),
        ]  # fmt: skip


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']:40} {row['ratio']:.2f} {row['bar']} {'ok' if row['ok'] else 'MISSED'}  {row['detail']}")
