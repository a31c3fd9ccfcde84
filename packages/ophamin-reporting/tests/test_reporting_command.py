from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from ophamin.proof.errors import OphaminError, UnknownRecord
from ophamin.proof.kinds import PROOF
from ophamin.proof.store import Store


@pytest.fixture
def run(settings, home):
    from ophamin.reporting._command import report

    return lambda *words: CliRunner().invoke(report, list(map(str, words)), obj=settings)


def tamper(path: Path) -> None:
    record = json.loads(path.read_text())
    record["verdict"]["reasoning"] = "<b>changed</b>"
    path.write_text(json.dumps(record))


def test_a_page_whose_path_is_printed_last(run, write_proof, settings):
    done = run(write_proof("a.json"), "--title", "Mine")
    assert done.exit_code == 0, done.output
    report = Path(done.stdout.splitlines()[-1])
    assert report == Path(settings.project) / "report.html"
    html = report.read_text()
    assert '<h1 dir="auto">Mine</h1>' in html
    assert 'class="word good">verified' in html


def test_markdown_goes_to_standard_output(run, write_proof):
    done = run(write_proof("a.json"), "--format", "markdown")
    assert done.exit_code == 0
    assert done.stdout.startswith("# proof ")
    assert "**VALIDATED**" in done.stdout


def test_a_tampered_record_is_shown_under_a_banner(run, write_proof):
    good, bad = write_proof("a.json"), write_proof("b.json")
    tamper(bad)
    done = run(good, bad)
    assert done.exit_code == 3
    assert "TAMPERED" in done.stderr
    html = Path(done.stdout.splitlines()[-1]).read_text()
    assert html.count("DO NOT TRUST THIS RECORD</strong>") == 1
    assert "<b>changed" not in html


def test_an_id_of_the_store(run, body, settings, home):
    from ophamin.proof.keys import Keyring
    from ophamin.proof.signed import sign

    record = sign(body(), PROOF, Keyring().signer())
    Store(Path(settings.store)).put(record, PROOF)
    done = run(record["proof_id"][:10], "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["records"][0]["id"] == record["proof_id"]
    assert said["records"][0]["exit_code"] == 0


def test_a_folder_serves_its_records_and_names_the_rest(run, write_proof, tmp_path):
    good = write_proof("set/one/record.json")
    (good.parent / "profile.json").write_text("{}")
    write_proof("set/two.json")
    (tmp_path / "set/torn.json").write_text('{"proof_id": "ab')
    (tmp_path / "set/foreign.json").write_text('{"name": "package"}')
    (tmp_path / "set/list.json").write_text("[]")
    (tmp_path / "set/link.json").symlink_to(good)
    (tmp_path / "set/.hidden").mkdir()
    (tmp_path / "set/.hidden/x.json").write_text("{")
    done = run(tmp_path / "set", "--json")
    assert done.exit_code == 0
    said = json.loads(done.stdout)
    assert [Path(r["path"]).name for r in said["records"]] == ["two.json", "record.json"]
    assert sorted(Path(r["path"]).name for r in said["left_out"]) == [
        "foreign.json",
        "link.json",
        "list.json",
        "torn.json",
    ]


def test_audits_come_oldest_first_and_proofs_stay(run):
    from types import SimpleNamespace as Object

    from ophamin.reporting._command import _audits_by_time

    def found(kind, at):
        return Object(record=Object(kind=Object(name=kind), object={"identity": {"captured_at": at}}))

    times = [
        ("audit", "2026-11-24T12:00:00+02:00"),
        ("proof", "z"),
        ("audit", "2026-11-24T09:00:00+00:00"),
        ("audit", 7),
    ]
    sorted_ = [item.record.object["identity"]["captured_at"] for item in _audits_by_time([found(*t) for t in times])]
    assert sorted_ == [7, "z", "2026-11-24T09:00:00+00:00", "2026-11-24T12:00:00+02:00"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"proof_id": NaN}', b"{}"])
def test_a_named_file_that_is_no_record_is_an_error(run, tmp_path, content):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    done = run(path)
    assert isinstance(done.exception, OphaminError)
    assert done.exception.exit_code == 2


def test_nothing_to_show(run, tmp_path):
    (tmp_path / "empty").mkdir()
    assert run(tmp_path / "empty").exception.exit_code == 2
    assert isinstance(run("abcdef").exception, UnknownRecord)


def test_a_folder_that_is_not_there(run, write_proof, tmp_path):
    assert run(write_proof("a.json"), "--out", tmp_path / "no" / "r.html").exception.exit_code == 2


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(run, write_proof, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    assert run(write_proof("a.json"), "--out", closed / "r.html").exception.exit_code == 2
