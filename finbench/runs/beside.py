"""What else the machine did while work ran: its mean load, and the share of this work's processors that others took.

`watch = Beside(); ...; watch.record()`. Times that were taken beside other work are no costs of this work.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import psutil

SHORTEST_SECONDS = 0.1  # the kernel counts in steps of 10 ms, so in less than this it counts nothing
NOT_BUSY = ("idle", "iowait", "guest", "guest_nice")  # Linux counts guests in `user` and `nice` too


class Beside:
    """Counts from its making on; `root` is the process whose work, with all that it started, is this work's own.

    Only the processors are counted that this process may run on: what others do beside them takes nothing from it.
    Time that the hypervisor gave to other machines (steal) is the others' too.
    """

    def __init__(self, root: int | None = None) -> None:
        self._root, self._cores = root or os.getpid(), _usable()
        self._loads: list[float] = []
        self._busy, self._own = _busy_seconds(self._cores), _own_seconds(self._root)

    def sample(self) -> None:
        """Note the load of this moment."""
        with suppress(OSError):
            self._loads.append(psutil.getloadavg()[0])

    def record(self, elapsed_seconds: float) -> dict[str, Any]:
        """Return `cores` that could be used, the machine's `mean` load, and `others_share` of the cores' time, 0 to 1.

        What this machine does not tell is None.
        """
        share = None
        busy, own = _busy_seconds(self._cores), _own_seconds(self._root)
        if busy is not None and self._busy is not None and elapsed_seconds >= SHORTEST_SECONDS:
            share = _share(busy - self._busy, _grown(self._own, own), elapsed_seconds * len(self._cores))
        mean = sum(self._loads) / len(self._loads) if self._loads else None
        return {"cores": len(self._cores), "mean": mean, "others_share": share}


def together(records: Sequence[Mapping[str, Any]], seconds: Sequence[float] | None = None) -> dict[str, Any]:
    """Return one record of processes that worked side by side, or one after the other for so many seconds each."""
    weights = seconds or [1.0] * len(records)
    found: dict[str, Any] = {"cores": max(record["cores"] for record in records)}
    for name in ("mean", "others_share"):
        values = [record[name] for record in records]
        known = None not in values and sum(weights) > 0
        found[name] = sum(v * w for v, w in zip(values, weights, strict=True)) / sum(weights) if known else None
    return found


def _share(busy: float, own: float, available: float) -> float | None:
    if own > busy * 1.1 + 0.2:  # a sandbox whose counts of the processors are not kept
        return None
    return min(1.0, max(0.0, busy - own) / available)


def _usable() -> Sequence[int]:
    """Return the processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return range(os.cpu_count() or 1)


def _busy_seconds(cores: Sequence[int]) -> float | None:
    """Return for how long these processors have worked since the machine's start, None where it does not tell."""
    try:
        times = psutil.cpu_times(percpu=True)
        of_cores = [times[core] for core in cores]
    except (OSError, psutil.Error, IndexError):  # a processor that was switched off is not listed
        return None
    return sum(sum(core) - sum(getattr(core, name, 0.0) for name in NOT_BUSY) for core in of_cores)


def _own_seconds(root: int) -> dict[int, float]:
    """Return for how long the root and each process that it started have worked, with those that have ended."""
    found: dict[int, float] = {}
    with suppress(psutil.Error, OSError):
        process = psutil.Process(root)
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.Error, OSError):
                times = one.cpu_times()
                ended = getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
                found[one.pid] = times.user + times.system + ended
    return found


def _grown(before: Mapping[int, float], after: Mapping[int, float]) -> float:
    """Return the time between two counts; a process that has ended is in its parent's, with what it had before."""
    return sum(after.values()) - sum(before.values())
