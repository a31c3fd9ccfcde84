from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ophamin.proof.errors import CorpusUnavailable, UsageError
from ophamin.registry import make_corpus
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


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
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
    "ragged row": ("text,x\na,1\nb\n", "", "line 3: 1 fields"),
    "no id": ("id,text\n,a\n", "", "no value in the column 'id'"),
    "open quote": ('text\n"a\n', "", "line 2"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_name_the_line_and_what_to_do(tmp_path: Path, name: str) -> None:
    text, query, message = MISTAKES[name]
    path = write(tmp_path / "rows.csv", text)
    with pytest.raises(UsageError, match=message):
        list(make_corpus(f"table:{path}{query}").records())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"text": "a"}\n{"text": NaN}\n', "line 2: not JSON"),
        (b'{"text": "a"}\n[1]\n', "line 2: a JSON object"),
        (b'{"text": "a"}\n{"x": 1}\n', "line 2: no value"),
        (b'{"text": "caf\xe9"}\n', "not UTF-8"),
        (b'{"text": ' + b"[" * 100_000 + b"\n", "line 1: not JSON"),
    ],
)
def test_bad_json_lines(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "r.jsonl").write_bytes(data)
    with pytest.raises(UsageError, match=message):
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
