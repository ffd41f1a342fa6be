"""Scores what a plan names: each base is loaded once, its adapters go on and off, and every cell is stored at once."""

import gc
import sys
import traceback
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finbench.errors import FinbenchError
from finbench.runs import provenance
from finbench.runs.matrix import Matrix
from finbench.runs.plan import BasePlan, Plan, Planned
from finbench.runs.store import Failure, write_cell, write_failure

if TYPE_CHECKING:
    from tqdm import tqdm

    from finbench.runs.bases import LoadedBase
    from finbench.runs.switch import Proof

TRACE_LINES = 12


def execute(plan: Plan, matrix: Matrix, folder: Path) -> list[Failure]:
    """Score the plan's cells and write each to the folder as it ends; return those that failed."""
    from tqdm import tqdm

    failures: list[Failure] = []
    with tqdm(total=len(plan.todo), unit="cell", disable=not plan.todo) as bar:
        for base in plan.bases:
            for failure in _Runner(base, matrix, folder, bar).run() if base.todo else ():
                bar.write(f"failed: {failure.key.title()}: {failure.error}", file=sys.stderr)
                write_failure(folder, failure)
                failures.append(failure)
    return failures


class _Runner:
    """Runs one base's cells; a failure ends as little as it must: its cell, its adapter's cells or its base's."""

    def __init__(self, plan: BasePlan, matrix: Matrix, folder: Path, bar: "tqdm[Any]") -> None:
        self.plan, self.matrix, self.folder, self.bar = plan, matrix, folder, bar

    def run(self) -> Iterator[Failure]:
        """Score the base's cells, yielding failures."""
        from finbench.runs.bases import load_base

        self.bar.set_description(f"loading {self.plan.base.name}")
        try:
            loaded = load_base(self.plan.base, self.matrix)
        except Exception as error:  # whatever a model's loading raises must not end the other bases
            yield from self._fail(self.plan.todo, error)
            return
        for _, group in groupby(self.plan.todo, key=lambda cell: cell.key.adapter_sha256):
            yield from self._run_adapter(loaded, tuple(group))
        del loaded
        _free_memory()

    def _run_adapter(self, loaded: "LoadedBase", cells: tuple[Planned, ...]) -> Iterator[Failure]:
        adapter = cells[0].adapter
        proof = None
        if adapter is not None:
            self.bar.set_description(f"{self.plan.base.name} + {adapter.name}")
            try:
                proof = loaded.put_on(adapter)
            except Exception as error:
                loaded.take_off()
                yield from self._fail(cells, error)
                return
        for cell in cells:
            self.bar.set_description(cell.key.title())
            try:
                self._score(loaded, cell, proof)
            except Exception as error:
                yield from self._fail((cell,), error)
            else:
                self.bar.update()
        if adapter is not None:
            loaded.take_off()

    def _score(self, loaded: "LoadedBase", cell: Planned, proof: "Proof | None") -> None:
        from finbench.resources.monitor import Monitor
        from finbench.runs.result import Measured, cell_from

        cell.task.requests  # noqa: B018  rendered before the clock starts, since all models share them
        loaded.lm.truncated_requests.clear()
        with Monitor() as monitor:
            outcomes = cell.task.score(loaded.lm)
        cut = {row for task, row in loaded.lm.truncated_requests if task == cell.task.name}
        measured = Measured(outcomes, len(cut) / len(outcomes), monitor.record(), proof)
        result = cell_from(cell, self.plan.base, self.plan.headless, self.matrix, measured)
        write_cell(self.folder, result, outcomes)

    def _fail(self, cells: tuple[Planned, ...], error: Exception) -> Iterator[Failure]:
        message = str(error) if isinstance(error, FinbenchError) else f"{type(error).__name__}: {error}"
        expected = isinstance(error, FinbenchError)  # says all there is to say
        lines = [] if expected else "".join(traceback.format_exception(error)).splitlines()[-TRACE_LINES:]
        for cell in cells:
            self.bar.update()
            yield Failure(cell.key, provenance.now(), message, "\n".join(lines), provenance.command())


def _free_memory() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
