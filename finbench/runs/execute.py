"""Scores what a plan names: each base's cells are a job, here or on a cluster; every cell is stored at once."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from finbench.cells.key import CellKey
from finbench.cells.store import Failure, Unwritable, write_failure
from finbench.cells.upkeep import check_writable, clear_up
from finbench.jobs.executor import Executor, Job, LocalExecutor, Needs, NoRoom
from finbench.runs.layout import BasePlan, Plan
from finbench.runs.matrix import Matrix
from finbench.runs.one_base import BaseJob, Passing, failures_of


def execute(
    plan: Plan,
    matrix: Matrix,
    folder: Path,
    executor: Executor | None = None,
    asked: Needs | None = None,
    parts: int = 1,
) -> list[Failure]:
    """Score the plan's cells, each base with its adapters as one job, and return the failures.

    Each cell is written to the folder as it ends. With `asked`, cores and GPUs a device, a job asks its executor for
    them and for the memory that the planner says. A base's cells may be `parts` jobs, each of which loads the base.

    Raises:
        Unwritable: no result can be kept, found before the first cell is scored or on the way.

    """
    from tqdm import tqdm

    check_writable(folder, (cell.key for cell in plan.todo))
    clear_up(folder)
    pieces = {name: piece for base in plan.bases for name, piece in _pieces(base, parts)}
    jobs = [
        _job(name, BaseJob(piece, matrix, folder, _of(piece, plan.before)), asked) for name, piece in pieces.items()
    ]
    left = {name: dict.fromkeys(cell.key for cell in piece.todo) for name, piece in pieces.items()}
    failures: list[Failure] = []
    with tqdm(total=len(plan.todo), unit="cell", disable=not plan.todo) as bar:
        for job, progress in (executor or LocalExecutor()).run(jobs):
            if isinstance(progress, str):
                bar.set_description(progress)
                continue
            if isinstance(progress, Unwritable):
                raise _stopped(progress, int(bar.n), len(failures))
            ended = list(failures_of(left[job.name], progress)) if isinstance(progress, Exception) else [progress]
            for one in ended:
                bar.update()
                left[job.name].pop(one.key if isinstance(one, Failure) else one, None)
                if isinstance(one, Failure):
                    bar.write(f"failed: {one.key.title()}: {one.error}", file=sys.stderr)
                    failures.append(one)
                    # Neither says anything of the cell: a larger node may come, and what changed has another key.
                    if not isinstance(progress, NoRoom) and not isinstance(one, Passing):
                        _keep(folder, one, int(bar.n), len(failures))
    return failures


def _keep(folder: Path, failure: Failure, ended: int, failed: int) -> None:
    try:
        write_failure(folder, failure)
    except Unwritable as error:
        raise _stopped(error, ended, failed) from error


def _stopped(error: Unwritable, ended: int, failed: int) -> Unwritable:
    """Return what to say of a run that ends because nothing more could be kept."""
    return Unwritable(
        f"{error} The run stops: {ended - failed} cells are done and stay. Make room or free the folder, and run the "
        "same command again."
    )


def _of(piece: BasePlan, before: Mapping[CellKey, str]) -> dict[CellKey, str]:
    return {cell.key: before.get(cell.key, "") for cell in piece.todo}


def _pieces(base: BasePlan, parts: int) -> Iterator[tuple[str, BasePlan]]:
    """Yield names and parts of a base, each with some of the cells to be scored, adapters' cells side by side."""
    parts = min(parts, len(base.todo))
    for part in range(parts):
        first, last = (len(base.todo) * end // parts for end in (part, part + 1))
        name = base.base.name + (f" {part + 1} of {parts}" if parts > 1 else "")
        yield name, replace(base, todo=base.todo[first:last])


def _job(name: str, work: BaseJob, asked: Needs | None) -> Job:
    if asked is None:
        return Job(name, work)
    from finbench.runs.needs import needs_of

    return Job(name, work, needs_of(work.plan, work.matrix, asked))
