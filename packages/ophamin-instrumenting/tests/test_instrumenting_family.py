"""Whose cost it is: pools, peaks between two looks, other people's children, threads, switches, storage."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from ophamin.instrumenting import _other
from ophamin.instrumenting._family import Family
from ophamin.instrumenting._other import ByPsutil, open_process
from ophamin.instrumenting._sampler import PeakSampler
from ophamin.instrumenting.resources import InstrumentedSubstrate
from ophamin.protocols import CycleResult, Record

MIB = 2**20
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
SPIKE = "x = bytearray({0} * 2**20); x[::4096] = b'x' * len(x[::4096]); import time; time.sleep(0.15); del x"


# Run by builtins.exec, which every worker can import.
BURN = "t = __import__('time').process_time\nb = t()\nwhile t() - b < {0}: pass"


def threads():
    return [t.name for t in threading.enumerate() if t.name == "ophamin-peak-sampler"]


def test_a_pool_counts_by_the_cycle_and_not_when_it_ends(calls, measure):
    """Workers live across cycles: each cycle gets what they did in it, none gets their lives."""
    context = multiprocessing.get_context("spawn")
    pools = []

    def work(seconds):
        if seconds == "start":
            pools.append(context.Pool(2))
            pools[0].map(exec, [BURN.format(0.0)] * 2)
        elif seconds == "end":
            pools[0].close()
            pools[0].join()
        else:
            pools[0].map(exec, [BURN.format(seconds)] * 2, chunksize=1)

    started, busy, idle, ended = measure(calls(work), ["start", 0.2, 0.0, "end"])
    assert started["rss_bytes"] > idle["rss_bytes"] * 0.9  # with its two workers
    assert 0.38 <= busy["cpu_s"] < 0.6
    assert idle["cpu_s"] < 0.05
    assert ended["cpu_s"] < 0.15  # and not once more the 0.4 s of the busy cycle
    assert ended["rss_bytes"] < busy["rss_bytes"] - 15 * MIB


def test_children_that_were_there_before_are_somebody_elses(calls, measure):
    hungry = "x = bytearray(80 * 2**20); print(flush=True); t = __import__('time'); t.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", hungry], stdout=subprocess.PIPE) as other:
        try:
            other.stdout.readline()
            (alone,) = measure(calls(lambda _: None), [0])
            assert alone["rss_bytes"] == pytest.approx(alone["rss_peak_bytes"], rel=0.1)
            assert alone["rss_bytes"] < Family().look([]).rss() + 60 * MIB
        finally:
            other.kill()


def test_processes_started_by_reset_belong_to_the_system(calls):
    class Resetting(calls):
        def reset(self, seed):
            self.worker = subprocess.Popen([sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"],
                                           stdout=subprocess.PIPE)  # fmt: skip
            self.worker.stdout.readline()

    substrate = Resetting(lambda _: None)
    wrapped = InstrumentedSubstrate(substrate)
    alone = Family().look([]).rss()
    wrapped.reset(0)
    (cycle,) = wrapped.run_batch([Record("a", 0)], seed=0, timeout_s=9)
    assert cycle.resources["rss_bytes"] > alone + 5 * MIB
    substrate.worker.kill()
    substrate.worker.wait()
    substrate.worker.stdout.close()
    wrapped.close()


def test_a_peak_between_two_looks_is_seen_in_a_child_and_here(child, measure):
    substrate = child()
    _, spike, after = measure(substrate, ["pass", SPIKE.format(60), "pass"])
    assert spike["rss_peak_bytes"] - spike["rss_bytes"] > 50 * MIB
    assert after["rss_peak_bytes"] < after["rss_bytes"] + 5 * MIB  # a cycle's peak, not the highest ever
    again, small = measure(substrate, [SPIKE.format(60), SPIKE.format(30)])
    assert (
        again["rss_peak_bytes"] - again["rss_bytes"] > 50 * MIB
    )  # the high-water mark did not rise: the thread saw it
    assert 25 * MIB < small["rss_peak_bytes"] - small["rss_bytes"] < 40 * MIB


def test_a_peak_of_a_grandchild_that_came_and_went(calls, measure):
    (cycle,) = measure(calls(lambda s: subprocess.run([sys.executable, "-c", s], check=True)), [SPIKE.format(80)])
    assert cycle["rss_peak_bytes"] - cycle["rss_bytes"] > 70 * MIB


def test_the_thread_ends_with_its_batch_whatever_happens(calls):
    records = [Record(str(i), 0) for i in range(3)]
    list(InstrumentedSubstrate(calls(lambda _: None)).run_batch(records, seed=0, timeout_s=1))
    assert threads() == []

    def fail(_):
        raise RuntimeError("the system broke")

    with pytest.raises(RuntimeError):
        list(InstrumentedSubstrate(calls(fail)).run_batch(records, seed=0, timeout_s=1))
    assert threads() == []
    cycles = InstrumentedSubstrate(calls(lambda _: None)).run_batch(records, seed=0, timeout_s=1)
    next(cycles)
    assert threads() == ["ophamin-peak-sampler"]
    cycles.close()
    assert threads() == []
    dropped = InstrumentedSubstrate(calls(lambda _: None)).run_batch(records, seed=0, timeout_s=1)
    next(dropped)
    del dropped
    gc.collect()
    assert threads() == []


def test_a_look_that_fails_is_no_look():
    seen = iter([5])
    with PeakSampler(lambda: next(seen), period_s=0.001) as sampler:
        sampler.begin()
        time.sleep(0.05)
        assert sampler.end() == 5


def test_a_child_killed_in_its_cycle_leaves_numbers_and_the_next_one_counts_anew(child, measure):
    substrate = child()

    def ask(statement):
        if statement == "kill":
            substrate.process.kill()
            substrate.process.wait()
            substrate.close()
        else:
            type(substrate).ask(substrate, statement)

    substrate.function = ask
    heavy = "t = __import__('time').process_time\nwhile t() < 0.3: pass"
    start, _, killed, born = measure(substrate, ["pass", f"exec({heavy!r})", "kill", "pass"])
    assert killed["cpu_s"] < 0.1  # what it used before was counted before
    assert born["cpu_s"] == pytest.approx(start["cpu_s"], abs=0.1)


@linux
def test_storage_switches_threads_and_collections(calls, measure, tmp_path):
    def work(what):
        if what == "write":
            with open(tmp_path / "f", "wb") as out:
                out.write(os.urandom(8 * MIB))
                out.flush()
                os.fsync(out.fileno())
        elif what == "sleep":
            for _ in range(20):
                time.sleep(0.001)
        elif what == "collect":
            gc.collect()
            gc.collect()

    for _ in range(1000):
        gc.collect(0)  # what is told must be of the cycle, not of the interpreter's life
    before = _threads_of_this_process()
    idle, wrote, slept, collected = measure(calls(work), ["", "write", "sleep", "collect"])
    assert wrote["io_written_bytes"] >= (8 * MIB if not _on_memory(tmp_path) else 0)
    assert idle["io_written_bytes"] == 0
    assert slept["context_switches_voluntary"] >= 20
    assert 2 <= collected["gc_collections"] < 1000
    # Threads of earlier tests may be ending meanwhile.
    assert before >= idle["threads"] >= _threads_of_this_process()
    assert wrote["page_faults"] == wrote["page_faults_minor"] + wrote["page_faults_major"]


def _threads_of_this_process():
    return psutil.Process().num_threads()


def _on_memory(path):
    kinds = {line.split()[1]: line.split()[2] for line in Path("/proc/self/mounts").read_text("utf-8").splitlines()}
    mount = max((m for m in kinds if str(path).startswith(m)), key=len)
    return kinds[mount] in ("tmpfs", "overlay")


@linux
def test_a_childs_switches_are_its_own_and_absent_with_threads(child, measure):
    sleepy = "t = __import__('time')\nfor _ in range(30): t.sleep(0.001)"
    thread = "import threading, time; keep.append(threading.Thread(target=time.sleep, args=(5,), daemon=True)); keep[0].start()"
    _, slept, threaded = measure(child(), ["pass", f"exec({sleepy!r})", thread])
    assert 30 <= slept["context_switches_voluntary"] < 60
    assert "context_switches_voluntary" not in threaded
    assert threaded["threads"] == 2


def test_handles_by_proc_and_by_psutil_agree():
    code = "import sys; x = bytearray(30 * 2**20); [i for i in range(10**6)]; print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        one, other = open_process(process.pid), ByPsutil(process.pid)
        a, b = one.read(), other.read()
        assert a.rss_bytes == pytest.approx(b.rss_bytes, rel=0.05)
        assert a.own.cpu_s == pytest.approx(b.own.cpu_s, abs=0.03)
        assert (a.threads, a.parent) == (b.threads, b.parent) == (1, os.getpid())
        assert one.started == pytest.approx(other.started, abs=0.1)
        assert one.children() == other.children() == []
        process.stdin.close()
        process.wait()
        for handle in (one, other):
            with pytest.raises(_other.Gone):
                handle.read()
            handle.close()
            handle.close()
    assert open_process(process.pid) is None


def test_more_processes_than_open_files(child, measure, monkeypatch):
    monkeypatch.setattr(_other, "MOST_OPEN", 1)
    start = "import subprocess, sys; keep += [subprocess.Popen(['sleep', '30']) for _ in range(3)]"
    _, several = measure(child(), ["pass", start])
    assert several["threads"] == 4
    kill = "[p.kill() or p.wait() for p in keep]"
    substrate = child()
    _, _, ended, after = measure(substrate, ["pass", start, kill, "pass"])
    assert "cpu_s" in ended
    assert after["threads"] == 1


def test_a_process_that_was_stopped_is_still_looked_at(child):
    substrate = child()
    substrate.ask("pass")  # it has come up
    family = Family()
    os.kill(substrate.process.pid, signal.SIGSTOP)
    try:
        assert family.look([substrate.process.pid]).rss() > MIB
    finally:
        os.kill(substrate.process.pid, signal.SIGCONT)
        family.close()


def test_results_keep_their_arm_and_error(calls):
    class Failing(calls):
        def run_batch(self, records, *, seed, timeout_s):
            yield CycleResult(0, "a", "base", "error", None, "no", 0.5)

    (cycle,) = InstrumentedSubstrate(Failing(None)).run_batch([Record("a", 0)], seed=0, timeout_s=1)
    assert (cycle.arm, cycle.status, cycle.error, cycle.resources["latency_s"]) == ("base", "error", "no", 0.5)
