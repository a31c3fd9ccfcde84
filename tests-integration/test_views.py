"""``discover``, ``scrape`` and ``wiring`` as a user meets them: exit codes, one JSON object, Ctrl-C, tampering."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
CORPUS = "table:rows.csv?text=prompt"
EXPORTER = """
import time
from prometheus_client import Counter, start_http_server
jobs = Counter("jobs", "Jobs done")
server, _ = start_http_server(0, addr="127.0.0.1")
print(server.server_port, flush=True)
while True:
    jobs.inc()
    time.sleep(0.01)
"""


@pytest.fixture
def rows(project: Path) -> Path:
    path = project / "rows.csv"
    path.write_text("prompt\n" + "".join(f"question {i}\n" for i in range(60)), "utf-8")
    return path


def said(done: subprocess.CompletedProcess[str], code: int = 0) -> dict:
    assert done.returncode == code, done.stderr
    found: dict = json.loads(done.stdout)
    return found


def test_a_schema_is_discovered_compared_and_guarded(ophamin: Run, project: Path, rows: Path) -> None:
    a = said(ophamin("discover", "mock?seed=1", "--corpus", CORPUS, "--out", "a.json", "--json"))
    b = said(ophamin("discover", "mock?seed=1&drop=label", "--corpus", CORPUS, "--json"))
    assert [f["path"] for f in a["fields"]] == [
        "answer",
        "blocked",
        "confidence",
        "label",
        "length",
        "text",
        "value",
    ]
    for document in (a, b):
        assert ophamin("record", "verify", document["record"]).returncode == 0
        assert ophamin("schema", "validate", document["record"]).returncode == 0
        assert ophamin("record", "show", document["document_id"]).returncode == 0
    listed = ophamin("record", "list").stdout
    assert listed.count("schema-document") == 2
    # By file, by id, by the beginning of an id.
    compared = said(ophamin("discover", "--diff", "a.json", b["document_id"][:12], "--json"), 1)
    assert [(c["change"], c["path"]) for c in compared["changes"]] == [("removed", "label")]
    assert compared["exit_code"] == 1
    for words, code in (("retyped", 0), ("none", 0), ("any", 1), ("rate,removed", 1), ("removd", 2)):
        assert ophamin("discover", "--diff", "a.json", b["record"], "--fail-on", words).returncode == code
    assert ophamin("discover", "--diff", "a.json", a["document_id"]).stdout == "nothing changed\n"
    changed = json.loads((project / "a.json").read_text("utf-8"))
    changed["fields"][0]["path"] = "reply"
    (project / "b.json").write_text(json.dumps(changed), "utf-8")
    tampered = ophamin("discover", "--diff", "b.json", b["record"])
    assert tampered.returncode == 3
    assert "Traceback" not in tampered.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["discover"], 2),
        (["discover", "mock"], 2),
        (["discover", "nowhere", "--corpus", CORPUS], 2),
        (["discover", "mock", "--corpus", "table:absent.csv?text=prompt"], 2),
        (["discover", "command:/no/such/program", "--corpus", CORPUS], 6),
        (["discover", "--diff", "absent.json", "absent.json"], 2),
        (["discover", "--diff", "rows.csv", "rows.csv"], 2),
        (["discover", "mock", "--corpus", CORPUS, "--out", "no/such/folder/x.json"], 2),
        (["discover", "mock", "--corpus", CORPUS, "--watch", "--out", "x.json"], 2),
        (["scrape", "http://127.0.0.1:1/metrics"], 6),
        (["scrape", "ftp://localhost/"], 2),
        (["scrape", "http://127.0.0.1:1/", "--window", "-1"], 2),
        (["wiring", "absent"], 2),
        (["wiring", "rows.csv"], 2),
        (["wiring", "."], 2),
    ],
)
def test_a_mistake_is_one_sentence(ophamin: Run, rows: Path, words: list[str], code: int) -> None:
    done = ophamin(*words)
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("ophamin: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_the_wiring_of_this_checkout(ophamin: Run, root: Path) -> None:
    found = said(ophamin("wiring", str(root), "--json"))
    assert found["summary"]["n_wired"] > 200
    assert found["broken_imports"] == []
    assert found["summary"]["n_unparsed"] == 0
    assert ophamin("record", "verify", found["record"]).returncode == 0
    assert "ophamin.cli" not in {i["module"] for i in found["worklist"]}


def interrupted(words: list[str], folder: Path, after_s: float) -> tuple[int, str, str]:
    command = [sys.executable, "-c", "from ophamin.cli.main import main; main()", *words]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, text=True
    )
    time.sleep(after_s)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


def test_ctrl_c_ends_a_watch_and_loses_nothing(ophamin: Run, project: Path, rows: Path) -> None:
    words = ["discover", "mock", "--corpus", CORPUS, "--watch", "--interval", "30", "--json"]
    code, out, err = interrupted(words, project, 6.0)
    assert (code, "Traceback" in err) == (130, False)
    first = json.loads(out)
    assert first["event"] == "first"
    again = said(ophamin(*words, "--checks", "1"))
    assert (again["event"], again["document"]) == ("unchanged", first["document"])


def test_a_real_endpoint_over_a_window_and_interrupted(ophamin: Run, project: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", EXPORTER], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = f"http://127.0.0.1:{int(process.stdout.readline())}/metrics"
        found = said(ophamin("scrape", url, "--window", "0.5", "--json"))
        [jobs] = [c for c in found["changes"] if c["name"] == "jobs_total"]
        assert jobs["state"] == "ok"
        assert jobs["delta"] > 0
        assert ophamin("record", "verify", found["record"]).returncode == 0
        code, out, err = interrupted(["scrape", url, "--window", "60"], project, 3.0)
        assert (code, out, "Traceback" in err) == (130, "", False)
    finally:
        process.kill()
        process.communicate()
