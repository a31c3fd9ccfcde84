from __future__ import annotations

import gc
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ophamin.proof.errors import SubstrateFailure, UsageError
from ophamin.protocols import Record
from ophamin.registry import make_substrate

# What each test program does with one request; `say` answers, `raw` writes to standard output as it is.
PROGRAM = """
import json, os, signal, subprocess, sys, time
out = sys.stdout.buffer
state = {"seed": None, "n": 0}
def raw(data): out.write(data); out.flush()
def say(d, output): raw(json.dumps({"id": d["id"], "output": output}).encode() + b"\\n")
held = []
for line in sys.stdin:
    d = json.loads(line)
    if d.get("op") == "reset":
        state["seed"] = d["seed"]
        continue
    state["n"] += 1
    text = d["input"]
    BODY
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[..., object]]:
    """Make a running substrate out of the body of the program's loop; every one is closed."""
    made = []

    def make(body: str, **params: object) -> object:
        path = tmp_path / f"program{len(made)}.py"
        path.write_text(PROGRAM.replace("BODY", body.strip().replace("\n", "\n    ")), encoding="utf-8")
        query = "&".join(f"{k}={v}" for k, v in params.items())
        substrate = make_substrate(f"command:{shlex.join([sys.executable, str(path)])}{'?' + query if query else ''}")
        made.append(substrate)
        return substrate

    yield make
    for substrate in made:
        substrate.close()
        assert substrate.processes() == []


def records(*texts: str) -> list[Record]:
    return [Record(f"r{i}", text, meta={"lang": "en"}) for i, text in enumerate(texts)]


def run(substrate, *texts: str, timeout_s: float = 20.0):
    return list(substrate.run_batch(records(*texts), seed=1, timeout_s=timeout_s))


def gone(pid: int) -> bool:
    """Whether a process is neither running nor a zombie of ours (an orphan may wait for its reaper)."""
    limit = time.monotonic() + 5
    while time.monotonic() < limit:
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z" and os.getpid() != int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]):
            return True
        time.sleep(0.02)
    return False


def test_the_wire(program) -> None:
    substrate = program('say(d, {"keys": sorted(d), "meta": d["meta"], "n": state["n"], "seed": state["seed"]})')
    substrate.reset(42)
    results = run(substrate, "a", "b")
    assert [r.output["n"] for r in results] == [1, 2]
    assert results[0].output["keys"] == ["id", "input", "meta", "seed"]
    assert (results[0].output["meta"], results[0].output["seed"]) == ({"lang": "en"}, 42)
    assert all(0 < r.wall_s < 10 for r in results)
    [pid] = substrate.processes()
    substrate.close()
    substrate.close()
    assert gone(pid)


def test_a_stated_error_is_behaviour_and_a_scalar_is_wrapped(program) -> None:
    body = 'raw(json.dumps({"id": d["id"], "error": "no"}).encode() + b"\\n") if text == "e" else say(d, 7)'
    results = run(program(body), "e", "x")
    assert [(r.status, r.error, r.output) for r in results] == [("error", "no", None), ("ok", None, {"output": 7})]
    assert results[0].wall_s > 0


BAD = {
    "garbage": ('raw(b"Traceback, perhaps\\n")', "not JSON"),
    "nan": ('raw(b\'{"id": "%s", "output": NaN}\\n\' % d["id"].encode())', "NaN"),
    "wrong id": ('say({"id": "other"}, 1)', "other"),
    "no id": ("raw(b'{\"output\": 1}\\n')", "no id"),
    "both": ('raw(b\'{"id": "%s", "output": 1, "error": "x"}\\n\' % d["id"].encode())', "either"),
    "binary": ('raw(b"\\xff\\xfe\\n")', "not JSON"),
    "deep": ('raw(b"[" * 200000 + b"\\n")', "not JSON"),
    "died": ('sys.stderr.write("last words\\n"); sys.exit(3)', "exit status 3; stderr: last words"),
    "killed": ("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
    "closed": ("os.close(1); time.sleep(60)", "closed its standard output"),
    "10 MB": ('raw(b"x" * 11_000_000)', "10 MB"),
    "endless line": ('while True: raw(b"x" * 65536)', "10 MB"),
    "endless lines": ('while True: raw(b"noise\\n" * 1000)', "not JSON"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("pipeline", [1, 4])
def test_what_it_does_wrong_is_the_error_of_that_cycle_alone(program, name: str, pipeline: int) -> None:
    wrong, expected = BAD[name]
    substrate = program(f'if text == "bad":\n    {wrong}\nelse: say(d, text)', pipeline=pipeline)
    results = run(substrate, "a", "b", "bad", "c", "d")
    assert [r.status for r in results] == ["ok", "ok", "error", "ok", "ok"]
    assert [r.output for r in results if r.output] == [{"output": t} for t in "abcd"]
    assert expected in results[2].error
    if "10 MB" in expected:
        assert "exit status" not in results[2].error, "it ends because we do not listen any more"
    assert [r.record_id for r in results] == [f"r{i}" for i in range(5)]
    assert "\n" not in results[2].error
    assert len(results[2].error) < 1000


@pytest.mark.parametrize("pipeline", [1, 3])
def test_no_answer_in_time_is_behaviour(program, pipeline: int) -> None:
    substrate = program('time.sleep(60 if text == "bad" else 0); say(d, state["seed"])', pipeline=pipeline)
    substrate.reset(5)
    pids = substrate.processes()
    started = time.perf_counter()
    results = run(substrate, "a", "bad", "c", timeout_s=1.5)
    assert [(r.status, r.error) for r in results] == [("ok", None), ("error", "timeout after 1.5 s"), ("ok", None)]
    assert results[2].output == {"output": 5}, "the new process was told the last reset"
    assert time.perf_counter() - started < 40
    assert substrate.processes() != pids
    assert gone(pids[0])


def test_a_program_that_never_reads_does_not_block_us(program) -> None:
    substrate = program("pass")
    substrate.run_batch([], seed=1, timeout_s=1)
    path = Path(shlex.split(substrate.identity().name)[1])
    path.write_text("import time\ntime.sleep(60)", encoding="utf-8")
    [result] = run(substrate, "x" * 5_000_000, timeout_s=0.5)
    assert result.error == "timeout after 0.5 s"


def test_requests_that_do_not_fit_the_pipe_arrive_whole_and_in_order(program) -> None:
    # It pauses after every tenth: some requests find room at once, others wait for the thread that writes the rest.
    substrate = program(
        'if state["n"] % 10 == 0: time.sleep(0.1)\nsay(d, {"n": state["n"], "size": len(text), "last": text[-3:]})',
        pipeline=16,
    )
    texts = [("x" * (50_000 if i % 3 else 10)) + f"{i:03}" for i in range(60)]
    results = run(substrate, *texts)
    assert [r.output for r in results] == [
        {"n": i + 1, "size": len(text), "last": text[-3:]} for i, text in enumerate(texts)
    ]


@pytest.mark.parametrize("pipeline", [2, 16])
def test_a_program_that_waits_for_the_whole_window(program, pipeline: int) -> None:
    substrate = program(
        f"held.append(d)\nif len(held) == {pipeline}:\n    for h in held: say(h, h['input'])\n    held.clear()",
        pipeline=pipeline,
    )
    texts = [f"t{i}" for i in range(4 * pipeline)]
    assert [r.output for r in run(substrate, *texts)] == [{"output": text} for text in texts]


@pytest.mark.parametrize("pipeline", [1, 3])
def test_an_answer_to_the_reset_line_is_called_that(program, pipeline: int) -> None:
    substrate = program("pass", pipeline=pipeline)
    Path(shlex.split(substrate.identity().name)[1]).write_text(
        "import json, sys\nfor line in sys.stdin:\n"
        "    print(json.dumps({'id': json.loads(line).get('id'), 'output': 1}), flush=True)",
        encoding="utf-8",
    )
    substrate.reset(1)
    assert run(substrate, "a")[0].error == 'it answered the reset line {"op": "reset"}, which has no answer'


def test_our_own_kill_is_not_its_behaviour(program) -> None:
    substrate = program('sys.stderr.write("a word\\n"); sys.stderr.flush(); time.sleep(0.2); raw(b"noise\\n")')
    assert run(substrate, "a")[0].error == "its answer is not JSON: b'noise' (stderr: a word)"


def test_floods_of_logs_neither_block_nor_fill_memory(program) -> None:
    substrate = program('sys.stderr.write("log line\\n" * 200_000); sys.stderr.flush(); say(d, 1)')
    assert [r.status for r in run(substrate, *"abcde")] == ["ok"] * 5


def test_answers_may_come_out_of_order(program) -> None:
    body = """
held.append(d)
if len(held) == 4:
    for each in reversed(held): say(each, each["input"])
    held.clear()
"""
    results = run(program(body, pipeline=4), *"abcdefgh")
    assert [r.output["output"] for r in results] == list("abcdefgh")
    assert all(r.wall_s is None for r in results)


def test_one_id_twice_in_a_pipeline(program) -> None:
    substrate = program('say(d, state["n"])', pipeline=4)
    twice = [Record("same", "x"), Record("same", "x"), Record("other", "x")]
    results = list(substrate.run_batch(twice, seed=1, timeout_s=20))
    assert [r.output["output"] for r in results] == [1, 2, 3]


def test_an_abandoned_batch_leaves_no_answers_behind(program) -> None:
    substrate = program("say(d, text)", pipeline=4)
    batch = substrate.run_batch(records(*"abcdef"), seed=1, timeout_s=20)
    assert next(batch).output == {"output": "a"}
    batch.close()
    assert [r.output["output"] for r in run(substrate, *"uvw")] == list("uvw")


@pytest.mark.parametrize("pipeline", [1, 4])
def test_a_second_answer_is_never_taken_for_the_next(program, pipeline: int) -> None:
    answers = 'b"".join(json.dumps({"id": d["id"], "output": n}).encode() + b"\\n" for n in (state["seed"], -1))'
    substrate = program(f"raw({answers})", pipeline=pipeline)
    for seed in (5, 6):
        substrate.reset(seed)
        [result] = run(substrate, "x")
        assert result.output in ({"output": seed}, None)
        assert result.error in (None, "it answered for the id 'r0' once more than it was asked")


@pytest.mark.parametrize("pipeline", [1, 4])
def test_an_answer_that_was_waited_for_when_ctrl_c_came_reaches_nobody(program, pipeline: int) -> None:
    body = 'if text == "slow": os.kill(os.getppid(), signal.SIGUSR1); time.sleep(0.3)\nsay(d, text)'
    substrate = program(body, pipeline=pipeline)

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(substrate, "slow")
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert [r.output for r in run(substrate, "quick", "b")] == [{"output": "quick"}, {"output": "b"}]


@pytest.mark.parametrize("pipeline", [1, 4])
def test_one_that_died_while_its_child_holds_the_pipe_is_not_called_slow(program, pipeline: int) -> None:
    body = 'if text == "bad":\n    subprocess.Popen(["sleep", "60"]); os._exit(3)\nsay(d, text)'
    results = run(program(body, pipeline=pipeline), "a", "bad", "c", timeout_s=3)
    assert [(r.status, r.error) for r in results] == [
        ("ok", None),
        ("error", "timeout after 3 s (exit status 3)"),
        ("ok", None),
    ]


def test_what_is_asked_again_is_given_as_it_comes(program, tmp_path: Path) -> None:
    log = tmp_path / "asked"
    body = f'open({str(log)!r}, "a").write(text + " ")\nif text == "bad": time.sleep(60)\nsay(d, text)'
    batch = program(body, pipeline=4).run_batch(records("bad", "a", "bad", "b"), seed=1, timeout_s=3)
    assert next(batch).status == "error"
    assert next(batch).output == {"output": "a"}
    assert log.read_text(encoding="utf-8") == "bad bad a ", "nobody waits for the others yet"
    batch.close()


@pytest.mark.parametrize("timeout_s", [1e12, float("inf")])
def test_any_patience_is_possible(program, timeout_s: float) -> None:
    assert run(program("say(d, text)"), "a", timeout_s=timeout_s)[0].output == {"output": "a"}


def test_a_program_that_cannot_live_stops_the_run(program, tmp_path: Path) -> None:
    with pytest.raises(SubstrateFailure, match="10 times in a row") as caught:
        run(program('sys.stderr.write("no model"); sys.exit(1)'), *("x" * 30))
    assert "no model" in str(caught.value)
    assert caught.value.exit_code == 6
    with pytest.raises(SubstrateFailure, match="cannot be started"):
        run(make_substrate("command:./not-there --flag"), "x")
    plain = tmp_path / "plain.txt"
    plain.write_text("not executable", encoding="utf-8")
    with pytest.raises(SubstrateFailure, match="cannot be started"):
        run(make_substrate(f"command:{plain}"), "x")


def test_its_children_go_with_it(program) -> None:
    body = 'child = subprocess.Popen(["sleep", "60"]); say(d, child.pid)'
    substrate = program(body)
    child = run(substrate, "x")[0].output["output"]
    substrate.close()
    assert gone(child)


def test_a_forgotten_substrate_leaves_no_process(program, tmp_path: Path) -> None:
    path = tmp_path / "idle.py"
    path.write_text("import sys\nfor l in sys.stdin: pass", encoding="utf-8")
    before = set(threading.enumerate())
    substrate = make_substrate(f"command:{shlex.join([sys.executable, str(path)])}")
    substrate.reset(1)
    [pid] = substrate.processes()
    path.write_text("import sys\nwhile True: sys.stdout.write('flood\\n' * 1000)", encoding="utf-8")
    flooding = make_substrate(f"command:{shlex.join([sys.executable, str(path)])}")
    flooding.reset(1)
    threads = set(threading.enumerate()) - before
    assert len(threads) == 6
    del substrate, flooding
    gc.collect()
    assert gone(pid)
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


def test_what_cannot_be_sent_is_unmeasured(program) -> None:
    for pipeline in (1, 2):
        substrate = program("say(d, text)", pipeline=pipeline)
        mixed = [Record("a", object()), Record("b", b"\xff"), Record("c", [1.5])]
        results = list(substrate.run_batch(mixed, seed=1, timeout_s=20))
        assert [r.status for r in results] == ["unmeasured", "ok", "ok"]
        assert [r.output for r in results[1:]] == [{"base64": "/w=="}, {"output": [1.5]}]


def test_a_key_is_not_handed_down(program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPHAMIN_SIGN_KEY", "secret")
    assert run(program('say(d, "OPHAMIN_SIGN_KEY" in os.environ)'), "x")[0].output == {"output": False}


def test_a_command_line_spaced_or_quoted_otherwise_is_the_same_system() -> None:
    one, other = (make_substrate(f"command:{line}").identity() for line in ("cat -u x", " cat  '-u' \"x\" "))
    assert one == other
    assert one.name == "cat -u x"


def test_identity_follows_the_program_and_bad_lines_are_refused(program) -> None:
    substrate = program("say(d, 1)")
    path = Path(shlex.split(substrate.identity().name)[1])
    before = substrate.identity()
    assert substrate.identity() is before
    path.write_text("changed", encoding="utf-8")
    after = make_substrate(f"command:{substrate.identity().name}").identity()
    assert after.config_hash != before.config_hash
    for spec in ("command:", "command:'unclosed"):
        with pytest.raises(UsageError):
            make_substrate(spec)


def test_a_fresh_process_on_every_reset(program) -> None:
    substrate = program('held.append(text); say(d, [os.getpid(), state["seed"], len(held)])', restart="reset")
    seen = []
    for seed in (4, 5):
        substrate.reset(seed)
        [pid] = substrate.processes()
        answers = [r.output["output"] for r in run(substrate, "a", "b")]
        assert answers == [[pid, seed, 1], [pid, seed, 2]], "told the seed, and with no memory of the one before"
        assert substrate.processes() == [pid]
        seen.append(pid)
    assert seen[0] != seen[1]
    assert gone(seen[0])
    kept = program('say(d, state["seed"])')
    kept.reset(4)
    assert substrate.identity().config_hash != kept.identity().config_hash
    with pytest.raises(UsageError, match="never, reset"):
        make_substrate("command:cat?restart=always")


@pytest.mark.parametrize("pipeline", [1, 4])
@pytest.mark.parametrize(
    ("words", "output"),
    [
        (
            '{"id": %s, "output": {"a": 1e999, "b": -1e999, "c": 0.5, "d": 1E3}}',
            {"a": None, "b": None, "c": 0.5, "d": 1000.0},
        ),
        ('{"id": %s, "output": "\\ud800"}', {"output": "\\ud800"}),
        (' {"id": %s, "output": [1, {"x": null}]} \r', {"output": [1, {"x": None}]}),
        ('{"id": %s, "output": ' + "[" * 60 + "]" * 60 + "}", None),
    ],
)
def test_answers_that_need_converting_and_those_that_do_not_are_read_alike(
    program, pipeline: int, words: str, output: object
) -> None:
    # The same answer made long is converted with care, a short one is taken as it was read.
    padded = words.replace("{", '{"padding": "' + "x" * 4000 + '", ', 1)
    results = {}
    for name, text in (("short", words), ("long", padded)):
        substrate = program(f"raw(({text!r} % json.dumps(d['id'])).encode() + b'\\n')", pipeline=pipeline)
        results[name] = run(substrate, "a", "b")
    assert [r.status for r in results["short"]] == ["ok"] * 2
    assert [r.output for r in results["short"]] == [r.output for r in results["long"]]
    if output is not None:
        assert results["short"][0].output == output
