"""Memory and utilisation of NVIDIA devices, where ``nvidia-ml-py`` is installed and a device answers.

Nothing here is needed: without the package (extra ``gpu``), without a driver or without a device the numbers are
absent.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import Any

__all__ = ["Gpus"]


class Gpus:
    """The NVIDIA devices of this machine, through NVML.

    Args:
        nvml: The module ``pynvml``; default: imported here, and without it there are no devices.

    Example:
        >>> class Nothing:
        ...     class NVMLError(Exception): ...
        ...     def nvmlInit(self): raise self.NVMLError("Driver Not Loaded")
        >>> Gpus(Nothing()).read({1})
        {}
    """

    def __init__(self, nvml: Any = None) -> None:
        self._nvml, self._devices = nvml, []
        if nvml is None:
            try:
                import pynvml  # type: ignore[import-untyped]  # it ships no types
            except ImportError:
                return
            self._nvml = pynvml
        try:
            self._nvml.nvmlInit()
            count = self._nvml.nvmlDeviceGetCount()
            self._devices = [self._nvml.nvmlDeviceGetHandleByIndex(i) for i in range(count)]
        except self._nvml.NVMLError:
            self._devices = []

    def __len__(self) -> int:
        """How many there are."""
        return len(self._devices)

    def read(self, pids: Collection[int]) -> dict[str, float]:
        """What these processes hold now, and how busy the devices are.

        Args:
            pids: Pids as this machine's kernel counts them; in a container the driver may tell others, and then
                their memory is absent.

        Returns:
            ``gpu_memory_bytes``, the sum over devices; ``gpu_utilization``, the share of the driver's last sampling
            period (some tenths of a second) in which the busiest device ran anything of anybody, 0 to 1.
        """
        measured: dict[str, float] = {}
        held, found = 0, False
        busiest: float | None = None
        for device in self._devices:
            with suppress(self._nvml.NVMLError):
                for process in self._nvml.nvmlDeviceGetComputeRunningProcesses(device):
                    if process.pid in pids and process.usedGpuMemory is not None:
                        held, found = held + process.usedGpuMemory, True
            with suppress(self._nvml.NVMLError):
                share = self._nvml.nvmlDeviceGetUtilizationRates(device).gpu / 100
                busiest = share if busiest is None else max(busiest, share)
        if found:
            measured["gpu_memory_bytes"] = held
        if busiest is not None:
            measured["gpu_utilization"] = busiest
        return measured

    def close(self) -> None:
        """Let go of the driver."""
        if self._devices:
            self._devices = []
            with suppress(self._nvml.NVMLError):
                self._nvml.nvmlShutdown()
