"""What each cell of a matrix takes, before anything is loaded: memory, largest batch that fits, hours of a device."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from finbench.planner.cost import Memory, Strategy, flops, largest_batch, memory
from finbench.runs.matrix import Matrix
from finbench.runs.needs import scoring_jobs
from finbench.tasks.sizes import sizes


@dataclass(frozen=True)
class CellCost:
    """A cell's memory on a device, the largest batch that fits one (None: its memory is not known), and its hours."""

    base: str
    adapter: str
    task: str
    memory: Memory
    largest_batch: int | None
    hours: float


def cell_costs(
    matrix: Matrix,
    rate: float,
    device: str,
    devices: int = 1,
    device_bytes: int | None = None,
    strategy: Strategy | None = None,
    tokens: int | None = None,
    double: bool = False,
) -> Iterator[CellCost]:
    """Yield the costs of a matrix's cells, on devices of `rate` operations a second.

    `tokens` are those of the longest row, instead of each task's own guess; `double` quantises 4-bit scales too.

    Raises:
        FinbenchError: a base's configuration or a task's rows cannot be had.

    """
    for base in matrix.bases:
        job_of = scoring_jobs(base, matrix.batch_size, device, double)
        split: Strategy = strategy or ("pipeline" if base.pipeline else "ddp")
        stages = base.pipeline or devices
        for adapter in ([""] if base.score_base else []) + list(base.adapters):
            for task, size in sizes(base.tasks or matrix.tasks).items():
                longest = tokens or size.tokens
                shared = size.shared if base.model == "hf-fast" and size.shared < longest else 0
                job = replace(job_of(longest, shared), adapter=_stored_parameters(adapter))
                rows = min(size.test, matrix.limit or size.test) * len(matrix.perturb)
                batch = None if device_bytes is None else largest_batch(job, split, stages, device_bytes)
                hours = flops(job, rows, shared) / rate / 3600
                yield CellCost(base.name, Path(adapter).name, task, memory(job, split, stages), batch, hours)


def _stored_parameters(adapter: str) -> int:
    """Return an adapter's parameters by the size of its file (float32); an id on the hub counts as none."""
    file = Path(adapter) / "adapter_model.safetensors"
    return file.stat().st_size // 4 if adapter and file.is_file() else 0
