"""NVIDIA devices: absent here, and what is made of what a driver says."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace

import pytest

from ophamin.instrumenting.gpu import Gpus


class Driver:
    """What NVML says of two devices; the real driver is asked in ``test_a_device_that_answers``."""

    class NVMLError(Exception):
        pass

    def __init__(self, memory=((7, 100), (8, None)), busy=(30, 80)):
        self.memory, self.busy, self.shut = memory, busy, 0

    def nvmlInit(self):
        return None

    def nvmlDeviceGetCount(self):
        return len(self.busy)

    def nvmlDeviceGetHandleByIndex(self, index):
        return index

    def nvmlDeviceGetComputeRunningProcesses(self, device):
        if device == 1:
            raise self.NVMLError("not supported")
        return [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in self.memory]

    def nvmlDeviceGetUtilizationRates(self, device):
        return SimpleNamespace(gpu=self.busy[device])

    def nvmlShutdown(self):
        self.shut += 1


def test_memory_of_these_processes_and_the_busiest_device():
    driver = Driver()
    gpus = Gpus(driver)
    assert len(gpus) == 2
    assert gpus.read({7}) == {"gpu_memory_bytes": 100, "gpu_utilization": 0.8}
    assert gpus.read({9}) == {"gpu_utilization": 0.8}  # nothing known of it: absent, not 0
    assert gpus.read({8}) == {"gpu_utilization": 0.8}  # a driver that does not tell
    gpus.close()
    gpus.close()
    assert driver.shut == 1
    assert gpus.read({7}) == {}


def test_without_the_package_there_is_nothing(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert len(Gpus()) == 0
    assert Gpus().read({os.getpid()}) == {}


def test_a_device_that_answers():
    """Against the real driver, where there is one."""
    gpus = Gpus()
    if not len(gpus):
        assert gpus.read({os.getpid()}) == {}
        pytest.skip("no NVIDIA device answers here")
    found = gpus.read({os.getpid()})
    assert 0 <= found["gpu_utilization"] <= 1
    gpus.close()
