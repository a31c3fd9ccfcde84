from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ophamin.proof.errors import CorpusUnavailable, UnknownPlugin, UsageError
from ophamin.registry import commands, make_corpus

RUN = CliRunner()
command = commands.get("corpus sample")


@pytest.mark.parametrize("name", ["cyber-payloads", "flores", "financial"])
def test_a_sample_can_be_used_where_it_says(tmp_path: Path, name: str) -> None:
    done = RUN.invoke(command, [name, "--out", str(tmp_path / "s"), "--seed", "3", "--json"], catch_exceptions=False)
    told = json.loads(done.stdout)
    assert (done.exit_code, told["corpus"], told["seed"], told["licence"]) == (0, name, 3, "CC0-1.0")
    assert make_corpus(name, Path(told["data_root"])).availability().state == "ok"


def test_words_for_people(tmp_path: Path) -> None:
    done = RUN.invoke(command, ["table", "--out", str(tmp_path / "t")], catch_exceptions=False)
    assert "no real data" in done.stdout
    assert "Licence: CC0-1.0" in done.stdout
    assert f"--data-root {tmp_path / 't'}" in done.stdout
    assert "Example:" in RUN.invoke(command, ["--help"]).stdout


@pytest.mark.parametrize("spec", ["cyber-payloads", "flores", "flores?split=ntrex", "financial", "table", "table:."])
def test_what_an_absent_corpus_says_is_a_sentence(spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPHAMIN_DATA_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CorpusUnavailable) as refused:
        next(iter(make_corpus(spec).records()))
    said = str(refused.value)
    for awkward in ("  ", "nowhere", "yours", "in: ", "in ;", "( "):
        assert awkward not in said
    if not spec.startswith("table"):
        assert "looked in no folder, because neither --data-root nor OPHAMIN_DATA_ROOT is set" in said
        assert "name the folder by --data-root or OPHAMIN_DATA_ROOT" in said
        assert ("ophamin corpus sample" in said and "--out data" in said) or "ntrex" in spec


def test_the_folder_may_stand_beside_the_name(tmp_path: Path) -> None:
    done = RUN.invoke(command, ["flores", str(tmp_path / "here"), "--seed", "3"])
    assert (done.exit_code, (tmp_path / "here" / "flores").is_dir()) == (0, True), done.output
    twice = RUN.invoke(command, ["flores", str(tmp_path / "a"), "--out", str(tmp_path / "b")])
    assert isinstance(twice.exception, UsageError)
    assert not (tmp_path / "a").exists()


def test_it_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious", encoding="utf-8")
    with pytest.raises(UsageError, match="not empty"):
        RUN.invoke(command, ["flores", "--out", str(tmp_path)], catch_exceptions=False)
    with pytest.raises(UnknownPlugin):
        RUN.invoke(command, ["no-such"], catch_exceptions=False)
    with pytest.raises(UsageError, match="cannot write"):
        RUN.invoke(command, ["flores", "--out", "/proc/none"], catch_exceptions=False)


def test_no_plugin_loads_science_before_it_is_used() -> None:
    """A list of them loads each, and must not take seconds."""
    code = """
import sys
from ophamin.registry import corpora, substrates
for registry in (corpora, substrates):
    mine = [name for name in registry.names() if registry.origin(name).startswith("ophamin-seeing")]
    assert len(mine) > 5, mine
    for name in mine:
        registry.get(name)
science = {"numpy", "sklearn", "click", "pandas", "h5py", "httpx", "onnxruntime", "skops"}
print(sorted(science & set(sys.modules)))
"""
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"
