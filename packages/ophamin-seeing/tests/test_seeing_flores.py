from __future__ import annotations

from pathlib import Path

import pytest

from ophamin.proof.errors import CorpusUnavailable, UsageError
from ophamin.registry import make_corpus


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus("flores").write_sample(tmp_path_factory.mktemp("flores"), 1)


def test_lines_are_aligned(sample: Path) -> None:
    corpus = make_corpus("flores?langs=eng_Latn,fra_Latn,deu_Latn&split=devtest", sample)
    records = list(corpus.records())
    folder = sample / "flores" / "flores200_dataset" / "devtest"
    columns = [
        (folder / f"{lang}.devtest").read_text(encoding="utf-8").split("\n")
        for lang in ("eng_Latn", "fra_Latn", "deu_Latn")
    ]
    assert [(r.payload, r.labels["fra_Latn"], r.labels["deu_Latn"]) for r in records] == list(
        zip(*columns, strict=True)
    )[:-1]
    assert corpus.count() == len(records) == 200
    assert records[0].id == "devtest:1"
    assert records[0].labels["language"] == "eng_Latn"
    assert len({r.group for r in records}) == 50
    assert corpus.availability().state == "ok"
    assert corpus.describe().kind == "generated sample"


def test_two_languages_make_a_translation(sample: Path) -> None:
    record = next(make_corpus("flores?langs=deu_Latn,eng_Latn", sample).records())
    assert record.labels["label"] == record.labels["eng_Latn"]
    assert record.meta["domain"] == "generated"


def files(root: Path, **texts: bytes) -> Path:
    folder = root / "flores" / "flores200_dataset" / "dev"
    folder.mkdir(parents=True, exist_ok=True)
    for lang, text in texts.items():
        (folder / f"{lang}.dev").write_bytes(text)
    return root


def test_only_newline_separates_lines(tmp_path: Path) -> None:
    odd = "a\u2028b\x0bc\x85\r\nsecond\rhalf\r\n".encode()
    root = files(tmp_path, xx_Latn=odd, yy_Latn=b"1\n2")
    assert [(r.payload, r.labels["label"]) for r in make_corpus("flores?langs=xx_Latn,yy_Latn", root).records()] == [
        ("a\u2028b\x0bc\x85", "1"),
        ("second\rhalf", "2"),
    ]


def test_what_is_missing_short_or_damaged_is_named(tmp_path: Path) -> None:
    corpus = make_corpus("flores", tmp_path)
    assert corpus.availability().state == "absent"
    files(tmp_path, eng_Latn=b"1\n2\n3\n", fra_Latn=b"1\n2\n", bad_Latn=b"1\n\xff\n", web_Latn=b"<!DOCTYPE html>")
    short = corpus.availability()
    assert (short.state, short.found) == ("partial", "fra_Latn has 2 lines where others have 3")
    assert corpus.count() == len(list(corpus.records())) == 2
    few = make_corpus("flores?langs=eng_Latn", tmp_path).availability()
    assert (few.state, few.found) == ("partial", "3 of the 997 lines of dev")
    missing = make_corpus("flores?langs=eng_Latn,frra_Latn", tmp_path).availability()
    assert missing.state == "absent"
    assert "no frra_Latn; did you mean 'fra_Latn'?" in missing.found
    with pytest.raises(CorpusUnavailable, match="line 2 of bad_Latn is not UTF-8"):
        list(make_corpus("flores?langs=bad_Latn", tmp_path).records())
    with pytest.raises(CorpusUnavailable, match="HTML"):
        list(make_corpus("flores?langs=web_Latn", tmp_path).records())
    for spec in ("flores:x", "flores?split=test", "flores?langs=a,,b", "flores?langs=a,a"):
        with pytest.raises(UsageError):
            make_corpus(spec)


def test_the_hash_is_of_the_chosen_languages(sample: Path) -> None:
    hashes = {
        make_corpus(f"flores?langs={langs}", sample).content_hash()
        for langs in ("eng_Latn", "deu_Latn", "eng_Latn,deu_Latn")
    }
    assert len(hashes) == 3


@pytest.mark.data
def test_the_real_files(real_root: Path) -> None:
    corpus = make_corpus("flores?langs=eng_Latn,jpn_Jpan", real_root)
    assert corpus.availability().state == "partial"
    assert corpus.count() == 100
    ntrex = make_corpus("flores?split=ntrex&langs=eng,deu,zho-CN", real_root)
    records = list(ntrex.records())
    assert len(records) == 150
    assert not any("\r" in r.payload for r in records)
    assert records[0].group
