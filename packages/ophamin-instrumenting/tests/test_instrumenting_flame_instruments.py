"""The instruments around real runs of substrates."""

from __future__ import annotations

import contextlib
import sys
import time

import pytest

from ophamin.instrumenting.flame import capture_cpu, parse_capture
from ophamin.instrumenting.flame import instrument as module
from ophamin.instrumenting.flame.instrument import CpuFlameGraph, MemoryFlameGraph
from ophamin.proof.errors import MissingDependency, OphaminError
from ophamin.protocols import Record, RunSpec

pytest.importorskip("memray")
SPEC = RunSpec(scenario="test", arms={"main": "test"})
MIB = 2**20


def burn(payload):
    until = time.thread_time() + 0.02
    while time.thread_time() < until:
        sum(range(200))


def watch(instrument, substrate, payloads, around=lambda: None):
    """Run these payloads under the instrument, as the engine does; the capture it left."""
    with instrument.scenario(SPEC):
        wrapped = instrument.wrap(substrate)
        wrapped.reset(1)
        for _ in wrapped.run_batch([Record(str(i), p) for i, p in enumerate(payloads)], seed=1, timeout_s=5.0):
            around()
    instrument.verdict({})
    svg, collapsed, speedscope = instrument.artifacts()
    assert svg.read_bytes().startswith(b"<?xml")
    assert parse_capture(speedscope.read_bytes()).total == parse_capture(collapsed.read_bytes()).total
    return parse_capture(speedscope.read_bytes()), svg.read_text("utf-8")


def test_cpu_of_the_system_is_drawn_and_that_of_the_engine_is_not(calls):
    def engine():
        burn(None)

    stacks, svg = watch(CpuFlameGraph(), calls(burn), range(15), engine)
    assert stacks.unit == "microseconds"
    assert 0.15e6 < stacks.total < 0.45e6
    text = stacks.collapsed()
    assert "Calls.run_batch (" in text
    assert ";burn (" in text
    assert "engine" not in text
    assert "CPU time of test" in svg


def test_a_run_that_fails_still_leaves_its_picture(calls):
    def fail(_):
        burn(_)
        raise RuntimeError("the system broke")

    for make in (CpuFlameGraph, MemoryFlameGraph):
        instrument = make()
        with pytest.raises(RuntimeError, match="the system broke"), instrument.scenario(SPEC):
            list(instrument.wrap(calls(fail)).run_batch([Record("a", 0)], seed=0, timeout_s=1.0))
        # What belongs to a run that was not, has nothing to say about memory.
        assert [p.suffix for p in instrument.artifacts()] == (
            [".svg", ".txt", ".json"] if make is CpuFlameGraph else []
        )


def test_a_system_in_another_process_is_watched_too(child):
    try:
        capture_cpu([sys.executable, "-c", "import time; time.sleep(0.3)"])
    except OphaminError as error:
        pytest.skip(f"py-spy may not look into other processes here: {error}")
    define = "def hot():\\n t = time.process_time()\\n while time.process_time() - t < 0.3: sum(range(200))"
    substrate = child()
    stacks, _ = watch(CpuFlameGraph(), substrate, [f'import time; exec("{define}")', "hot()", "hot()", "hot()"])
    text = stacks.collapsed()
    assert "process python -c" in text
    assert "hot (" in text
    assert substrate.processes()  # it was not ended


def test_a_process_that_may_not_be_watched_is_said_once_and_stands_in_the_picture(child, monkeypatch, capsys):
    def missing(*args, **kwargs):
        raise MissingDependency("a CPU flame graph of another process", "py-spy", "ophamin-instrumenting[tools]")

    monkeypatch.setattr(module, "PySpy", missing)
    _, svg = watch(CpuFlameGraph(), child(), ["pass"] * 5)
    assert "The system&#x27;s own processes were not seen" in svg
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "pip install 'ophamin-instrumenting[tools]'" in told


def test_memory_of_a_pass_after_the_run_which_the_run_does_not_feel(calls):
    kept, seen = [], []

    def answer(size):
        seen.append(size)
        kept.append(bytes(size))
        return len(kept)

    substrate = calls(answer)
    stacks, svg = watch(MemoryFlameGraph(), substrate, [MIB] * 20)
    assert seen == [MIB] * 40
    assert 20 * MIB <= stacks.total < 22 * MIB
    assert any(stack[-1].startswith("answer (") for stack in stacks.weights)
    assert all(not frame.startswith(("memory_pass", "watch (")) for stack in stacks.weights for frame in stack)
    assert "20 answered again after the run" in svg


def test_the_pass_is_bounded_in_records_and_in_time(calls, monkeypatch):
    monkeypatch.setattr(module, "MOST_RECORDS", 10)
    count = []
    watch(MemoryFlameGraph(), calls(count.append), range(25))
    assert len(count) == 35
    monkeypatch.setattr(module, "LONGEST_PASS_S", 0.1)
    count.clear()
    watch(MemoryFlameGraph(), calls(lambda _: (count.append(1), time.sleep(0.06))), range(8))
    assert 8 < len(count) < 12


def test_where_memray_cannot_look_it_is_said(calls, child, capsys):
    _, svg = watch(MemoryFlameGraph(), child(), ["pass"] * 3)
    assert "Nothing was captured" in svg
    assert "ophamin instrument --flamegraph -- COMMAND" in svg
    assert capsys.readouterr().err.startswith("ophamin: flamegraph-memory: the system lives in other processes")

    calls_left = [3]

    def break_later(_):
        calls_left[0] -= 1
        if calls_left[0] < 0:
            raise RuntimeError("not twice")

    _, svg = watch(MemoryFlameGraph(), calls(break_later), range(3))
    assert "The pass under memray failed: RuntimeError: not twice." in svg
    instrument = MemoryFlameGraph()
    with instrument.scenario(SPEC):
        wrapped = instrument.wrap(calls(lambda _: 1))
        list(wrapped.run_batch([Record("a", 0)], seed=0, timeout_s=1.0))
        wrapped.close()
    assert "Nothing was captured" in instrument.artifacts()[0].read_text("utf-8")


def test_every_arm_has_its_own_part(calls):
    instrument = MemoryFlameGraph()
    spec = RunSpec(scenario="test", arms={"base": "a", "head": "b"})
    with instrument.scenario(spec):
        kept = []
        for size in (MIB, 3 * MIB):
            wrapped = instrument.wrap(calls(lambda _, size=size: kept.append(bytes(size))))
            list(wrapped.run_batch([Record("a", 0), Record("b", 0)], seed=0, timeout_s=1.0))
    stacks = parse_capture(instrument.artifacts()[1].read_bytes())
    by_arm = {arm: sum(w for s, w in stacks.weights.items() if s[0] == f"arm {arm}") for arm in ("base", "head")}
    assert by_arm["base"] >= 2 * MIB
    assert by_arm["head"] >= 6 * MIB


def test_files_go_with_the_instrument(calls):
    instrument = CpuFlameGraph()
    watch(instrument, calls(lambda _: 1), range(2))
    folder = instrument.artifacts()[0].parent
    assert folder.is_dir()
    del instrument
    assert not folder.exists()


def test_memray_missing_is_told_before_anything_runs(monkeypatch):
    monkeypatch.setitem(sys.modules, "memray", None)
    monkeypatch.delitem(sys.modules, "ophamin.instrumenting.flame._memray", raising=False)
    with contextlib.suppress(AttributeError):
        monkeypatch.delattr("ophamin.instrumenting.flame._memray", raising=False)
    with pytest.raises(MissingDependency, match=r"ophamin-instrumenting\[tools\]"):
        MemoryFlameGraph()
