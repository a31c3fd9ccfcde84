"""Generated prices in the layouts of their publishers; a random walk of our own, none of their numbers."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from random import Random

__all__ = ["SAMPLE_NOTE", "write_financial_sample"]

SAMPLE_NOTE = "SAMPLE.md"
_FIRST = date(2020, 1, 2)
_DAYS = 250

_NOTE = """# Generated sample

Written by `ophamin corpus sample financial` (seed {seed}). Prices of instruments that do not exist, by a geometric
random walk of our own, in the file layouts of Yahoo, Stooq, FRED, Shiller, Quandl WIKI, Kaggle, quantmod and barchart.
Use it to try things out, never to claim something about a market. Licence: CC0-1.0.
"""

Bar = tuple[date, float, float, float, float, int]
"""Day, open, high, low, close, volume."""


def write_financial_sample(folder: Path, seed: int) -> None:
    """Write one small file of each layout, and ``SAMPLE.md``, into ``folder``."""
    rng = Random(seed)
    _write(folder / SAMPLE_NOTE, [_NOTE.format(seed=seed).rstrip("\n")])
    bars = {name: list(_walk(rng)) for name in ("AAA", "BBB", "NA", "TRUE")}
    ohlc = "Date,Open,High,Low,Close"
    # Dividends of 0.5 a quarter: the adjusted close lies below the close by all that are still to come.
    _write(
        folder / "yahoo" / "AAA.csv",
        [f"{ohlc},Adj Close,Volume", *(f"{_bar(b)},{b[4] * _factor(i):.6f},{b[5]}" for i, b in enumerate(bars["AAA"]))],
    )
    _write(folder / "stooq" / "bbb_us_d.csv", [f"{ohlc},Volume", *(f"{_bar(b)},{b[5]}" for b in bars["BBB"])])
    bulk = [f"BBB.US,D,{b[0]:%Y%m%d},000000,{_numbers(b)},{b[5]},0" for b in bars["BBB"]]
    head = "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>"
    _write(folder / "stooq" / "daily" / "bbb.us.txt", [head, *bulk], end="\r\n")
    levels = [(b[0], "" if i % 50 == 49 else f"{b[4]:.2f}") for i, b in enumerate(bars["AAA"])]
    _write(folder / "fred" / "GENIDX.csv", ["observation_date,GENIDX", *(f"{d},{v}" for d, v in levels)])
    _write(folder / "fred" / "GENOLD.csv", ["DATE,VALUE", *(f"{d},{v or '.'}" for d, v in levels)])
    _write(folder / "shiller" / "data.csv", list(_shiller(rng)))
    _write(folder / "quandl" / "WIKI_PRICES.csv", list(_quandl({n: bars[n] for n in ("AAA", "NA", "TRUE")})))
    names = ((n, b) for n in ("AAA", "NA", "TRUE") for b in bars[n])
    rows = [f"{_bar(b)},{b[5]},{n}" for n, b in names]
    _write(folder / "kaggle" / "all_stocks_5yr.csv.gz", ["date,open,high,low,close,volume,Name", *rows])
    _write(
        folder / "quantmod" / "BBB.csv",
        [
            '"","BBB.Open","BBB.High","BBB.Low","BBB.Close","BBB.Volume","BBB.Adjusted"'.replace('""', '"Date"'),
            *(f'"{b[0]}",{_numbers(b)},{b[5]},{b[4]:.4f}' for b in bars["BBB"]),
        ],
    )
    latest = [f"{b[0].month}/{b[0].day}/{b[0].year},{_numbers(b)},0,{b[5]}" for b in reversed(bars["AAA"])]
    _write(folder / "barchart" / "AAA_daily.csv", ["Time,Open,High,Low,Last,Change,Volume", *latest])


def _walk(rng: Random) -> Iterator[Bar]:
    close, day = rng.uniform(20, 200), _FIRST
    for _ in range(_DAYS):
        opened = close * (1 + rng.gauss(0, 0.004))
        close = opened * (1 + rng.gauss(0.0003, 0.012))
        high = max(opened, close) * (1 + abs(rng.gauss(0, 0.004)))
        low = min(opened, close) * (1 - abs(rng.gauss(0, 0.004)))
        yield day, opened, high, low, close, rng.randrange(100_000, 5_000_000)
        day += timedelta(days=3 if day.weekday() == 4 else 1)


def _numbers(bar: Bar) -> str:
    return ",".join(f"{value:.4f}" for value in bar[1:5])


def _bar(bar: Bar) -> str:
    return f"{bar[0]},{_numbers(bar)}"


def _factor(index: int) -> float:
    return 0.995 ** (3 - index // 63)


def _shiller(rng: Random) -> Iterator[str]:
    real = "Real Price,Real Dividend,Real Earnings"
    yield f"Date,SP500,Dividend,Earnings,Consumer Price Index,Long Interest Rate,{real},PE10"
    level, cpi = 100.0, 50.0
    for month in range(240):
        level *= 1 + rng.gauss(0.005, 0.04)
        cpi *= 1 + rng.gauss(0.002, 0.002)
        deflated = 100 / cpi
        numbers = [level, level * 0.03 / 12, level * 0.06, cpi, rng.uniform(2, 6), level * deflated]
        numbers += [3 * deflated, 6 * deflated]
        numbers.append(0.0 if month < 120 else rng.uniform(10, 30))
        if month >= 237:  # published late: 0.0 stands for what is not known yet
            numbers[1:] = [0.0] * 8
        yield f"{1990 + month // 12}-{month % 12 + 1:02}-01,{','.join(f'{n:.2f}' for n in numbers)}"


def _quandl(bars: dict[str, list[Bar]]) -> Iterator[str]:
    prices = "open,high,low,close,volume"
    adjusted = ",".join(f"adj_{name}" for name in prices.split(","))
    yield f"ticker,date,{prices},ex-dividend,split_ratio,{adjusted}"
    for name, rows in bars.items():
        for index, bar in reversed(list(enumerate(rows))):
            # A split two for one in the middle: before it the raw prices are twice as high.
            before = 2 if index < _DAYS // 2 else 1
            raw = ",".join(f"{value * before:.4f}" for value in bar[1:5])
            split = "2.0" if index == _DAYS // 2 else "1.0"
            yield f"{name},{bar[0]},{raw},{bar[5] / before:.1f},0.0,{split},{_numbers(bar)},{float(bar[5])}"


def _write(path: Path, lines: Sequence[str], end: str = "\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = "".join(f"{line}{end}" for line in lines).encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
