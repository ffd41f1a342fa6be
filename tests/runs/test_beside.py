"""What ran beside: a busy process beside a small run is seen in its cell, and the run's own processes are none."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from finbench.cells.store import read_cells
from finbench.cli import main
from finbench.runs.beside import Beside, together
from tests.conftest import build_model

BURN = "import time; end = time.time() + 60\nwhile time.time() < end: pass"
MATRIX = """\
name: small
tasks: [fin_fpb]
bases:
  - {{base: {base}, name: toy, model: hf-fast}}
"""


@contextmanager
def busy(processes: int) -> Iterator[list[psutil.Process]]:
    """Start processes of this one that keep processors busy."""
    started = [subprocess.Popen([sys.executable, "-c", BURN]) for _ in range(processes)]
    try:
        yield [psutil.Process(one.pid) for one in started]
    finally:
        for one in started:
            one.kill()
            one.wait()


@contextmanager
def others_busy(processes: int) -> Iterator[None]:
    """Start processes that are none of this one's: the shell that started them has ended."""
    words = f"for n in $(seq {processes}); do {shlex.quote(sys.executable)} -c {shlex.quote(BURN)} >&2 & echo $!; done"
    found = subprocess.run(["sh", "-c", words], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    try:
        time.sleep(0.3)  # interpreters start
        yield
    finally:
        for number in found:
            os.kill(int(number), signal.SIGKILL)


def spent(processes: list[psutil.Process]) -> float:
    return sum(sum(one.cpu_times()[:2]) for one in processes)


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def test_processes_of_its_own_are_not_beside_it_and_others_are() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as idle, busy(cores()) as burning:
        time.sleep(0.2)  # interpreters start
        as_own, as_others = Beside(), Beside(idle.pid)
        before, start = spent(burning), time.perf_counter()
        time.sleep(1.0)
        elapsed, burnt = time.perf_counter() - start, spent(burning) - before
        own, others = as_own.record(elapsed), as_others.record(elapsed)
        idle.kill()
    available = elapsed * cores()
    assert own["cores"] == cores() and burnt > 0.1
    assert own["others_share"] < 1 - 0.8 * burnt / available  # whatever else this machine does, not what these did
    assert others["others_share"] > 0.8 * burnt / available - 0.05


def scored_load(base: Path, folder: Path) -> float:
    """Return the share that others had while a cell was scored."""
    folder.mkdir()
    (folder / "matrix.yaml").write_text(MATRIX.format(base=base))
    assert main(["run", str(folder / "matrix.yaml"), "--cells", str(folder / "cells")]) == 0
    [cell] = read_cells(folder / "cells").results
    assert cell.load is not None and cell.load["cores"] == cores() and cell.load["mean"] >= 0
    assert "load" not in cell.resources and cell.load["others_share"] is not None, cell.elapsed_seconds
    return float(cell.load["others_share"])


def test_a_cell_says_what_ran_beside_it(tmp_path: Path) -> None:
    base = build_model(tmp_path / "gpt2", "gpt2", n_inner=131072)  # long enough to be counted
    with others_busy(2 * cores()):
        beside_others = scored_load(base, tmp_path / "busy")
    assert beside_others > 0.4
    for n in range(3):  # others may be at work on this machine while this test runs
        if scored_load(base, tmp_path / f"alone-{n}") < beside_others - 0.1:
            return
    pytest.fail("no run without busy processes had less beside it than the one with them")


def test_records_of_processes_side_by_side_and_of_parts_one_after_the_other() -> None:
    one, two = {"cores": 2, "mean": 1.0, "others_share": 0.2}, {"cores": 4, "mean": 3.0, "others_share": 0.4}
    assert together([one, two]) == {"cores": 4, "mean": 2.0, "others_share": pytest.approx(0.3)}
    assert together([one, two], [3.0, 1.0])["others_share"] == pytest.approx(0.25)
    assert together([one, two | {"others_share": None}])["others_share"] is None
