"""Scores what a plan names: each base is loaded once, its adapters go on and off, and every cell is stored at once."""

import gc
import platform
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finbench.cells import provenance
from finbench.cells.key import CellKey
from finbench.cells.store import Failure, is_done, write_cell, write_failure
from finbench.errors import FinbenchError
from finbench.jobs.executor import Executor, Job, LocalExecutor, Needs, NoRoom
from finbench.runs.layout import BasePlan, Plan, Planned, lay_out
from finbench.runs.matrix import Matrix

if TYPE_CHECKING:
    from finbench.adapters.on_model import Proof
    from finbench.runs.bases.loaded import LoadedBase

TRACE_LINES = 12

Progress = str | CellKey | Failure  # what is being done, a cell that is done, a cell that failed


@dataclass(frozen=True)
class Group:
    """The cells of one base that are to be scored, by whoever calls it.

    It travels to another machine as matrix and keys: rows, prompts and hashes are made anew where it arrives, so what
    is scored there is what its key says. `again` are cells that had a result when they were planned.
    """

    plan: BasePlan
    matrix: Matrix
    folder: Path
    again: frozenset[CellKey]

    def __call__(self, earlier: Sequence[Progress]) -> Iterator[Progress]:
        """Score the cells but for those that earlier attempts have ended; yield what is being done, done and failed."""
        ended = _keys(earlier)
        # A worker may be lost before the news of its last cell has left it.
        written = {key for key in self.keys() if key not in ended | self.again and is_done(self.folder, key)}
        yield from written
        todo = tuple(cell for cell in self.plan.todo if cell.key not in ended | written)
        if todo:
            yield from _Runner(replace(self.plan, todo=todo), self.matrix, self.folder).run()

    def __reduce__(self) -> tuple[Any, ...]:
        matrix = replace(self.matrix, bases=(self.plan.base,))
        return partial, (_score_anew, matrix, self.keys(), self.folder.absolute(), self.again)

    def keys(self) -> tuple[CellKey, ...]:
        """Return the keys of the cells to be scored."""
        return tuple(cell.key for cell in self.plan.todo)


def _keys(progress: Sequence[Progress]) -> set[CellKey]:
    """Return the cells that have ended."""
    return {one.key if isinstance(one, Failure) else one for one in progress if not isinstance(one, str)}


def _score_anew(
    matrix: Matrix, keys: Sequence[CellKey], folder: Path, again: frozenset[CellKey], earlier: Sequence[Progress]
) -> Iterator[Progress]:
    """Plan a matrix of one base here, and score the cells of these keys."""
    plan = lay_out(matrix, set(keys).__contains__)
    reason = " ".join(plan.problems) or "its rows, task, weights or finbench differ from those that were planned with."
    found = {cell.key for cell in plan.todo} | _keys(earlier)
    missing = (key for key in keys if key not in found)
    yield from _failures(missing, FinbenchError(f"there is no such cell on {platform.node()}: {reason}"))
    for base in plan.bases:
        yield from Group(base, matrix, folder, again)(earlier)


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
    """
    from tqdm import tqdm

    again = frozenset(cell.key for cell in plan.todo if is_done(folder, cell.key))
    pieces = {name: piece for base in plan.bases for name, piece in _pieces(base, parts)}
    jobs = [_job(name, Group(piece, matrix, folder, again), asked) for name, piece in pieces.items()]
    left = {name: dict.fromkeys(cell.key for cell in piece.todo) for name, piece in pieces.items()}
    failures: list[Failure] = []
    with tqdm(total=len(plan.todo), unit="cell", disable=not plan.todo) as bar:
        for job, progress in (executor or LocalExecutor()).run(jobs):
            if isinstance(progress, str):
                bar.set_description(progress)
                continue
            ended = list(_failures(left[job.name], progress)) if isinstance(progress, Exception) else [progress]
            for one in ended:
                bar.update()
                left[job.name].pop(one.key if isinstance(one, Failure) else one, None)
                if isinstance(one, Failure):
                    bar.write(f"failed: {one.key.title()}: {one.error}", file=sys.stderr)
                    if not isinstance(progress, NoRoom):  # which says nothing of the cell: a larger node may come
                        write_failure(folder, one)
                    failures.append(one)
    return failures


def _pieces(base: BasePlan, parts: int) -> Iterator[tuple[str, BasePlan]]:
    """Yield names and parts of a base, each with some of the cells to be scored, adapters' cells side by side."""
    parts = min(parts, len(base.todo))
    for part in range(parts):
        first, last = (len(base.todo) * end // parts for end in (part, part + 1))
        name = base.base.name + (f" {part + 1} of {parts}" if parts > 1 else "")
        yield name, replace(base, todo=base.todo[first:last])


def _job(name: str, group: Group, asked: Needs | None) -> Job:
    if asked is None:
        return Job(name, group)
    from finbench.runs.needs import needs_of

    return Job(name, group, needs_of(group.plan, group.matrix, asked))


def _failures(keys: Iterable[CellKey], error: Exception) -> Iterator[Failure]:
    message = str(error) if isinstance(error, FinbenchError) else f"{type(error).__name__}: {error}"
    expected = isinstance(error, FinbenchError)  # says all there is to say
    lines = [] if expected else "".join(traceback.format_exception(error)).splitlines()[-TRACE_LINES:]
    for key in keys:
        yield Failure(key, provenance.now(), message, "\n".join(lines), provenance.command())


class _Runner:
    """Runs one base's cells; a failure ends as little as it must: its cell, its adapter's cells or its base's."""

    def __init__(self, plan: BasePlan, matrix: Matrix, folder: Path) -> None:
        self.plan, self.matrix, self.folder = plan, matrix, folder

    def run(self) -> Iterator[Progress]:
        """Score the base's cells, yielding what is being done, done and failed."""
        from finbench.runs.bases.loaded import load_base

        yield f"loading {self.plan.base.name}"
        try:
            loaded = load_base(self.plan.base, self.matrix)
        except Exception as error:  # whatever a model's loading raises must not end the other bases
            yield from _failures((cell.key for cell in self.plan.todo), error)
            return
        for _, group in groupby(self.plan.todo, key=lambda cell: cell.key.adapter_sha256):
            yield from self._run_adapter(loaded, tuple(group))
        del loaded
        _free_memory()

    def _run_adapter(self, loaded: "LoadedBase", cells: tuple[Planned, ...]) -> Iterator[Progress]:
        adapter = cells[0].adapter
        proof = None
        if adapter is not None:
            yield f"{self.plan.base.name} + {adapter.name}"
            try:
                proof = loaded.put_on(adapter)
            except Exception as error:
                loaded.take_off()
                yield from _failures((cell.key for cell in cells), error)
                return
        for cell in cells:
            yield cell.key.title()
            try:
                self._score(loaded, cell, proof)
            except Exception as error:
                yield from _failures((cell.key,), error)
            else:
                yield cell.key
        if adapter is not None:
            loaded.take_off()

    def _score(self, loaded: "LoadedBase", cell: Planned, proof: "Proof | None") -> None:
        from finbench.runs.result import Measured, cell_from

        cell.task.requests  # noqa: B018  rendered before the clock starts, since all models share them
        loaded.lm.truncated_requests.clear()
        loaded.lm.not_shared = ""
        with loaded.monitor() as monitor:
            outcomes = cell.task.score(loaded.lm)
        cut = {row for task, row in loaded.lm.truncated_requests if task == cell.task.name}
        measured = Measured(outcomes, len(cut) / len(outcomes), monitor.record(), proof, loaded.lm.not_shared)
        result = cell_from(cell, self.plan.base, self.plan.headless, self.matrix, measured)
        write_cell(self.folder, result, outcomes)


def _free_memory() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
