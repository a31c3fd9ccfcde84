from __future__ import annotations

import mmap
import os
import pickle
import subprocess
import sys
import time

import psutil
import pytest

from ophamin import registry
from ophamin.instrumenting import _own
from ophamin.instrumenting.resources import InstrumentedSubstrate, ResourceInstrument
from ophamin.protocols import CycleResult, Instrument, Record, SubstrateProbe
from ophamin.testing import check_instrument, check_substrate

BURN = "import time; t = time.process_time()\nwhile time.process_time() - t < 0.05: pass"
BURN_LINE = f"exec({BURN!r})"
MIB = 2**20
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")


def burn(_):
    exec(BURN)


def test_it_is_an_instrument_and_wraps_into_a_substrate(calls):
    assert isinstance(ResourceInstrument(), Instrument)
    wrapped = ResourceInstrument().wrap(calls(burn))
    assert isinstance(wrapped, SubstrateProbe)
    assert wrapped.identity() == calls(burn).identity()
    with ResourceInstrument().scenario(None):
        pass
    assert ResourceInstrument().verdict({}) is None
    assert list(ResourceInstrument().artifacts()) == []


def test_it_keeps_the_contracts(calls):
    check_instrument(ResourceInstrument)
    check_substrate(lambda: InstrumentedSubstrate(calls(lambda payload: repr(payload)[:40])))
    assert registry.instruments.get("resources") is ResourceInstrument


def test_cpu_of_work_shows_and_of_sleep_does_not(calls, measure):
    busy = measure(calls(burn), range(3))
    idle = measure(calls(lambda _: time.sleep(0.06)), range(3))
    assert all(0.045 <= r["cpu_s"] < 0.12 for r in busy)
    assert all(r["latency_s"] >= r["cpu_s"] * 0.9 for r in busy)
    assert all(r["cpu_s"] < 0.01 and r["latency_s"] >= 0.06 for r in idle)


def test_memory_that_is_kept_shows_and_the_peak_remembers_what_was_not(calls, measure):
    kept = []

    def work(size):
        if not size:
            kept.pop().close()
            return
        # A new mapping: what the allocator kept of earlier work would not show.
        kept.append(mmap.mmap(-1, size))
        kept[-1].write(b"x" * size)

    first, held, after = measure(calls(work), [1, 50 * MIB, 0])
    assert 48 * MIB <= held["rss_bytes"] - first["rss_bytes"] <= 60 * MIB
    assert after["rss_bytes"] < held["rss_bytes"] - 40 * MIB
    if "rss_peak_bytes" in after:
        assert after["rss_peak_bytes"] >= held["rss_bytes"]


@linux
def test_page_faults_of_touching_memory(calls, measure):
    def touch(_):
        # A new mapping: memory the allocator kept would fault no more.
        with mmap.mmap(-1, 20 * MIB) as fresh:
            for offset in range(0, len(fresh), 4096):
                fresh[offset] = 1
        return True

    (touched,) = measure(calls(touch), [0])
    # 5,120 pages of 4 KiB; fewer faults where the kernel hands out huge pages.
    assert touched["page_faults_minor"] >= 10
    assert touched["page_faults_major"] >= 0


def test_a_living_childs_cpu_and_memory_count_and_ours_do_not(child, measure):
    substrate = child()
    start, busy, idle, big = measure(
        substrate, ["pass", BURN_LINE, "import time; time.sleep(0.05)", "keep.append(b'x' * (50 * 2**20))"]
    )
    assert start["cpu_s"] > 0  # started in this cycle
    assert 0.045 <= busy["cpu_s"] < 0.12
    assert idle["cpu_s"] < 0.02
    assert 48 * MIB <= big["rss_bytes"] - idle["rss_bytes"] <= 60 * MIB
    assert busy["rss_bytes"] < 40 * MIB  # a bare interpreter, not the test runner


def test_a_child_that_ends_inside_its_cycle_counts(calls, child, measure):
    for substrate in (child(fresh=True), calls(lambda s: subprocess.run([sys.executable, "-c", s], check=True))):
        for cycle in measure(substrate, [BURN_LINE, BURN_LINE]):
            assert 0.045 <= cycle["cpu_s"] < 0.25


@linux
def test_a_child_that_ends_later_is_not_counted_twice(child, measure):
    substrate = child()
    heavy = BURN_LINE.replace("0.05", "0.3")

    def end(statement):
        substrate.ask(statement)
        if statement == BURN_LINE:
            substrate.close()

    substrate.function = end
    _, busy, last = measure(substrate, ["pass", heavy, BURN_LINE])
    assert busy["cpu_s"] >= 0.29
    assert 0.03 <= last["cpu_s"] < 0.15


@linux
def test_a_grandchild_counts_alive_and_ended(child, measure):
    run = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}])"
    substrate = child(prefix=["sh", "-c", '"$@"; true', "sh"])  # the shell stays, the program is its child
    _, busy, nested = measure(substrate, ["pass", BURN_LINE, run])
    assert 0.045 <= busy["cpu_s"] < 0.12
    assert 0.045 <= nested["cpu_s"] < 0.25
    assert busy["rss_peak_bytes"] >= busy["rss_bytes"]


# Adopts orphans and waits for them, as init does, without being of the family.
INIT = """
import ctypes, os, subprocess, sys
ctypes.CDLL(None).prctl(36, 1)
child = subprocess.Popen(sys.argv[1:])
while True:
    pid, status = os.wait()
    if pid == child.pid:
        sys.exit(0)
"""
# Starts a process that burns and stays, tells its pid, and stays too.
PARENT = f"""
import os, time
pid = os.fork()
if pid == 0:
    os.close(1)
    exec({BURN.replace("0.05", "5")!r})
    time.sleep(60)
print(pid, flush=True)
time.sleep(60)
"""


@linux
def test_a_process_that_nobody_of_the_family_waited_for_leaves_no_number(child, measure):
    """An orphan is followed while it lives; when init has waited for it, what it used at last is lost."""
    substrate = child(prefix=[sys.executable, "-c", INIT])
    substrate.start()
    outside = psutil.Process(substrate.process.pid)
    while not outside.children():
        time.sleep(0.01)
    substrate.processes = lambda: [outside.children()[0].pid]
    start = f"import subprocess, sys; keep.append(subprocess.Popen([sys.executable, '-c', {PARENT!r}], stdout=-1))"
    _, _, _, parentless, killed, after = measure(
        substrate,
        [
            "pass",
            start,
            "keep.append(int(keep[0].stdout.readline()))",
            "import time; used = lambda: time.clock_gettime((~keep[1] << 3) | 2); then = used(); keep[0].kill(); "
            "keep[0].wait(); [time.sleep(0.01) for _ in iter(lambda: used() < then + 0.15, False)]",
            "import os, signal, time; os.kill(keep[1], signal.SIGKILL); time.sleep(0.3)",
            BURN_LINE,
        ],
    )
    assert parentless["cpu_s"] > 0.1  # the orphan burned on, and belongs to the system still
    assert "cpu_s" not in killed
    assert "io_read_bytes" not in killed
    assert killed["rss_bytes"] > 0
    assert 0.045 <= after["cpu_s"] < 0.15


def test_own_process_counts_when_it_is_listed(child, measure):
    substrate = child()
    listed = substrate.processes
    substrate.processes = lambda: [os.getpid(), *listed()]
    ask = substrate.function

    def both(statement):
        burn(None)
        ask(statement)

    substrate.function = both
    _, cycle = measure(substrate, ["pass", BURN_LINE])
    assert 0.095 <= cycle["cpu_s"] < 0.2


def test_several_in_flight_give_no_time_of_their_own(calls, measure):
    (cycle,) = measure(calls(burn, timed=False), [0])
    assert not {"latency_s", "cpu_s", "page_faults_minor"} & set(cycle)
    assert cycle["rss_bytes"] > 0


def test_the_callers_own_work_between_cycles_is_not_the_systems(calls):
    cycles = InstrumentedSubstrate(calls(lambda _: None)).run_batch(
        [Record("a", 0), Record("b", 0)], seed=0, timeout_s=1.0
    )
    next(cycles)
    burn(None)
    assert next(cycles).resources["cpu_s"] < 0.01


def test_what_the_substrate_states_is_kept(calls):
    class Stating(calls):
        def run_batch(self, records, *, seed, timeout_s):
            yield CycleResult(0, "a", wall_s=7.0, resources={"cpu_s": 3.0, "joules": 1.0})

    (cycle,) = InstrumentedSubstrate(Stating(burn)).run_batch([Record("a", 0)], seed=0, timeout_s=1.0)
    assert cycle.resources["cpu_s"] == 3.0
    assert cycle.resources["joules"] == 1.0
    assert cycle.resources["latency_s"] == 7.0  # a virtual clock's time, not ours


def test_optional_attributes_are_there_exactly_when_wrapped_has_them(calls):
    class Rich(calls):
        fields = {"answer": "a.b"}

        def admit(self, records):
            return "asked"

    wrapped = InstrumentedSubstrate(Rich(burn))
    assert wrapped.fields == {"answer": "a.b"}
    assert wrapped.admit([]) == "asked"
    wrapped.reset(5)
    assert wrapped.seed == 5
    wrapped.close()
    assert wrapped.closed == 1
    plain = InstrumentedSubstrate(calls(burn))
    assert not hasattr(plain, "fields")
    assert not hasattr(plain, "admit")
    assert hasattr(pickle.loads(pickle.dumps(InstrumentedSubstrate(calls(burn)))), "identity")


def test_leaving_early_closes_the_wrapped_generator_and_errors_pass(calls):
    substrate = calls(burn)
    cycles = InstrumentedSubstrate(substrate).run_batch([Record(str(i), 0) for i in range(9)], seed=0, timeout_s=1.0)
    next(cycles)
    cycles.close()
    assert substrate.ended

    def fail(_):
        raise RuntimeError("the system broke")

    with pytest.raises(RuntimeError, match="the system broke"):
        list(InstrumentedSubstrate(calls(fail)).run_batch([Record("a", 0)], seed=0, timeout_s=1.0))


def test_without_posix_modules_and_proc_psutil_answers_and_the_rest_is_absent(calls, measure, monkeypatch):
    monkeypatch.setattr(_own, "resource", None)
    real = os.open

    def no_proc(path, *args, **kwargs):
        if str(path).startswith("/proc"):
            raise FileNotFoundError(path)
        return real(path, *args, **kwargs)

    monkeypatch.setattr(_own.os, "open", no_proc)
    (cycle,) = measure(calls(burn), [0])
    assert 0.03 <= cycle["cpu_s"] < 0.12
    assert cycle["rss_bytes"] > 5 * MIB
    assert not {"page_faults", "page_faults_minor", "io_read_bytes"} & set(cycle)
    assert cycle["latency_s"] > 0
    assert cycle["threads"] >= 1
