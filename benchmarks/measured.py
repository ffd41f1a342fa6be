"""Runs one command and writes what it took: `python -m benchmarks.measured OUT.json LOG -- command ...`.

An interpreter of its own that imports next to nothing, because a child's peak of memory begins with its parent's.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Took:
    """What a command took.

    `processor_seconds` and `peak_bytes` (the most that one of its processes held) are its own and its children's;
    `others_cores` is how many cores, in the mean, everything else kept busy, None where it cannot be told.
    """

    seconds: float
    processor_seconds: float
    peak_bytes: int
    others_cores: float | None
    status: int


def measured(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path, checks: bool = True
) -> Took:
    """Run a command, its output in `log`, and return what it took.

    Raises:
        SystemExit: it failed, and `checks`; the end of its log is in the message.

    """
    report = log.with_suffix(".json")
    words = [sys.executable, "-S", "-E", str(Path(__file__)), str(report), str(log), *command]
    subprocess.run(words, cwd=folder, env=dict(environment), check=True)
    took = Took(**json.loads(report.read_text(encoding="utf-8")))
    if checks and took.status:
        end = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
        raise SystemExit(f"{' '.join(command)}\nended with {took.status}; the end of {log}:\n{end}")
    return took


def busy_seconds() -> float | None:
    """Return the seconds that all cores together have worked since the machine started, as Linux counts them."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        user, nice, system, _, _, interrupt, soft = map(int, Path("/proc/stat").read_text().split()[1:8])
        return (user + nice + system + interrupt + soft) / os.sysconf("SC_CLK_TCK")
    return None


def _run(command: Sequence[str], log: Path) -> Took:
    busy, began = busy_seconds(), time.perf_counter()
    with log.open("w", encoding="utf-8") as sink:
        child = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
    seconds, after = time.perf_counter() - began, busy_seconds()
    own = usage.ru_utime + usage.ru_stime
    others = None if busy is None or after is None else max(0.0, (after - busy - own) / seconds)
    unit = 1 if sys.platform == "darwin" else 1024
    return Took(seconds, own, usage.ru_maxrss * unit, others, os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(asdict(_run(sys.argv[3:], Path(sys.argv[2])))), encoding="utf-8")
