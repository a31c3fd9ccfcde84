from __future__ import annotations

import csv
import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ophamin.proof.errors import CorpusUnavailable, UsageError
from ophamin.registry import make_corpus
from ophamin.seeing.corpus._table_cells import column_values, content_ids
from ophamin.seeing.corpus.table import TableCorpus


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


def test_columns_become_payload_id_group_and_labels(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", "key,prompt,who,y,value,ok,note\nk1,hé,a,1,0.5,true,\nk2,b,,0,-3,no,x y\n")
    corpus = make_corpus(f"table:{path}?text=prompt&label=y&id=key&group=who")
    first, second = corpus.records()
    assert (first.id, first.payload, first.group) == ("k1", "hé", "a")
    assert first.labels == {"label": "1", "value": 0.5, "ok": True, "note": None}
    assert (second.group, second.labels["value"], second.labels["ok"]) == (None, -3, "no")
    assert corpus.count() == 2


@pytest.mark.parametrize("text", ["007", "1_000", "١", "1e999", "inf", "nan", "+1", "0x1", " 1", "-", "1.", ".5"])
def test_only_what_json_calls_a_number_is_one(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "rows.csv", f"text,value\nx,{text}\n")
    assert next(TableCorpus(str(path)).records()).labels["value"] == text


def test_tsv_jsonl_gzip_and_separators_read_alike(tmp_path: Path) -> None:
    rows = [{"text": "a,\tb", "label": "1"}, {"text": "c\nd", "label": "0"}]
    write(tmp_path / "r.jsonl", "\n\n".join(json.dumps(r) for r in rows))
    for name, separator in (("r.csv", ","), ("r.tsv", "\t"), ("semi.csv", ";")):
        with (tmp_path / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter=separator).writerows([["text", "label"], *(r.values() for r in rows)])
    for name in ("r.csv", "r.jsonl"):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    (tmp_path / "bom.csv").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "r.csv").read_bytes())
    specs = ["r.csv", "r.tsv", "semi.csv?sep=semicolon", "r.jsonl", "r.csv.gz", "r.jsonl.gz", "bom.csv"]
    read = [[(r.payload, r.labels) for r in make_corpus(f"table:{s}", tmp_path).records()] for s in specs]
    assert all(each == read[0] for each in read)
    assert read[0] == [(r["text"], {"label": r["label"]}) for r in rows]
    plain, packed = (make_corpus(f"table:{tmp_path}/{name}") for name in ("r.csv", "r.csv.gz"))
    assert plain.content_hash() == packed.content_hash()


def test_json_values_stay_what_they_are(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl", '{"text": [1, 2.5], "value": "4", "deep": {"a": null}}\n')
    [record] = TableCorpus(str(path)).records()
    assert (record.payload, record.labels) == ([1, 2.5], {"value": "4", "deep": {"a": None}})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r"), min_size=1), min_size=1))
def test_any_text_survives_csv_and_jsonl(tmp_path: Path, texts: list[str]) -> None:
    with (tmp_path / "p.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["text", "n"], *([t, i] for i, t in enumerate(texts))])
    write(tmp_path / "p.jsonl", "".join(json.dumps({"text": t}) + "\n" for t in texts))
    for name in ("p.csv", "p.jsonl"):
        assert [r.payload for r in TableCorpus(str(tmp_path / name)).records()] == texts


def test_a_field_longer_than_the_csv_module_allows_by_default(tmp_path: Path) -> None:
    path = write(tmp_path / "long.csv", f"text\n{'x' * 300_000}\n")
    assert len(next(TableCorpus(str(path)).records()).payload) == 300_000


MISTAKES = {
    "unknown column": ("text,label\na,1\n", "?label=lable", "did you mean 'label'"),
    "which payload": ("a,b\n1,2\n", "", "add text="),
    "two equal ids": ("id,text\n1,a\n1,b\n", "", "line 3: the id '1' comes twice"),
    "two equal columns": ("text,x,x\na,1,2\n", "", "'x' comes twice"),
    "no id": ("id,text\n,a\n", "", "no value in the column 'id'"),
    "open quote": ('text\n"a\n', "", "line 2"),
    "text after a quote": ('text,n\na,1\n"b"x,2\n', "", "line 3: ',' expected after"),
    "text after an empty quote": ('text,n\n""b,2\n', "", "line 2: ',' expected after"),
    "a quote within quotes": ('text,n\n"a,"b",2\n', "", "line 2: ',' expected after"),
    "another separator": ("text;label\na;1\n", "", "'text;label' is one column; if it is several, add sep=semicolon"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_name_the_line_and_what_to_do(tmp_path: Path, name: str) -> None:
    text, query, message = MISTAKES[name]
    path = write(tmp_path / "rows.csv", text)
    with pytest.raises(UsageError, match=message):
        list(make_corpus(f"table:{path}{query}").records())


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": NaN}', "a line that is not JSON (left out)"),
        (b'{"text": ' + b"[" * 100_000, "a line that is not JSON (left out)"),
        (b'{"text": "cut', "a line that is not JSON (left out)"),
        (b"[1]", "a line that is no JSON object (left out)"),
        (b'{"x": 1}', "no value in the payload column (left out)"),
        (b'{"text": null}', "no value in the payload column (left out)"),
    ],
)
def test_a_bad_json_line_is_counted_and_takes_no_neighbour_with_it(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'{"text": "a"}\n' + line + b'\n{"text": "b"}\n' + line)
    corpus = TableCorpus(str(path))
    assert [(r.payload, r.meta["line"]) for r in corpus.records()] == [("a", 1), ("b", 3)]
    assert dict(corpus.problems()) == {reason: 2}
    assert corpus.problems().places(reason) == ("line 2", "line 4")
    assert corpus.table()["text"].tolist() == ["a", "b"]


@pytest.mark.parametrize("number", ["1e400", "-2E+0309", "9" * 310 + ".0"])
def test_a_number_no_record_can_hold_costs_its_line(tmp_path: Path, number: str) -> None:
    path = write(tmp_path / "rows.jsonl", f'{{"text":"a","v":{number}}}\n{{"text":"b","v":1e-400}}\n')
    corpus = make_corpus(f"table:{path}")
    assert [(r.payload, r.labels["v"]) for r in corpus.records()] == [("b", 0.0)]
    assert corpus.problems().places("half a character or a number beyond all floats (left out)") == ("line 1",)


def test_half_a_character_costs_its_line(tmp_path: Path) -> None:
    lines = ['{"text":"a\\ud83d"}', '{"text":"b","id":"\\uDFFF"}', '{"text":"\\ud83d\\ude00"}', '{"text":"\\\\ud83d"}']
    corpus = make_corpus(f"table:{write(tmp_path / 'rows.jsonl', chr(10).join(lines))}")
    assert [r.payload for r in corpus.records()] == ["\U0001f600", "\\ud83d"]
    assert corpus.problems().total == 2
    assert corpus.table()["text"].tolist() == ["\U0001f600", "\\ud83d"]


def test_zero_is_an_id(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", '{"text":"a","id":0}\n{"text":"b","id":1}\n')
    assert [r.id for r in make_corpus(f"table:{path}").records()] == ["0", "1"]
    write(path, '{"text":"a","id":null}\n')
    with pytest.raises(UsageError, match="no value in the column 'id'"):
        list(make_corpus(f"table:{path}").records())


def test_the_line_that_is_not_utf8_is_the_one_that_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"text\n" + b"a\n" * 5000 + b"\xe9\n" + b"a\n" * 5000)
    with pytest.raises(UsageError, match="line 5002: not UTF-8"):
        list(make_corpus(f"table:{path}").records())


@pytest.mark.parametrize("begin", ["\n\n", "\r\n", "\ufeff\n", "\n" * 600])
def test_empty_lines_before_the_header(tmp_path: Path, begin: str) -> None:
    path = write(tmp_path / "rows.csv", f"{begin}text,n\na,1\n")
    corpus = make_corpus(f"table:{path}")
    [record] = corpus.records()
    assert (record.payload, record.labels, record.meta["line"]) == ("a", {"n": 1}, begin.count("\n") + 2)
    assert corpus.problems().total == 0
    assert corpus.table().to_dict("list") == {"text": ["a"], "n": [1]}
    assert list(make_corpus(f"table:{write(tmp_path / 'empty.csv', begin)}").records()) == []


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    for name, data, says in (
        ("a.csv", gzip.compress(b"text\na\n"), "a.csv is a gzip archive, not text"),
        ("a.csv.gz", b"text\na\n", "is something else, not a gzip archive"),
        ("b.csv", "text\na\n".encode("utf-16"), "b.csv is UTF-16 text, not UTF-8"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(CorpusUnavailable, match=says):
            list(make_corpus(f"table:{tmp_path / name}").records())


CELLS = st.sampled_from(
    ["a", "1", '"', '""', ",", "\n", "\r\n", "\r", 'x"y', '"q"', '"a,b"', '"l\nm"', " ", "é", "0.5", ""]
)


def both(path: Path) -> tuple[Any, Any]:
    """What the records and the data frame say, or why they say nothing."""

    def told(read: Any) -> Any:
        try:
            return read(make_corpus(f"table:{path}"))
        except UsageError as error:
            return str(error)

    def framed(corpus: Any) -> Any:
        frame = corpus.table()
        return list(zip(frame["text"].tolist(), frame["label"].tolist(), strict=True)) if len(frame) else []

    return told(lambda corpus: [(r.payload, r.labels["label"]) for r in corpus.records()]), told(framed)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(CELLS, max_size=14))
def test_a_data_frame_says_what_the_records_say(tmp_path: Path, cells: list[str]) -> None:
    records, frame = both(write(tmp_path / "rows.csv", "text,label\n" + "".join(cells)))
    assert frame == records


@pytest.mark.parametrize("cells", ['"a""b",1\n', '"a"b,1\n', 'a,"b\n"\n', "a,1\r\n", "\r,"])
def test_quotes_at_the_seam_of_two_reads(tmp_path: Path, cells: str) -> None:
    head = "text,label\n"
    for before in range(len(cells) + 1):
        long = "z" * ((1 << 20) - len(head) - len(",1\n") - before)
        records, frame = both(write(tmp_path / "rows.csv", f"{head}{long},1\n{cells}c,2\n"))
        assert frame == records


def test_json_that_is_not_utf8_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_bytes(b'{"text": "caf\xe9"}\n')
    with pytest.raises(UsageError, match="line 1: not UTF-8 text; convert the file"):
        list(TableCorpus(str(tmp_path / "r.jsonl")).records())


def test_a_cut_gzip_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "r.csv.gz").write_bytes(gzip.compress(b"text\n" + b"a\n" * 10_000)[:-12])
    with pytest.raises(UsageError, match="gzip"):
        list(TableCorpus(str(tmp_path / "r.csv.gz")).records())


@pytest.mark.parametrize(
    ("data", "state", "found"),
    [
        (None, "absent", ""),
        (b"", "wrong", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "wrong", "git-lfs"),
        (b"<!DOCTYPE html><html>404", "wrong", "HTML"),
        (b"text\na\n", "ok", "7 bytes"),
    ],
)
def test_availability(tmp_path: Path, data: bytes | None, state: str, found: str) -> None:
    path = tmp_path / "rows.csv"
    if data is not None:
        path.write_bytes(data)
    corpus = TableCorpus(str(path))
    assert corpus.availability().state == state
    assert found in corpus.availability().found
    assert corpus.availability().looked_in == (str(path),)
    if state != "ok":
        with pytest.raises(CorpusUnavailable, match=state):
            list(corpus.records())


def test_the_hash_is_never_stale(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", "text\na\n")
    corpus = TableCorpus(str(path))
    seen = {corpus.content_hash()}
    for letter in "bcd":  # same size, within one tick of the clock
        write(path, f"text\n{letter}\n")
        seen.add(corpus.content_hash())
    assert len(seen) == 4


def test_its_sample_can_be_used(tmp_path: Path) -> None:
    root = TableCorpus().write_sample(tmp_path, seed=1)
    corpus = make_corpus("table:rows.csv?label=label&group=group", root)
    assert corpus.count() == 200
    assert {"answer", "value", "confidence", "label"} == set(corpus.sample(1, 0)[0].labels)


def spelled(value: object) -> object:
    return None if value is None or value != value else value


def test_a_table_is_a_data_frame_too(tmp_path: Path) -> None:
    rows = "id,text,label,group,value,n,flag,word\n01,a,1,,0.5,3,true,x\n02,,0,g,,4,false,007\n"
    write(tmp_path / "r.csv", rows)
    (tmp_path / "r.csv.gz").write_bytes(gzip.compress(rows.encode()))
    for name in ("r.csv", "r.csv.gz"):
        frame = make_corpus(f"table:{name}?group=group", tmp_path).table()
        assert list(frame.columns) == rows.splitlines()[0].split(",")
        assert frame["id"].tolist() == ["01", "02"], "ids stay text"
        assert frame["label"].tolist() == ["1", "0"]
        assert frame["n"].tolist() == [3, 4]
        assert frame["flag"].tolist() == [True, False]
        assert [spelled(v) for v in frame["value"]] == [0.5, None]
    write(tmp_path / "r.jsonl", '{"text": "a", "n": 1}\n{"text": "b", "n": 2}\n')
    frame = make_corpus("table:r.jsonl", tmp_path).table()
    assert (frame["text"].tolist(), frame["n"].tolist()) == (["a", "b"], [1, 2])


@pytest.mark.parametrize("name", MISTAKES)
def test_a_data_frame_hides_no_mistake(tmp_path: Path, name: str) -> None:
    text, query, message = MISTAKES[name]
    path = write(tmp_path / "rows.csv", text)
    with pytest.raises(UsageError, match=message):
        make_corpus(f"table:{path}{query}").table()


@pytest.mark.parametrize("row", ["b,2,3", "b", "b,2,3\nc,4,5", "b,2,"])
@pytest.mark.parametrize("first", [True, False])
def test_ragged_rows_never_become_cells(tmp_path: Path, row: str, first: bool) -> None:
    path = write(tmp_path / "rows.csv", f"text,n\n{row}\na,1\n" if first else f"text,n\na,1\n{row}\n")
    table = make_corpus(f"table:{path}")
    assert [(r.payload, r.labels["n"]) for r in table.records()] == [("a", 1)]
    ragged = [len(r.split(",")) != 2 for r in row.split("\n")]
    assert dict(table.problems()) == {"a row that has not the 2 fields of the header (left out)": sum(ragged)}
    assert table.table().to_dict("list") == {"text": ["a"], "n": [1]}
    prices = tmp_path / "financial" / "a.csv"
    prices.parent.mkdir()
    rows = [f"2020-01-0{i},{r.partition(',')[2] or 1}" for i, r in enumerate(row.split("\n"), start=2)]
    whole = ["2020-01-10,7", *rows] if not first else [*rows, "2020-01-10,7"]
    write(prices, "Date,Close\n" + "\n".join(whole) + "\n")
    corpus = make_corpus("financial", tmp_path)
    assert corpus.table()["value"].tolist() == [r.labels["value"] for r in corpus.records()]


def test_a_nul_does_not_end_a_cell(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", "text,value\na\0b,1\nc,1\x002\n")
    records = list(make_corpus(f"table:{path}").records())
    assert [(r.payload, r.labels["value"]) for r in records] == [("a\0b", 1), ("c", "1\x002")]
    assert make_corpus(f"table:{path}").table()["text"].tolist() == ["a\0b", "c"]


def test_ragged_rows_are_counted_wherever_they_stand(tmp_path: Path) -> None:
    many = [f"{i},t{i}" for i in range(1500)]
    for at in (0, 511, 512, 1023, 1500):  # also at both ends of a batch
        path = write(tmp_path / "rows.csv", "\n".join(["id,text", *many[:at], "x", "y,1,2", *many[at:]]) + "\n")
        corpus = make_corpus(f"table:{path}")
        records = list(corpus.records())
        assert [r.id for r in records] == [str(i) for i in range(1500)]
        assert [r.meta["line"] for r in records] == [*range(2, at + 2), *range(at + 4, 1504)]
        reason = "a row that has not the 2 fields of the header (left out)"
        assert corpus.problems().places(reason) == (f"line {at + 2}", f"line {at + 3}")


def test_rows_before_a_fault_are_given(tmp_path: Path) -> None:
    many = "".join(f"{i},t{i}\n" for i in range(1500))
    path = write(tmp_path / "rows.csv", f'id,text\n{many}1500,"t\n')
    records = make_corpus(f"table:{path}").records()
    assert [next(records).id for _ in range(1500)] == [str(i) for i in range(1500)]
    with pytest.raises(UsageError, match="line 1502"):
        next(records)
    path = write(tmp_path / "twice.csv", f"id,text\n{many}7,again\n")
    with pytest.raises(UsageError, match="line 1502: the id '7' comes twice"):
        list(make_corpus(f"table:{path}").records())


cells = st.sampled_from(
    [
        "",
        "1",
        "-0",
        "0.5",
        "1e3",
        "1E-7",
        "007",
        "1.",
        ".5",
        "inf",
        "nan",
        "true",
        "TRUE",
        "no",
        "tru",
        "9" * 450,
        "1e999",
        "a\nb",
        "5\n6",
        "-",
        "x",
    ]
)


@given(st.lists(cells, min_size=1, max_size=6))
def test_a_column_at_once_is_its_cells_one_by_one(column: list[str]) -> None:
    together, apart = column_values(column), [column_values([cell])[0] for cell in column]
    assert together == apart
    assert [type(v) for v in together] == [type(v) for v in apart]


@given(st.dictionaries(st.text(), st.text(), min_size=1))
def test_the_id_of_a_row_is_the_hash_of_its_canonical_json(row: dict[str, str]) -> None:
    text = json.dumps(row, sort_keys=True, separators=(",", ":"))
    expected = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert content_ids(list(row))(list(row.values())) == expected


def test_line_numbers_count_lines_inside_quotes(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", 'text,n\r\n"a\r\nb",1\r\n\r\n"c\nd\re",2\r\nf,3\r\n')
    assert [(r.payload, r.meta["line"]) for r in make_corpus(f"table:{path}").records()] == [
        ("a\r\nb", 3),
        ("c\nd\re", 7),
        ("f", 8),
    ]
