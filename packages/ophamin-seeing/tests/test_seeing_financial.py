from __future__ import annotations

import gzip
import math
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ophamin.proof.errors import CorpusUnavailable, UsageError
from ophamin.protocols import Record
from ophamin.registry import make_corpus
from ophamin.seeing.corpus._financial_dates import Days, decide_order


def put(root: Path, **files: str | bytes) -> Path:
    """Files below ``financial``; ``__`` in a name stands for a dot, the ending .csv is added where there is none."""
    for key, content in files.items():
        name = key.replace("__", ".")
        path = root / "financial" / (name if "." in name else f"{name}.csv")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def read(root: Path, query: str = "") -> list[Record]:
    return list(make_corpus(f"financial{query}", root).records())


def told(record: Record) -> tuple[object, ...]:
    labels = record.labels
    return labels["instrument"], labels["date"], labels["value"], labels["column"], labels["adjusted"]


FORMS = {
    "yahoo": (
        "Date,Volume,Adj Close,Close,Low,High,Open\n2020-01-02,100,9.5,10,8,12,9\n",
        ("f", "2020-01-02", 9.5, "adj_close", "split+dividend"),
    ),
    "yfinance": (
        "Date,Open,High,Low,Close,Volume,Dividends,Stock Splits\n2020-01-02 00:00:00-05:00,9,12,8,10,100,0.0,0.0\n",
        ("f", "2020-01-02", 10.0, "close", "split+dividend"),
    ),
    "stooq": (
        "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>\r\n"
        "AAPL.US,D,20200102,000000,9,12,8,10,100,0\r\n",
        ("AAPL.US", "2020-01-02", 10.0, "close", "split+dividend"),
    ),
    "fred": ("observation_date,DGS10\n2020-01-01,\n2020-01-02,1.88\n", ("DGS10", "2020-01-02", 1.88, "value", "none")),
    "fred-old": ("DATE,VALUE\n2020-01-01,.\n2020-01-02,1.88\n", ("f", "2020-01-02", 1.88, "value", "none")),
    "shiller": (
        "Date,SP500,Dividend,Earnings,PE10\n2020-01-01,3278.2,0.0,139.47,0.0\n",
        ("SP500", "2020-01-01", 3278.2, "price", "none"),
    ),
    "shiller-sheet": (
        "Date,SP500,Dividend,Earnings,PE10\n1871.1,4.59,0.26,0.4,0.0\n",
        ("SP500", "1871-10-01", 4.59, "price", "none"),
    ),
    "wiki": (
        "ticker,date,open,high,low,close,volume,ex-dividend,split_ratio,adj_open,adj_high,adj_low,adj_close,adj_volume\n"
        "TRUE,2020-01-02,9,12,8,10,100,0.0,1.0,4.5,6,4,5,200\n",
        ("TRUE", "2020-01-02", 5.0, "adj_close", "split+dividend"),
    ),
    "wiki-single": (
        "Date,Open,High,Low,Close,Volume,Ex-Dividend,Split Ratio,Adj. Open,Adj. High,Adj. Low,Adj. Close,Adj. Volume\n"
        "2020-01-02,9,12,8,10,100,0.0,1.0,4.5,6,4,5,200\n",
        ("f", "2020-01-02", 5.0, "adj_close", "split+dividend"),
    ),
    "kaggle-sp500": (
        "date,open,high,low,close,volume,Name\n2020-01-02,9,12,8,10,100,NA\n",
        ("NA", "2020-01-02", 10.0, "close", "unknown"),
    ),
    "kaggle-nyse": (
        "date,symbol,open,close,low,high,volume\n2020-01-02,BRK.B,9,10,8,12,100\n",
        ("BRK.B", "2020-01-02", 10.0, "close", "none"),
    ),
    "quantmod": (
        '"Date","BRK.B.Open","BRK.B.High","BRK.B.Low","BRK.B.Close","BRK.B.Volume","BRK.B.Adjusted"\n'
        '"2020-01-02",9,12,8,10,100,9.5\n',
        ("BRK.B", "2020-01-02", 9.5, "adj_close", "split+dividend"),
    ),
    "barchart": (
        "Time,Open,High,Low,Last,Change,Volume\n01/13/2020,9,12,8,10,1,100\n"
        '"Downloaded from Barchart.com as of 01-14-2020 05:00pm CST"\n',
        ("f", "2020-01-13", 10.0, "close", "unknown"),
    ),
    "nasdaq": (
        "Date,Close/Last,Volume,Open,High,Low\n01/13/2020,$10.00,100,$9.00,$12.00,$8.00\n",
        ("f", "2020-01-13", 10.0, "close", "unknown"),
    ),
    "long": ('"","Date","stock","value"\n"1",2020-01-02,"MSFT",10\n', ("MSFT", "2020-01-02", 10.0, "value", "unknown")),
    "semicolons": ("Date;Open;Close\n2020-01-02;9;10\n", ("f", "2020-01-02", 10.0, "close", "unknown")),
    "tabs": ("Date\tOpen\tClose\n2020-01-02\t9\t10\n", ("f", "2020-01-02", 10.0, "close", "unknown")),
    "bom": ("\ufeffDate,Close\n2020-01-02,10\n", ("f", "2020-01-02", 10.0, "close", "unknown")),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_by_its_column_names(tmp_path: Path, name: str) -> None:
    text, expected = FORMS[name]
    records = read(put(tmp_path, f=text))
    assert [told(r) for r in records] == [expected]
    packed = put(tmp_path / "gz", f__csv__gz=gzip.compress(text.encode()))
    assert [told(r) for r in read(packed)] == [expected]
    # Columns the other way round are the same columns.
    separator = ";" if ";" in text else "\t" if "\t" in text else ","
    lines = text.removeprefix("\ufeff").split("\r\n" if "\r\n" in text else "\n")
    turned = "\n".join(
        separator.join(reversed(line.split(separator))) for line in lines if not line.startswith('"Down')
    )
    assert [told(r) for r in read(put(tmp_path / "turned", f=turned))] == [expected]


def test_several_series_in_one_file(tmp_path: Path) -> None:
    root = put(
        tmp_path,
        fred="observation_date,DGS2,DGS10\n2020-01-02,1.5,\n2020-01-03,.,1.8\n",
        qm="Date,A.Close,B.Close\n2020-01-02,1,2\n",
    )
    assert [told(r)[:3] for r in read(root)] == [
        ("DGS2", "2020-01-02", 1.5),
        ("DGS10", "2020-01-03", 1.8),
        ("A", "2020-01-02", 1.0),
        ("B", "2020-01-02", 2.0),
    ]


@pytest.mark.parametrize(
    ("name", "instrument"),
    [
        ("yahoofinance-BRK-B-20040819-20180120.csv", "BRK-B"),
        ("AAPL_data.csv", "AAPL"),
        ("aapl_us_d.csv", "AAPL.US"),
        ("aapl.us.txt", "AAPL.US"),
        ("WIKI-AAPL.csv", "AAPL"),
        ("TRUE.csv", "TRUE"),
    ],
)
def test_a_file_names_its_instrument(tmp_path: Path, name: str, instrument: str) -> None:
    (tmp_path / "financial").mkdir()
    (tmp_path / "financial" / name).write_text("Date,Open,Close\n2020-01-02,1,2\n", encoding="utf-8")
    [record] = read(tmp_path)
    assert record.labels["instrument"] == record.group == instrument
    assert record.labels["adjusted"] == ("split+dividend" if name.startswith("aapl") else "unknown")


def test_adjustment_can_be_said_only_where_the_form_does_not(tmp_path: Path) -> None:
    root = put(tmp_path, a="Date,Close\n2020-01-02,1\n", b="DATE,VALUE\n2020-01-02,1\n")
    assert [r.labels["adjusted"] for r in read(root, "?adjusted=split")] == ["split", "none"]


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2019-11-05", "2019-11-05"),
        ("20191105", "2019-11-05"),
        ("2019/11/05", "2019-11-05"),
        ("Nov 05, 2019", "2019-11-05"),
        ("5-Nov-2019", "2019-11-05"),
        ("2019-11-05 09:30", "2019-11-05T09:30:00"),
        ("2019-11-05T09:30:15Z", "2019-11-05T09:30:15Z"),
        ("2019-11-05 09:30:00-05:00", "2019-11-05T14:30:00Z"),
        ("20191105 153000", "2019-11-05T15:30:00"),
        ("2020-02-29", "2020-02-29"),
        ("1871.01", "1871-01-01"),
        ("1871.1", "1871-10-01"),
    ],
)
def test_days(text: str, iso: str) -> None:
    moment, since = Days()(text)
    assert moment == iso
    assert int(since) == date.fromisoformat(iso[:10]).toordinal()


@pytest.mark.parametrize(
    "text",
    [
        "2019-02-29",
        "2019-13-01",
        "11/5/19",
        "x",
        "",
        "2019-1105",
        "1871.13",
        "1871.2",
        "2019-11-05 25:00",
        "٢٠١٩-11-05",
    ],
)
def test_what_is_no_day(text: str) -> None:
    with pytest.raises(ValueError, match=r"date|calendar|two digits"):
        Days("mdy")(text)


@pytest.mark.parametrize(
    ("texts", "order"),
    [
        (["1/2/2020", "1/13/2020"], "mdy"),
        (["2/1/2020", "13/1/2020"], "dmy"),
        (["13.01.2020"], "dmy"),
        (["2020-01-02"], ""),
        (["11/5/2019 9:30", "11/6/2019 9:30"], "mdy"),
        (["5/11/2019 9:30", "6/11/2019 9:30"], "dmy"),
    ],
)
def test_the_order_is_decided_from_all_days(texts: list[str], order: str) -> None:
    assert decide_order(texts) == order


@pytest.mark.parametrize("texts", [["1/2/2020", "3/4/2020"], ["11/5/2019 9:30"], ["1/13/2020", "13/1/2020"]])
def test_an_order_that_days_do_not_say_is_an_error(tmp_path: Path, texts: list[str]) -> None:
    with pytest.raises(ValueError, match="month"):
        decide_order(texts)
    root = put(tmp_path, a="Date,Close\n" + "".join(f"{t},1\n" for t in texts), b="Date,Close\n2020-01-02,5\n")
    corpus = make_corpus("financial", root)
    assert [told(r)[2] for r in corpus.records()] == [5.0]
    assert dict(corpus.problems()) == {"a file that is not read": 1}
    assert "a.csv" in corpus.problems().places("a file that is not read")[0]
    if "13" not in texts[0] + texts[-1]:
        assert {r.labels["date"][5:7] for r in read(root, ":a.csv?dates=mdy")} <= {"01", "03", "11"}
        assert {r.labels["date"][5:7] for r in read(root, ":a.csv?dates=dmy")} <= {"02", "04", "05"}


def test_days_come_in_order_and_once(tmp_path: Path) -> None:
    rows = "2020-01-06,3\n2020-01-03,2\n2020-01-02,1\n2020-01-03,2\n2020-01-07,4\n2020-01-07,5\n"
    corpus = make_corpus("financial", put(tmp_path, a=f"Date,Close\n{rows}"))
    assert [(r.labels["date"], r.labels["value"]) for r in corpus.records()] == [
        ("2020-01-02", 1.0),
        ("2020-01-03", 2.0),
        ("2020-01-06", 3.0),
    ]
    assert dict(corpus.problems()) == {
        "a row that repeats its day with the same numbers (merged)": 1,
        "rows of one day that contradict each other (day left out)": 2,
    }
    assert corpus.problems().places("rows of one day that contradict each other (day left out)") == (
        "a.csv:6",
        "a.csv:7",
    )
    # The day nobody can tell is missing, so no return goes over it.
    more = put(tmp_path / "m", a=f"Date,Close\n{rows}2020-01-08,6\n2020-01-09,9\n")
    assert [(r.labels["date"], r.payload["gap"]) for r in read(more, "?view=returns")] == [
        ("2020-01-03", False),
        ("2020-01-06", False),
        ("2020-01-09", False),
    ]
    assert [r.payload["gap"] for r in read(more, "?view=returns&gaps=bridge")] == [False, False, True, False]


def test_instruments_that_alternate_are_the_same_series(tmp_path: Path) -> None:
    days = [date(2020, 1, 1) + timedelta(days=i) for i in range(40)]
    together = "".join(f"{d},{n},{i + k}\n" for k, n in enumerate(("X", "Y")) for i, d in enumerate(days, start=1))
    apart = "".join(f"{d},{n},{i + k}\n" for i, d in enumerate(days, start=1) for k, n in enumerate(("X", "Y")))
    one, two = (
        [
            (*told(r), r.payload, r.group)
            for r in read(put(tmp_path / n, a=f"Date,stock,value\n{rows}"), "?view=returns")
        ]
        for n, rows in (("one", together), ("two", apart))
    )
    assert one == two
    assert len(one) == 78


def test_returns_and_drawdown(tmp_path: Path) -> None:
    root = put(tmp_path, a="Date,Close\n2020-01-02,100\n2020-01-03,110\n2020-01-06,99\n2020-01-07,\n2020-01-08,120\n")
    simple = read(root, "?view=returns")
    assert [r.labels["value"] for r in simple] == pytest.approx([0.1, -0.1])
    assert simple[1].payload == {"return": 99 / 110 - 1, "price": 99.0, "previous": 110.0, "days": 3, "gap": False}
    log = read(root, "?view=returns&returns=log&gaps=bridge")
    assert [r.labels["value"] for r in log] == pytest.approx([math.log(1.1), math.log(0.9), math.log(120 / 99)])
    assert [r.payload["gap"] for r in log] == [False, False, True]
    down = read(root, "?view=drawdown")
    assert [r.labels["value"] for r in down] == pytest.approx([0, 0, -0.1, 0])
    assert down[2].payload == {"drawdown": 99 / 110 - 1, "price": 99.0, "peak": 110.0, "days": 3}
    corpus = make_corpus("financial?view=returns", root)
    assert dict(corpus.problems()) == {
        "no close on a day (left out)": 1,
        "no return over missing days (gaps=bridge asks for it)": 1,
    }


def test_a_step_longer_than_usual_is_a_gap(tmp_path: Path) -> None:
    root = put(
        tmp_path,
        daily="Date,Close\n2001-09-06,1\n2001-09-07,1\n2001-09-10,1\n2001-09-17,1\n2001-09-18,1\n2001-09-28,1\n",
        monthly="Date,Close\n2020-01-01,1\n2020-02-01,1\n2020-03-01,1\n2020-05-01,1\n2020-06-01,1\n",
    )
    corpus = make_corpus("financial?view=returns", root)
    days = [r.labels["date"] for r in corpus.records()]
    assert "2001-09-17" in days, "a week of closure is none"
    assert not {"2001-09-28", "2020-05-01"} & set(days)
    assert corpus.problems()["no return over missing days (gaps=bridge asks for it)"] == 2


def test_prices_that_are_not_above_zero_have_no_return(tmp_path: Path) -> None:
    """The price of crude oil was −37.63 on 2020-04-20."""
    root = put(tmp_path, wti="DATE,WTI\n2020-04-17,18.27\n2020-04-20,-37.63\n2020-04-21,10.01\n2020-04-22,13.78\n")
    assert [r.labels["value"] for r in read(root)] == [18.27, -37.63, 10.01, 13.78]
    returns = make_corpus("financial?view=returns", root)
    assert [r.labels["date"] for r in returns.records()] == ["2020-04-22"]
    assert returns.problems()["no return to or from a price that is not above 0"] == 2


def test_groups_and_choices(tmp_path: Path) -> None:
    root = put(tmp_path, a="Date,Name,Close,Open\n2020-01-02,A,1,7\n2020-04-01,A,2,8\n2020-04-01,B,3,9\n")
    groups = {q: [r.group for r in read(root, f"?group={q}")] for q in ("instrument", "year", "quarter", "month")}
    assert groups == {
        "instrument": ["A", "A", "B"],
        "year": ["A 2020", "A 2020", "B 2020"],
        "quarter": ["A 2020-Q1", "A 2020-Q2", "B 2020-Q2"],
        "month": ["A 2020-01", "A 2020-04", "B 2020-04"],
    }
    assert [r.labels["value"] for r in read(root, "?price=open&instrument=A")] == [7.0, 8.0]
    with pytest.raises(UsageError, match="has only"):
        read(root, "?price=adj_close")
    for query in ("?view=x", "?returns=x", "?gaps=x", "?group=x", "?dates=ymd", "?adjusted=x"):
        with pytest.raises(UsageError):
            make_corpus(f"financial{query}", root)


BROKEN_ROWS = {
    "a word": "2020-01-03,abc,2",
    "underscores": "2020-01-03,1_000,2",
    "other digits": "2020-01-03,١,2",
    "infinite": "2020-01-03,inf,2",
    "too large": "2020-01-03,1e999,2",
    "decimal comma": '2020-01-03,"1,5",2',
    "NUL": "2020-01-03,1\x002,2",
    "no day": "2020-02-30,1,2",
    "short": "2020-01-03,1",
    "long": "2020-01-03,1,2,3",
    "empty day": ",1,2",
}


@pytest.mark.parametrize("name", BROKEN_ROWS)
def test_a_broken_row_is_counted_and_gives_no_record(tmp_path: Path, name: str) -> None:
    root = put(tmp_path, a=f"Date,Open,Close\n2020-01-02,1,2\n{BROKEN_ROWS[name]}\n2020-01-06,3,4\n")
    corpus = make_corpus("financial", root)
    assert [(r.labels["date"], dict(r.payload)) for r in corpus.records()] == [
        ("2020-01-02", {"open": 1.0, "close": 2.0}),
        ("2020-01-06", {"open": 3.0, "close": 4.0}),
    ]
    assert corpus.problems().total == 1
    assert "a.csv:3" in corpus.problems().places(next(iter(corpus.problems())))[0]
    assert corpus.table()["close"].tolist() == [2.0, 4.0], "nor does the data frame have it"


GOOD = b"Date,Close\n2020-01-02,10\n"
BROKEN_FILES = {
    "empty": (b"", "empty"),
    "header only": (b"Date,Close\n", ""),
    "html": (b"<!DOCTYPE html><html>", "HTML"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "no table": (b"hello\nworld\n", "no column of days"),
    "no price": (b"Date,temperature\n2020-01-02,3\n", "no column of prices"),
    "double header": (b"Date,Close,Close\n2020-01-02,1,2\n", "twice"),
    "two closes": (b"Date,Close,Last\n2020-01-02,1,2\n", "two columns for close"),
    "utf-16": ("Date,Close\n2020-01-02,1\n".encode("utf-16"), "UTF"),
    "latin-1 header": (b"Dat\xe9,Close\n", "UTF-8"),
    "zip": (b"PK\x03\x04rest", "zip"),
    "binary": (b"\x00\x01\x02", "binary"),
    "open quote": (b'"Date,Close\n2020-01-02,1\n', "header"),
}


@pytest.mark.parametrize("name", BROKEN_FILES)
def test_a_file_that_is_none_is_named(tmp_path: Path, name: str) -> None:
    data, words = BROKEN_FILES[name]
    corpus = make_corpus("financial", put(tmp_path, bad=data, good=GOOD))
    assert [r.labels["value"] for r in corpus.records()] == [10.0]
    assert corpus.table()["value"].tolist() == [10.0]
    state = corpus.availability()
    if not words:
        assert (state.state, dict(corpus.problems())) == ("ok", {})
        return
    assert state.state == "partial"
    assert words in state.found
    assert "bad.csv" in state.found
    assert dict(corpus.problems()) == {"a file that is not read": 1}
    alone = make_corpus("financial:bad.csv", tmp_path)
    with pytest.raises(CorpusUnavailable, match="wrong"):
        next(alone.records())


def test_a_file_that_breaks_off_gives_what_is_before(tmp_path: Path) -> None:
    corpus = make_corpus("financial", put(tmp_path, a=GOOD + b'2020-01-03,"11\n'))
    assert [r.labels["value"] for r in corpus.records()] == [10.0]
    assert dict(corpus.problems()) == {"a file that breaks off: the rest is not read": 1}
    assert corpus.table()["value"].tolist() == [10.0]


def test_bytes_that_are_no_utf8_spoil_their_own_cell_only(tmp_path: Path) -> None:
    data = b"Date,Name,Close,note\n2020-01-02,A,1,caf\xe9\n2020-01-03,A,\xff2,x\n2020-01-02,\xe9,3,x\n2020-01-06,A,4,\n"
    corpus = make_corpus("financial", put(tmp_path, a=data))
    assert [(r.labels["date"], r.labels["value"]) for r in corpus.records()] == [
        ("2020-01-02", 1.0),
        ("2020-01-06", 4.0),
    ]
    assert dict(corpus.problems()) == {
        "a cell that is no number (day left out)": 1,
        "a row without an instrument, or one not in UTF-8 (left out)": 1,
    }
    assert corpus.table()["value"].tolist() == [1.0, 4.0]


def test_a_cut_gzip_file_gives_no_wrong_record(tmp_path: Path) -> None:
    rows = [f"{date(2000, 1, 1) + timedelta(days=i)},{i}.25" for i in range(3000)]
    whole = gzip.compress(("Date,Close\n" + "\n".join(rows)).encode())
    corpus = make_corpus("financial", put(tmp_path, a__csv__gz=whole[: len(whole) // 2]))
    found = [f"{r.labels['date']},{r.labels['value']}" for r in corpus.records()]
    assert found == rows[: len(found)]
    assert 0 < len(found) < 3000
    assert dict(corpus.problems()) == {"a file that breaks off: the rest is not read": 1}


def test_long_fields_and_newlines_in_quotes(tmp_path: Path) -> None:
    text = 'Date,note,Close\n2020-01-02,"two\nlines",1\n2020-01-03,"' + "x" * 200_000 + '",2\n2020-01-06,,3\n'
    records = read(put(tmp_path, a=text))
    assert [(r.labels["value"], r.meta["line"]) for r in records] == [(1.0, 3), (2.0, 4), (3.0, 5)]


prices = st.floats(0.01, 1e6).map(repr) | st.sampled_from(
    ["", ".", "null", "NaN", "1e999", "x", "1_0", "007", "+1", " 2 "]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    rows=st.lists(
        st.tuples(st.dates(date(1990, 1, 1), date(1990, 3, 1)), st.sampled_from(["A", "NA", "007", ""]), prices, prices)
    ),
    slashes=st.booleans(),
)
def test_the_data_frame_is_the_records(tmp_path: Path, rows: list[tuple[date, str, str, str]], slashes: bool) -> None:
    lines = [f"{f'{d.month}/{d.day}/{d.year}' if slashes else d},{n},{a},{b}" for d, n, a, b in rows]
    corpus = make_corpus("financial?dates=mdy", put(tmp_path, a="\n".join(["Date,Name,Open,Close", *lines]) + "\n"))
    records = list(corpus.records())
    frame = corpus.table()
    assert frame["value"].tolist() == [r.labels["value"] for r in records]
    assert len({r.id for r in records}) == len(records)
    if records:
        assert frame["instrument"].tolist() == [r.labels["instrument"] for r in records]
        assert [str(d)[:10] for d in frame["date"]] == [r.labels["date"] for r in records]
        opens = [r.payload["open"] for r in records]
        assert [None if math.isnan(x) else x for x in frame["open"]] == opens


def test_the_sample_is_read_without_a_problem(tmp_path: Path) -> None:
    corpus = make_corpus("financial", make_corpus("financial").write_sample(tmp_path, 1))
    forms = {r.meta["form"] for r in corpus.records()}
    assert forms == {"yahoo", "stooq", "fred", "shiller", "quandl-wiki", "kaggle-sp500", "quantmod", "barchart"}
    assert dict(corpus.problems()) == {"no value on a day (left out)": 10}
    assert corpus.describe().kind == "generated sample"
    assert {"NA", "TRUE"} <= {r.group for r in corpus.records()}
    frame = corpus.table()
    assert frame["value"].tolist() == [r.labels["value"] for r in corpus.records()]


def test_absent_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CorpusUnavailable, match="OPHAMIN_DATA_ROOT is set"):
        next(make_corpus("financial").records())
    put(tmp_path, readme__txt="hello")
    state = make_corpus("financial", tmp_path).availability()
    assert (state.state, "no price file" in state.found) == ("absent", True)
    assert "ophamin corpus sample financial" in state.how_to_get


# First and last record of every series, as they stand in the files.
REAL = {
    ("arch/sp500.csv.gz", "sp500"): (5031, ("1999-01-04", 1228.099976), ("2018-12-31", 2506.850098), "split+dividend"),
    ("arch/wti.csv.gz", "DCOILWTICO"): (8321, ("1986-01-02", 25.56), ("2019-01-03", 46.92), "none"),
    ("plotly/quandl_wiki_sample.csv", "AAPL"): (753, ("2015-01-02", 103.86395724039), ("2017-12-29", 169.23), "split+dividend"),
    ("plotly/quandl_wiki_sample.csv", "TSLA"): (754, ("2015-01-02", 219.31), ("2017-12-29", 311.35), "split+dividend"),
    ("plotly/quandl_wiki_sample.csv", "COKE"): (754, ("2015-01-02", 88.194229267539), ("2017-12-29", 215.26), "split+dividend"),
    ("plotly/quantmod_AAPL.csv", "AAPL"): (506, ("2015-02-17", 122.905254), ("2017-02-16", 135.350006), "split+dividend"),
    ("plotly/stockdata2_head400.csv", "MSFT"): (80, ("2007-01-03", 23.950705), ("2007-04-27", 24.243021), "unknown"),
    ("plotly/stockdata2_head400.csv", "IBM"): (80, ("2007-01-03", 80.517962), ("2007-04-27", 83.998673), "unknown"),
    ("plotly/stockdata2_head400.csv", "SBUX"): (80, ("2007-01-03", 16.149666), ("2007-04-27", 14.431616), "unknown"),
    ("plotly/stockdata2_head400.csv", "AAPL"): (80, ("2007-01-03", 11.086612), ("2007-04-27", 13.219263), "unknown"),
    ("plotly/stockdata2_head400.csv", "GSPC"): (79, ("2007-01-03", 1416.599976), ("2007-04-26", 1494.25), "unknown"),
    ("shiller_fred/fred_SP500.csv", "SP500"): (2514, ("2016-02-12", 1864.78), ("2026-02-11", 6941.47), "none"),
    ("shiller_fred/sp500_monthly_shiller.csv", "SP500"): (1866, ("1871-01-01", 4.44), ("2026-06-01", 7450.03), "none"),
    ("yahoo/SP500_NOV2019_Hist.csv", "SP500_NOV2019_Hist"): (20, ("2019-11-01", 3066.91), ("2019-11-29", 3140.98), "unknown"),
    ("yahoo/SP500_NOV2019_IDay.csv", "SP500_NOV2019_IDay"): (1563, ("2019-11-05T09:30:00", 3080.49), ("2019-11-08T15:59:00", 3092.91), "unknown"),
    ("yahoo/jpyusd_barchartdotcom.csv", "jpyusd_barchartdotcom"): (519, ("2018-03-12", 0.009397), ("2020-03-11", 0.009582), "unknown"),
    ("yahoo/yahoofinance-AAPL-20040819-20180120.csv", "AAPL"): (3379, ("2004-08-19", 1.966391), ("2018-01-19", 178.460007), "split+dividend"),
    ("yahoo/yahoofinance-INTC-19950101-20040412.csv", "INTC"): (2335, ("1995-01-03", 2.669861), ("2004-04-08", 18.752058), "split+dividend"),
}  # fmt: skip


@pytest.mark.data
def test_every_real_file_is_read_rightly(real_root: Path) -> None:
    corpus = make_corpus("financial", real_root)
    assert corpus.availability().state == "ok"
    series: dict[tuple[str, str], list[Record]] = {}
    for record in corpus.records():
        series.setdefault((record.meta["file"], record.labels["instrument"]), []).append(record)
    ends = {
        key: (
            len(found),
            *((r.labels["date"], r.labels["value"]) for r in (found[0], found[-1])),
            found[0].labels["adjusted"],
        )
        for key, found in series.items()
    }
    assert ends == REAL
    # 95 holidays in FRED's S&P 500 and 290 in its oil price; nothing else is missing.
    assert dict(corpus.problems()) == {"no value on a day (left out)": 385}
    shiller = series["shiller_fred/sp500_monthly_shiller.csv", "SP500"]
    assert [r.payload["pe10"] for r in shiller[119:121]] == [None, 18.47]
    assert shiller[-1].payload["dividend"] is None
    frame = corpus.table()
    assert frame["value"].tolist() == [r.labels["value"] for found in series.values() for r in found]


@pytest.mark.data
def test_real_returns_and_drawdowns(real_root: Path) -> None:
    drawdowns = make_corpus("financial:arch/sp500.csv.gz?view=drawdown", real_root)
    worst = min(drawdowns.records(), key=lambda r: r.labels["value"])
    assert (worst.labels["date"], round(worst.labels["value"], 4)) == ("2009-03-09", -0.5678)
    returns = make_corpus("financial:arch/sp500.csv.gz?view=returns", real_root)
    by_day = {r.labels["date"]: r.payload for r in returns.records()}
    assert len(by_day) == 5030
    assert by_day["2001-09-17"]["days"] == 7
    assert round(min(p["return"] for p in by_day.values()), 4) == -0.0903


def test_a_short_row_is_no_row_with_a_missing_cell(tmp_path: Path) -> None:
    root = put(tmp_path, a="Date,Close,Volume\n2020-01-02,1,5\n2020-01-03,2\n2020-01-06,3,6\n")
    corpus = make_corpus("financial", root)
    assert [r.labels["value"] for r in corpus.records()] == corpus.table()["value"].tolist() == [1.0, 3.0]
