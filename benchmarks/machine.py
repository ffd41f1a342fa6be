"""What a benchmark ran on, and how fast that multiplies matrices."""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

import torch


def describe(device: str) -> dict[str, str]:
    """Return processor, threads, accelerator and versions."""
    return {
        "processor": _processor(),
        "threads": f"{torch.get_num_threads()} of {os.cpu_count()}",
        "accelerator": torch.cuda.get_device_name(device) if device.startswith("cuda") else "none",
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "transformers", "lm_eval", "peft")},
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


@contextmanager
def kept_busy(cores: int) -> Iterator[None]:
    """Within it so many other processes work without a pause, on the cores that this one may use."""
    others = [subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(cores)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def matrix_flops(device: str, dtype: torch.dtype, width: int) -> float:
    """Return the FLOP/s of the products that fill a transformer of this width, the best of several."""
    left = torch.randn(512, width, device=device, dtype=dtype)
    right = torch.randn(width, 4 * width, device=device, dtype=dtype)
    best = 0.0
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(20):
            left @ right
        synchronise(device)
        best = max(best, 20 * 2 * 512 * width * 4 * width / (time.perf_counter() - began))
    return best


def synchronise(device: str) -> None:
    """Wait until the device has done what it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
