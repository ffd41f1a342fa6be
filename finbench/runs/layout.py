"""What a run will do, before any model is loaded: every cell with its key, which are done, how long the rest takes."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

from finbench.cells.key import ENGINE_VERSION, Cell, CellKey
from finbench.cells.store import has_failed, is_done, path_of, problem, read_cells
from finbench.cells.upkeep import state_of
from finbench.errors import FinbenchError
from finbench.runs.matrix import Base, Matrix, prompting_of
from finbench.tasks.prompting import Prompting
from finbench.tasks.requests import ScoredTask, with_perturbations

if TYPE_CHECKING:
    from finbench.adapters.folder import Adapter

Redo = Literal["missing", "failed", "all"]


@dataclass(frozen=True)
class PlannedCell:
    """One cell of a matrix: its key, and what scores it; `weights_sha256` is the base's without its other files."""

    key: CellKey
    task: ScoredTask
    adapter: "Adapter | None"
    weights_sha256: str = ""


@dataclass(frozen=True)
class BasePlan:
    """A base with all its cells and, among them, those to be scored; `without_head`: the bare base has no score."""

    base: Base
    without_head: bool
    cells: tuple[PlannedCell, ...]
    todo: tuple[PlannedCell, ...]


@dataclass(frozen=True)
class Plan:
    """A matrix laid out.

    `left_out` says which combinations are no cells and why, `problems` what of the matrix could not even be planned,
    `expected_seconds` how long the cells to be scored took before (None where nothing like them has been scored).
    `broken` says which cells have a file that is no result, and why; `before` in which state each cell's file was, so
    that what another run has scored since is not scored again.
    """

    bases: tuple[BasePlan, ...]
    left_out: tuple[str, ...]
    problems: tuple[str, ...]
    expected_seconds: float | None
    broken: tuple[str, ...] = ()
    before: Mapping[CellKey, str] = field(default_factory=dict)

    @property
    def cells(self) -> tuple[PlannedCell, ...]:
        """Return every cell."""
        return tuple(cell for base in self.bases for cell in base.cells)

    @property
    def todo(self) -> tuple[PlannedCell, ...]:
        """Return the cells to be scored."""
        return tuple(cell for base in self.bases for cell in base.todo)


def plan_matrix(matrix: Matrix, folder: Path, redo: Redo = "missing") -> Plan:
    """Lay out a matrix against a folder of cells.

    `redo` says what is scored: cells that have neither result nor failure ("missing"), those and the failed ones
    ("failed"), or all.

    Raises:
        FinbenchError: a task is unknown or its rows cannot be had.

    """
    before: dict[CellKey, str] = {}

    def wanted(key: CellKey) -> bool:
        before[key] = state_of(folder, key)  # first: what is scored after this is another's
        return _wanted(folder, key, redo)

    plan = lay_out(matrix, wanted)
    expected = expected_seconds(plan.todo, read_cells(folder).results) if plan.todo else 0.0
    found = ((path_of(folder, key), problem(folder, key)) for key in before)
    broken = tuple(f"{path}: {why}" for path, why in found if why)
    return replace(plan, expected_seconds=expected, broken=broken, before=before)


def lay_out(matrix: Matrix, wanted: Callable[[CellKey], bool]) -> Plan:
    """Lay out a matrix with those of its cells to be scored that are wanted; how long they take is not looked up.

    Raises:
        FinbenchError: a task is unknown or its rows cannot be had.

    """
    _check_launch(matrix)
    names = dict.fromkeys(name for base in matrix.bases for name in base.tasks or matrix.tasks)
    tasks, left_out = with_perturbations(tuple(names), matrix.limit, matrix.clean, matrix.perturb, prompting_of(matrix))
    planner = _Planner(matrix)
    planner.left_out += left_out
    bases = []
    for base in matrix.bases:
        asked = {name: task for group in base.tasks or matrix.tasks for name, task in tasks[group].items()}
        try:
            without_head, cells = planner.cells_of(base, tuple(asked.values()))
        except FinbenchError as error:
            planner.problems.append(f"{base.name}: {error}")
            continue
        todo = tuple(cell for cell in cells if wanted(cell.key))
        bases.append(BasePlan(base, without_head, cells, todo))
    return Plan(tuple(bases), tuple(planner.left_out), tuple(planner.problems), None)


def _check_launch(matrix: Matrix) -> None:
    """Refuse torchrun for anything but a pipeline of its processes: each process would score everything."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if processes > 1 and (wrong := [base.name for base in matrix.bases if base.pipeline != processes]):
        raise FinbenchError(
            f"torchrun started {processes} processes, which is for bases with pipeline: {processes}; "
            f"{', '.join(wrong)} can do without torchrun."
        )


def _wanted(folder: Path, key: CellKey, redo: Redo) -> bool:
    if redo == "all":
        return True
    return not is_done(folder, key) and (redo == "failed" or not has_failed(folder, key))


class _Planner:
    def __init__(self, matrix: Matrix) -> None:
        self.matrix = matrix
        self.left_out: list[str] = []
        self.problems: list[str] = []
        self.weights = ""  # of the base whose cells are being planned

    def cells_of(self, base: Base, tasks: Sequence[ScoredTask]) -> tuple[bool, tuple[PlannedCell, ...]]:
        from finbench.adapters.folder import base_sha256, weights_sha256

        sha256 = base_sha256(base.base, base.revision, base.trust_remote_code)
        self.weights = weights_sha256(base.base, base.revision)
        own_labels = _own_labels(base)
        without_head = not base.score_base or own_labels == ()
        cells: list[PlannedCell] = []
        if without_head:
            self.left_out.append(f"{base.name}: the bare base has no score")
        else:
            cells += self._on_tasks(base, sha256, None, tasks, own_labels)
        for given in base.adapters:
            try:
                adapter = _fitting(given, base)
                _check_prompts(adapter, self.matrix, tasks)
            except FinbenchError as error:
                self.problems.append(f"{base.name} + {given}: {error}")
                continue
            labels = adapter.labels if base.model == "hf-classifier" else None
            cells += self._on_tasks(base, sha256, adapter, tasks, labels)
        return without_head, tuple(cells)

    def _on_tasks(
        self,
        base: Base,
        sha256: str,
        adapter: "Adapter | None",
        tasks: Sequence[ScoredTask],
        labels: Sequence[str] | None,
    ) -> list[PlannedCell]:
        """Return the cells of a base with one adapter; a classifier of `labels` answers only tasks that have them."""
        fitting = [task for task in tasks if labels is None or _can_answer(labels, task)]
        if left := [task.name for task in tasks if task not in fitting]:
            name = f"{base.name} + {adapter.name}" if adapter else base.name
            self.left_out.append(f"{name}: its classes ({', '.join(labels or ())}) are not those of {', '.join(left)}")
        return [PlannedCell(self._key(base, sha256, adapter, task), task, adapter, self.weights) for task in fitting]

    def _key(self, base: Base, sha256: str, adapter: "Adapter | None", task: ScoredTask) -> CellKey:
        return CellKey(
            base=base.name,
            base_revision=base.revision or "",
            base_sha256=sha256,
            adapter=adapter.name if adapter else "",
            adapter_sha256=adapter.sha256 if adapter else "",
            precision=base.precision,
            task=task.name,
            task_version=task.version,
            rows_sha256=task.rows_sha256,
            prompt_sha256=task.prompt_sha256,
            engine=f"{base.model}/{ENGINE_VERSION}",
            limit=self.matrix.limit,
            clean=self.matrix.clean,
            truncate=self.matrix.truncate,
            num_fewshot=task.num_fewshot,
            perturb=task.perturb,
        )


def _fitting(given: str, base: Base) -> "Adapter":
    """Return an adapter that was made for the base and for its kind of model."""
    from finbench.adapters.folder import match_base, read_adapter

    adapter = read_adapter(given)
    if (adapter.task_type == "SEQ_CLS") != (base.model == "hf-classifier"):
        fit = "hf-classifier" if adapter.task_type == "SEQ_CLS" else "hf-fast"
        raise FinbenchError(f"the adapter is of type {adapter.task_type}, the base's model {base.model}: use {fit}.")
    if base.model == "vllm":
        from finbench.runs.bases.vllm import check_adapter

        check_adapter(adapter)
    match_base(adapter, base.base, base.revision)
    return adapter


def _check_prompts(adapter: "Adapter", matrix: Matrix, tasks: Sequence[ScoredTask]) -> None:
    """Refuse an adapter that was trained with other prompts than the matrix's, unless it says that it wants them."""
    recipe = adapter.record.get("recipe")
    if matrix.other_prompts or not isinstance(recipe, Mapping):
        return
    clean = bool(recipe.get("clean"))
    other = [] if clean == matrix.clean else [f"clean: {json.dumps(clean)}"]
    if adapter.task_type != "SEQ_CLS":  # which reads a text without a prompt
        other += _other_prompts(recipe, matrix, tasks)
    if other:
        raise FinbenchError(
            f"it was trained with {', '.join(other)}, which the matrix has otherwise. Say so in the matrix, or "
            "other_prompts: true to score it with prompts that it was not trained with."
        )


def _other_prompts(recipe: Mapping[str, Any], matrix: Matrix, tasks: Sequence[ScoredTask]) -> Iterator[str]:
    system = recipe.get("system_instruction") or ""
    then = Prompting(recipe.get("num_fewshot"), bool(recipe.get("chat_template")), system)
    if any(then.shots(task.task) != task.num_fewshot for task in tasks):
        yield f"num_fewshot: {json.dumps(then.num_fewshot)}"
    for name in ("chat_template", "system_instruction"):
        if getattr(then, name) != getattr(matrix, name):
            yield f"{name}: {json.dumps(getattr(then, name))}"


def _own_labels(base: Base) -> tuple[str, ...] | None:
    """Return the classes of a classifier's own head, () where it has none, None for a language model."""
    if base.model != "hf-classifier":
        return None
    from finbench.hf.classes import own_classes
    from finbench.hf.load import load_config

    return own_classes(load_config(base.base, base.revision, base.trust_remote_code))


def _can_answer(labels: Sequence[str], task: ScoredTask) -> bool:
    return not task.generates and {name.lower() for name in labels} == {name.lower() for name in task.labels}


def expected_seconds(todo: Iterable[PlannedCell], earlier: Iterable[Cell]) -> float | None:
    """Return how long cells may take by the median seconds per row of earlier ones, of the same base if there are any.

    None where some cell's task has never been scored.
    """
    speeds: dict[tuple[str, str], list[float]] = {}
    for cell in earlier:
        if cell.seconds_per_row is None:  # an imported result
            continue
        for base in (cell.key.base, ""):
            speeds.setdefault((cell.key.task, base), []).append(cell.seconds_per_row)
    total = 0.0
    for planned in todo:
        known = speeds.get((planned.task.name, planned.key.base)) or speeds.get((planned.task.name, ""))
        if not known:
            return None
        total += median(known) * planned.task.n_rows
    return total
