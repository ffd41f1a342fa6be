"""How many threads scoring takes on a processor that does other work beside.

A pass is thousands of products, after each of which all threads wait for the slowest. A thread whose core somebody else
works on is slow, so that two threads on one free core do less than one. `OMP_NUM_THREADS` and `MKL_NUM_THREADS` win.
"""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import torch

logger = logging.getLogger(__name__)

SECONDS = 0.3  # over which the machine is looked at, while this process waits
LEAST_REQUESTS = 64  # fewer are over before it would pay
USERS_OWN = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_said: set[int] = set()


def free_cores(seconds: float = SECONDS) -> float:
    """Return how many of the cores that this process may run on are free, by their work in a short moment.

    Work that yields to others (`nice`) is no hindrance. A process that just ended its own work should ask.
    """
    before = psutil.cpu_times(percpu=True)
    time.sleep(seconds)
    after = psutil.cpu_times(percpu=True)
    mine = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(len(after)))
    worked = [_worked(now) - _worked(then) for then, now in zip(before, after, strict=True)]
    return sum(1 - min(1.0, busy / seconds) for core, busy in enumerate(worked) if core in mine)


def _worked(times: Any) -> float:
    """Return the seconds of a core that neither idled nor yielded; what another guest of the machine took is gone."""
    return float(times.user + times.system + getattr(times, "steal", 0.0))


@contextmanager
def fitting_threads(device: torch.device, requests: int) -> Iterator[int]:
    """Within it torch has no more threads than cores are free; gives their number, afterwards it is as before."""
    before = torch.get_num_threads()
    asks = device.type == "cpu" and before > 1 and requests >= LEAST_REQUESTS
    if not asks or any(os.environ.get(name) for name in USERS_OWN):
        yield before
        return
    free = free_cores()
    threads = min(before, max(1, round(free)))
    if threads == before:
        yield before
        return
    if threads not in _said:
        _said.add(threads)
        logger.warning(
            "scoring with %d thread(s) of %d, because other work leaves %.1f cores free (OMP_NUM_THREADS sets another)",
            threads, before, free,
        )  # fmt: skip
    torch.set_num_threads(threads)
    try:
        yield threads
    finally:
        torch.set_num_threads(before)
