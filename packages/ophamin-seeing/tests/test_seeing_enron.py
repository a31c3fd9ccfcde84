"""Enron: three forms, one corpus; whatever lies there instead is named."""

from __future__ import annotations

import csv
import gzip
import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from ophamin.proof.errors import CorpusUnavailable, UsageError
from ophamin.protocols import Record
from ophamin.registry import make_corpus
from ophamin.seeing.corpus._enron_forms import mail_name

FORMS = ("tar", "maildir", "csv")
COPY = "the same text as an earlier mail (left out)"


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus("enron").write_sample(tmp_path_factory.mktemp("enron"), 1)


def content(records: list[Record]) -> list[Any]:
    return [(r.id, r.payload, r.group, r.labels, r.meta) for r in records]


@pytest.mark.parametrize("dedup", ["body", "mail", "none"])
def test_every_form_gives_the_same_records(sample: Path, dedup: str) -> None:
    first, *others = (
        content(list(make_corpus(f"enron?form={form}&dedup={dedup}", sample).records())) for form in FORMS
    )
    assert all(other == first for other in others)
    assert len(first) > 200


@pytest.mark.data
def test_real_mails(real_root: Path) -> None:
    first, *others = (content(list(make_corpus(f"enron?form={form}", real_root).records())) for form in FORMS)
    assert all(other == first for other in others)
    assert len(first) == 183
    corpus = make_corpus("enron", real_root)
    assert dict(corpus.problems()) == {COPY: 28}  # type: ignore[attr-defined]
    assert corpus.availability().state == "partial"
    assert "4 of the 150 users" in corpus.availability().found


def test_copies_are_found_by_their_text(sample: Path) -> None:
    every = list(make_corpus("enron?dedup=none", sample).records())
    corpus = make_corpus("enron", sample)
    kept = list(corpus.records())
    assert len(kept) == len({r.payload.strip() for r in every}) == 240
    assert corpus.problems()[COPY] == len(every) - 240 > 30  # type: ignore[attr-defined]
    ids = [r.meta["headers"]["message-id"] for r in every]
    assert len(set(ids)) == len(ids), "the copies have Message-IDs of their own"


def test_the_sample_has_what_real_mail_has(sample: Path) -> None:
    raw = [p.read_bytes() for p in (sample / "enron" / "maildir").rglob("*.") if p.is_file()]
    assert all(b"\r\n\r\n" in mail for mail in raw)
    assert any(b"quoted-printable" in mail for mail in raw)
    assert any(b", \r\n\t" in mail for mail in raw), "folded recipients"
    assert any(b"Subject: \r\n" in mail for mail in raw)
    assert any(b"ANSI_X3.4-1968" in mail for mail in raw)
    encodings = {r.meta.get("encoding") for r in make_corpus("enron", sample).records()}
    assert "cp1252" in encodings


@pytest.mark.parametrize("seed", [0, 5])
def test_the_sample_is_the_same_bytes_for_a_seed(tmp_path: Path, seed: int) -> None:
    trees = []
    for name in ("a", "b"):
        root = make_corpus("enron").write_sample(tmp_path / name, seed)
        trees.append({p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()})
    assert trees[0] == trees[1]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("maildir/a-b/inbox/1.", "a-b/inbox/1."),
        ("./maildir/a-b/inbox/1_", "a-b/inbox/1."),
        ("enron_mail_20150507/maildir/a-b/x/y/12", "a-b/x/y/12."),
        ("a-b/inbox/1.", "a-b/inbox/1."),
        ("maildir/a-b/1.", "a-b/1."),
        ("maildir/a-b/inbox/._1.", None),
        ("maildir/a-b/inbox/1.txt", None),
        ("maildir/DELETIONS.txt", None),
        ("maildir/../../etc/1.", None),
        ("1.", None),
        ("", None),
        ("a-b/\udcff/1.", "a-b/\\xff/1."),
    ],
)
def test_names(path: str, expected: str | None) -> None:
    found = mail_name(path)
    assert (found and found[2]) == expected


MAIL = b"From: a@b.org\r\n\r\nbody %d\n"


def archive(path: Path, members: dict[str, bytes | tarfile.TarInfo], mode: str = "w:gz") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, what in members.items():
            if isinstance(what, tarfile.TarInfo):
                tar.addfile(what)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(what)
                tar.addfile(info, io.BytesIO(what))
    return path


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_an_archive_with_other_things_in_it(tmp_path: Path) -> None:
    path = archive(
        tmp_path / "enron_mail.tar",
        {
            "maildir": special("maildir", tarfile.DIRTYPE),
            "maildir/a/in/1.": MAIL % 1,
            "1": special("maildir/a/in/2.", tarfile.SYMTYPE, "/etc/passwd"),
            "2": special("maildir/a/in/3.", tarfile.CHRTYPE),
            "../../outside/4.": MAIL % 4,
            "maildir/a/in/.DS_Store": b"x",
            "maildir/a/in/5.": b"",
            "maildir/a/in/6.": b"\x00\x01\x02",
            "maildir/a/in/1_": MAIL % 7,
        },
        "w",
    )
    corpus = make_corpus(f"enron:{path}")
    assert [r.id for r in corpus.records()] == ["a/in/1."]
    assert dict(corpus.problems()) == {  # type: ignore[attr-defined]
        "neither a file nor a folder": 2,
        "not a mail by its name": 2,
        "an empty file": 1,
        "no mail header": 1,
        "a second mail of the same name": 1,
    }


def test_a_truncated_archive_gives_what_is_there_and_says_so(tmp_path: Path, sample: Path) -> None:
    whole = (sample / "enron" / "enron_mail_sample.tar.gz").read_bytes()
    expected = content(list(make_corpus("enron", sample).records()))
    path = tmp_path / "enron" / "enron_mail_20150507.tar.gz"
    path.parent.mkdir()
    for keep in (30, 1000, len(whole) // 2, len(whole) - 9, len(whole) - 1):
        path.write_bytes(whole[:keep])
        corpus = make_corpus("enron", tmp_path)
        state = corpus.availability()
        assert (state.state, "truncated" in state.found) == ("partial", True), (keep, state.found)
        found = content(list(corpus.records()))
        assert found == expected[: len(found)], "no wrong record"
        assert corpus.problems()["the archive is truncated"] == 1  # type: ignore[attr-defined]


def test_a_damaged_archive(tmp_path: Path, sample: Path) -> None:
    whole = bytearray((sample / "enron" / "enron_mail_sample.tar.gz").read_bytes())
    path = tmp_path / "enron_mail.tar.gz"
    for at in range(20, len(whole), len(whole) // 25):
        damaged = bytearray(whole)
        damaged[at] ^= 0x55
        path.write_bytes(damaged)
        corpus = make_corpus(f"enron:{path}")
        list(corpus.records())
        reasons = list(corpus.problems())  # type: ignore[attr-defined]
        assert any(reason.startswith("the archive is") for reason in reasons), (at, reasons)
    inner = gzip.decompress(bytes(whole))
    path.write_bytes(gzip.compress(inner[: len(inner) // 3]))  # a whole gzip file of a cut tar
    assert make_corpus(f"enron:{path}").availability().state == "partial"


def header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def block(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def pax(size: bytes) -> bytes:
    """A header that says another size for the member after it."""
    said = b" size=" + size + b"\n"
    body = next(b"%d" % n + said for n in range(len(said), len(said) + 9) if len(b"%d" % n + said) == n)
    info = tarfile.TarInfo("PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, len(body)
    return info.tobuf() + block(body)


ONE = header("maildir/a/in/1.", len(MAIL % 1)) + block(MAIL % 1)
TWO = header("maildir/a/in/2.", len(MAIL % 1)) + block(MAIL % 2)
END = bytes(1024)
DAMAGED = {
    "no end": (ONE + TWO, 2, "the archive is truncated"),
    "a bad header": (ONE + TWO.replace(b"ustar", b"uStar", 1) + END, 1, "the archive is damaged (bad checksum)"),
    "no header": (ONE + b"x" * 512 + TWO + END, 1, "the archive is damaged (invalid header)"),
    "half a header": (ONE + TWO[:200], 1, "the archive is truncated"),
    "two archives": (
        ONE + END + TWO + END,
        1,
        "the archive is followed by something else, which was not read",
    ),
    "a size beyond the end": (ONE + header("maildir/a/in/2.", 1 << 40) + block(MAIL), 1, "the archive is truncated"),
    "a size beyond all ends": (ONE + pax(b"9" * 200) + TWO + END, 1, "the archive is truncated"),
    "a negative size": (ONE + pax(b"-5") + TWO + END, 1, "the archive is damaged (a negative size)"),
}


@pytest.mark.parametrize("name", DAMAGED)
@pytest.mark.parametrize("packed", [False, True])
def test_no_mail_is_lost_in_silence(tmp_path: Path, name: str, packed: bool) -> None:
    data, read, reason = DAMAGED[name]
    path = tmp_path / "enron_mail.tar"
    path.write_bytes(gzip.compress(data) if packed else data)
    corpus = make_corpus(f"enron:{path}")
    assert [r.id for r in corpus.records()] == ["a/in/1.", "a/in/2."][:read]
    assert dict(corpus.problems()) == {reason: 1}  # type: ignore[attr-defined]
    found = corpus.availability()
    assert (found.state, reason in found.found) == ("partial", True)


def test_what_is_no_archive_at_all(tmp_path: Path) -> None:
    path = tmp_path / "enron.tar"
    path.write_bytes(b"these are just words\n" * 60)
    found = make_corpus(f"enron:{path}").availability()
    assert (found.state, "invalid header" in found.found) == ("wrong", True)
    os.mkfifo(tmp_path / "enron.csv")
    assert make_corpus(f"enron:{tmp_path}/enron.csv").availability().state == "absent"


def write_csv(path: Path, rows: list[list[str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    return path


def test_the_table(tmp_path: Path) -> None:
    long = "From: a@b.org\n\n" + "x" * 300_000
    rows = [["file", "message"], ["a/in/1.", long], ["a/in/2.", "From: b@c.org\n\nhe said \n"], ["odd"], ["x", "y"]]
    path = write_csv(tmp_path / "emails.csv", rows)
    corpus = make_corpus(f"enron:{path}")
    assert [len(r.payload) for r in corpus.records()] == [300_000, 9]
    assert dict(corpus.problems()) == {  # type: ignore[attr-defined]
        "not a row of file and message": 1,
        "not a mail by its name": 1,
    }
    path.write_bytes(path.read_bytes().replace(b"b@c.org\n\nhe", b"b@c.org\n\n\xe9"))
    second = list(make_corpus(f"enron:{path}").records())[1]
    assert second.payload.startswith("é said"), "bytes that are not UTF-8 reach the mail's own decoding"
    path.write_bytes(path.read_bytes()[:200])
    cut = make_corpus(f"enron:{path}")
    assert list(cut.records()) == []
    assert dict(cut.problems()) == {"the table is truncated": 1}  # type: ignore[attr-defined]
    assert cut.availability().state == "partial"


def test_folders(tmp_path: Path) -> None:
    box = tmp_path / "enron" / "maildir" / "a" / "in"
    (box / "deep" / "er").mkdir(parents=True)
    (box / "2.").write_bytes(MAIL % 2)
    (box / "10.").write_bytes(MAIL % 10)
    (box / "deep" / "er" / "1_").write_bytes(MAIL % 1)
    (box / "notes.txt").write_bytes(b"x")
    (box / "3.").symlink_to(box / "2.")
    (box / "loop").symlink_to(tmp_path / "enron")
    os.mkfifo(box / "4.")
    corpus = make_corpus("enron?form=maildir", tmp_path)
    assert [r.id for r in corpus.records()] == ["a/in/10.", "a/in/2.", "a/in/deep/er/1."]
    assert [r.labels["folder"] for r in corpus.records()] == ["in", "in", "in/deep/er"]
    assert dict(corpus.problems()) == {  # type: ignore[attr-defined]
        "neither a file nor a folder": 2,
        "not a mail by its name": 2,
    }
    before = corpus.content_hash()
    (box / "2.").write_bytes(MAIL % 3)
    assert corpus.content_hash() != before


@pytest.mark.parametrize(
    ("name", "what", "state", "says"),
    [
        ("enron_mail_20150507.tar.gz", b"version https://git-lfs.github.com/spec/v1\n", "wrong", "git-lfs pointer"),
        ("enron_mail_20150507.tar.gz", b"<!DOCTYPE html><html>Not found", "wrong", "HTML page"),
        ("enron_mail_20150507.tar.gz", b"", "wrong", "is empty"),
        ("enron_mail_20150507.tar.gz", b"PK\x03\x04", "wrong", "a zip archive, not a gzip archive"),
        ("emails.csv", b"id,text\n1,a\n", "wrong", "has the columns id, text, not file and message"),
        ("emails.csv", b"\x1f\x8b\x08", "wrong", "is a gzip archive"),
        ("emails.csv", b"file,message\n", "wrong", "holds no mail"),
        ("archive.zip", b"PK\x03\x04", "absent", "unpack emails.csv from it"),
        ("other.txt", b"x", "absent", ""),
    ],
)
def test_what_lies_there_instead_is_named(tmp_path: Path, name: str, what: bytes, state: str, says: str) -> None:
    (tmp_path / "enron").mkdir()
    (tmp_path / "enron" / name).write_bytes(what)
    corpus = make_corpus("enron", tmp_path)
    found = corpus.availability()
    assert (found.state, says in found.found) == (state, True), found.found
    for must in ("enron_mail_20150507.tar.gz", "ophamin corpus sample enron --out data"):
        assert must in found.how_to_get
    assert str(tmp_path / "enron") in found.looked_in
    if "holds no mail" not in says:
        with pytest.raises(CorpusUnavailable, match="enron"):
            next(corpus.records())


def test_usage() -> None:
    with pytest.raises(UsageError, match="form=pst: must be one of tar, maildir, csv"):
        make_corpus("enron?form=pst")
    with pytest.raises(UsageError, match="dedup"):
        make_corpus("enron?dedup=yes")


def test_another_form_is_asked_for_than_is_there(tmp_path: Path) -> None:
    archive(tmp_path / "enron" / "enron_mail.tar.gz", {"maildir/a/in/1.": MAIL % 1})
    assert "only tar" in make_corpus("enron?form=csv", tmp_path).availability().found
