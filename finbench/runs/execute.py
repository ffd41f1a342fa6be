"""Scores what a plan names: each base is loaded once, its adapters go on and off, and every cell is stored at once."""

import gc
import platform
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finbench.adapters.folder import base_sha256, hash_adapter
from finbench.cells import provenance
from finbench.cells.key import CellKey
from finbench.cells.store import Failure, Unwritable, write_cell, write_failure
from finbench.cells.upkeep import check_writable, clear_up, scored_since, scoring
from finbench.errors import FinbenchError
from finbench.jobs.executor import Executor, Job, LocalExecutor, Needs, NoRoom
from finbench.runs.layout import BasePlan, Plan, PlannedCell, lay_out
from finbench.runs.matrix import Matrix

if TYPE_CHECKING:
    from finbench.adapters.folder import Adapter
    from finbench.adapters.on_model import Proof
    from finbench.runs.bases.loaded import LoadedBase

TRACE_LINES = 12

Progress = str | CellKey | Failure  # what is being done, a cell that is done, a cell that failed


@dataclass(frozen=True)
class BaseJob:
    """The cells of one base that are to be scored, by whoever calls it.

    It travels to another machine as matrix and keys: rows, prompts and hashes are made anew where it arrives, so what
    is scored there is what its key says. `before` are the states of the cells' files when they were planned.
    """

    plan: BasePlan
    matrix: Matrix
    folder: Path
    before: Mapping[CellKey, str]

    def __call__(self, earlier: Sequence[Progress]) -> Iterator[Progress]:
        """Score the cells but for those that earlier attempts have ended; yield what is being done, done and failed."""
        ended = _keys(earlier)
        # A worker may be lost before the news of its last cell has left it, and another run may have been here.
        left = (key for key in self.keys() if key not in ended)
        written = {key for key in left if scored_since(self.folder, key, self.before.get(key, ""))}
        yield from written
        todo = tuple(cell for cell in self.plan.todo if cell.key not in ended | written)
        if todo:
            yield from _Runner(replace(self.plan, todo=todo), self.matrix, self.folder, self.before).run()

    def __reduce__(self) -> tuple[Any, ...]:
        matrix = replace(self.matrix, bases=(self.plan.base,))
        return partial, (_score_anew, matrix, self.keys(), self.folder.absolute(), dict(self.before))

    def keys(self) -> tuple[CellKey, ...]:
        """Return the keys of the cells to be scored."""
        return tuple(cell.key for cell in self.plan.todo)


def _keys(progress: Sequence[Progress]) -> set[CellKey]:
    """Return the cells that have ended."""
    return {one.key if isinstance(one, Failure) else one for one in progress if not isinstance(one, str)}


def _score_anew(
    matrix: Matrix, keys: Sequence[CellKey], folder: Path, before: Mapping[CellKey, str], earlier: Sequence[Progress]
) -> Iterator[Progress]:
    """Plan a matrix of one base here, and score the cells of these keys."""
    plan = lay_out(matrix, set(keys).__contains__)
    reason = " ".join(plan.problems) or "its rows, task, weights or finbench differ from those that were planned with."
    found = {cell.key for cell in plan.todo} | _keys(earlier)
    missing = (key for key in keys if key not in found)
    yield from _failures(missing, FinbenchError(f"there is no such cell on {platform.node()}: {reason}"))
    for base in plan.bases:
        yield from BaseJob(base, matrix, folder, before)(earlier)


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
            ended = list(_failures(left[job.name], progress)) if isinstance(progress, Exception) else [progress]
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


class Passing(Failure):
    """A failure that is not kept: what was planned is no more what lies there, so it says nothing of the cell."""


class Changed(FinbenchError):
    """Something was replaced between planning and scoring: its result would stand under another's hash."""


def _failures(keys: Iterable[CellKey], error: Exception) -> Iterator[Failure]:
    message = str(error) if isinstance(error, FinbenchError) else f"{type(error).__name__}: {error}"
    expected = isinstance(error, FinbenchError)  # says all there is to say
    lines = [] if expected else "".join(traceback.format_exception(error)).splitlines()[-TRACE_LINES:]
    kind = Passing if isinstance(error, Changed) else Failure
    for key in keys:
        yield kind(key, provenance.now(), message, "\n".join(lines), provenance.command())


class _Runner:
    """Runs one base's cells; a failure ends as little as it must: its cell, its adapter's cells or its base's."""

    def __init__(self, plan: BasePlan, matrix: Matrix, folder: Path, before: Mapping[CellKey, str]) -> None:
        self.plan, self.matrix, self.folder, self.before = plan, matrix, folder, before

    def run(self) -> Iterator[Progress]:
        """Score the base's cells, yielding what is being done, done and failed.

        Cells that another run is scoring are left for the end and waited for: if that run dies, its lock dies too.
        """
        from finbench.runs.bases.loaded import load_base

        yield f"loading {self.plan.base.name}"
        try:
            loaded = load_base(self.plan.base, self.matrix)
            self._check_base(self.plan.todo[0])
        except Exception as error:  # whatever a model's loading raises must not end the other bases
            yield from _failures((cell.key for cell in self.plan.todo), error)
            return
        left, wait = self.plan.todo, False
        while left:
            busy: list[PlannedCell] = []
            for _, alike in groupby(left, key=lambda cell: cell.key.adapter_sha256):
                yield from self._run_adapter(loaded, tuple(alike), busy, wait)
            left, wait = tuple(busy), True
        del loaded
        _free_memory()

    def _run_adapter(
        self, loaded: "LoadedBase", cells: tuple[PlannedCell, ...], busy: list[PlannedCell], wait: bool
    ) -> Iterator[Progress]:
        adapter = cells[0].adapter
        proof = None
        if adapter is not None:
            yield f"{self.plan.base.name} + {adapter.name}"
            try:
                self._check_adapter(adapter)
                proof = loaded.put_on(adapter)
            except Exception as error:
                loaded.take_off()
                yield from _failures((cell.key for cell in cells), error)
                return
        for cell in cells:
            yield ("waiting for another run: " if wait else "") + cell.key.title()
            ended = self._try(loaded, cell, proof, wait)
            if ended is None:
                busy.append(cell)
            else:
                yield ended
        if adapter is not None:
            loaded.take_off()

    def _try(self, loaded: "LoadedBase", cell: PlannedCell, proof: "Proof | None", wait: bool) -> Progress | None:
        """Score a cell unless another run has, and return how it ended; None where another run is at it."""
        try:
            with scoring(self.folder, cell.key, wait) as mine:
                if not mine:
                    return None
                if not scored_since(self.folder, cell.key, self.before.get(cell.key, "")):
                    self._check_same(cell)
                    self._score(loaded, cell, proof)
                return cell.key
        except Unwritable:
            raise
        except Exception as error:
            return next(_failures((cell.key,), error))

    def _check_same(self, cell: PlannedCell) -> None:
        """Refuse to go on where base or adapter is not what the key says: what is loaded is what was hashed."""
        if Path(self.plan.base.base).expanduser().is_dir():  # files of the hub's cache are never written again
            self._check_base(cell)
        if cell.adapter is not None:
            self._check_adapter(cell.adapter)

    def _check_base(self, cell: PlannedCell) -> None:
        base = self.plan.base
        found = base_sha256(base.base, base.revision, base.trust_remote_code)
        if found != cell.key.base_sha256:
            raise Changed(_changed(f"the base {base.name} ({base.base})", cell.key.base_sha256, found))

    def _check_adapter(self, adapter: "Adapter") -> None:
        try:
            found = hash_adapter(adapter.path)
        except (FinbenchError, OSError) as error:
            raise FinbenchError(f"the adapter {adapter.name} is gone since the run was planned: {error}") from error
        if found != adapter.sha256:
            raise Changed(_changed(f"the adapter {adapter.name} ({adapter.path})", adapter.sha256, found))

    def _score(self, loaded: "LoadedBase", cell: PlannedCell, proof: "Proof | None") -> None:
        from finbench.runs.result import Measured, cell_from

        cell.task.requests(loaded.lm)  # rendered before the clock starts, since all models share them
        loaded.lm.truncated_requests.clear()
        loaded.lm.not_shared = ""
        with loaded.monitor() as monitor:
            outcomes = cell.task.score(loaded.lm)
        cut = {row for task, row in loaded.lm.truncated_requests if task == cell.task.name}
        measured = Measured(outcomes, len(cut) / len(outcomes), monitor.record(), proof, loaded.lm.not_shared)
        result = cell_from(cell, self.plan.base, self.plan.without_head, self.matrix, measured)
        self._check_same(cell)  # weights may be read from their file as late as while they are used
        write_cell(self.folder, result, outcomes)


def _changed(what: str, planned: str, found: str) -> str:
    return (
        f"{what} has changed since the run was planned (hash {planned[:12]}, now {found[:12]}), so its score would "
        "stand under another's name. Nothing was kept; run the same command again."
    )


def _free_memory() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
