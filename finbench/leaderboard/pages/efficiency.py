"""Costs: scoring by task, the training of each adapter as in the published tables 5 and 6, and those tables."""

from collections.abc import Iterable

from finbench.cells.key import Cell
from finbench.leaderboard import published
from finbench.leaderboard.table import (
    SHOWN,
    Entry,
    Found,
    gibibytes,
    headless_bases,
    markdown,
    matrix,
    mebibytes,
    record_of,
    seconds,
)
from finbench.leaderboard.view import View


def page(view: View) -> str:
    """Return the page of costs."""

    def cost(cell: Cell) -> str:
        return f"{seconds(cell)} s, {gibibytes(cell)} GiB"

    scoring = view.sections(lambda found: matrix(found, cost, headless_bases(found)))
    training = view.sections(_training)
    every = [cell for found in view.found.values() for cell in found.values()]
    return (
        f"# Efficiency\n\n## Scoring: seconds per row and peak memory\n\n{scoring}\n\n"
        f"## Training\n\n{training}\n\nSeconds per row are those of scoring, averaged over the tasks trained on, or "
        f"over all where none was scored. Costs compare only on the same machine.\n\n{_machines(every)}"
        f"## As published\n\n{published.reported_efficiency()}"
    )


def _training(found: Found) -> str:
    """Return the table of what each adapter's training cost, by its own record."""
    trained: dict[Entry, list[Cell]] = {}
    for (entry, _), cell in found.items():
        if cell.adapter:
            trained.setdefault(entry, []).append(cell)
    rows = [_line(entry, trained[entry]) for entry in sorted(trained)[:SHOWN]]
    columns = ["entry", "method", "trained on", "batch", "trained parameters", "MiB", "training s", "GPU hours"]
    return markdown([*columns, "GPU memory (GiB)", "memory (GiB)", "s/row"], rows, len(trained)) if rows else ""


def _line(entry: Entry, cells: list[Cell]) -> list[str]:
    adapter, record = cells[0].adapter or {}, record_of(cells[0])
    resources, parameters, recipe = (record.get(name) or {} for name in ("resources", "parameters", "recipe"))
    hours, on_gpu = resources.get("gpu_hours"), resources.get("gpu_peak_allocated_bytes")
    own = [cell for cell in cells if cell.key.task in record.get("tasks", ())] or cells
    measured = [cell.seconds_per_row for cell in own if cell.seconds_per_row is not None]
    return [
        entry.title(),
        adapter["method"],
        ", ".join(task.removeprefix("fin_") for task in record.get("tasks", ())) or "–",
        f"{recipe['batch_size']} x {recipe.get('gradient_accumulation', 1)}" if "batch_size" in recipe else "–",
        f"{parameters['trainable']:,}" if parameters else "–",
        mebibytes(cells[0]),
        f"{resources['elapsed_seconds']:.0f}" if resources else "–",
        f"{hours:.3f}" if hours else "no GPU",
        f"{sum(on_gpu) / 2**30:.2f}" if on_gpu else "no GPU",
        f"{resources['resident_peak_bytes'] / 2**30:.2f}" if resources else "–",
        f"{sum(measured) / len(measured):.4f}" if measured else "–",
    ]


def _machines(cells: Iterable[Cell]) -> str:
    seen = {
        f"{cell.machine['cpu']}, {cell.machine['cores']} cores, "
        f"{cell.machine['memory_bytes'] / 2**30:.0f} GiB" + "".join(f", {gpu}" for gpu in cell.machine["gpus"])
        for cell in cells
        if "machine" not in cell.missing
    }
    return "".join(f"Scored on: {machine}.\n" for machine in sorted(seen)) + "\n" if seen else ""
