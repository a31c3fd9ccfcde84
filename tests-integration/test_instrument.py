"""Programs profiled through the real command, and scenarios that bring their instrument."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


def test_a_program_is_profiled_where_the_words_after_the_dashes_begin(ophamin, project):
    done = ophamin("instrument", "--overhead", "6", "--", sys.executable, "-c", "print('its own output')")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "its own output\n"
    assert "ended with exit code 0" in done.stderr
    assert "by t" in done.stderr  # the overhead has an interval, because measuring is here
    [record] = project.glob("proofs/profile/*/*/record.json")
    assert ophamin("record", "verify", str(record)).returncode == 0
    shown = ophamin("instrument", "report", record.parent.name[:8], "--json")
    assert json.loads(shown.stdout)["overhead"]["lower"] is not None
    assert ophamin("instrument", "list").returncode == 0


def test_its_failures_are_the_programs_and_a_users_mistakes_are_sentences(ophamin):
    failed = ophamin("instrument", "--overhead", "0", "--json", "--", "sh", "-c", "echo out; exit 3")
    assert failed.returncode == 6
    assert json.loads(failed.stdout)["ending"]["exit_code"] == 3
    assert "out" in failed.stderr
    missing = ophamin("instrument", "--", "no-such-program")
    assert missing.returncode == 2
    assert "Traceback" not in missing.stderr
    assert ophamin("instrument", "report", "abcdef12").returncode == 2


def test_ctrl_c_is_the_programs_and_the_record_is_kept(project: Path):
    ready = project / "ready"
    code = f"open({str(ready)!r}, 'w').close(); import time; time.sleep(30)"
    command = [sys.executable, "-m", "ophamin.cli", "instrument", "--overhead", "0", "--json", "--"]
    with subprocess.Popen(
        [*command, sys.executable, "-c", code],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=project, env=os.environ,
    ) as ours:  # fmt: skip
        while not ready.exists():
            time.sleep(0.02)
        ours.send_signal(signal.SIGINT)
        said = json.loads(ours.communicate(timeout=30)[0])
    assert ours.returncode == 130
    # Python dies of the signal, or says so by its exit code.
    assert said["ending"]["signal"] == "SIGINT" or said["ending"]["exit_code"] == 1
    assert Path(said["record"]).is_file()


@pytest.mark.slow
def test_real_memory_of_real_processes_is_decided(ophamin, project):
    (project / "shop.py").write_text(
        "kept = []\ndef keeps(text):\n    kept.append(bytearray(b'x' * 65536))\n    return 1\n"
        "def lets_go(text):\n    bytearray(b'x' * 65536)\n    return 1\n"
    )
    (project / "prog.py").write_text(
        "import json, sys\nkept = []\nfor line in sys.stdin:\n    ask = json.loads(line)\n    if 'op' in ask: continue\n"
        "    kept.append(b'x' * 65536)\n    print(json.dumps({'id': ask['id'], 'output': 1}), flush=True)\n"
    )
    options = ("--set", "cycles=60", "--set", "warmup=10", "--set", "limit=8192", "--set", "delta=2048")
    for system, code in (
        ("python:shop:lets_go", 0),
        ("python:shop:keeps", 1),
        (f"command:{sys.executable} prog.py", 1),
    ):
        done = ophamin("run", "memory-growth", "--substrate", system, *options, "--json")
        assert done.returncode == code, done.stdout + done.stderr
        record = json.loads(Path(json.loads(done.stdout)["path"]).read_text())
        assert "resources.profile.json" in [a["name"] for a in record["reproduction"]["artifacts"]]
        if code:
            assert record["verdict"]["observed_value"] == pytest.approx(65536, rel=0.1)


@pytest.mark.slow
def test_real_time_of_a_quadratic_function_is_refuted_and_of_a_linear_one_is_not(ophamin):
    corpus = ("--corpus", "simulated?family=sizes&smallest=30&largest=3000&repeats=5")
    slow = ophamin(
        "run", "cost-scaling", "--substrate", "python:ophamin.measuring.scenarios.leaking:quadratic", *corpus
    )
    assert slow.returncode == 1, slow.stdout + slow.stderr
    linear = ophamin("run", "cost-scaling", "--substrate", "python:builtins:sorted", "--set", "limit=2.2", *corpus)
    assert linear.returncode in (0, 4), linear.stdout + linear.stderr
