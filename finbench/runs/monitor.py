"""Measures what a piece of work costs: seconds, processor, memory, a GPU's memory, use and energy, and what ran beside.

One monitor serves training and scoring: `with Monitor() as monitor: ...; monitor.record()`.
"""

import os
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import psutil

from finbench.runs.beside import Beside, together

INTERVAL_SECONDS = 0.5


class Monitor:
    """Samples this process in a thread while the `with` block runs; without `devices`, on all GPUs that it sees.

    With `among`, it is one of several processes that work together and that its parent started: what those do is not
    beside this work.
    """

    def __init__(
        self, interval_seconds: float = INTERVAL_SECONDS, devices: Sequence[int] | None = None, among: bool = False
    ) -> None:
        self._interval = interval_seconds
        # whose parent is the first process of all was left behind by the one that started it
        self._root = os.getppid() if (among or "LOCAL_RANK" in os.environ) and os.getppid() > 1 else os.getpid()
        self._devices = _devices() if devices is None else list(devices)
        self._stop = threading.Event()
        self._cpu: list[float] = []
        self._resident: list[int] = []
        self._gpu: list[float] = []
        self._elapsed: float | None = None
        self._joules: float | None = None

    def __enter__(self) -> "Monitor":
        self._process = psutil.Process(os.getpid())
        self._process.cpu_percent()
        _reset_peaks(self._devices)
        self._energy = _energy_millijoules(self._devices)
        self._beside = Beside(self._root)
        self._start = time.perf_counter()
        self._sample()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._elapsed = time.perf_counter() - self._start
        self._load = self._beside.record(self._elapsed)
        self._stop.set()
        self._thread.join()
        self._sample()
        self._joules = self._energy_used()

    def _energy_used(self) -> float | None:
        after = _energy_millijoules(self._devices)
        return (sum(after) - sum(self._energy)) / 1000 if after and self._energy else None

    def _watch(self) -> None:
        while not self._stop.wait(self._interval):
            self._sample()

    def _sample(self) -> None:
        self._beside.sample()
        self._cpu.append(self._process.cpu_percent())
        self._resident.append(self._process.memory_info().rss)
        use = _utilisation(self._devices)
        if use is not None:
            self._gpu.append(use)

    def record(self) -> dict[str, Any]:
        """Return what was measured, up to now while work runs; units in the names, None where this machine cannot tell.

        `cpu_percent_*` is of one core, so two busy cores are 200. `gpu_hours` is seconds x devices / 3600. `load` is
        what ran beside this work (`Beside`).
        """
        cpu = self._cpu[1:] or self._cpu
        allocated, reserved = _peaks(self._devices)
        ended = self._elapsed is not None
        elapsed = self._elapsed if self._elapsed is not None else time.perf_counter() - self._start
        return {
            "elapsed_seconds": elapsed,
            "cpu_percent_mean": sum(cpu) / len(cpu),
            "cpu_percent_max": max(cpu),
            "resident_peak_bytes": max(self._resident),
            "gpu_peak_allocated_bytes": allocated,
            "gpu_peak_reserved_bytes": reserved,
            "gpu_utilisation_percent_mean": sum(self._gpu) / len(self._gpu) if self._gpu else None,
            "gpu_energy_joules": self._joules if ended else self._energy_used(),
            "devices": len(self._devices),
            "gpu_hours": elapsed * len(self._devices) / 3600 if self._devices else None,
            "samples": len(self._resident),
            "load": self._load if ended else self._beside.record(elapsed),
        }


def merge(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return one record of several processes that worked together: sums, the longest time, and each under `ranks`.

    Shares of a GPU are averaged, peaks of GPUs are listed one after the other.
    """
    if len(records) == 1:
        return records[0]
    merged: dict[str, Any] = {"elapsed_seconds": max(record["elapsed_seconds"] for record in records)}
    for name in records[0].keys() - merged.keys():
        values = [record[name] for record in records]
        if any(value is None for value in values):
            merged[name] = None
        elif name == "load":
            merged[name] = together(values)
        elif isinstance(values[0], list):
            merged[name] = [peak for value in values for peak in value]
        else:
            merged[name] = sum(values) / (len(values) if name == "gpu_utilisation_percent_mean" else 1)
    return merged | {"ranks": list(records)}


def _devices() -> list[int]:
    import torch

    if not torch.cuda.is_available():
        return []
    if "LOCAL_RANK" in os.environ:  # one of several processes, which has one device
        return [int(os.environ["LOCAL_RANK"])]
    return list(range(torch.cuda.device_count()))


def _reset_peaks(devices: list[int]) -> None:
    import torch

    for device in devices:
        torch.cuda.reset_peak_memory_stats(device)


def _peaks(devices: list[int]) -> tuple[list[int] | None, list[int] | None]:
    import torch

    if not devices:
        return None, None
    allocated = [torch.cuda.max_memory_allocated(device) for device in devices]
    return allocated, [torch.cuda.max_memory_reserved(device) for device in devices]


def _utilisation(devices: list[int]) -> float | None:
    import torch

    if not devices:
        return None
    try:
        return sum(torch.cuda.utilization(device) for device in devices) / len(devices)
    except (ModuleNotFoundError, RuntimeError):  # NVML's Python package or its driver is missing
        return None


def _energy_millijoules(devices: list[int]) -> list[int] | None:
    if not devices:
        return None
    try:
        import pynvml

        pynvml.nvmlInit()
        return [pynvml.nvmlDeviceGetTotalEnergyConsumption(pynvml.nvmlDeviceGetHandleByIndex(d)) for d in devices]
    except Exception:  # NVML raises kinds of its own where a card does not count energy
        return None
