"""What a record is bound to outside itself: ledger and observations."""

from __future__ import annotations

import copy
import gzip
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ophamin.proof.bindings import check_ledger, check_observations, check_selection
from ophamin.proof.canonical import digest
from ophamin.proof.kinds import PROOF
from ophamin.proof.merkle import leaf_hash, root_hash
from ophamin.proof.reading import parse
from ophamin.proof.signed import SignedRecord

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def record(tmp_path):
    return SignedRecord(PROOF, parse((GOLDEN / "proof-1.1.json").read_bytes()), tmp_path / "record.json")


@dataclass
class Entry:
    index: int
    value: dict
    leaf_hash: str = ""


@dataclass
class Log:
    """As much of a ledger as the check asks for."""

    log_id: str
    leaves: list[Entry] = field(default_factory=list)

    def entries(self):
        return iter(self.leaves)


@pytest.fixture
def log(record):
    place = record.object["preregistration"]
    selected = record.object["data"]["datasets"][0]["selection"]["content_hash"]
    registration = {"type": "registration", "attempt_key": "k", "selection_hash": selected}
    registration |= {name: place[name] for name in ("alpha_used", "attempt", "seed", "claim_hash")}
    earlier = {**registration, "attempt": place["attempt"] - 1, "selection_hash": "other"}
    outcome = {"type": "outcome", "registration": 2, "outcome": "VALIDATED", "proof_id": record.id}
    leaves = [Entry(0, earlier), Entry(1, {"type": "outcome", "registration": 0, "proof_id": ""})]
    leaves += [Entry(2, registration, place["ledger"]["leaf_hash"]), Entry(3, outcome)]
    return Log(place["ledger"]["log_id"], leaves)


def test_the_inclusion_path_is_recomputed(record, log):
    (finding,) = check_ledger(record)
    assert (finding.name, finding.state) == ("ledger", "could not be checked"), "nobody looked at the ledger"
    assert "leads to the stated root" in finding.detail
    assert check_ledger(record, log)[0].state == "good"


def test_a_registration_that_measured_nothing_is_no_earlier_attempt(record, log):
    """It keeps the number for the next one, which may draw the same records."""
    log.leaves[0].value.update(
        selection_hash=log.leaves[2].value["selection_hash"], attempt=record.object["preregistration"]["attempt"]
    )
    assert check_ledger(record, log)[0].state == "good"


@pytest.mark.parametrize(
    "change",
    [
        {"index": 3},
        {"index": 2.0},
        {"tree_size": 4},
        {"path": []},
        {"root_hash": "0" * 64},
        {"leaf_hash": "0" * 64},
        {"path": None},
    ],
)
def test_a_path_that_leads_elsewhere_is_bad(record, change):
    record.object["preregistration"]["ledger"].update(change)
    assert check_ledger(record)[0].state == "bad"


def test_a_place_with_a_part_missing_is_bad_and_no_place_is_nothing(record):
    del record.object["preregistration"]["ledger"]["root_hash"]
    assert check_ledger(record)[0].state == "bad"
    record.object["preregistration"]["ledger"] = {}
    assert check_ledger(record)[0].state == "could not be checked"
    assert check_ledger(SignedRecord(PROOF, {})) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda log: setattr(log, "log_id", "other"), "registered in the log"),
        (lambda log: setattr(log.leaves[2], "leaf_hash", "0" * 64), "is not its registration"),
        (lambda log: log.leaves.pop(2), "is not its registration"),
        (lambda log: log.leaves[2].value.update(type="outcome"), "is not its registration"),
        (lambda log: log.leaves[2].value.update(alpha_used=0.05), "alpha_used is 0.025"),
        (lambda log: log.leaves[2].value.update(attempt=1), "attempt is 2"),
        (lambda log: log.leaves[2].value.update(seed=1), "seed is"),
        (lambda log: log.leaves[2].value.update(claim_hash="sha256:1"), "claim_hash is"),
        (lambda log: log.leaves.pop(3), "no outcome in the ledger names"),
        (lambda log: log.leaves[3].value.update(proof_id="0" * 64), "no outcome in the ledger names"),
        (lambda log: log.leaves[3].value.update(outcome="REFUTED"), "the ledger says otherwise"),
        (
            lambda log: log.leaves[0].value.update(selection_hash=log.leaves[2].value["selection_hash"]),
            "not fresh records",
        ),
        (lambda log: log.leaves[2].value.update(selection_hash="sha256:1"), "not the one that was registered"),
        (lambda log: log.leaves[2].value.update(data_hash="sha256:1"), "data_hash is"),
    ],
)
def test_a_ledger_that_disagrees_is_bad(record, log, change, words):
    change(log)
    (finding,) = check_ledger(record, log)
    assert finding.state == "bad"
    assert words in finding.detail


def observed(record, rows, **more):
    data = b"".join(rows)
    selects(record, [f"r{i}" for i in range(1000)])
    record.object["data"]["observations"] = {
        "digest": "sha256:" + hashlib.sha256(data).hexdigest(),
        "n_rows": len(rows),
        **more,
    }
    path = record.path.with_name("observations.jsonl.gz")
    path.write_bytes(gzip.compress(data))
    return path


def selects(record, ids):
    """The record says that it measured these, in this order."""
    record.object["data"]["datasets"][0]["selection"]["content_hash"] = digest(list(ids))
    record.object["verdict"]["n_used"] = len(ids)


ROWS = [b'{"index":%d,"record":"r%d","status":"ok"}\n' % (i, i) for i in range(1000)]


def test_a_signature_that_is_not_the_one_logged_is_bad(record, log):
    log.leaves[3].value["signature"] = record.object["signature"]
    assert check_ledger(record, log)[0].state == "good"
    log.leaves[3].value["signature"] = "0" * 64
    (finding,) = check_ledger(record, log)
    assert (finding.state, "signature" in finding.detail) == ("bad", True)


def test_observations_beside_the_record_are_checked(record, tmp_path):
    assert check_observations(record)[0].state == "could not be checked"
    path = observed(record, ROWS)
    assert check_observations(record)[0].state == "good"
    moved = path.rename(tmp_path / "elsewhere.gz")
    assert check_observations(record)[0].state == "could not be checked"
    assert check_observations(record, moved)[0].state == "good"
    record.object["data"]["observations"]["digest"] = record.object["data"]["observations"]["digest"][7:]
    assert check_observations(record, moved)[0].state == "good"
    assert check_observations(SignedRecord(PROOF, record.object))[0].state == "could not be checked"
    record.object["data"]["observations"] = None
    assert check_observations(record) == []


@pytest.mark.parametrize(
    "rows",
    [ROWS[:-1], [*ROWS, b"{}\n"], [b'{"index":1}\n', *ROWS[1:]], ROWS[::-1], [b"x" * 50] * 1000],
)
def test_other_observations_are_bad(record, rows):
    path = observed(record, ROWS)
    path.write_bytes(gzip.compress(b"".join(rows)))
    assert check_observations(record)[0].state == "bad"


def test_rows_that_are_not_of_the_selection_are_bad(record):
    observed(record, ROWS)
    selects(record, [f"r{i}" for i in reversed(range(1000))])
    assert "selected" in check_observations(record)[0].detail
    selects(record, [f"r{i}" for i in range(1000)])
    record.object["verdict"]["n_used"] = 1001
    assert check_observations(record)[0].state == "bad"


@pytest.mark.parametrize(
    "data",
    [b"", b"not gzip", gzip.compress(b"".join(ROWS))[:-9], gzip.compress(b"a\n" * 99)[:30]],
    ids=["empty", "text", "cut", "torn"],
)
def test_files_that_do_not_unpack_are_bad(record, data):
    observed(record, ROWS).write_bytes(data)
    assert check_observations(record)[0].state == "bad"


def test_a_bomb_is_not_unpacked_to_the_end(record):
    path = observed(record, ROWS)
    path.write_bytes(gzip.compress(b"\0" * (200 << 20), 1))
    (finding,) = check_observations(record)
    assert finding.state == "bad"
    before = copy.deepcopy(record.object)
    assert record.object == before


def test_a_directory_in_their_place_is_bad(record):
    record.object["data"]["observations"] = {"digest": "0" * 64}
    record.path.with_name("observations.jsonl.gz").mkdir()
    assert check_observations(record)[0].state == "bad"


@pytest.fixture
def attempts(tmp_path, record):
    """Two attempts with observations beside their proofs, and the ledger and store that know of them."""
    from ophamin.proof.ledger import Ledger

    ledger = Ledger(tmp_path / "ledger")
    paths = {}

    class Store:
        def path(self, proof_id):
            return paths[proof_id]

    def attempt(number, ids):
        place = ledger.register({"attempt_key": "k", "attempt": number, "selection_hash": f"s{number}"})
        folder = tmp_path / f"attempt-{number}"
        folder.mkdir()
        rows = "".join(f'{{"record":"{i}"}}\n' for i in ids).encode()
        (folder / "observations.jsonl.gz").write_bytes(gzip.compress(rows))
        proof_id = f"{number:064x}"
        paths[proof_id] = folder / "record.json"
        ledger.close(place.index, "VALIDATED", proof_id=proof_id)
        obj = {
            "preregistration": {"attempt": number, "ledger": place.to_dict()},
            "claim": {"decision": {"rule": "interval"}},
        }
        return SignedRecord(record.kind, obj, folder / "record.json")

    return ledger, Store(), attempt


def test_fresh_records_are_good_and_repeated_ones_bad(attempts):
    ledger, store, attempt = attempts
    assert check_selection(attempt(1, "ab"), ledger, store) == []
    (finding,) = check_selection(attempt(2, "cd"), ledger, store)
    assert finding.state == "good"
    (finding,) = check_selection(attempt(3, "ed"), ledger, store)
    assert finding.state == "bad"
    assert "1 of its records" in finding.detail


def test_a_lost_earlier_proof_is_not_a_good_answer(attempts, tmp_path):
    ledger, store, attempt = attempts
    attempt(1, "ab")
    second = attempt(2, "cd")
    (tmp_path / "attempt-1" / "observations.jsonl.gz").unlink()
    (finding,) = check_selection(second, ledger, store)
    assert finding.state == "could not be checked"


def test_the_merkle_root_of_the_rows_is_recomputed(record, tmp_path):
    rows = [b'{"record":"a","status":"ok"}\n', b'{"record":"b","status":"ok"}\n']
    selects(record, "ab")
    path = tmp_path / "observations.jsonl.gz"
    path.write_bytes(gzip.compress(b"".join(rows)))
    stated = {"digest": "sha256:" + hashlib.sha256(b"".join(rows)).hexdigest(), "n_rows": 2}
    record.object["data"]["observations"] = {**stated, "merkle_root": root_hash([leaf_hash(r) for r in rows])}
    assert check_observations(record, path)[0].state == "good"
    record.object["data"]["observations"]["merkle_root"] = "0" * 64
    assert check_observations(record, path)[0].state == "bad"
