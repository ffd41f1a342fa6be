"""What an executor adds to a cell: cells that only sleep, in jobs of ten, against the sleep alone.

`python -m benchmarks scheduler --rows 10000`

Rows are cells. The stock side is the time that the sleeps take where nothing else takes any, on as many workers; Ray
and its workers are started before the clock, and what that took is told beside.
"""

import time
from collections.abc import Iterator, Sequence
from functools import partial

from benchmarks.report import Comparison
from finbench.jobs.cluster import RayExecutor
from finbench.jobs.executor import Executor, Job, LocalExecutor

SECONDS = 0.005
CELLS = (10, 100, 1000, 10000)
WORKERS = (1, 2, 4, 8)
CELLS_A_JOB = 10


def measure(rows: int, dtype: str, device: str) -> list[Comparison]:
    """Return a comparison for each number of cells up to `rows` and of workers; AssertionError if a cell is missing."""
    counts = [count for count in CELLS if count <= rows] or [rows]
    found = [_compare("local", LocalExecutor(), count, 1, CELLS_A_JOB, dtype) for count in counts]
    for workers in WORKERS:
        began = time.perf_counter()
        ray = RayExecutor(cores=workers)
        try:
            list(ray.run([Job("warm", partial(_sleep, 1, 0.5)) for _ in range(2 * workers)]))
            started = time.perf_counter() - began
            for count in counts:
                found.append(_compare("ray", ray, count, workers, CELLS_A_JOB, dtype, started))
            found.append(_compare("ray", ray, min(rows, 1000), workers, 1, dtype, started))
        finally:
            ray.close()
    return found


def _sleep(cells: int, seconds: float, earlier: Sequence[int]) -> Iterator[int]:
    for cell in range(len(earlier), cells):
        time.sleep(seconds)
        yield cell


def _compare(
    name: str, executor: Executor, cells: int, workers: int, cells_a_job: int, dtype: str, started: float = 0.0
) -> Comparison:
    jobs = [
        Job(str(first), partial(_sleep, min(cells_a_job, cells - first), SECONDS))
        for first in range(0, cells, cells_a_job)
    ]
    began = time.perf_counter()
    results = sum(1 for _, result in executor.run(jobs) if isinstance(result, int))
    seconds = time.perf_counter() - began
    assert results == cells, f"{results} of {cells} cells came back"
    ideal = SECONDS * cells_a_job * -(-len(jobs) // workers) if cells > cells_a_job else SECONDS * cells
    details: dict[str, float | str] = {
        "workers": str(workers),
        "cells a job": str(cells_a_job),
        "added ms a cell": 1000 * (seconds - ideal) / cells,
        "added ms a cell and worker": 1000 * (seconds - ideal) * min(workers, len(jobs)) / cells,
        "start of Ray, s": started,
    }
    title = f"scheduler: {name}, workers {workers}, cells a job {cells_a_job}"
    return Comparison(title, cells, dtype, ideal, seconds, 0.0, details)
