"""git histories: every kind of repository gives the same records, and nothing of it is run."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophamin.proof.errors import CorpusUnavailable, UsageError
from ophamin.proof.git import GitError, git_environment
from ophamin.protocols import Record
from ophamin.registry import make_corpus
from ophamin.seeing.corpus._commit import CommitMeta, Identities, declared_encoding, message_of, moment
from ophamin.seeing.corpus._git_objects import framed
from ophamin.seeing.corpus._mailmap import Mailmap
from ophamin.seeing.corpus._trailers import trailers

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(*words: str, cwd: Path | None = None, fed: bytes | None = None) -> bytes:
    environment = git_environment(foreign=True) | {"GIT_ALLOW_PROTOCOL": "file"}
    environment |= {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in
                    (("NAME", "A"), ("EMAIL", "a@b.org"), ("DATE", "1000000000 +0100"))}  # fmt: skip
    settings = ("-c", "protocol.allow=always", "-c", "safe.directory=*")
    done = subprocess.run(["git", *settings, *words], cwd=cwd, env=environment, capture_output=True, input=fed)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_corpus("linux").write_sample(tmp_path_factory.mktemp("linux"), 1)
    git(f"--git-dir={root}/linux/sample.git", "config", "uploadpack.allowFilter", "true")
    return root


@pytest.fixture(scope="module")
def records(sample: Path) -> list[Record]:
    return list(make_corpus("linux", sample).records())


def content(found: list[Record]) -> list[Any]:
    return [(r.id, r.payload, r.group, r.labels, dict(r.meta)) for r in found]


def test_the_history_is_all_there(sample: Path, records: list[Record]) -> None:
    bare = f"--git-dir={sample}/linux/sample.git"
    assert [r.id for r in records] == git(bare, "rev-list", "master").decode().split()
    assert make_corpus("linux", sample).describe().revision == git(bare, "rev-parse", "master").decode().strip()
    parents = Counter(len(r.meta["parents"]) for r in records)
    assert parents[0] == 2, "two roots"
    assert max(parents) == 4, "an octopus"
    assert any(r.payload == "" for r in records)
    assert {r.meta.get("encoding") for r in records} == {None, "iso-8859-1", "cp1252"}
    assert any("Grüße" in r.payload for r in records)
    assert any(r.meta["author"]["seconds"] > r.meta["committer"]["seconds"] for r in records)
    assert not any("old.example.org" in str(r.group) for r in records), "the mailmap was applied"


def test_git_reads_the_same_in_it(sample: Path, records: list[Record]) -> None:
    """Oracle: git's own formatting of names (mailmap), parents, dates and trailers."""
    form = "%H%x00%P%x00%aN%x00%aE%x00%cE%x00%at%x00%(trailers:only,unfold)%x01"
    said = git(f"--git-dir={sample}/linux/sample.git", "-c", "mailmap.blob=master:.mailmap", "log", f"--format={form}")
    by_id = {r.id: r for r in records}
    seen = 0
    for entry in said.decode("utf-8", "replace").split("\x01"):
        fields = entry.strip("\n").split("\x00")
        if len(fields) < 7:
            continue
        meta = by_id[fields[0]].meta
        ours = [" ".join(meta["parents"]), meta["author"]["name"], meta["author"]["email"]]
        assert [*ours, meta["committer"]["email"], str(meta["author"]["seconds"])] == fields[1:6]
        if "�" not in fields[6]:
            assert [f"{k}: {v}" for k, v in meta["trailers"]] == [line for line in fields[6].split("\n") if line]
        seen += 1
    assert seen == len(records)


@pytest.mark.parametrize("filtered", ["", "--filter=blob:none", "--filter=tree:0"])
@pytest.mark.parametrize("bare", ["--bare", "--no-checkout"])
def test_any_clone_gives_the_same(
    sample: Path, records: list[Record], tmp_path: Path, filtered: str, bare: str
) -> None:
    target = tmp_path / "linux" / "mine"
    words = [word for word in (bare, filtered) if word]
    git("clone", "-q", *words, f"file://{sample}/linux/sample.git", str(target))
    shutil.copy(sample / "linux" / "SAMPLE.md", tmp_path / "linux")
    # A partial clone lacks the .mailmap; naming none makes them comparable.
    corpus, whole = (make_corpus("linux?mailmap=none", root) for root in (tmp_path, sample))
    assert corpus.availability().state == "ok"
    assert content(list(corpus.records())) == content(list(whole.records()))
    assert corpus.content_hash() == whole.content_hash()
    if not filtered:
        assert content(list(make_corpus("linux", tmp_path).records())) == content(records)


def test_a_shallow_clone_is_partial(sample: Path, records: list[Record], tmp_path: Path) -> None:
    target = tmp_path / "linux.git"
    git("clone", "-q", "--bare", "--depth=20", f"file://{sample}/linux/sample.git", str(target))
    corpus = make_corpus(f"linux:{target}")
    state = corpus.availability()
    assert (state.state, "git fetch --unshallow" in state.found) == ("partial", True)
    ids = [r.id for r in corpus.records()]
    assert 20 <= len(ids) < 60
    assert set(ids) < {r.id for r in records}
    assert corpus.content_hash() != make_corpus("linux", sample).content_hash()


def test_revisions(sample: Path) -> None:
    everything = make_corpus("linux?rev=all", sample)
    assert everything.count() == 300
    tip = make_corpus("linux", sample).describe().revision
    assert make_corpus(f"linux?rev={tip}~5", sample).count() < 300
    for rev in ("no-such", "--all", "-h", "master^{tree}"):
        found = make_corpus(f"linux?rev={rev}", sample).availability()
        assert (found.state, rev in found.found) == ("wrong", True)
    other = make_corpus("linux?mailmap=none", sample)
    assert other.content_hash() != make_corpus("linux", sample).content_hash()
    with pytest.raises(UsageError, match="no such file"):
        make_corpus("linux?mailmap=nowhere", sample).content_hash()


def test_nothing_of_the_repository_is_run_or_fetched(
    sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker, target = tmp_path / "pwned", tmp_path / "linux" / "evil"
    git("clone", "-q", "--filter=blob:none", "--no-checkout", f"file://{sample}/linux/sample.git", str(target))
    script = tmp_path / "run.sh"
    script.write_text(f"#!/bin/sh\ntouch {marker}\ncat\n", encoding="utf-8")
    script.chmod(0o755)
    for key in ("core.fsmonitor", "core.sshCommand", "core.pager", "core.editor", "gpg.program", "diff.external",
                "core.alternateRefsCommand", "remote.origin.uploadpack", "core.gitProxy"):  # fmt: skip
        git("-C", str(target), "config", key, str(script))
    git("-C", str(target), "config", "remote.origin.url", f"ext::{script}")
    git("-C", str(target), "config", "protocol.ext.allow", "always")
    for hook in ("post-checkout", "reference-transaction", "pre-auto-gc"):
        shutil.copy(script, target / ".git" / "hooks" / hook)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(script))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    before = sorted(str(p) for p in target.rglob("*"))
    corpus = make_corpus("linux", tmp_path)
    assert corpus.count() > 200
    assert (corpus.content_hash(), corpus.describe().revision) != ("", "")
    assert not marker.exists()
    assert sorted(str(p) for p in target.rglob("*")) == before, "nothing was written"


def test_a_repository_above_the_data_is_not_taken(tmp_path: Path, sample: Path) -> None:
    git("init", "-q", str(tmp_path))
    (tmp_path / "linux").mkdir()
    (tmp_path / "linux" / "Makefile").write_text("VERSION = 6\n", encoding="utf-8")
    state = make_corpus("linux", tmp_path).availability()
    assert state.state in ("absent", "wrong")
    assert str(tmp_path / "linux") in state.looked_in
    inner = make_corpus(f"linux:{tmp_path}/linux").availability()
    assert (inner.state, "no history" in inner.found) == ("absent", True)
    with pytest.raises(CorpusUnavailable, match=r"git clone --bare --filter=tree:0 https://git\.kernel\.org"):
        list(make_corpus(f"linux:{tmp_path}/linux").records())


def test_an_empty_and_a_broken_repository(tmp_path: Path) -> None:
    git("init", "-q", str(tmp_path / "empty"))
    found = make_corpus(f"linux:{tmp_path}/empty").availability()
    assert (found.state, "without the commits of HEAD" in found.found) == ("wrong", True)
    target = tmp_path / "broken"
    git("init", "-q", str(target))
    for number in range(4):
        git("commit", "-q", "--allow-empty", "-m", f"c{number}", cwd=target)
    ids = git("rev-list", "HEAD", cwd=target).decode().split()
    (target / ".git" / "objects" / ids[2][:2] / ids[2][2:]).unlink()
    corpus = make_corpus(f"linux:{target}")
    assert [r.payload for r in corpus.records()] in (["c3\n"], ["c3\n", "c2\n"])
    [reason] = corpus.problems()  # type: ignore[attr-defined]
    assert reason.startswith("the history breaks off (")
    found = corpus.availability()
    assert (found.state, reason in found.found) == ("partial", True), "once it was read it is known"
    with pytest.raises(CorpusUnavailable, match="embedded null byte"):
        list(make_corpus(f"linux:{target}?rev=a%00b").records())


def test_odd_objects(tmp_path: Path) -> None:
    target = tmp_path / "odd"
    git("init", "-q", str(target))
    tree = git("hash-object", "-w", "-t", "tree", "--stdin", cwd=target, fed=b"").decode().strip()
    head = f"tree {tree}\n"
    odd = {
        "signed": head + "author A <a@b.org> 1 +0000\ncommitter A <a@b.org> 1 +0000\ngpgsig -----BEGIN\n \n author X\n"
        " -----END\n\nmessage\n\nAcked-by: B\n",
        "tagged": head
        + "author A <a@b.org> 1 +0000\ncommitter A <a@b.org> 1 +0000\nmergetag object 1\n type commit\n \n"
        " encoding x\n\nm",
        "early": head + "author A <a@b.org> -5000000000 -7530\ncommitter A <a@b.org> 99999999999 +051800\n\nm",
        "huge": head + "author A <a@b.org> 99999999999999999999 +0000\ncommitter A <> \n\nm",
        "no address": head + "author A B 1 +0000\ncommitter x\n\nm",
        "no author": head + "committer A <a@b.org> 1 +0000\n\nm",
        "no message": head + "author A <a@b.org> 1 +0000\ncommitter A <a@b.org> 1 +0000\n",
    }
    stream = b"".join(b"%040d commit %d\n%s\n" % (i, len(t.encode()), t.encode()) for i, t in enumerate(odd.values()))
    path = tmp_path / "objects.batch"
    path.write_bytes(stream + b"%040d missing\n" % 77 + b"%040d blob 1\nx\n" % 78)
    corpus = make_corpus(f"linux:{path}")
    found = dict(zip((n for n in odd if n != "no author"), corpus.records(), strict=True))
    assert dict(corpus.problems()) == {  # type: ignore[attr-defined]
        "a commit without tree or author": 1,
        "an object that is missing": 1,
        "an object that is no commit": 1,
    }
    assert (found["signed"].meta["signed"], found["signed"].payload) == (True, "message\n\nAcked-by: B\n")
    assert found["signed"].meta["trailers"] == [["Acked-by", "B"]]
    assert (found["tagged"].meta["mergetags"], found["tagged"].meta.get("encoding")) == (1, None)
    assert found["early"].meta["author"]["date"] is None, "no zone is 75 hours"
    assert found["early"].meta["committer"]["zone"] == "+051800"
    assert found["huge"].meta["author"]["seconds"] is None
    assert found["no address"].group is None
    assert found["no message"].payload == ""
    path.write_bytes(stream[:-3])
    cut = make_corpus(f"linux:{path}")
    assert cut.count() == 5
    assert cut.problems()["the history breaks off (the stream ends within an object)"] == 1  # type: ignore[attr-defined]
    for size, says in (
        ("99999999999999", "an object of 99999999999999 bytes"),
        ("-1", "an object of -1 bytes"),
        ("1e3", "no stream"),
    ):
        path.write_bytes(b"%040d commit %s\nabcdefghij\n" % (1, size.encode()))
        [reason] = make_corpus(f"linux:{path}").problems()  # type: ignore[attr-defined]
        assert reason.startswith(f"the history breaks off ({says}")


@pytest.mark.data
def test_real_histories(real_root: Path) -> None:
    bpf = make_corpus("linux:libbpf-blobless.git?mailmap=mailmap.libbpf", real_root)
    found = list(bpf.records())
    assert (len(found), dict(bpf.problems())) == (2875, {})  # type: ignore[attr-defined]
    assert bpf.describe().revision == "f7081a6baf3f54949aacb8c2fc11bb30783b83e9"
    form = "%H%x00%(trailers:only,unfold)%x01"
    said = git(f"--git-dir={real_root}/linux/libbpf-blobless.git", "-c", "log.mailmap=false", "log", f"--format={form}")
    theirs = {}
    for entry in said.decode().split("\x01"):
        oid, _, lines = entry.strip("\n").partition("\x00")
        theirs[oid] = [line for line in lines.split("\n") if line]
    for record in found:
        assert [f"{k}: {v}" for k, v in record.meta["trailers"]] == theirs[record.id], record.id
    assert len({r.group for r in found}) < len(
        {r.group for r in make_corpus("linux?mailmap=none", real_root).records()}
    )
    shallow = make_corpus("linux:mail-shallow-treeless.git", real_root)
    assert (shallow.availability().state, shallow.count()) == ("partial", 375)
    nasty = make_corpus("linux:nasty_commits.batch", real_root)
    odd = {r.id: r for r in nasty.records()}
    assert len(odd) == 27
    assert max(len(r.meta["parents"]) for r in odd.values()) == 10
    assert nasty.problems().total == 2  # type: ignore[attr-defined]
    assert odd["7e71adc77fb08021235006e88f255e5e40d25662"].meta["encoding"] == "iso-8859-8"
    assert odd["296fdc53bdd75147121aa290b4de0eeb3b4e7074"].payload.strip() == ""


def test_the_sample_is_the_same_bytes_for_a_seed(tmp_path: Path) -> None:
    trees = []
    for name in ("a", "b"):
        root = make_corpus("linux").write_sample(tmp_path / name, 3)
        trees.append({p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()})
    assert trees[0] == trees[1]


def test_mailmaps() -> None:
    text = """# comment
<good@x.org> <bad@x.org>
Proper Name <commit@x.org>
Both Names <both@x.org> <old@x.org>
Second Self <second@x.org> Second <shared@x.org>
First Self <first@x.org> First <SHARED@x.org>
no entry here
"""
    people = Mailmap(text)
    assert people.proper("A", "BAD@x.org") == ("A", "good@x.org")
    assert people.proper("A", "commit@x.org") == ("Proper Name", "commit@x.org")
    assert people.proper("A", "old@x.org") == ("Both Names", "both@x.org")
    assert people.proper("first", "shared@x.org") == ("First Self", "first@x.org")
    assert people.proper("Second", "shared@x.org") == ("Second Self", "second@x.org")
    assert people.proper("Third", "shared@x.org") == ("Third", "shared@x.org")


@pytest.mark.data
def test_mailmaps_as_git_reads_them(real_root: Path, tmp_path: Path) -> None:
    git("init", "-q", str(tmp_path))
    for name in ("mailmap.libbpf", "mailmap.git-git.sample"):
        text = (real_root / "linux" / name).read_text(encoding="utf-8")
        people = Mailmap(text)
        asked = [f"Somebody <{part.partition('>')[0]}>" for part in text.split("<")[1:]]
        said = git(
            "-c",
            f"mailmap.file={real_root}/linux/{name}",
            "check-mailmap",
            "--stdin",
            cwd=tmp_path,
            fed="\n".join(asked).encode(),
        )
        ours = []
        for who in asked:
            proper, mail = people.proper("Somebody", who[10:-1])
            ours.append(f"{proper} <{mail}>")
        assert ours == said.decode().splitlines()


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("title only: yes\n", []),
        ("t\n\nbody\n", []),
        ("t\n\nA: 1\nB: 2\n", [("A", "1"), ("B", "2")]),
        ("t\n\nA: 1\n continued\n", [("A", "1 continued")]),
        ("t\n\nA: 1\nnot one\n", []),
        ("t\n\nnot one\nSigned-off-by: x\n[x: note]\n", [("Signed-off-by", "x")]),
        ("t\n\n1\n2\n3\n4\nSigned-off-by: x\n", []),
        ("t\n\nA: 1\n\n\n", [("A", "1")]),
        ("", []),
    ],
)
def test_trailers(message: str, expected: list[tuple[str, str]]) -> None:
    assert trailers(message) == expected
    said = git("interpret-trailers", "--parse", "--no-divider", fed=message.encode()).decode()
    assert [line.partition(": ")[::2] for line in said.splitlines()] == expected


@given(st.binary(max_size=200))
def test_no_commit_makes_it_fail(raw: bytes) -> None:
    people = Identities(Mailmap())
    for data in (raw, b"tree x\nauthor " + raw, b"tree x\nauthor a <b> 1 +0000\nencoding " + raw):
        head, _, body = data.partition(b"\n\n")
        message, encoding, _ = message_of(body, declared_encoding(head))
        meta = CommitMeta(head, message, encoding, people)
        assert pickle.loads(pickle.dumps(meta)) == dict(meta)
        assert len(meta) == len(list(meta))
    moment(raw)
    with contextlib.suppress(GitError):
        list(framed(io.BytesIO(raw)))


def test_without_git(sample: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    state = make_corpus("linux", sample).availability()
    assert (state.state, "git is not installed" in state.found) == ("absent", True)
    with pytest.raises(UsageError, match="git is not installed"):
        make_corpus("linux").write_sample(tmp_path / "x", 1)
    assert not os.path.exists(tmp_path / "x")
