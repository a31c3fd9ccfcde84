"""The real ``nvidia-ml-py`` over a driver library compiled here: names, structures and errors as the binding has them.

No device answers in most places, so the driver's side is a few lines of C with NVML's documented signatures. What is
tested is everything above it; a device is asked in ``test_instrumenting_gpu.py``, where there is one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")
pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the driver's library is named as on Linux"),
    pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler"),
]

# NVML API Reference, https://docs.nvidia.com/deploy/nvml-api/: 0 success, 3 not supported, 7 insufficient size.
DRIVER = """
typedef struct { unsigned pid; unsigned long long used; unsigned instance, compute; } Process;
typedef struct { unsigned gpu, memory; } Utilization;
int nvmlInitWithFlags(unsigned flags) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 3; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **device) { *device = (void *)(unsigned long)(i + 1); return 0; }
int nvmlDeviceGetUtilizationRates(void *device, Utilization *found) {
    if (device == (void *)3) return 3;
    found->gpu = device == (void *)1 ? 25 : 75; found->memory = 5; return 0;
}
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, Process *found) {
    if (device == (void *)3) return 3;
    if (device == (void *)2) { *count = 0; return 0; }
    if (*count < 3) { *count = 3; return 7; }
    *count = 3;
    found[0] = (Process){41, 5ull << 30, 0, 0};
    found[1] = (Process){42, ~0ull, 0, 0};
    found[2] = (Process){43, 1024, 0, 0};
    return 0;
}
"""
ASK = """
import json
from ophamin.instrumenting.gpu import Gpus
gpus = Gpus()
print(json.dumps([len(gpus), gpus.read({41, 43}), gpus.read({42}), gpus.read(set())]))
gpus.close()
"""


def asked(folder):
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        env={**os.environ, "LD_LIBRARY_PATH": str(folder)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def test_what_the_binding_says_of_two_devices_and_one_that_cannot(tmp_path):
    (tmp_path / "driver.c").write_text(DRIVER)
    library = tmp_path / "libnvidia-ml.so.1"
    subprocess.run(["cc", "-shared", "-fPIC", "-w", "-o", library, tmp_path / "driver.c"], check=True)
    busy = {"gpu_utilization": 0.75}
    # More than 4 GiB come whole; what the driver does not tell, and what nobody of these holds, is absent.
    assert asked(tmp_path) == [3, {"gpu_memory_bytes": (5 << 30) + 1024, **busy}, busy, busy]


def test_a_driver_that_does_not_load_or_is_too_old_is_no_device(tmp_path):
    library = tmp_path / "libnvidia-ml.so.1"
    library.write_bytes(b"not a library")
    assert asked(tmp_path) == [0, {}, {}, {}]
    (tmp_path / "driver.c").write_text("int nvmlInitWithFlags(unsigned flags) { return 9; }")  # driver not loaded
    subprocess.run(["cc", "-shared", "-fPIC", "-w", "-o", library, tmp_path / "driver.c"], check=True)
    assert asked(tmp_path) == [0, {}, {}, {}]
