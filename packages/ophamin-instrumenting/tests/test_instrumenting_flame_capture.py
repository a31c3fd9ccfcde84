"""Real programs under py-spy and memray: that fork, end at once, are killed, are not Python, may not be looked at."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import textwrap
import time

import psutil
import pytest

from ophamin.instrumenting.flame import PySpy, Refused, capture_cpu, capture_memory
from ophamin.instrumenting.flame import _pyspy as pyspy
from ophamin.proof.errors import MissingDependency, OphaminError, SubstrateFailure, UsageError

pytest.importorskip("memray")
MIB = 2**20
BURN = """
import sys, threading, time
def burn(seconds):
    until = time.process_time() + seconds
    while time.process_time() < until:
        sum(range(200))
"""


def _may_look() -> bool:
    with contextlib.suppress(OphaminError):
        capture_cpu([sys.executable, "-c", "import time; time.sleep(0.3)"])
        return True
    return False


looking = pytest.mark.skipif(not _may_look(), reason="py-spy may not look into other processes here")


@pytest.fixture
def program(tmp_path):
    """Writes a program that can burn; its command."""

    def make(code, name="prog.py"):
        (tmp_path / name).write_text(BURN + textwrap.dedent(code), "utf-8")
        return [sys.executable, str(tmp_path / name)]

    return make


def functions(stacks):
    return {frame.partition(" (")[0] for stack in stacks.weights for frame in stack}


@looking
def test_a_started_program_keeps_its_output_input_and_exit_code(program, capfd):
    found = capture_cpu([*program("burn(0.5); print('out'); print('err', file=sys.stderr); sys.exit(3)"), "word"])
    assert found.returncode == 3
    assert capfd.readouterr() == ("out\n", "err\n")
    assert found.stacks.total > 10
    assert {"burn", "<module>"} <= functions(found.stacks)
    assert next(iter(found.stacks.weights))[0] == "process python prog.py word"
    assert "ophamin" not in found.stacks.collapsed()  # what started it is not part of it


@looking
def test_children_and_threads_are_seen(program):
    child = program("burn(0.8)", "child.py")
    found = capture_cpu(program(f"""
        import subprocess
        t = threading.Thread(target=burn, args=(0.5,), name='a worker'); t.start()
        subprocess.run({child!r}); t.join()
    """))  # fmt: skip
    text = found.stacks.collapsed()
    assert "process python child.py;" in text
    assert "thread a worker;" in text
    assert found.returncode == 0


@looking
def test_a_command_line_with_line_ends_and_semicolons():
    code = BURN + "a = 5\nburn(0.5); 'thread'; b = 7"
    found = capture_cpu([sys.executable, "-c", code])
    (root,) = {stack[0] for stack in found.stacks.weights}
    assert root.startswith("process python -c import sys, threading, time def burn(seconds)")
    assert len(root) <= 110
    assert {stack[1].split(" ")[0] for stack in found.stacks.weights} == {"thread"}


@looking
@pytest.mark.parametrize(
    ("code", "expected"),
    [("pass", 0), ("import os; os._exit(7)", 7), ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9)],
)
def test_a_program_that_ends_at_once_or_is_killed(program, code, expected):
    found = capture_cpu(program(code))
    assert found.returncode == expected
    assert b"<svg" in found.stacks.svg()
    if not found.stacks.total:
        assert "no Python thread at work" in found.stacks.note


@looking
def test_a_program_that_forks(program):
    found = capture_cpu(program("""
        import os
        if os.fork() == 0:
            burn(0.7); os._exit(0)
        os.wait()
    """))  # fmt: skip
    assert found.returncode == 0
    assert "burn" in functions(found.stacks)


@looking
def test_a_started_program_is_ended_when_the_time_is_over(program, tmp_path):
    began = time.perf_counter()
    found = capture_cpu(
        program(f"open({str(tmp_path / 'pid')!r}, 'w').write(str(__import__('os').getpid())); burn(60)"), duration=1
    )
    assert time.perf_counter() - began < 15
    assert found.returncode == -9
    assert found.stacks.total > 10
    process = (
        psutil.Process(int((tmp_path / "pid").read_text()))
        if psutil.pid_exists(int((tmp_path / "pid").read_text()))
        else None
    )
    with contextlib.suppress(psutil.NoSuchProcess):
        while process is not None and process.status() != psutil.STATUS_ZOMBIE:
            assert time.perf_counter() - began < 20, "it was left running"
            time.sleep(0.05)


@looking
def test_attaching_leaves_the_process_running(program):
    process = subprocess.Popen(program("burn(30)"))
    try:
        found = capture_cpu(pid=process.pid, duration=1)
        assert found.returncode is None
        assert found.stacks.total > 10
        spy = PySpy(process.pid)
        time.sleep(0.7)
        assert "burn" in functions(spy.stop())
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


@looking
def test_what_cannot_be_watched_is_told_in_one_sentence():
    sleeping = subprocess.Popen(["sleep", "30"])
    try:
        with pytest.raises(UsageError, match="not a Python program"):
            capture_cpu(pid=sleeping.pid, duration=1)
    finally:
        sleeping.kill()
        sleeping.wait()
    with pytest.raises(UsageError, match="is not there"):
        capture_cpu(pid=sleeping.pid, duration=1)


def test_requests_that_make_no_sense():
    with pytest.raises(SubstrateFailure, match="no such program"):
        capture_cpu(["/there/is/none"])
    for wrong in ({}, {"argv": ["python"], "pid": 1}):
        with pytest.raises(UsageError, match="either"):
            capture_cpu(**wrong)
    with pytest.raises(UsageError, match="1 to 1000"):
        capture_cpu(["python"], rate=0)


# Runs a command to which the kernel refuses process_vm_readv and ptrace, as a container's seccomp profile does.
SECCOMP = """
import ctypes, os, struct, sys
calls = {"x86_64": (310, 101), "aarch64": (270, 117)}[os.uname().machine]
refuse = [(0x15, 0, 1, call, 0x06, 0, 0, 0x00050001) for call in calls]  # is it this one? then EPERM
code = struct.pack("HBBI", 0x20, 0, 0, 0) + b"".join(struct.pack("HBBIHBBI", *r) for r in refuse)
code += struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000)
class Filter(ctypes.Structure):
    _fields_ = [("n", ctypes.c_ushort), ("code", ctypes.c_char_p)]
libc = ctypes.CDLL(None)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(Filter(len(code) // 8, code)), 0, 0):
    sys.exit(77)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
NOTE = """
import sys
from ophamin.instrumenting.flame import Refused, capture_cpu
try:
    print(capture_cpu(sys.argv[1:]).stacks.note)
except Refused as refused:  # what ran long enough to be asked for twice
    print(refused)
"""


@looking
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="seccomp is of Linux")
def test_a_program_that_ended_at_once_and_one_that_may_not_be_seen_are_told_apart(program):
    at_once = [sys.executable, "-S", "-c", "pass"]
    assert "ended at once" in capture_cpu(at_once).stacks.note
    for command in (at_once, program("burn(0.5)")):
        done = subprocess.run(
            [sys.executable, "-c", SECCOMP, "-c", NOTE, *command], capture_output=True, text=True, timeout=60
        )
        if done.returncode == 77:
            pytest.skip("no seccomp filter can be set here")
        assert done.stdout.startswith("py-spy may not look into the program"), done.stderr
        assert "SYS_PTRACE" in done.stdout
        assert "ended at once" not in done.stdout


def test_without_py_spy_the_pip_line_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(pyspy.sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependency, match=r"pip install 'ophamin-instrumenting\[tools\]'"):
        PySpy(1)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user")
def test_a_real_refusal_is_explained_with_the_fix(program):
    target = subprocess.Popen(program("burn(30)"))
    code = f"""
import os, sys
from ophamin.instrumenting.flame import Refused, capture_cpu
from ophamin.instrumenting.flame._pyspy import find_py_spy
find_py_spy()  # what the interpreter reads for it, another user may not
os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    capture_cpu(pid={target.pid}, duration=1)
except Refused as refused:
    print(refused.exit_code, refused)
except PermissionError as error:
    print("cannot run", error)
"""
    try:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    finally:
        target.kill()
        target.wait()
    if done.stdout.startswith("cannot run"):
        pytest.skip("another user cannot execute this environment's py-spy")
    assert done.stdout.startswith(f"5 py-spy may not look into process {target.pid}: ")
    assert "SYS_PTRACE" in done.stdout
    assert "in-process sampler" in done.stdout


def test_a_refusal_names_what_helps_on_this_kind_of_machine(monkeypatch, tmp_path):
    told = pyspy.explained("Error: Permission Denied: Try running again with elevated permissions", 42)
    assert isinstance(told, Refused)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert "capabilities.add: [SYS_PTRACE]" in str(pyspy.explained("Operation not permitted (os error 1)", 42))
    monkeypatch.setattr(pyspy.sys, "platform", "darwin")
    assert "sudo" in pyspy.permission_advice()


# --- memory


def test_memory_at_its_high_water_mark(program, capfd):
    found = capture_memory(program("""
        def load(): return bytes(20 * 2**20)
        def spill(): return len(bytes(5 * 2**20))
        kept = load(); kept = None
        spill(); print('done'); sys.exit(4)
    """))  # fmt: skip
    assert found.returncode == 4
    assert capfd.readouterr().out == "done\n"
    assert found.stacks.unit == "bytes"
    weights = {frame: w for stack, w in found.stacks.weights.items() for frame in stack[-1:]}
    assert 20 * MIB <= weights["load (prog.py)"] < 21 * MIB
    assert not any(frame.startswith(("spill", "_run_tracker")) for frame in weights)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("x = bytes(10 * 2**20); import os; os.kill(os.getpid(), 9)", -9),
        ("x = bytes(10 * 2**20)\nraise SystemExit('an error')", 1),
        ("x = bytes(10 * 2**20)\nimport os\nif os.fork() == 0:\n    y = bytes(30 * 2**20); sys.exit(0)\nos.wait()", 0),
    ],
    ids=["killed", "error", "forks"],
)
def test_memory_of_programs_that_end_badly_or_fork(program, code, expected, capfd):
    found = capture_memory(program(code))
    assert found.returncode == expected
    assert found.stacks.total >= 10 * MIB
    if "fork" in code:
        assert any(w >= 30 * MIB for stack, w in found.stacks.weights.items() if stack[0] == "forked child")


def test_memory_of_a_module_a_piece_of_code_and_a_script(program, tmp_path):
    (tmp_path / "mod.py").write_text("x = bytes(10 * 2**20)\n")
    script = tmp_path / "script"
    script.write_text(f"#!{sys.executable} -I\nx = bytes(10 * 2**20)\n")
    script.chmod(0o755)
    for argv in (
        [sys.executable, "-c", "x = bytes(10 * 2**20)"],
        [str(script)],
        [sys.executable, "-X", "dev", str(tmp_path / "mod.py")],
    ):
        found = capture_memory(argv)
        assert (found.returncode, found.stacks.total >= 10 * MIB) == (0, True), argv


def test_memory_of_what_is_no_python_program():
    for argv in (["/bin/true"], [sys.executable], [sys.executable, "-"], ["there-is-no-such-program"], []):
        with pytest.raises(UsageError):
            capture_memory(argv)


def test_a_file_that_is_no_capture_is_refused(tmp_path):
    from ophamin.instrumenting.flame._memray import stacks_of_file

    (tmp_path / "x.bin").write_bytes(b"not a capture")
    with pytest.raises(UsageError, match=r"x\.bin is not a memray capture"):
        stacks_of_file(tmp_path / "x.bin")
