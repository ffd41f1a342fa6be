"""The cells of one base, scored in this process: the base is loaded once, its adapters go on and off."""

import gc
import platform
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
from finbench.cells.store import Failure, Unwritable, write_cell
from finbench.cells.upkeep import scored_since, scoring
from finbench.errors import FinbenchError
from finbench.runs.layout import BasePlan, PlannedCell, lay_out
from finbench.runs.matrix import Matrix

if TYPE_CHECKING:
    from finbench.adapters.folder import Adapter
    from finbench.adapters.on_model import Proof
    from finbench.runs.bases.loaded import LoadedBase

TRACE_LINES = 12

Progress = str | CellKey | Failure  # what is being done, a cell that is done, a cell that failed


class Passing(Failure):
    """A failure that is not kept: what was planned is no more what lies there, so it says nothing of the cell."""


class Changed(FinbenchError):
    """Something was replaced between planning and scoring: its result would stand under another's hash."""


def failures_of(keys: Iterable[CellKey], error: Exception) -> Iterator[Failure]:
    """Yield for each cell that an error ended it."""
    message = str(error) if isinstance(error, FinbenchError) else f"{type(error).__name__}: {error}"
    expected = isinstance(error, FinbenchError)  # says all there is to say
    lines = [] if expected else "".join(traceback.format_exception(error)).splitlines()[-TRACE_LINES:]
    kind = Passing if isinstance(error, Changed) else Failure
    for key in keys:
        yield kind(key, provenance.now(), message, "\n".join(lines), provenance.command())


@dataclass(frozen=True)
class BaseJob:
    """The cells of one base that are to be scored, by whoever calls it.

    A failure ends as little as it must: its cell, its adapter's cells or its base's.

    It travels to another machine as matrix and keys: rows, prompts and hashes are made anew where it arrives, so what
    is scored there is what its key says. `before` are the states of the cells' files when they were planned.
    """

    plan: BasePlan
    matrix: Matrix
    folder: Path
    before: Mapping[CellKey, str]

    def __call__(self, earlier: Sequence[Progress]) -> Iterator[Progress]:
        """Score the cells but for those that earlier attempts have ended; yield what is being done, done and failed.

        Cells that another run is scoring are left for the end and waited for: if that run dies, its lock dies too.
        """
        ended = _ended(earlier)
        # A worker may be lost before the news of its last cell has left it, and another run may have been here.
        unended = (key for key in self.keys() if key not in ended)
        written = {key for key in unended if scored_since(self.folder, key, self.before.get(key, ""))}
        yield from written
        todo = tuple(cell for cell in self.plan.todo if cell.key not in ended | written)
        if not todo:
            return
        from finbench.runs.bases.loaded import load_base

        yield f"loading {self.plan.base.name}"
        try:
            loaded = load_base(self.plan.base, self.matrix)
            self._check_base(todo[0])
        except Exception as error:  # whatever a model's loading raises must not end the other bases
            yield from failures_of((cell.key for cell in todo), error)
            return
        left, wait = todo, False
        while left:
            busy: list[PlannedCell] = []
            for _, alike in groupby(left, key=lambda cell: cell.key.adapter_sha256):
                yield from self._run_adapter(loaded, tuple(alike), busy, wait)
            left, wait = tuple(busy), True
        del loaded
        _free_memory()

    def __reduce__(self) -> tuple[Any, ...]:
        matrix = replace(self.matrix, bases=(self.plan.base,))
        return partial, (_score_anew, matrix, self.keys(), self.folder.absolute(), dict(self.before))

    def keys(self) -> tuple[CellKey, ...]:
        """Return the keys of the cells to be scored."""
        return tuple(cell.key for cell in self.plan.todo)

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
                yield from failures_of((cell.key for cell in cells), error)
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
            return next(failures_of((cell.key,), error))

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


def _ended(progress: Sequence[Progress]) -> set[CellKey]:
    """Return the cells that have ended."""
    return {one.key if isinstance(one, Failure) else one for one in progress if not isinstance(one, str)}


def _score_anew(
    matrix: Matrix, keys: Sequence[CellKey], folder: Path, before: Mapping[CellKey, str], earlier: Sequence[Progress]
) -> Iterator[Progress]:
    """Plan a matrix of one base here, and score the cells of these keys."""
    plan = lay_out(matrix, set(keys).__contains__)
    reason = " ".join(plan.problems) or "its rows, task, weights or finbench differ from those that were planned with."
    found = {cell.key for cell in plan.todo} | _ended(earlier)
    missing = (key for key in keys if key not in found)
    yield from failures_of(missing, FinbenchError(f"there is no such cell on {platform.node()}: {reason}"))
    for base in plan.bases:
        yield from BaseJob(base, matrix, folder, before)(earlier)


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
