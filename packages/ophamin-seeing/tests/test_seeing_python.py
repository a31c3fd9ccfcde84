from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ophamin.proof.errors import SubstrateFailure, UsageError
from ophamin.protocols import Record
from ophamin.registry import make_substrate

MODULE = """
import random, time
seen = []
def shout(text): return text.upper()
def note(record): seen.append(record); return {"answer": record["payload"]}
def fail(text): raise ValueError("no " + text)
def leave(text): raise SystemExit(3)
def spin(text):
    while True: pass
def stubborn(text):
    while True:
        try: time.sleep(10)
        except Exception: pass
def strange(text): return object()
def give_up(text): raise GeneratorExit
class Lazy:
    def tolist(self):
        while True: pass
class Torn:
    def tolist(self): raise ValueError("no list")
def lazy(text): return Lazy() if text else 1
def lazy_batch(texts): return [lazy(t) for t in texts]
def torn_batch(texts): return [Torn() if t == "ab" else t for t in texts]
def draw(text): return random.random()
def batch(texts): return [len(t) for t in texts]
def short(texts): return [1]
class Counter:
    def __init__(self): self.n = 0
    def __call__(self, text): self.n += 1; return self.n
class Seeded(Counter):
    def reset(self, seed): self.n = seed
class Silent: pass
class Broken:
    def __init__(self): raise RuntimeError("no model file")
NUMBER = 3
def chatty(text): print("noise from a call"); return text
def chatty_batch(texts): print("noise from a batch"); return texts
def loud_spin(text):
    print("noise before a hang")
    while True: pass
class Chatty:
    def __init__(self): print("noise from making")
    def __call__(self, text): print("noise from a call"); raise ValueError(text)
    def reset(self, seed): print("noise from a reset")
    def close(self): print("noise from closing")
print("noise from importing")
"""
RECORDS = [Record(f"r{i}", "ab" * i, labels={"label": "secret"}) for i in range(4)]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A module in the current folder, of a name no other test has."""
    name = f"mymod_{abs(hash(request.node.nodeid))}"
    (tmp_path / f"{name}.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    yield name
    sys.modules.pop(name, None)


def run(spec: str, records=RECORDS, timeout_s: float = 30.0):
    return list(make_substrate(spec).run_batch(records, seed=1, timeout_s=timeout_s))


def test_a_function_of_the_current_folder(here: str) -> None:
    before = list(sys.path)
    results = run(f"python:{here}:shout")
    assert [r.output for r in results] == [{"output": ("AB" * i)} for i in range(4)]
    assert all(r.status == "ok" and r.wall_s >= 0 and r.error is None for r in results)
    assert [r.index for r in results] == [0, 1, 2, 3]
    assert sys.path == before


def test_the_record_never_brings_its_labels_unless_asked(here: str) -> None:
    record = Record("a", "x", group="g", labels={"label": "secret"}, meta={"k": 1})
    run(f"python:{here}:note?input=record", [record])
    given = sys.modules[here].seen.pop()
    assert {k: given[k] for k in ("id", "payload", "group", "meta")} == {
        "id": "a", "payload": "x", "group": "g", "meta": {"k": 1},
    }  # fmt: skip
    assert set(given) == {"id", "payload", "group", "meta", "seed"}
    run(f"python:{here}:note?input=record&labels=true", [record])
    assert sys.modules[here].seen.pop()["labels"] == {"label": "secret"}
    with pytest.raises(UsageError, match="input=record"):
        make_substrate(f"python:{here}:note?labels=true")


def test_whatever_it_raises_is_one_failed_cycle(here: str) -> None:
    assert [r.error for r in run(f"python:{here}:fail", RECORDS[:2])] == ["ValueError: no ", "ValueError: no ab"]
    assert run(f"python:{here}:leave", RECORDS[:1])[0].error == "SystemExit: 3"
    assert run(f"python:{here}:give_up", RECORDS[:2])[1].error == "GeneratorExit: "
    torn = run(f"python:{here}:torn_batch?batch=4")
    assert [r.error for r in torn] == [None, "ValueError: no list", None, None]
    strange = run(f"python:{here}:strange", RECORDS[:1])[0]
    assert strange.status == "error"
    assert "no JSON form" in strange.error


@pytest.mark.parametrize("function", ["spin", "stubborn"])
def test_a_call_that_does_not_return_is_interrupted(here: str, function: str) -> None:
    before = signal.getsignal(signal.SIGALRM)
    started = time.perf_counter()
    results = run(f"python:{here}:{function}", RECORDS[:2], timeout_s=0.2)
    assert [(r.status, r.error) for r in results] == [("error", "timeout after 0.2 s")] * 2
    assert time.perf_counter() - started < 9, "the call would take 10 s, or for ever"
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_an_output_that_never_becomes_json_is_interrupted(here: str) -> None:
    results = run(f"python:{here}:lazy", RECORDS[:2], timeout_s=0.2)
    assert [(r.status, r.error) for r in results] == [("ok", None), ("error", "timeout after 0.2 s")]
    batch = run(f"python:{here}:lazy_batch?batch=2", RECORDS[:2], timeout_s=0.1)
    assert {r.error for r in batch} == {"timeout after 0.2 s for a batch of 2"}


def test_off_the_main_thread_the_overrun_is_measured() -> None:
    results = []
    thread = threading.Thread(target=lambda: results.extend(run("python:time:sleep", [Record("a", 0.2)], 0.05)))
    thread.start()
    thread.join()
    assert (results[0].status, results[0].error) == ("error", "timeout after 0.05 s")
    assert results[0].wall_s >= 0.2


def test_a_deadline_of_another_thread_never_interrupts_the_main_one() -> None:
    thread = threading.Thread(target=lambda: run("python:time:sleep", [Record("a", 0.4)], 0.05))
    substrate = make_substrate("python:time:sleep")
    batch = substrate.run_batch([Record("a", 0.0), Record("b", 0.0)], seed=1, timeout_s=0.1)
    assert next(batch).status == "ok"
    thread.start()
    time.sleep(0.3)  # the main thread's timer ticks here, while the other is past its deadline
    assert next(batch).status == "ok"
    thread.join()
    batch.close()


def test_two_batches_may_be_open_at_once_and_be_abandoned(here: str) -> None:
    substrate = make_substrate(f"python:{here}:spin")
    first = substrate.run_batch(RECORDS, seed=1, timeout_s=0.1)
    second = substrate.run_batch(RECORDS, seed=1, timeout_s=0.3)
    assert next(first).status == next(second).status == next(first).status == "error"
    time.sleep(0.25)  # ticks while nothing is called hurt nobody
    first.close()
    assert next(second).error == "timeout after 0.3 s"
    second.close()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_batches(here: str) -> None:
    results = run(f"python:{here}:batch?batch=3")
    assert [r.output["output"] for r in results] == [0, 2, 4, 6]
    assert all(r.wall_s is None for r in results)
    short = run(f"python:{here}:short?batch=3")
    assert [r.status for r in short] == ["error"] * 3 + ["ok"]
    assert short[0].error == "1 outputs for a batch of 3"
    late = run(f"python:{here}:stubborn?batch=2", RECORDS[:2], timeout_s=0.1)
    assert [r.error for r in late] == ["timeout after 0.2 s for a batch of 2"] * 2


def test_reset(here: str) -> None:
    counter = make_substrate(f"python:{here}:Counter")
    seeded = make_substrate(f"python:{here}:Seeded")
    for substrate, first in ((counter, 1), (seeded, 8)):
        for _ in range(2):
            substrate.reset(7)
            got = [r.output["output"] for r in substrate.run_batch(RECORDS[:2], seed=1, timeout_s=9)]
            assert got == [first, first + 1]
    draws = []
    for _ in range(2):
        substrate = make_substrate(f"python:{here}:draw")
        substrate.reset(11)
        draws.append([r.output for r in substrate.run_batch(RECORDS, seed=1, timeout_s=9)])
    assert draws[0] == draws[1]


def test_names_that_lead_nowhere(here: str) -> None:
    with pytest.raises(UsageError, match="did you mean 'shout'"):
        make_substrate(f"python:{here}:shuot")
    for spec in (f"python:{here}", "python:", f"python:{here}:NUMBER", "python:no_such_module_at_all:f"):
        with pytest.raises(UsageError):
            make_substrate(spec)
    with pytest.raises(UsageError, match="__call__"):
        make_substrate(f"python:{here}:Silent")
    with pytest.raises(SubstrateFailure, match="no model file") as caught:
        make_substrate(f"python:{here}:Broken")
    assert caught.value.exit_code == 6


def test_a_module_that_fails_to_import_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "needs_what_is_missing.py").write_text("import nothing_of_that_name", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SubstrateFailure, match="nothing_of_that_name"):
        make_substrate("python:needs_what_is_missing:f")


def test_what_it_prints_goes_to_standard_error(here: str, capsys: pytest.CaptureFixture[str]) -> None:
    own = sys.stdout
    for target in ("chatty", "chatty_batch?batch=2", "Chatty", "loud_spin"):
        substrate = make_substrate(f"python:{here}:{target}")
        substrate.reset(1)
        for _ in substrate.run_batch(RECORDS[:2], seed=1, timeout_s=0.2):
            assert sys.stdout is own, "between two calls it is the caller's"
            print("result")
        substrate.close()
    assert sys.stdout is own
    said = capsys.readouterr()
    assert said.out == "result\n" * 8
    for what in ("importing", "a call", "a batch", "making", "a reset", "closing"):
        assert f"noise from {what}\n" in said.err
    assert "noise before a hang" in said.err


def test_two_threads_leave_standard_output_as_it_was(here: str) -> None:
    own = sys.stdout
    threads = [
        threading.Thread(target=run, args=("python:time:sleep", [Record("a", seconds)])) for seconds in (0.1, 0.2)
    ]
    for thread in threads:
        thread.start()
        time.sleep(0.05)
    for thread in threads:
        thread.join()
    assert sys.stdout is own


def git(folder: Path, *args: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(["git", *identity, *args], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_identity_is_the_commit_of_the_file(here: str, tmp_path: Path) -> None:
    spec = f"python:{here}:shout"
    outside = make_substrate(spec).identity()
    assert (outside.revision, outside.dirty) == ("", None)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "one")
    clean = make_substrate(spec).identity()
    assert (clean.revision, clean.dirty) == (git(tmp_path, "rev-parse", "HEAD"), False)
    (tmp_path / "stray.txt").write_text("results of a run", encoding="utf-8")
    assert make_substrate(spec).identity().dirty is False
    (tmp_path / f"{here}.py").write_text(MODULE + "\n", encoding="utf-8")
    changed = make_substrate(spec).identity()
    assert changed.dirty is True
    assert changed.config_hash != clean.config_hash


def test_identity_of_an_installed_module_is_its_version() -> None:
    assert make_substrate("python:hypothesis:find").identity().revision.count(".") == 2
    assert make_substrate("python:json:dumps").identity().revision.startswith("3.")
    assert make_substrate("python:builtins:len").identity().config_hash.startswith("sha256:")


def test_what_the_loop_adds_to_a_call_is_small() -> None:
    substrate = make_substrate("python:builtins:id")
    records = [Record(str(i), "x") for i in range(20_000)]
    best = min(_timed(lambda: list(substrate.run_batch(records, seed=1, timeout_s=60))) for _ in range(3))
    assert best / len(records) < 50e-6  # 2.5 µs on an idle machine


def _timed(call) -> float:
    started = time.process_time()  # what others do on this machine does not count
    call()
    return time.process_time() - started


def test_parameters_of_construction_and_of_calls(here: str, tmp_path: Path) -> None:
    (tmp_path / f"{here}.py").write_text(
        "class Scaled:\n"
        "    def __init__(self, factor=1): self.factor = factor; self.n = 0\n"
        "    def __call__(self, text, *, offset=0): self.n += 1; return [len(text) * self.factor + offset, self.n]\n"
        "def scaled(text, factor=1): return len(text) * factor\n",
        encoding="utf-8",
    )
    one = [Record("a", "abc")]
    assert run(f"python:{here}:scaled?kwargs=%7B%22factor%22%3A4%7D", one)[0].output == {"output": 12}
    substrate = make_substrate(f'python:{here}:Scaled?init={{"factor":2}}&kwargs={{"offset":1}}')
    for _ in range(2):
        substrate.reset(1)
        assert next(substrate.run_batch(one, seed=1, timeout_s=9)).output == {"output": [7, 1]}
    plain = make_substrate(f"python:{here}:Scaled")
    assert plain.identity().config_hash != substrate.identity().config_hash
    with pytest.raises(UsageError, match="is for a class"):
        make_substrate(f'python:{here}:scaled?init={{"factor":2}}')
    with pytest.raises(UsageError, match="JSON object"):
        make_substrate(f"python:{here}:scaled?kwargs=[1]")
    with pytest.raises(SubstrateFailure, match="unexpected keyword"):
        make_substrate(f'python:{here}:Scaled?init={{"no":2}}')
