"""finbench from Python, for notebooks and scripts: score, finetune, compare; cells and rows as pandas frames.

The command line calls the same functions. Each is a name of the package: `import finbench; finbench.score(...)`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from finbench.errors import FinbenchError
from finbench.quiet import quiet

if TYPE_CHECKING:
    import pandas as pd

    from finbench.cells.key import Cell
    from finbench.runs.layout import Redo

Split = Literal["train", "validation", "test"]


@quiet()
def score(
    base: str,
    tasks: Sequence[str],
    adapters: Sequence[str | Path] = (),
    folder: str | Path | None = None,
    redo: "Redo" = "missing",
    **settings: Any,
) -> "pd.DataFrame":
    """Score a base and its adapters on tasks, and return the frame of these cells as `open_cells` has them.

    `folder` is where cells lie (default: leaderboards/cells); what is done there stays, as `redo` says. `settings` are
    keys of a matrix or of its base: model="hf-classifier", limit=100, bits=8, dtype="bfloat16", strict=True, ...

    Raises:
        FinbenchError: a setting makes no sense, or cells failed; those that did not are kept.

    """
    from finbench.cells.store import read_cells
    from finbench.runs.execute import execute
    from finbench.runs.layout import plan_matrix
    from finbench.runs.matrix import Base, matrix_of

    of_base = {name: settings.pop(name) for name in list(settings) if name in {one.name for one in fields(Base)}}
    entry = {"base": base, "adapters": [str(adapter) for adapter in adapters], **of_base}
    matrix = matrix_of({"name": "python", "tasks": list(tasks), "bases": [entry], **settings})
    place = _cells_folder(folder)
    plan = plan_matrix(matrix, place, redo)
    failures = execute(plan, matrix, place)
    if problems := [*plan.problems, *(f"{failure.key.title()}: {failure.error}" for failure in failures)]:
        raise FinbenchError(f"{len(problems)} of {len(plan.cells)} cells have no score. {problems[0]}")
    wanted = {cell.key for cell in plan.cells}
    return _frame([cell for cell in read_cells(place).results if cell.key in wanted])


@quiet()
def finetune(
    recipe: str | Path | Mapping[str, Any],
    output: str | Path | None = None,
    overwrite: bool = False,
    settings: Sequence[str] = (),
) -> Path:
    """Train a recipe, a YAML file or its keys and values, and return the adapter's folder.

    `settings` are the command line's: "epochs=1". The folder is adapters/NAME unless `output` names one.

    Raises:
        FinbenchError: the recipe makes no sense, or cannot be trained; see `finetune.train.train`.

    """
    from finbench.cells.provenance import published
    from finbench.paths import adapters
    from finetune.output import alone, foresee
    from finetune.recipe import check_named_things, from_settings, read_recipe

    if isinstance(recipe, Mapping):
        if output is None or settings:
            raise FinbenchError("a recipe of keys and values takes no further settings, and needs an `output`.")
        made, shown = from_settings(recipe), "recipe"
    else:
        made, shown = read_recipe(Path(recipe), settings), str(recipe)
    folder = Path(output) if output is not None else adapters() / Path(shown).stem
    words = ["finbench", "finetune", shown, *settings, "--output", str(folder)]
    check_named_things(made)
    with alone(folder):
        foresee(folder, made.sha256(), overwrite)
        from finetune.card import describe  # seconds of imports, which a wrong recipe need not wait for
        from finetune.train import train

        trained = train(made, folder, overwrite)
        if trained.writes:
            describe(trained, made, published(words))
    return folder


def open_cells(folder: str | Path | None = None) -> "pd.DataFrame":
    """Return every result in a folder of cells (default: leaderboards/cells), one a line, the newest of each kind.

    Columns: entry (base, or base + adapter), base, adapter, task, precision, num_fewshot, limit, rows, accuracy and
    every other metric with its standard error (`accuracy_stderr`), unparsed_share, seconds_per_row, peak_bytes,
    engine, source, created.
    """
    from finbench.cells.store import read_cells
    from finbench.leaderboard.table import by_condition

    tables = by_condition(read_cells(_cells_folder(folder)).results)
    return _frame([cell for table in tables.values() for cell in table.values()])


def compare(first: str, second: str, folder: str | Path | None = None) -> "pd.DataFrame":
    """Return, for each task that both entries answered on the same rows, by how much the second is better.

    Entries are named as `open_cells` does. Columns: task, rows, first, second (accuracies), difference, gained and lost
    (rows that the second, or the first, alone answers rightly), p of an exact paired test (McNemar, or clusters
    swapped where rows repeat), not corrected for several tasks; and untested, which says why the last three are None
    where the two have not the same rows.

    Raises:
        FinbenchError: there is no such entry, it stands there under several conditions, or no task has both.

    """
    import pandas as pd

    from finbench.cells.store import read_cells
    from finbench.leaderboard.paired import Outcomes

    place = _cells_folder(folder)
    found = read_cells(place).results
    a, b = _by_task(found, first), _by_task(found, second)
    if not set(a) & set(b):
        raise FinbenchError(f"no task was answered by both: {first!r} has {', '.join(a)}, {second!r} {', '.join(b)}.")
    outcomes, lines = Outcomes(place), []
    for task in sorted(set(a) & set(b)):
        tested, moved = outcomes.accuracy(a[task], b[task]), outcomes.moved(a[task], b[task])
        lost, gained = moved or (None, None)
        p, untested = (None, tested) if isinstance(tested, str) else (tested.p_value, "")
        values = (a[task].metrics["accuracy"].value, b[task].metrics["accuracy"].value)
        lines.append((task, a[task].n_rows, *values, values[1] - values[0], gained, lost, p, untested))
    columns = ["task", "rows", "first", "second", "difference", "gained", "lost", "p", "untested"]
    return pd.DataFrame(lines, columns=columns)


@quiet()
def rows(task: str, split: Split = "test") -> "pd.DataFrame":
    """Return a task's rows as they are asked: id, text, label or answer, and what else the dataset has.

    Raises:
        FinbenchError: there is no such task or split, or its rows cannot be had.

    """
    import pandas as pd

    from finbench.data.load import load
    from finbench.tasks.load import load_tasks

    found = load(**load_tasks([task])[task].config.dataset_kwargs)
    if split not in found.splits:
        raise FinbenchError(f"{task} has no split {split!r}: it has {', '.join(found.splits)}.")
    frame = pd.DataFrame([row.as_doc() for row in found.splits[split]])
    return frame[[name for name in frame if name == "id" or frame[name].astype(str).str.strip("[]").any()]]


def _cells_folder(folder: str | Path | None) -> Path:
    from finbench.paths import leaderboards

    return leaderboards() / "cells" if folder is None else Path(folder)


def _entry(cell: "Cell") -> str:
    return f"{cell.key.base} + {cell.key.adapter}" if cell.key.adapter else cell.key.base


def _by_task(found: Sequence["Cell"], entry: str) -> dict[str, "Cell"]:
    """Return an entry's newest cells by task."""
    from finbench.leaderboard.table import by_condition

    of_task: dict[str, Cell] = {}
    for cell in (cell for table in by_condition(found).values() for cell in table.values()):
        if _entry(cell) != entry:
            continue
        if cell.key.task in of_task:
            raise FinbenchError(f"{entry!r} stands in several conditions on {cell.key.task}: compare cells of one run.")
        of_task[cell.key.task] = cell
    if not of_task:
        raise FinbenchError(f"there is no entry {entry!r}: there are {', '.join(sorted({*map(_entry, found)}))}.")
    return of_task


def _frame(found: Sequence["Cell"]) -> "pd.DataFrame":
    import pandas as pd

    lines = []
    for cell in sorted(found, key=lambda one: (one.key.task, _entry(one), one.key.precision)):
        key = cell.key
        line: dict[str, Any] = {"entry": _entry(cell), "base": key.base, "adapter": key.adapter, "task": key.task}
        line |= {"precision": key.precision, "num_fewshot": key.num_fewshot, "limit": key.limit, "rows": cell.n_rows}
        for name, metric in cell.metrics.items():
            line |= {name: metric.value, f"{name}_stderr": metric.stderr}
        line |= {name: getattr(cell, name) for name in ("unparsed_share", "seconds_per_row", "peak_bytes")}
        lines.append(line | {"engine": key.engine, "source": cell.source, "created": cell.created})
    return pd.DataFrame(lines)
