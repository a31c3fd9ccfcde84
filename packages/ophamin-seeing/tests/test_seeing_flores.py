from __future__ import annotations

import os
from pathlib import Path

import pytest

from ophamin.proof.errors import CorpusUnavailable, UsageError
from ophamin.registry import make_corpus
from ophamin.seeing.corpus._flores_languages import meant


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


def test_a_byte_order_mark_is_no_part_of_a_sentence(tmp_path: Path) -> None:
    root = files(tmp_path, xx_Latn=b"\xef\xbb\xbfa\nb\n", yy_Latn=b"1\n\xef\xbb\xbf2\n")
    about = root / "flores" / "flores200_dataset" / "metadata_dev.tsv"
    about.write_bytes(b"\xef\xbb\xbfURL\tdomain\nu\td\n\te\n")
    records = list(make_corpus("flores?langs=xx_Latn,yy_Latn", root).records())
    assert [(r.payload, r.labels["label"], r.group) for r in records] == [("a", "1", "u"), ("b", "\ufeff2", None)]
    assert records[0].meta == {"line": 1, "domain": "d"}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a\rb\rc\r", "ends its lines in carriage returns alone"),
        ("a\nb\n".encode("utf-16"), "is UTF-16 text"),
        (b"\x1f\x8b\x08", "is a gzip archive, not text"),
        (None, "is neither a file nor a folder"),
    ],
)
def test_what_would_put_other_lines_side_by_side_is_wrong(tmp_path: Path, content: bytes | None, says: str) -> None:
    root = files(tmp_path, xx_Latn=content or b"", yy_Latn=b"1\n2\n3\n")
    if content is None:
        path = tmp_path / "flores/flores200_dataset/dev/xx_Latn.dev"
        path.unlink()
        os.mkfifo(path)
    with pytest.raises(CorpusUnavailable, match=says):
        list(make_corpus("flores?langs=xx_Latn,yy_Latn", root).records())


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
    with pytest.raises(CorpusUnavailable, match="HTML"):
        list(make_corpus("flores?langs=web_Latn", tmp_path).records())
    for spec in ("flores:x", "flores?split=test", "flores?langs=a,,b", "flores?langs=a,a"):
        with pytest.raises(UsageError):
            make_corpus(spec)


def test_a_line_that_is_not_utf8_is_counted_and_takes_no_neighbour_with_it(tmp_path: Path) -> None:
    files(
        tmp_path, eng_Latn=b"one\ntwo\nthree\nfour\n", deu_Latn=b"eins\nzw\xffi\ndrei\nvier\n", fra_Latn=b"un\n\xe9\n"
    )
    corpus = make_corpus("flores?langs=eng_Latn,deu_Latn", tmp_path)
    assert [(r.id, r.payload, r.labels["label"]) for r in corpus.records()] == [
        ("dev:1", "one", "eins"),
        ("dev:3", "three", "drei"),
        ("dev:4", "four", "vier"),
    ]
    reason = "a line that is not UTF-8 (left out)"
    assert dict(corpus.problems()) == {reason: 1}
    assert corpus.problems().places(reason) == ("deu_Latn.dev:2",)
    assert corpus.count() == 3
    # In two languages at once, at the very end, and beside lines that a shorter one lacks.
    corpus = make_corpus("flores?langs=deu_Latn,fra_Latn", tmp_path)
    assert [r.id for r in corpus.records()] == ["dev:1"]
    assert dict(corpus.problems()) == {reason: 2, "a line that a shorter language lacks (left out)": 2}


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
    ntrex = make_corpus("flores?split=ntrex&langs=eng_Latn,German,zho_Hans", real_root)
    records = list(ntrex.records())
    assert len(records) == 150
    assert not any("\r" in r.payload for r in records)
    assert records[0].group
    assert list(records[0].labels) == ["language", "deu", "zho-CN"]
    ntrex_files = real_root / "flores" / "NTREX" / "NTREX-128"
    raw = (ntrex_files / "newstest2019-ref.zho-CN.txt").read_bytes().decode("utf-8").split("\r\n")
    assert [r.labels["zho-CN"] for r in records] == raw[:150]


FLORES = ["ace_Arab", "ace_Latn", "arb_Arab", "arb_Latn", "als_Latn", "ckb_Arab", "deu_Latn", "eng_Latn", "est_Latn", "fra_Latn", "khk_Cyrl", "kmr_Latn", "nno_Latn", "nob_Latn", "pes_Arab", "por_Latn", "srp_Cyrl", "swh_Latn", "tgl_Latn", "zho_Hans", "zho_Hant", "zsm_Latn"]  # fmt: skip
NTREX = ["arb", "aze-Latn", "deu", "ekk", "eng", "eng-GB", "eng-IN", "eng-US", "fas", "fil", "fra", "fra-CA", "mon", "msa", "nob", "nno", "por", "por-BR", "sqi", "srp-Cyrl", "srp-Latn", "swa", "zho-CN", "zho-TW"]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "flores", "ntrex"),
    [
        ("eng_Latn", ["eng_Latn"], ["eng"]),
        ("eng", ["eng_Latn"], ["eng"]),
        ("en", ["eng_Latn"], ["eng"]),
        ("English", ["eng_Latn"], ["eng"]),
        ("en-GB", ["eng_Latn"], ["eng-GB"]),
        ("zho", ["zho_Hans", "zho_Hant"], ["zho-CN", "zho-TW"]),
        ("zho_Hans", ["zho_Hans"], ["zho-CN"]),
        ("zh-TW", ["zho_Hant"], ["zho-TW"]),
        ("chinese", ["zho_Hans", "zho_Hant"], ["zho-CN", "zho-TW"]),
        ("fas", ["pes_Arab"], ["fas"]),
        ("pes_Arab", ["pes_Arab"], ["fas"]),
        ("swa", ["swh_Latn"], ["swa"]),
        ("swh_Latn", ["swh_Latn"], ["swa"]),
        ("sqi", ["als_Latn"], ["sqi"]),
        ("ekk", ["est_Latn"], ["ekk"]),
        ("est_Latn", ["est_Latn"], ["ekk"]),
        ("mon", ["khk_Cyrl"], ["mon"]),
        ("tl", ["tgl_Latn"], ["fil"]),
        ("arb", ["arb_Arab", "arb_Latn"], ["arb"]),
        ("arb_Latn", ["arb_Latn"], ["arb"]),
        ("nor", ["nno_Latn", "nob_Latn"], ["nno", "nob"]),
        ("kur", ["ckb_Arab", "kmr_Latn"], []),
        ("srp", ["srp_Cyrl"], ["srp-Cyrl", "srp-Latn"]),
        ("pt", ["por_Latn"], ["por"]),
        ("pt-BR", ["por_Latn"], ["por-BR"]),
        ("ace", ["ace_Arab", "ace_Latn"], []),
        ("xx", [], []),
        ("", [], []),
    ],
)
def test_what_a_language_name_means(name: str, flores: list[str], ntrex: list[str]) -> None:
    assert (meant(name, FLORES), meant(name, NTREX)) == (flores, ntrex)


def test_aliases_choose_files_and_labels_name_them(sample: Path) -> None:
    plain = list(make_corpus("flores?langs=eng_Latn,deu_Latn", sample).records())
    short = make_corpus("flores?langs=English,de", sample)
    assert list(short.records()) == plain
    assert short.content_hash() == make_corpus("flores?langs=eng_Latn,deu_Latn", sample).content_hash()


def test_ambiguous_and_doubled_languages_are_named(tmp_path: Path) -> None:
    files(tmp_path, eng_Latn=b"a\n", zho_Hans=b"b\n", zho_Hant=b"c\n")
    state = make_corpus("flores?langs=eng,zho", tmp_path).availability()
    assert state.state == "absent"
    assert "zho may be zho_Hans or zho_Hant: name one" in state.found
    twice = make_corpus("flores?langs=eng,english", tmp_path)
    with pytest.raises(CorpusUnavailable, match="two of the languages are eng_Latn"):
        next(twice.records())


def test_lines_beyond_the_shortest_language_are_counted(tmp_path: Path) -> None:
    files(tmp_path, eng_Latn=b"1\n2\n3\n4\n", fra_Latn=b"1\n2\n")
    corpus = make_corpus("flores", tmp_path)
    assert corpus.count() == 2
    assert dict(corpus.problems()) == {"a line that a shorter language lacks (left out)": 2}
    assert corpus.problems().places("a line that a shorter language lacks (left out)") == (
        "eng_Latn.dev:3",
        "eng_Latn.dev:4",
    )
