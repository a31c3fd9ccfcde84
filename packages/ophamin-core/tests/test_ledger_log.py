"""The ledger in one process: what it keeps, what it proves, what it finds."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading

import pytest

from ophamin.proof import ledger as ledger_module
from ophamin.proof._process import UNKNOWN, is_gone, this_process
from ophamin.proof.canonical import canonical_bytes
from ophamin.proof.errors import LedgerError, LimitError, RecordError, UsageError
from ophamin.proof.ledger import OUTCOMES, Ledger, head_bytes
from ophamin.proof.merkle import EMPTY_ROOT, leaf_hash, verify_consistency, verify_inclusion

DEAD = {"boot_id": UNKNOWN, "pid": 4_194_303, "start_time": UNKNOWN}  # above Linux' largest pid


@pytest.fixture
def log(tmp_path):
    return Ledger(tmp_path / "ledger")


def file_of(ledger):
    return ledger.directory / "log.jsonl"


def filled(ledger, n=5):
    for number in range(n):
        ref = ledger.register({"attempt_key": f"k{number % 2}", "attempt": number, "seed": number})
        ledger.close(ref.index, OUTCOMES[number % 4], proof_id=f"p{number}")
    return ledger


def test_a_registration_is_found_again_with_its_outcome(log):
    ref = log.register({"attempt_key": "k", "scenario": "metric", "seed": 3})
    assert (ref.index, ref.tree_size, ref.log_id) == (0, 1, log.log_id)
    [open_one] = log.attempts("k")
    assert open_one.outcome is None
    assert open_one.outcome_value is None
    assert open_one.value["process"] == this_process()
    assert open_one.value["registered_at"].endswith("+00:00")
    log.close(ref.index, "REFUTED", proof_id="abc", reason="it is so")
    [closed] = log.attempts("k")
    assert closed.outcome == "REFUTED"
    assert closed.outcome_value["proof_id"] == "abc"
    assert closed.outcome_value["reason"] == "it is so"
    assert log.attempts("another") == []
    assert [e.value["type"] for e in log.entries()] == ["registration", "outcome"]
    assert log.entry(1).leaf_hash == leaf_hash(canonical_bytes(log.entry(1).value))
    with pytest.raises(IndexError, match="2 entries"):
        log.entry(2)


def test_what_a_ledger_gives_a_proof_leads_to_its_root(log):
    for ref in [log.register({"seed": i}) for i in range(9)]:
        place = ref.to_dict()
        assert set(place) == {"log_id", "index", "leaf_hash", "tree_size", "root_hash", "path"}
        assert canonical_bytes(place)
        assert verify_inclusion(ref.leaf_hash, ref.index, ref.tree_size, ref.path, ref.root_hash)
        later = log.inclusion(ref.index)
        assert verify_inclusion(ref.leaf_hash, ref.index, log.size, later, log.root_hash)
        assert log.inclusion(ref.index, ref.tree_size) == ref.path
        grown = log.consistency(ref.tree_size)
        assert verify_consistency(ref.tree_size, log.size, ref.root_hash, log.root_hash, grown)
    with pytest.raises(IndexError, match="9 entries"):
        log.inclusion(0, 10)


def test_opened_again_it_is_the_same(log):
    filled(log)
    again = Ledger(log.directory)
    assert (again.log_id, again.size, again.root_hash) == (log.log_id, log.size, log.root_hash)
    assert list(again.entries()) == list(log.entries())
    report = again.verify()
    assert report.ok
    assert (report.size, report.root_hash, report.log_id) == (10, log.root_hash, log.log_id)
    assert len(log.log_id) == 32
    assert Ledger(log.directory.parent / "other").log_id != log.log_id


def test_every_line_is_canonical_json_with_the_leaf_verbatim(log):
    filled(log, 2)
    header, *lines = file_of(log).read_bytes().splitlines()
    assert json.loads(header)["log_id"] == log.log_id
    for entry, line in zip(log.entries(), lines, strict=True):
        value = json.loads(line)
        assert canonical_bytes(value) == line
        assert value["leaf"] == entry.value
        assert value["size"] == entry.index + 1


def test_each_append_is_one_write_and_one_fsync(log, monkeypatch):
    calls = []
    write, fsync = os.write, os.fsync
    monkeypatch.setattr(os, "write", lambda fd, data: calls.append("write") or write(fd, data))
    monkeypatch.setattr(os, "fsync", lambda fd: calls.append("fsync") or fsync(fd))
    log.register({"seed": 1})
    assert calls == ["write", "fsync"]


def test_reading_makes_nothing(tmp_path):
    nowhere = tmp_path / "a" / "ledger"
    for reader in (Ledger(nowhere, create=False), Ledger(tmp_path, create=False)):
        assert reader.verify().ok
        assert (reader.log_id, reader.size, reader.root_hash) == ("", 0, EMPTY_ROOT)
        assert list(reader.entries()) == []
        assert reader.attempts("k") == []
        with pytest.raises(LedgerError, match="reading only"):
            reader.register({})
    assert list(tmp_path.iterdir()) == []


def test_a_reader_sees_what_a_writer_appends_and_a_log_made_later(tmp_path):
    reader = Ledger(tmp_path / "ledger", create=False)
    assert reader.size == 0
    writer = Ledger(tmp_path / "ledger")
    writer.register({"attempt_key": "k"})
    assert reader.size == 1
    assert reader.log_id == writer.log_id
    other = Ledger(tmp_path / "ledger")
    ref = other.register({"attempt_key": "k"})
    assert writer.close(ref.index, "VALIDATED").index == 2
    assert [a.outcome for a in reader.attempts("k")] == [None, "VALIDATED"]


def test_a_reader_needs_no_permission_to_write(log):
    filled(log, 1)
    os.chmod(file_of(log), 0o444)
    os.chmod(log.directory, 0o555)
    try:
        assert Ledger(log.directory, create=False).verify().ok
    finally:
        os.chmod(log.directory, 0o755)
        os.chmod(file_of(log), 0o644)


def test_requests_that_make_no_sense_are_refused(log):
    with pytest.raises(UsageError, match="not a registration"):
        log.close(0, "VALIDATED")
    ref = log.register({"seed": 1})
    with pytest.raises(UsageError, match="not an outcome"):
        log.close(ref.index, "PROBABLY")
    end = log.close(ref.index, "VALIDATED")
    for index in (ref.index, end.index, 77):
        with pytest.raises(UsageError, match=r"closed already|not a registration"):
            log.close(index, "REFUTED")
    with pytest.raises(UsageError, match="decided"):
        log.resume(ref.index)
    with pytest.raises(UsageError, match="use append"):
        log.register({"type": "outcome"})
    for entry in ({}, {"type": "outcome"}, {"type": "registration"}, {"type": 3}):
        with pytest.raises(UsageError, match="type of its own"):
            log.append(entry)
    with pytest.raises(RecordError):
        log.register({"seed": float("nan")})
    with pytest.raises(LimitError, match="at most"):
        log.append({"type": "note", "text": "x" * (1 << 20)})
    assert log.size == 2
    assert log.append({"type": "reproduction", "proof_id": "p", "agree": True}).index == 2
    assert log.verify().ok


def test_a_registration_without_process_is_closed_by_the_next_who_opens(log, monkeypatch):
    kept = log.register({"attempt_key": "k"})
    monkeypatch.setattr("ophamin.proof.ledger._ledger.this_process", lambda: DEAD)
    lost = log.register({"attempt_key": "k"})
    monkeypatch.undo()
    assert [a.outcome for a in Ledger(log.directory, create=False).attempts("k")] == [None, None]
    opened = Ledger(log.directory)
    assert [a.outcome for a in opened.attempts("k")] == [None, "ABORTED"]
    assert "process is gone" in opened.attempts("k")[1].outcome_value["reason"]
    size = opened.size
    assert Ledger(log.directory).size == size, "it is closed once"
    opened.resume(lost.index)
    assert [a.outcome for a in opened.attempts("k")] == [None, None]
    opened.close(lost.index, "VALIDATED")
    assert [a.outcome for a in opened.attempts("k")] == [None, "VALIDATED"]
    opened.close(kept.index, "REFUTED")
    assert opened.verify().ok


def test_a_run_that_was_taken_for_dead_still_gets_its_outcome(log, monkeypatch):
    ref = log.register({"attempt_key": "k"})
    monkeypatch.setattr("ophamin.proof.ledger._ledger.is_gone", lambda process: True)
    other = Ledger(log.directory)  # another container, which cannot see this process
    assert [a.outcome for a in other.attempts("k")] == ["ABORTED"]
    monkeypatch.undo()
    log.close(ref.index, "VALIDATED")
    assert [a.outcome for a in log.attempts("k")] == ["VALIDATED"]
    assert [e.value["type"] for e in log.entries()] == ["registration", "outcome", "resumption", "outcome"]
    with pytest.raises(UsageError, match="closed already"):
        log.close(ref.index, "REFUTED")


def test_only_an_aborted_or_own_registration_resumes(log, monkeypatch):
    mine = log.register({"seed": 1})
    log.resume(mine.index)
    log.close(mine.index, "ABORTED")
    with pytest.raises(UsageError, match="closed already"):
        log.close(mine.index, "VALIDATED")
    log.resume(mine.index)
    log.close(mine.index, "INCONCLUSIVE")
    other = {**this_process(), "pid": os.getppid(), "start_time": UNKNOWN}
    monkeypatch.setattr("ophamin.proof.ledger._ledger.this_process", lambda: other)
    theirs = log.register({"seed": 2})
    monkeypatch.undo()
    with pytest.raises(UsageError, match="running in process"):
        log.resume(theirs.index)


def test_processes_are_told_apart():
    here = this_process()
    assert not is_gone(here)
    assert not is_gone({**here, "start_time": UNKNOWN, "boot_id": UNKNOWN})
    assert is_gone({**here, "pid": DEAD["pid"]})
    assert is_gone({**here, "boot_id": UNKNOWN, "pid": DEAD["pid"]})
    for odd in ({}, {"pid": True}, {"pid": "7"}, {"pid": 0}, {"pid": -1}):
        assert not is_gone(odd)
    if here["start_time"] != UNKNOWN:
        assert is_gone({**here, "start_time": "1"})
    if here["boot_id"] != UNKNOWN:
        assert is_gone({**here, "boot_id": "another-boot"})


def test_attempts_are_counted_and_registered_in_one_step(log):
    def one():
        mine = Ledger(log.directory)
        for _ in range(5):
            with mine.exclusive():
                k = len(mine.attempts("k")) + 1
                mine.register({"attempt_key": "k", "attempt": k})

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [a.value["attempt"] for a in log.attempts("k")] == list(range(1, 21))


def test_threads_may_share_one_ledger(log):
    def one(number):
        for _ in range(10):
            log.close(log.register({"attempt_key": f"k{number}"}).index, "VALIDATED")

    threads = [threading.Thread(target=one, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.size == 80
    assert log.verify().ok
    assert all([a.outcome for a in log.attempts(f"k{n}")] == ["VALIDATED"] * 10 for n in range(4))


# --- heads


class Signer:
    key_id = "key-1"

    def hmac(self, data):
        return hashlib.sha256(b"secret" + data).hexdigest()

    def attest(self, data):
        return {"key_id": self.key_id, "signature": hashlib.sha256(b"public" + data).hexdigest()}


def test_heads_are_signed_and_kept_heads_find_a_replaced_log(log, tmp_path):
    filled(log, 3)
    head = log.head(Signer())
    assert head["signature"] == Signer().hmac(head_bytes(head))
    assert head["attestations"][0]["key_id"] == "key-1"
    assert "signature" not in log.head()
    assert {"tree_size": 6, "root_hash": log.root_hash, "log_id": log.log_id}.items() <= head.items()
    before = shutil.copytree(log.directory, tmp_path / "older")
    late = log.append({"type": "note"})
    assert log.verify([head, late.to_dict(), log.head()]).ok
    assert verify_consistency(6, 7, head["root_hash"], log.root_hash, log.consistency(6))

    rolled_back = Ledger(before, create=False)
    assert rolled_back.verify().ok, "a whole older copy is consistent in itself"
    assert "cut short" in rolled_back.verify([log.head()]).problem
    other = filled(Ledger(tmp_path / "other"), 4)
    assert "belongs to log" in other.verify([head]).problem
    assert "head of one was kept" in Ledger(tmp_path / "none", create=False).verify([head]).problem
    forged = {**head, "root_hash": "00" * 32}
    assert "not those of a head" in log.verify([forged]).problem


# --- tampering


def tampered(log, change):
    lines = file_of(log).read_bytes().splitlines(keepends=True)
    change(lines)
    file_of(log).write_bytes(b"".join(lines))
    return Ledger(log.directory, create=False).verify()


def drop(lines):
    del lines[4]


def swap(lines):
    lines[4], lines[5] = lines[5], lines[4]


def rewrite(lines):
    lines[4] = lines[4].replace(b'"attempt":', b'"attempT":', 1).replace(b"REFUTED", b"VALIDED")


def double(lines):
    lines.insert(4, lines[4])


def blank(lines):
    lines.insert(4, b"\n")


def join_lines(lines):
    lines[4] = lines[4].rstrip(b"\n")


def head_only(lines):
    lines[4] = lines[4].replace(b'"root":"', b'"root":"00', 1)[:-1] + b"\n"


@pytest.mark.parametrize("change", [drop, swap, rewrite, double, blank, join_lines, head_only])
def test_a_changed_log_names_the_first_bad_entry(log, change):
    filled(log)
    report = tampered(log, change)
    assert not report.ok
    assert report.first_bad in (3, 4)
    assert report.first_bad == (4 if change is double else 3)
    assert report.size == report.first_bad


@pytest.mark.parametrize("change", [drop, swap, rewrite, double, blank, join_lines])
def test_nothing_is_appended_to_a_changed_log(log, change):
    filled(log)
    tampered(log, change)
    before = file_of(log).read_bytes()
    for _ in range(2):
        with pytest.raises(LedgerError):
            Ledger(log.directory)
        with pytest.raises(LedgerError):
            log.register({"seed": 1}) if change is not rewrite and change is not swap else Ledger(log.directory)
    assert file_of(log).read_bytes() == before


def test_every_changed_byte_is_found(log):
    filled(log, 2)
    good = file_of(log).read_bytes()
    log_id = log.log_id
    for position in range(len(good)):
        changed = bytearray(good)
        changed[position] ^= 0x01
        file_of(log).write_bytes(changed)
        report = Ledger(log.directory, create=False).verify()
        # The header is bound by the log id that every proof and head names, and by nothing in the log.
        header = position < good.index(b"\n")
        assert not report.ok or (header and (report.log_id != log_id or b'"created_at"' in good[:position])), position
    file_of(log).write_bytes(good)
    assert Ledger(log.directory, create=False).verify().ok


@pytest.mark.parametrize(
    "junk",
    [b"x", b"\n", b"\n\n", b"{}\n", b"\x00" * 100, b"a text\nof two lines\n", b'{"created_at":"x"}\n', b"\xff\xfe"],
)
def test_a_foreign_file_is_refused_and_kept(tmp_path, junk):
    file = tmp_path / "log.jsonl"
    file.write_bytes(junk)
    assert not Ledger(tmp_path, create=False).verify().ok
    for create in (True, False):
        with pytest.raises(LedgerError):
            _ = Ledger(tmp_path, create=create).size
    assert file.read_bytes() == junk


def test_entries_are_refused_when_rewritten_under_an_open_ledger(log):
    filled(log)
    data = file_of(log).read_bytes()
    file_of(log).write_bytes(data.replace(b'"attempt":1', b'"attempt":7', 1))
    with pytest.raises(LedgerError, match="entry 2"):
        list(log.entries())


def test_a_log_replaced_or_cut_while_open_is_refused(log):
    filled(log)
    data = file_of(log).read_bytes()
    file_of(log).write_bytes(data[: len(data) // 2])
    for _ in range(2):
        with pytest.raises(LedgerError, match="replaced"):
            log.register({"seed": 1})
    file_of(log).unlink()
    for use in (lambda: log.size, lambda: log.register({"seed": 1})):
        with pytest.raises(LedgerError, match="gone"):
            use()
    assert not file_of(log).exists()
    filled(Ledger(log.directory), 9)
    for _ in range(2):
        with pytest.raises(LedgerError):
            log.register({"seed": 1})
    assert Ledger(log.directory).verify().ok


def test_leaves_that_are_no_objects_are_refused(tmp_path):
    from ophamin.proof.ledger import _frame

    for leaf in (b"[1]", b"nonsense", b'{"a": 1}', b'{"b":1,"a":1}', b'{"a":1,"a":1}', b'{"a":NaN}', b"[" * 100_000):
        hashed = leaf_hash(leaf)
        header = _frame.encode_header("0" * 32, "2026-01-01T00:00:00+00:00")
        (tmp_path / "log.jsonl").write_bytes(header + _frame.encode(leaf, 1, hashed))
        report = Ledger(tmp_path, create=False).verify()
        assert not report.ok
        assert report.first_bad == 0
        if not leaf.startswith(b"{"):
            with pytest.raises(LedgerError):
                Ledger(tmp_path)


# --- torn ends


def test_cut_at_every_byte_only_what_was_not_finished_is_lost(log, tmp_path):
    filled(log, 2)
    data = file_of(log).read_bytes()
    ends = [i + 1 for i, byte in enumerate(data) if byte == 10]
    torn = tmp_path / "torn"
    torn.mkdir()
    for length in range(len(data) + 1):
        (torn / "log.jsonl").write_bytes(data[:length])
        whole = sum(end <= length for end in ends) - 1  # lines but for the header
        report = Ledger(torn, create=False).verify()
        assert report.ok, (length, report)
        assert report.size == max(whole, 0)
        assert report.torn_bytes == length - max([e for e in ends if e <= length], default=0)
        assert (torn / "log.jsonl").read_bytes() == data[:length], "looking changes nothing"
        reopened = Ledger(torn)
        ref = reopened.append({"type": "note"})
        assert ref.index == max(whole, 0)
        assert (reopened.log_id == log.log_id) == (whole >= 0)
        report = Ledger(torn, create=False).verify()
        assert report.ok
        assert (report.size, report.torn_bytes) == (ref.tree_size, 0)


def test_bytes_after_a_whole_entry_are_no_torn_end(log):
    filled(log, 1)
    file_of(log).write_bytes(file_of(log).read_bytes()[:-1] + b"x")
    report = Ledger(log.directory, create=False).verify()
    assert (report.ok, report.first_bad) == (False, 1)
    with pytest.raises(LedgerError, match="after its last entry"):
        Ledger(log.directory)


@pytest.mark.parametrize("fails", ["write", "fsync"])
def test_a_failed_append_leaves_nothing(log, monkeypatch, fails):
    filled(log, 1)
    before, size = file_of(log).read_bytes(), log.size
    real = os.write

    def full(fd, data=b""):
        if data:
            real(fd, data[:20])
        raise OSError(28, "No space left on device")

    with log.exclusive():
        monkeypatch.setattr(os, fails, full)
        with pytest.raises(OSError, match="space"):
            log.register({"seed": 1})
        monkeypatch.undo()
        assert file_of(log).read_bytes() == before
        assert log.register({"seed": 1}).index == size
    assert log.verify().ok


def test_a_file_system_that_cannot_lock_is_named(log, monkeypatch):
    import fcntl

    def refuse(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(LedgerError, match="cannot be locked"):
        log.register({})


def test_what_is_public_is_listed():
    assert sorted(ledger_module.__all__) == sorted(
        ["OUTCOMES", "Attempt", "Ledger", "LedgerEntry", "LedgerRef", "LedgerReport", "LedgerView", "head_bytes"]
    )
