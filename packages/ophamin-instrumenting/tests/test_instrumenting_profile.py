"""Real programs, profiled: they burn, fork, are killed, end at once, and leave others behind."""

from __future__ import annotations

import ast
import copy
import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from ophamin import registry
from ophamin.instrumenting import profiling
from ophamin.instrumenting._command import profile as command
from ophamin.instrumenting._other import ProcFiles
from ophamin.instrumenting.overhead import Overhead, estimate, interleaved, of_cycles, of_sampling
from ophamin.instrumenting.profiling import SERIES, profile, profile_body
from ophamin.instrumenting.record import PROFILE, check_profile
from ophamin.instrumenting.report import html_report, text_report
from ophamin.instrumenting.resources import ResourceInstrument
from ophamin.proof.errors import IntegrityError, KeyPolicyError, PluginError, SchemaError, UsageError
from ophamin.proof.keys import Keyring, Signer
from ophamin.proof.signed import read, sign, verify
from ophamin.proof.store import Store
from ophamin.protocols import Record, RunSpec
from ophamin.testing import check_instrument, check_record_kind

GOLDEN = Path(__file__).parent / "golden" / "profile-1.0.json"
KEY = b"ophamin-instrumenting-golden-key"
MIB = 2**20
BURN = "t = __import__('time').process_time\nwhile t() < {0}: pass"
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("OPHAMIN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def python(code):
    return [sys.executable, "-S", "-c", code]


def measured(argv, **options):
    return profile_body(argv, pairs=0, **options)


def total(body, name):
    return body["resources"][name]["total"]


@linux
def test_what_a_program_and_its_children_used_and_held():
    hold = "x = bytearray({0} * 2**20); x[::4096] = b'x' * len(x[::4096])"
    # Each works as long as it takes; both hold what they have until both have it.
    child = f"{BURN.format(0.5)}\n{hold.format(60)}; print(flush=True); __import__('sys').stdin.read()"
    code = (
        f"import subprocess, sys, time\n"
        f"p = subprocess.Popen([sys.executable, '-S', '-c', {child!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        f"{BURN.format(0.2)}\n{hold.format(40)}; p.stdout.readline(); time.sleep(0.3); p.communicate()"
    )
    body, series = measured(python(code))
    assert 0.68 <= total(body, "cpu_s") < 1.2  # not 1.2 and more: the child counts once
    assert total(body, "wall_s") >= 0.3
    assert body["resources"]["rss_peak_bytes"]["max"] > 100 * MIB  # both together, as nobody's high-water mark says
    assert body["resources"]["processes"]["max"] == 2
    assert total(body, "page_faults") > 1000
    assert body["ending"] == {"exit_code": 0, "signal": None, "complete": True, "left_running": 0}
    rows = list(csv.DictReader(io.StringIO(series.decode())))
    assert len(rows) >= 10
    cpu = [float(r["cpu_s"]) for r in rows]
    assert cpu == sorted(cpu)
    assert max(int(r["rss_bytes"]) for r in rows) <= body["resources"]["rss_peak_bytes"]["max"]
    assert float(rows[-1]["t_s"]) <= total(body, "wall_s")


def test_how_it_ended_is_told(tmp_path):
    for argv, code, name in (
        (python("raise SystemExit(7)"), 7, None),
        (python("import os; os.kill(os.getpid(), 9)"), None, "SIGKILL"),
        (python("import os, signal; os.kill(os.getpid(), signal.SIGTERM)"), None, "SIGTERM"),
        (["true"], 0, None),
    ):
        body, _ = measured(argv)
        assert (body["ending"]["exit_code"], body["ending"]["signal"]) == (code, name)
        assert total(body, "wall_s") > 0
    for argv, why in (
        (["no-such-program-here"], "no program"),
        ([str(tmp_path)], "cannot be started"),
        (["bad\0name"], "cannot be started"),
    ):
        with pytest.raises(UsageError, match=why):
            measured(argv)
    with pytest.raises(UsageError, match="period"):
        profile(["true"], Store(tmp_path), period_s=0)


@linux
def test_what_a_program_leaves_running_counts_so_far_and_is_said():
    child = f"{BURN.format(0.15)}\nprint(flush=True); import time; time.sleep(5)"
    code = (
        f"import subprocess, sys; command = [sys.executable, '-S', '-c', {child!r}]\n"
        "subprocess.Popen(command, stdout=subprocess.PIPE).stdout.readline()"
    )
    body, _ = measured(python(code))
    assert body["ending"]["left_running"] == 1
    assert total(body, "cpu_s") >= 0.14


# Adopts orphans and waits for them, as init does, without being of the profiled tree.
INIT = """
import ctypes, os, subprocess, sys
ctypes.CDLL(None).prctl(36, 1)
child = subprocess.Popen(sys.argv[1:])
while True:
    pid, status = os.wait()
    if pid == child.pid:
        sys.exit(0)
"""


@linux
def test_an_orphan_that_ends_unseen_makes_the_totals_lower_bounds():
    code = (
        "import os, time\nif os.fork() == 0:\n    if os.fork() == 0:\n        time.sleep(1)\n        os._exit(0)\n"
        "    time.sleep(0.5)\n    os._exit(0)\nos.wait(); time.sleep(1.2)"
    )
    run = f"from ophamin.instrumenting.profiling import profile_body as p; print(p({python(code)!r}, pairs=0)[0])"
    done = subprocess.run([sys.executable, "-c", INIT, sys.executable, "-c", run], capture_output=True, text=True)
    body = ast.literal_eval(done.stdout)
    assert body["ending"]["complete"] is False
    assert body["resources"]["processes"]["max"] == 3
    assert "lower bounds" in text_report({**body, "profile_id": ""})


@linux
def test_a_peak_that_no_look_saw_is_known_from_the_programs_end():
    import resource

    # Larger than this process ever was: a fork hands its size down.
    wanted = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + (100 << 20)
    body, _ = profile_body(python(f"data = b'x' * {wanted}"), period_s=30, pairs=0)
    assert body["sampling"]["n_samples"] == 1
    assert wanted <= body["resources"]["rss_peak_bytes"]["max"] < wanted + (60 << 20)
    ballast = bytearray(b"x") * (200 << 20)
    small, _ = profile_body(["true"], period_s=30, pairs=0)
    assert small["resources"].get("rss_peak_bytes", {"max": 0})["max"] < len(ballast)


def test_a_long_program_keeps_a_bounded_series(monkeypatch):
    monkeypatch.setattr(profiling, "MOST_ROWS", 16)
    body, series = measured(python("import time; time.sleep(0.5)"), period_s=0.005)
    assert body["sampling"]["n_samples"] > 40
    assert 4 <= len(series.splitlines()) - 1 < 16


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
def test_signals_reach_the_program_and_it_decides(tmp_path, number):
    ready, heard = tmp_path / "ready", tmp_path / "heard"
    code = (
        f"import signal, sys, time\ndef take(n, f):\n    open({str(heard)!r}, 'w').write(str(n)); sys.exit(9)\n"
        f"signal.signal({int(number)}, take)\nopen({str(ready)!r}, 'w').close()\ntime.sleep(30)"
    )
    run = f"from ophamin.instrumenting.profiling import profile_body as p; print(p({python(code)!r}, pairs=0)[0]['ending'])"
    with subprocess.Popen(
        [sys.executable, "-c", run], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as ours:
        while not ready.exists():
            time.sleep(0.01)
        ours.send_signal(number)
        said = ours.communicate(timeout=20)[0]
    assert heard.read_text() == str(int(number))
    assert "'exit_code': 9" in said
    assert ours.returncode == 0


# --- the record


def test_a_golden_profile_verifies_for_ever_and_keeps_the_contract():
    record = read(GOLDEN, [PROFILE])
    states = {c.name: c.state for c in verify(record, Keyring(), extra_keys=[KEY]).checks}
    assert {n: s for n, s in states.items() if s != "good" and not n.startswith("attestation")} == {}
    assert verify(record, Keyring(), extra_keys=[b"another key, quite long"]).exit_code == 3
    assert registry.records.get("profile") is PROFILE
    check_record_kind(PROFILE, record.object)
    assert PROFILE.cases(record.object)[0] == {"name": "ending", "outcome": "error", "message": "exit code 3"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r["ending"].update(signal="SIGKILL"), "by one of them"),
        (lambda r: r["ending"].update(exit_code=None), "by one of them"),
        (lambda r: r.pop("ending"), "exactly when"),
        (lambda r: r["target"].update(argv=[]), "no command"),
        (lambda r: r["resources"]["cpu_s"].update(unit="B"), "not told in"),
        (lambda r: r["resources"]["cpu_s"].update(min=3.0, median=2.0), "not in that order"),
        (lambda r: r["resources"]["cpu_s"].update(n=2, total=9.0, min=1.0, max=2.0), "is not that of 2 values"),
        (lambda r: r["overhead"].update(lower=r["overhead"]["value"] + 1), "outside of its own"),
        (lambda r: r["overhead"].update(lower=None), "one bound only"),
        (lambda r: r["overhead"].update(lower=None, upper=None, problem=""), "does not say why"),
        (lambda r: r["overhead"].update(confidence=0.4), "one-sided confidence"),
        (lambda r: r["identity"].update(captured_at="2026-01-01T00:00:00"), "not a time"),
    ],
)
def test_a_profile_that_contradicts_itself_is_found(change, words):
    record = copy.deepcopy(read(GOLDEN, [PROFILE]).object)
    assert check_profile(record) == []
    change(record)
    assert words in "; ".join(check_profile(record))


def test_nothing_that_is_no_profile_is_signed():
    body = read(GOLDEN, [PROFILE]).body
    for change in ({"resources": {"cpu_s": {"total": 1.0}}}, {"target": {"kind": "guess", "name": "x"}}):
        with pytest.raises(SchemaError):
            sign({**body, **change}, PROFILE, Signer(KEY))


# --- what watching costs


def test_order_is_seeded_and_pairs_are_paired():
    calls = []
    found = interleaved(lambda: calls.append("on") or 3.0, lambda: calls.append("off") or 1.0, pairs=40, seed=1)
    assert found == [(3.0, 1.0)] * 40
    first = calls[::2]
    assert 8 < first.count("on") < 32
    again = []
    interleaved(lambda: again.append("on") or 3.0, lambda: again.append("off") or 1.0, pairs=40, seed=1)
    assert again == calls


def test_without_an_estimator_there_is_no_interval_and_a_reason(monkeypatch):
    def missing(name):
        raise PluginError("none")

    monkeypatch.setattr(type(registry.estimators), "get", lambda self, name: missing(name))
    found = estimate([(2.0, 1.0), (2.5, 1.0)], unit="fraction", what="x")
    assert (found.value, found.lower, found.upper) == (1.25, None, None)
    assert "pip install" in found.problem


@linux
def test_overhead_of_cycles_is_that_of_looking_at_all_its_processes(calls, child, monkeypatch):
    children = [child() for _ in range(4)]
    for one in children:
        one.start()
    all_of_them = calls(None)
    all_of_them.processes = lambda: [pid for one in children for pid in one.processes()]
    looked: list[int] = []
    read = ProcFiles.read

    def counted(self):
        looked.append(self.pid)
        return read(self)

    monkeypatch.setattr(ProcFiles, "read", counted)
    found = of_cycles(all_of_them, pairs=40)
    assert (found.unit, found.n) == ("s", 40)
    # Every one of them, before and after each of 40 cycles with watching and of one to begin with; none without.
    assert {pid: looked.count(pid) for pid in all_of_them.processes()} == dict.fromkeys(all_of_them.processes(), 2 * 41)
    assert [one.process.poll() for one in children] == [None] * 4  # looked at, not asked and not ended


def test_overhead_of_sampling_is_a_share_and_leaves_nobody_behind():
    found = of_sampling(0.02, pairs=6)
    assert isinstance(found, Overhead)
    assert found.n == 6
    assert abs(found.value) < 1
    assert found.unit == "fraction"


def test_a_run_leaves_a_signed_profile_with_its_overhead(calls):
    instrument = ResourceInstrument()
    spec = RunSpec("metric", {"main": "x"})
    with instrument.scenario(spec):
        substrate = instrument.wrap(calls(lambda n: sum(range(n))))
        list(substrate.run_batch([Record(str(i), 1000) for i in range(12)], seed=0, timeout_s=9))
    (path,) = instrument.artifacts()
    record = read(path, [PROFILE])
    assert verify(record, Keyring()).exit_code == 0
    latency, overhead = record.object["resources"]["latency_s"], record.object["overhead"]
    assert latency["n"] == record.object["target"]["cycles"] == 12
    assert latency["min"] <= latency["median"] <= latency["max"]
    assert overhead["n"] == 100
    if overhead["lower"] is not None:
        assert overhead["lower"] <= overhead["value"] <= overhead["upper"]
    else:
        assert overhead["problem"]
    check_instrument(ResourceInstrument)


# --- the commands


@pytest.fixture
def cli():
    def call(what, *args):
        result = CliRunner().invoke(what, [str(a) for a in args])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


def test_a_program_is_run_and_its_profile_shown_again(cli, tmp_path):
    done = cli(command.run, "--json", "--overhead", 0, "--out", tmp_path / "p", "--", *python("print('mine')"))
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert found["ending"]["exit_code"] == 0
    path = Path(found["record"])
    assert path.is_relative_to(tmp_path / "p" / "profile")
    assert [a["name"] for a in found["artifacts"]] == [SERIES]
    shown = cli(command.report, path.parent, "--html", tmp_path / "page.html")
    assert "ended with exit code 0" in shown.output
    assert "wall_s" in (tmp_path / "page.html").read_text()
    assert json.loads(cli(command.report, path, "--json").output)["profile_id"] == found["profile_id"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [("raise SystemExit(0)", 0), ("raise SystemExit(3)", 6), ("raise SystemExit(130)", 130),
     ("import os; os.kill(os.getpid(), 9)", 6), ("import os; os.kill(os.getpid(), 2)", 130)],
)  # fmt: skip
def test_exit_codes(cli, tmp_path, code, expected):
    assert cli(command.run, "--overhead", 0, "--out", tmp_path, "--", *python(code)).exit_code == expected


def test_a_profile_that_was_changed_is_refused(cli, tmp_path):
    done = cli(command.run, "--json", "--overhead", 0, "--out", tmp_path, "--", "true")
    path = Path(json.loads(done.stdout)["record"])
    (path.parent / SERIES).write_bytes(b"t_s\n1\n")
    with pytest.raises(IntegrityError, match="not the file"):
        cli(command.report, path, "--html", tmp_path / "x.html")
    assert not (tmp_path / "x.html").exists()
    path.write_text(path.read_text().replace('"exit_code": 0', '"exit_code": 1'))
    with pytest.raises(IntegrityError, match="was changed"):
        cli(command.report, path)


def test_a_program_that_cannot_be_started_leaves_nothing(cli, tmp_path):
    (tmp_path / "short.key").write_text("k")
    (tmp_path / "short.key").chmod(0o600)
    with pytest.raises(UsageError):
        cli(command.run, "--out", tmp_path / "p", "--", "no-such-program-here")
    with pytest.raises(KeyPolicyError, match="signing key"):  # which is a PermissionError, but not the folder's
        cli(command.run, "--out", tmp_path / "p", "--key-file", tmp_path / "short.key", "--", "true")
    assert not (tmp_path / "p").exists()
    assert cli(command.run).exit_code == 2
    assert issubclass(click.UsageError, Exception)


def test_reports_hold_whatever_a_command_line_holds():
    record = copy.deepcopy(read(GOLDEN, [PROFILE]).object)
    record["target"]["argv"] = ["sh", "-c", "<script>alert(1)</script>\n\x1b[31m"]
    page, text = html_report(record, b"t_s,rss_bytes\n0.0,10\n1.0,20\n").decode(), text_report(record)
    assert "<script>" not in page
    assert "<polyline" in page
    assert "\x1b" not in text
    assert len(text.splitlines()) == len(text_report(read(GOLDEN, [PROFILE]).object).splitlines())
    assert os.linesep
