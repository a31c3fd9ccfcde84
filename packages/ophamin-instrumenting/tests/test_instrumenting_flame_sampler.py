"""The in-process sampler on real work: whose time it is, and that it leaves the process as it was."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import pytest

from ophamin.instrumenting.flame import CpuSampler
from ophamin.proof.errors import UsageError

timer = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs SIGPROF")


def burn(seconds):
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        sum(range(200))


def burn_more(seconds):
    burn(seconds)


def share(stacks, *names):
    """Share of the weight whose stack holds all these functions."""
    held = sum(w for stack, w in stacks.weights.items() if all(any(f.startswith(n) for f in stack) for n in names))
    return held / stacks.total


def test_cpu_time_is_found_where_it_was_spent():
    with CpuSampler(name="burning") as sampler:
        burn(0.1)
        burn_more(0.3)
    stacks = sampler.stacks()
    assert (stacks.unit, stacks.name) == ("microseconds", "burning")
    assert 0.3e6 < stacks.total < 0.6e6
    assert 0.6 < share(stacks, "burn_more (") < 0.9
    assert share(stacks, "thread MainThread") > 0.95
    assert stacks.details["sampler"] == (
        "in-process, by timer" if hasattr(signal, "setitimer") else "in-process, by thread"
    )


IDLE = """
import time
from ophamin.instrumenting.flame import CpuSampler

def wait():
    time.sleep(0.3)

with CpuSampler(idle=True) as sampler:
    wait()
stacks = sampler.stacks()
held = sum(w for s, w in stacks.weights.items() if "thread MainThread" in s and any(f.startswith("wait (") for f in s))
assert held / stacks.total > 0.2, held / stacks.total
"""


def test_waiting_weighs_nothing_unless_it_is_asked_for():
    def wait():
        time.sleep(0.3)

    with CpuSampler() as sampler:
        wait()
        burn(0.1)
    assert share(sampler.stacks(), "test_waiting_weighs_nothing_unless_it_is_asked_for.<locals>.wait") < 0.1
    # In a process of its own: a parallel test run has idle threads of its own, which weigh alike.
    done = subprocess.run([sys.executable, "-c", IDLE], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("working", ["together", "while the main thread waits"])
def test_every_thread_is_seen_by_its_name(working):
    with CpuSampler() as sampler:
        thread = threading.Thread(target=burn, args=(0.2,), name="a worker")
        thread.start()
        if working == "together":
            burn(0.2)
        thread.join()
    stacks = sampler.stacks()
    assert share(stacks, "thread a worker", "burn (") > (0.3 if working == "together" else 0.8)
    if working == "together":
        assert 0.3 < share(stacks, "thread MainThread", "burn (") < 0.7


@timer
def test_it_is_accurate_where_the_program_lets_go_of_the_lock_often(tmp_path):
    # A thread that looks gets its turn at the write, whatever takes the time.
    began = time.thread_time()
    with open(tmp_path / "rows", "wb", buffering=0) as out, CpuSampler() as sampler:
        for _ in range(1500):  # some 100 looks and more: chance moves the share by a few hundredths
            burn(0.001)
            out.write(b"row")
    true = 1.5 / (time.thread_time() - began)  # a busy disk makes the writes dear
    assert share(sampler.stacks(), "burn (") == pytest.approx(true, abs=0.2)


def test_outside_the_main_thread_a_thread_looks():
    found = []

    def run():
        with CpuSampler() as sampler:
            burn(0.3)
        found.append(sampler.stacks())

    thread = threading.Thread(target=run, name="elsewhere")
    thread.start()
    thread.join()
    assert found[0].details["sampler"] == "in-process, by thread"
    assert share(found[0], "thread elsewhere", "burn (") > 0.9


@timer
def test_a_timer_in_use_is_left_alone():
    calls = []
    before = signal.signal(signal.SIGPROF, lambda *_: calls.append(1))
    try:
        with CpuSampler() as sampler:
            burn(0.2)
            signal.raise_signal(signal.SIGPROF)
        assert calls == [1]
        assert sampler.stacks().details["sampler"] == "in-process, by thread"
        assert share(sampler.stacks(), "burn (") > 0.8
    finally:
        signal.signal(signal.SIGPROF, before)


@timer
def test_the_process_is_left_as_it_was():
    before, threads = signal.getsignal(signal.SIGPROF), threading.active_count()
    with pytest.raises(RuntimeError, match="mine"), CpuSampler():
        raise RuntimeError("mine")
    assert signal.getsignal(signal.SIGPROF) == before
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)
    assert threading.active_count() == threads


def test_only_what_a_function_called_is_kept():
    def part():
        burn(0.2)

    with CpuSampler(below=part.__code__) as sampler:
        burn_more(0.2)
        part()
    stacks = sampler.stacks()
    assert 0.1e6 < stacks.total < 0.3e6
    assert all(stack[1].startswith("burn (") for stack in stacks.weights if stack[0] == "thread MainThread")


def test_a_look_that_came_late_loses_nothing():
    def locked():
        sorted(range(3_000_000), key=lambda i: -i).sort()  # mostly in C, holding the lock

    with CpuSampler(below=locked.__code__) as sampler:
        began = time.process_time()
        locked()
        used = time.process_time() - began
    assert sampler.stacks().total / 1e6 > 0.7 * used


def test_nothing_to_see_is_said():
    with CpuSampler(below=burn.__code__) as sampler:
        pass
    stacks = sampler.stacks()
    assert stacks.total == 0
    assert "too little CPU" in stacks.note


def test_rates_that_make_no_sense_and_a_second_use_are_refused():
    for rate in (0, -1, 5000, float("nan")):
        with pytest.raises(UsageError, match="1 to 1000"):
            CpuSampler(rate=rate)
    sampler = CpuSampler()
    with sampler:
        pass
    with pytest.raises(UsageError, match="once"), sampler:
        pass


ELSEWHERE = """
import threading, time
from ophamin.instrumenting.flame import CpuSampler, _clocks
_clocks.sys.platform = "elsewhere"

def burn(seconds):
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        sum(range(200))

waiting = threading.Event()
thread = threading.Thread(target=waiting.wait, name="waits")
thread.start()
with CpuSampler() as sampler:
    burn(0.2)
waiting.set()
thread.join()
stacks = sampler.stacks()
burning = sum(w for s, w in stacks.weights.items() if any(f.startswith("burn (") for f in s))
assert 0.1e6 < stacks.total < 0.4e6, stacks.total
assert burning / stacks.total > 0.7, burning / stacks.total
assert not any(s[0] == "thread waits" for s in stacks.weights)
"""


def test_without_a_clock_of_each_thread_the_process_clock_is_split():
    # In a process of its own: a parallel test run has threads of its own, which would share the clock.
    done = subprocess.run([sys.executable, "-c", ELSEWHERE], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_paths_of_this_machine_stay_out_of_the_names():
    import json

    with CpuSampler(rate=500) as sampler:
        for _ in range(60):
            json.loads(json.dumps({str(i): [i] * 10 for i in range(1000)}, indent=1))
    text = sampler.stacks().collapsed()
    assert "(json/encoder.py:" in text
    assert sys.prefix not in text
    assert sys.base_prefix not in text
