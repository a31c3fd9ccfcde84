from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ophamin.comparing.index import ProofIndex, Refreshed, _index, _walk
from ophamin.proof.errors import IntegrityError, UnknownRecord
from ophamin.proof.keys import Keyring, Signer
from ophamin.proof.kinds import PROOF
from ophamin.proof.signed import sign

OTHER = Signer(b"somebody else's secret key")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


@pytest.fixture
def put(home: Path, store: Path, body: Any) -> Callable[..., Path]:
    """Signs a body and writes it somewhere below the store."""

    def write(name: str = "record.json", *, signer: Signer | None = None, **changes: Any) -> Path:
        path = store / name
        path.parent.mkdir(parents=True, exist_ok=True)
        made = body(**changes)
        made["preregistration"]["data_hash"] = made["data"]["datasets"][0]["content_hash"]
        path.write_text(json.dumps(sign(made, PROOF, signer or Keyring().signer()), indent=2))
        return path

    return write


@pytest.fixture
def index(home: Path, store: Path, tmp_path: Path) -> Callable[..., ProofIndex]:
    def make(**options: Any) -> ProofIndex:
        made = ProofIndex(store, file=tmp_path / "index.sqlite", **options)
        made.refresh()
        return made

    return make


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as settled at once, as they do two seconds later."""
    monkeypatch.setattr(_walk, "SETTLED_NS", 0)


def states(found: ProofIndex) -> dict[str, str]:
    return {os.path.relpath(p.path, found.root): p.state for p in found.problems()}


def test_series_across_nested_folders_claims_and_machines(put: Any, index: Any) -> None:
    put("ci/2026/a/record.json", revision="r1")
    put("laptop/b.json", revision="r2", value=0.96, lower=0.94, upper=0.98, created="2026-11-24T10:00:05+00:00")
    put("ci/other-claim.json", statement="Another claim.")
    put("ci/other-corpus.json", corpus="sha256:" + "6f" * 32)
    put("ci/other-scenario.json", scenario="contract")
    found = index()
    assert sorted(len(s.entries) for s in found.series()) == [1, 1, 1, 2]
    first = next(s for s in found.series() if len(s.entries) == 2)
    assert [e.revision for e in first.entries] == ["r1", "r2"]
    assert first.differs["revision"] == ["r1", "r2"]
    assert all(e.verified for e in found.entries())
    assert found.problems() == []
    loaded = found.load(first.entries[1])
    assert loaded.key == first.key
    assert loaded.parts == first.entries[1].parts
    assert loaded.facts == first.entries[1].facts


@pytest.mark.usefixtures("settled")
def test_only_what_changed_is_read_again(put: Any, index: Any, store: Path) -> None:
    for i in range(6):
        put(f"{i % 2}/{i}/record.json", created=f"2026-11-24T10:00:0{i + 1}+00:00")
    found = index()
    assert found.refresh() == Refreshed(0, 0)
    put("0/2/record.json", revision="changed", created="2026-11-24T10:00:03+00:00")
    put("0/6/record.json", created="2026-11-24T10:00:09+00:00")
    (store / "1/3/record.json").unlink()
    shutil.rmtree(store / "1/5")
    assert found.refresh().read == 2
    assert sorted(e.path.parent.name for e in found.entries()) == ["0", "1", "2", "4", "6"]
    assert {e.revision for e in found.entries()} == {"r1", "changed"}
    (store / "0").rename(store / "moved")
    assert found.refresh().read == 4
    assert {e.path.parent.parent.name for e in found.entries()} == {"1", "moved"}
    shutil.rmtree(store / "moved")
    found.refresh()
    assert [e.path.parent.name for e in found.entries()] == ["1"]
    # The same names again after everything below was forgotten.
    put("moved/2/record.json", created="2026-11-24T10:00:03+00:00")
    found.refresh()
    assert len(found.entries()) == 2
    assert found.refresh() == Refreshed(0, 0)


@pytest.mark.usefixtures("settled")
def test_a_folder_is_a_records_as_long_as_it_has_one(put: Any, index: Any, store: Path) -> None:
    path = put("a/record.json")
    other = put("a/other.json", statement="Another claim.")
    found = index()
    assert [e.path for e in found.entries()] == [path]
    path.unlink()
    found.refresh()
    assert [e.path for e in found.entries()] == [other]
    put("a/record.json")
    found.refresh()
    assert [e.path for e in found.entries()] == [path]


@pytest.mark.usefixtures("settled")
def test_a_change_in_place_that_keeps_size_and_time_is_found(put: Any, index: Any) -> None:
    path = put()
    found = index()
    before = path.stat()
    data = path.read_bytes().replace(b'"n_used": 400', b'"n_used": 399')
    with open(path, "r+b") as file:
        file.write(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)
    found.refresh()
    assert found.entries() == []
    assert states(found) == {"record.json": "forged"}


def test_what_has_just_been_written_is_not_believed_to_be_settled(put: Any, index: Any) -> None:
    put()
    found = index()
    assert found.refresh().read == 1
    time.sleep(2.2)
    assert found.refresh().read == 1
    assert found.refresh() == Refreshed(0, 0)


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def not_utf8(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"It is right", b"It is \xff\xfeght"))


def key_twice(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"{", b'{ "claim": {},', 1))


def forged_value(path: Path) -> None:
    record = json.loads(path.read_text())
    record["verdict"]["observed_value"] = record["evidence"][0]["statistic_value"] = 0.99
    path.write_text(json.dumps(record))


def forged_signature(path: Path) -> None:
    record = json.loads(path.read_text())
    record["signature"] = "00" * 32
    path.write_text(json.dumps(record))


def forged_attestation(path: Path) -> None:
    record = json.loads(path.read_text())
    record["attestations"] = [
        {"key_id": "0" * 16, "algorithm": "ed25519", "public_key": "ab" * 32, "signature": "cd" * 64}
    ]
    path.write_text(json.dumps(record))


def contradiction(path: Path) -> None:
    from ophamin.proof.canonical import canonical_bytes, content_id

    record = {
        k: v for k, v in json.loads(path.read_text()).items() if k not in ("proof_id", "signature", "attestations")
    }
    record["verdict"]["outcome"] = "REFUTED"
    data = canonical_bytes(record)
    signed = {"proof_id": content_id(data), **record, "signature": Keyring().signer().hmac(data)}
    path.write_text(json.dumps(signed))


def future(path: Path) -> None:
    record = json.loads(path.read_text())
    record["schema_version"] = "2.0"
    path.write_text(json.dumps(record))


def foreign(path: Path) -> None:
    path.write_text('{"name": "left-pad", "version": "1.0.0"}')


def array(path: Path) -> None:
    path.write_text("[1, 2, 3]")


def deep(path: Path) -> None:
    path.write_text('{"proof_id": ' + "[" * 5000 + "]" * 5000 + "}")


def too_large_number(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"n_used": 400', b'"n_used": 1e999'))


@pytest.mark.parametrize(
    ("spoil", "state"),
    [
        (torn, "torn"),
        (empty, "torn"),
        (not_utf8, "torn"),
        (key_twice, "torn"),
        (deep, "torn"),
        (too_large_number, "torn"),
        (forged_value, "forged"),
        (forged_signature, "forged"),
        (forged_attestation, "forged"),
        (contradiction, "forged"),
        (future, "future-version"),
        (foreign, "foreign"),
        (array, "foreign"),
    ],
)
def test_a_bad_record_is_reported_and_the_rest_served(put: Any, index: Any, spoil: Any, state: str) -> None:
    good = put("good/record.json")
    spoil(put("bad/record.json", created="2026-11-24T10:00:02+00:00"))
    found = index()
    assert [e.path for e in found.entries()] == [good]
    (problem,) = found.problems()
    assert (problem.path.parent.name, problem.state) == ("bad", state)
    assert len(problem.reason) > 10


def test_copies_count_once_and_the_one_with_a_known_signer_counts(put: Any, index: Any, store: Path) -> None:
    path = put("z/record.json")
    (store / "a").mkdir()
    shutil.copy(path, store / "a" / "copy.json")
    found = index()
    assert [e.path.name for e in found.entries()] == ["copy.json"]
    assert states(found) == {"z/record.json": "duplicate"}
    record = json.loads(path.read_text())
    record["signature"] = "00" * 32
    (store / "a" / "copy.json").write_text(json.dumps(record))
    found.refresh()
    assert [e.path for e in found.entries()] == [path]
    assert states(found) == {"a/copy.json": "forged"}


def test_links_are_reported_with_where_they_lead(put: Any, index: Any, store: Path, tmp_path: Path) -> None:
    path = put("real/record.json")
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.copy(path, outside / "record.json")
    (store / "loop").symlink_to(store)
    (store / "self.json").symlink_to(store / "self.json")
    (store / "inside.json").symlink_to(path)
    (store / "out").symlink_to(outside)
    (store / "nowhere.json").symlink_to(store / "missing")
    (store / "linked").mkdir()
    (store / "linked" / "record.json").symlink_to(outside / "record.json")
    (store / "notes.txt").symlink_to(path)
    found = index()
    assert [e.path for e in found.entries()] == [path]
    reasons = {os.path.relpath(p.path, store): p.reason for p in found.problems()}
    assert {p.state for p in found.problems()} == {"symlinked"}
    assert "a folder it lies in" in reasons["loop"]
    assert "back to itself" in reasons["self.json"]
    assert "inside the store" in reasons["inside.json"]
    assert "out of the store" in reasons["out"]
    assert "cannot be reached" in reasons["nowhere.json"]
    assert "out of the store" in reasons["linked/record.json"]
    assert "notes.txt" not in reasons


@pytest.mark.usefixtures("settled")
def test_a_record_replaced_by_a_link_is_served_no_more(put: Any, index: Any, store: Path, tmp_path: Path) -> None:
    path = put("a/record.json")
    found = index()
    shutil.move(path, tmp_path / "record.json")
    path.symlink_to(tmp_path / "record.json")
    found.refresh()
    assert found.entries() == []
    assert states(found) == {"a/record.json": "symlinked"}
    path.unlink()
    shutil.move(tmp_path / "record.json", path)
    found.refresh()
    assert [e.path for e in found.entries()] == [path]
    assert found.problems() == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_and_odd_names_do_not_stop_anything(put: Any, index: Any, store: Path) -> None:
    path = put("a/record.json")
    os.mkfifo(store / "pipe.json")
    (store / "folder.json").mkdir()
    (store / ".hidden").mkdir()
    shutil.copy(path, store / ".hidden" / "record.json")
    odd = os.fsencode(store) + b"/\xff\n\x1b.json"
    with open(odd, "wb") as file:
        file.write(b"{}")
    found = index()
    assert [e.path for e in found.entries()] == [path]
    assert sorted(p.state for p in found.problems()) == ["foreign", "unreadable"]
    assert os.fsencode(next(p for p in found.problems() if p.state == "foreign").path) == odd


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_said(put: Any, index: Any, store: Path) -> None:
    put("a/record.json").chmod(0)
    put("b/record.json")
    (store / "b").chmod(0)
    found = index()
    assert states(found) == {"a/record.json": "unreadable", "b": "unreadable"}
    (store / "b").chmod(0o700)


def test_artifacts_beside_a_record_and_other_kinds_are_no_problems(put: Any, index: Any, store: Path) -> None:
    path = put("a/record.json")
    (path.parent / "trace.json").write_text("{}")
    (path.parent / "flames").mkdir()
    (path.parent / "flames" / "flames.json").write_text("{}")
    (path.parent / "link").symlink_to(store)
    found = index()
    assert found.problems() == []
    assert found.others() == {}
    assert [e.path for e in found.entries()] == [path]


@pytest.mark.usefixtures("settled")
def test_an_unknown_signer_is_said_until_we_trust_him(put: Any, index: Any, home: Path) -> None:
    if OTHER.public_key is None:
        pytest.skip("cryptography is not installed")
    put(signer=OTHER)
    with index() as found:
        (entry,) = found.entries()
        assert (entry.verified, entry.signer) == (False, "")
    Keyring().trust("them", OTHER.public_key)
    with index() as found:  # what was found under other keys is not believed
        (entry,) = found.entries()
        assert (entry.verified, entry.signer) == (True, "them")
    (home / "trusted" / "them.pub").unlink()
    with index() as found:
        assert not found.entries()[0].verified


@pytest.mark.parametrize("content", [b"", b"no database at all" * 99, b"SQLite format 3\x00" + b"\x00" * 2000])
def test_a_damaged_index_is_made_anew(put: Any, index: Any, tmp_path: Path, content: bytes) -> None:
    put()
    index().close()
    (tmp_path / "index.sqlite").write_bytes(content)
    found = index()
    assert len(found.entries()) == 1


@pytest.mark.parametrize("rot", [b"\x07", b"\xff"])
def test_an_index_that_rots_inside_is_made_anew(
    put: Any, index: Any, settled: None, tmp_path: Path, rot: bytes
) -> None:
    for i in range(30):
        put(f"{i}/record.json", revision=f"r{i}")
    put("torn.json").write_text("{")
    with index() as found:
        before, problems = found.entries(), found.problems()
    file = tmp_path / "index.sqlite"
    sound = file.read_bytes()
    for page in range(4096, len(sound), 4096):
        file.write_bytes(sound[:page] + rot * 4096 + sound[page + 4096 :])
        with index() as found:
            assert found.entries() == before, page
            assert found.problems() == problems, page


def test_an_index_that_cannot_be_written_is_kept_in_memory(put: Any, store: Path, tmp_path: Path) -> None:
    put()
    (tmp_path / "file").write_text("")
    with ProofIndex(store, file=tmp_path / "file" / "index.sqlite") as found:
        found.refresh()
        assert len(found.entries()) == 1


def test_the_index_lies_with_the_keys_and_not_in_the_tree(put: Any, store: Path, home: Path) -> None:
    put()
    before = sorted(store.rglob("*"))
    with ProofIndex(store) as found:
        found.refresh()
    assert sorted(store.rglob("*")) == before
    assert list((home / "cache" / "proofs").glob("*.sqlite"))


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UnknownRecord, match="there is no folder"):
        ProofIndex(tmp_path / "missing")


@pytest.mark.usefixtures("settled")
def test_interrupted_it_keeps_what_it_finished(
    put: Any, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(9):
        put(f"{i % 3}/{i}/record.json", created=f"2026-11-24T10:00:0{i + 1}+00:00")
    monkeypatch.setattr(_index, "_BATCH", 3)

    def stop(read: int) -> None:
        if read >= 6:
            raise KeyboardInterrupt

    with ProofIndex(store, file=tmp_path / "i.sqlite") as found:
        with pytest.raises(KeyboardInterrupt):
            found.refresh(stop)
        assert found.refresh().read == 3
        assert len(found.entries()) == 9


def test_several_processes_find_what_one_finds(
    put: Any, index: Any, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(8):
        put(f"{i}/record.json", created=f"2026-11-24T10:00:0{i + 1}+00:00")
    torn(put("8/record.json", created="2026-11-24T10:00:09+00:00"))
    alone = index()
    monkeypatch.setattr(_index, "PAYS", 1)
    monkeypatch.setattr(_index, "_CHUNK", 2)
    with ProofIndex(store, file=tmp_path / "two.sqlite", workers=2) as found:
        assert found.refresh().read == 9
        assert found.entries() == alone.entries()
        assert found.problems() == alone.problems()


def test_two_that_refresh_one_index_at_once(put: Any, store: Path, tmp_path: Path) -> None:
    for i in range(40):
        put(f"{i % 4}/{i}/record.json", created=f"2026-11-24T10:00:{i:02}+00:00", statement=f"Claim {i % 7}.")
    counts: list[int] = []

    def look() -> None:
        with ProofIndex(store, file=tmp_path / "i.sqlite") as found:
            found.refresh()
            counts.append(len(found.entries()))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [40] * 4


def test_a_proof_that_changed_since_is_not_handed_out(put: Any, index: Any) -> None:
    path = put()
    found = index()
    (entry,) = found.entries()
    forged_value(path)
    with pytest.raises(IntegrityError, match="not the proof that was indexed"):
        found.load(entry)
    path.unlink()
    with pytest.raises(UnknownRecord):
        found.load(entry)


def test_what_was_read_is_read_once_until_the_next_refresh(
    put: Callable[..., Path], index: Callable[..., ProofIndex], monkeypatch: pytest.MonkeyPatch
) -> None:
    put("a/record.json")
    read = []
    real = ProofIndex._read_copies
    monkeypatch.setattr(ProofIndex, "_read_copies", lambda self: read.append(1) or real(self))
    with index() as found:
        for ask in (found.entries, found.series, found.problems, found.entries):
            ask()
        assert len(read) == 1
        put("b/record.json", statement="Another.")
        put("c/record.json", statement="Another.")
        assert len(found.entries()) == 1
        found.refresh()
        assert (len(found.entries()), [p.state for p in found.problems()]) == (2, ["duplicate"])


def test_the_proofs_of_a_metric_or_one_of_each_series(
    put: Callable[..., Path], index: Callable[..., ProofIndex]
) -> None:
    for revision in ("r1", "r2"):
        put(f"{revision}/record.json", revision=revision)
    put("other/record.json", statement="Another.")
    with index() as found:
        assert found.having("accuracy") == found.entries()
        assert len(found.having("nothing of that name")) == len(found.series()) == 2


def test_folders_that_went_from_a_full_store_are_forgotten(
    put: Callable[..., Path], index: Callable[..., ProofIndex], store: Path, settled: None
) -> None:
    for i in range(30):
        put(f"f{i}/record.json", statement=f"Claim {i}.")
    with index() as found:
        assert len(found.entries()) == 30
        for i in range(0, 30, 3):
            shutil.rmtree(store / f"f{i}")
        found.refresh()
        assert len(found.entries()) == 20
