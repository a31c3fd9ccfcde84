"""Corpora and stores as data of a real DVC, read back by its own command."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

pytest.importorskip("dvc", reason="DVC is an extra and not installed")
# Importing it meets other libraries' deprecations.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def dvc(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    command = [sys.executable, "-m", "dvc", *words]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False)


def test_a_corpus_and_the_store_are_tracked_and_come_back(project: Any, stored: Any, made: Any) -> None:
    from ophamin.comparing._command import dvc as commands
    from ophamin.proof.errors import UnknownRecord, UsageError

    root = Path(project.project)
    [proof_id] = stored(made())
    corpus = root / "rows.csv"
    corpus.write_text("text,label\nhello,1\n")
    assert isinstance(CliRunner().invoke(commands.status, [], obj=project).exception, UnknownRecord)

    done = CliRunner().invoke(commands.track, [str(corpus), project.store, "--json"], obj=project)
    assert done.exit_code == 0, (done.output, done.exception)
    tracked = {item["path"]: item for item in json.loads(done.stdout)["tracked"]}
    assert set(tracked) == {"rows.csv", "proofs"}
    md5 = hashlib.md5(corpus.read_bytes(), usedforsecurity=False).hexdigest()
    assert tracked["rows.csv"]["digest"] == f"md5:{md5}"
    assert tracked["proofs"]["digest"].endswith(".dir")
    assert md5 in (root / "rows.csv.dvc").read_text()
    assert CliRunner().invoke(commands.status, [], obj=project).exit_code == 0

    # DVC itself agrees, and brings back what was lost.
    assert "up to date" in dvc(root, "status").stdout
    record = root / "proofs" / "proof" / proof_id[:2] / proof_id / "record.json"
    before = record.read_bytes()
    record.unlink()
    corpus.write_text("text,label\nother,0\n")
    seen = CliRunner().invoke(commands.status, ["--json"], obj=project)
    assert seen.exit_code == 1
    assert {item["state"] for item in json.loads(seen.stdout)["tracked"]} == {"changed"}
    back = dvc(root, "checkout", "--force")
    assert back.returncode == 0, back.stderr
    assert record.read_bytes() == before
    assert corpus.read_text() == "text,label\nhello,1\n"

    outside = CliRunner().invoke(commands.track, [str(root.parent)], obj=project)
    assert isinstance(outside.exception, UsageError)
    assert isinstance(CliRunner().invoke(commands.track, [str(root / "none")], obj=project).exception, UsageError)


TORN = {
    "cut off": b"outs:\n- md5: ",
    "no version of DVC": b"outs:\n- path: /etc/hostname\n  md5: aaaa\n",
    "makes objects": b"!!python/object/apply:os.system ['touch made']\n",
    "no text": b"\xff\xfe",
}


@pytest.mark.parametrize("content", TORN.values(), ids=TORN)
def test_a_file_of_dvc_that_somebody_tore_is_said_in_one_sentence(project: Any, home: Path, content: bytes) -> None:
    from ophamin.comparing.provenance import dvc_data
    from ophamin.proof.errors import UsageError

    root = Path(project.project)
    root.mkdir()
    (root / "rows.csv").write_text("text,label\n")
    dvc_data.track(root, [root / "rows.csv"])
    (root / "torn.dvc").write_bytes(content)
    with pytest.raises(UsageError, match="DVC"):
        dvc_data.status(root)
    assert not list(root.rglob("made"))


def test_a_part_of_what_is_tracked_and_a_file_that_leads_out(project: Any, home: Path) -> None:
    from ophamin.comparing.provenance import dvc_data

    root = Path(project.project)
    (root / "data").mkdir(parents=True)
    (root / "data" / "rows.csv").write_text("text,label\n")
    [whole] = dvc_data.track(root, [root / "data"])
    assert dvc_data.track(root, [root / "data" / "rows.csv"]) == [whole]
    (root / "out.dvc").write_text("outs:\n- path: ../outside\n  md5: aaaa\n")
    assert {item.path: item.state for item in dvc_data.status(root)} == {
        "data": "same", str(root.parent / "outside"): "absent"
    }  # fmt: skip


def test_dvc_says_nothing_into_the_answer(tmp_path: Path, home: Path) -> None:
    (tmp_path / "rows.csv").write_text("text,label\n")
    code = (
        "import json, sys; from pathlib import Path; from ophamin.comparing.provenance import dvc_data\n"
        "print(json.dumps([item.path for item in dvc_data.track(Path(), [Path('rows.csv')])]))"
    )
    said = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert json.loads(said.stdout) == ["rows.csv"]
