"""``ophamin pillar run`` on files of every form, and what it says of bad ones."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ophamin.measuring._command.pillars import pillar_run
from ophamin.measuring.pillars._data import read_table
from ophamin.proof.errors import UsageError

ROWS = [("a", 1.5), ("NA", 2.5), ("b", None), ("TRUE", 9.0), ("c", 4.0)]


def _csv(separator: str = ",") -> str:
    lines = [f"name{separator}seconds", *(f"{n}{separator}{'' if s is None else s}" for n, s in ROWS)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("form", ["rows.csv", "rows.tsv", "rows.csv.gz", "rows.jsonl", "rows.parquet"])
def test_every_form_gives_the_same_columns(tmp_path: Path, form: str) -> None:
    path = tmp_path / form
    if form.endswith(".gz"):
        path.write_bytes(gzip.compress(_csv().encode()))
    elif form.endswith(".jsonl"):
        path.write_text("".join(json.dumps({"name": n, "seconds": s}) + "\n" for n, s in ROWS), encoding="utf-8")
    elif form.endswith(".parquet"):
        pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        pq.write_table(pa.table({"name": [n for n, _ in ROWS], "seconds": [s for _, s in ROWS]}), path)
    else:
        path.write_text("\ufeff" + _csv("\t" if form.endswith(".tsv") else ","), encoding="utf-8")
    table = read_table(path, {"value": "seconds"}, ["value", "name", "absent"])
    assert table == {"value": [s for _, s in ROWS], "name": [n for n, _ in ROWS]}


def test_a_pillar_runs_on_a_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(_csv(), encoding="utf-8")
    words = ["N.bootstrap", "--data", str(path), "--column", "value=seconds", "--set", "statistic=median", "--json"]
    done = CliRunner().invoke(pillar_run, words, catch_exceptions=False)
    (item,) = json.loads(done.stdout)["evidence"]
    assert (item["statistic_name"], item["statistic_value"], item["n"]) == ("median", 3.25, 4)
    assert "median = 3.25" in CliRunner().invoke(pillar_run, words[:-1], catch_exceptions=False).stdout


@pytest.mark.parametrize(
    ("name", "text", "words", "said"),
    [
        ("rows.csv", _csv(), ["--column", "value=secnds"], "did you mean 'seconds'"),
        ("rows.csv", _csv(), ["--column", "values=seconds"], "no column is called 'values'"),
        ("rows.csv", _csv(), [], "needs the column 'value'"),
        ("rows.csv", _csv(), ["--column", "value=seconds", "--set", "statistics=mean"], "did you mean 'statistic'"),
        ("rows.csv", "", [], "malformed"),
        ("rows.xls", "x", [], "known form"),
        ("rows.jsonl", "{oops", [], "malformed"),
        ("rows.parquet", "oops", [], "malformed|pyarrow"),
        ("rows.csv.gz", "oops", [], "cannot be read|malformed"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, name: str, text: str, words: list[str], said: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises((UsageError, ImportError), match=said):
        CliRunner().invoke(pillar_run, ["N.bootstrap", "--data", str(path), *words], catch_exceptions=False)
