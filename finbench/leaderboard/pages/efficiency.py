"""Costs: scoring by task, the training of each adapter as in the published tables 5 and 6, and those tables."""

from collections.abc import Iterable

from finbench.cells.key import Cell
from finbench.leaderboard import published
from finbench.leaderboard.markdown import SHOWN, escaped, markdown
from finbench.leaderboard.table import CellTable, Entry, bases_without_head, gibibytes, matrix, mebibytes, seconds
from finbench.leaderboard.training import (
    costs_of,
    is_own_task,
    names_of,
    recipe_of,
    tasks_of_training,
    trained_parameters,
)
from finbench.leaderboard.view import View


def page(view: View) -> str:
    """Return the page of costs."""

    def cost(cell: Cell) -> str:
        return f"{seconds(cell)} s, {gibibytes(cell)} GiB"

    scoring = view.sections(lambda found: matrix(found, cost, bases_without_head(found)))
    training = view.sections(_training)
    every = [cell for found in view.found.values() for cell in found.values()]
    return (
        f"# Efficiency\n\n## Scoring: seconds per row and peak memory\n\n{scoring}\n\n"
        f"## Training\n\n{training}\n\nSeconds per row are those of scoring, averaged over the tasks trained on, or "
        f"over all where none was scored. Costs compare only on the same machine.\n\n{_machines(every)}"
        f"## As published\n\n{published.reported_efficiency()}"
    )


def _training(found: CellTable) -> str:
    """Return the table of what each adapter's training cost, by its own record."""
    trained: dict[Entry, list[Cell]] = {}
    for (entry, _), cell in found.items():
        if cell.adapter:
            trained.setdefault(entry, []).append(cell)
    rows = [_line(entry, trained[entry]) for entry in sorted(trained)[:SHOWN]]
    columns = ["entry", "method", "trained on", "batch", "trained parameters", "MiB", "training s", "GPU hours"]
    return markdown([*columns, "GPU memory (GiB)", "memory (GiB)", "s/row"], rows, len(trained)) if rows else ""


def _line(entry: Entry, cells: list[Cell]) -> list[str]:
    costs, recipe, trained = costs_of(cells[0]), recipe_of(cells[0]), trained_parameters(cells[0])
    own = [cell for cell in cells if is_own_task(cell)] or cells
    measured = [cell.seconds_per_row for cell in own if cell.seconds_per_row is not None]
    return [
        entry.title(),
        (cells[0].adapter or {})["method"],
        names_of(tasks_of_training(cells[0])),
        f"{recipe['batch_size']} x {recipe.get('gradient_accumulation', 1)}" if "batch_size" in recipe else "–",
        f"{trained:,}" if trained is not None else "–",
        mebibytes(cells[0]),
        f"{costs.seconds:.0f}" if costs.seconds is not None else "–",
        f"{costs.gpu_hours:.3f}" if costs.gpu_hours else "no GPU",
        f"{costs.gpu_bytes / 2**30:.2f}" if costs.gpu_bytes else "no GPU",
        f"{costs.resident_bytes / 2**30:.2f}" if costs.resident_bytes is not None else "–",
        f"{sum(measured) / len(measured):.4f}" if measured else "–",
    ]


def _machines(cells: Iterable[Cell]) -> str:
    seen = {
        f"{cell.machine['cpu']}, {cell.machine['cores']} cores, "
        f"{cell.machine['memory_bytes'] / 2**30:.0f} GiB" + "".join(f", {gpu}" for gpu in cell.machine["gpus"])
        for cell in cells
        if "machine" not in cell.missing
    }
    return "".join(f"Scored on: {escaped(machine)}.\n" for machine in sorted(seen)) + "\n" if seen else ""
