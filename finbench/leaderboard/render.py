"""Cells to pages: the same cells always give the same bytes."""

import difflib
from collections.abc import Callable, Iterable
from pathlib import Path

from finbench.leaderboard import published
from finbench.leaderboard.best import best_table
from finbench.leaderboard.table import Condition, Entry, by_condition, headless_bases, markdown, matrix, task_order
from finbench.runs.cell import Cell
from finbench.runs.store import Cells

DIFFERENT_LINES = 12
NOTHING = "No cell has been scored yet: `finbench run MATRIX.yaml`.\n"


Found = dict[tuple[Entry, str], Cell]


def render(cells: Cells, folder: Path) -> dict[str, str]:
    """Return the pages by file name; `folder` is where the cells lie, with the outcomes of their rows."""
    found = by_condition(cells.results)
    notes = _notes(cells)
    return {
        "README.md": _front(found, notes, folder),
        "accuracy.md": _scores(found, notes, "accuracy", "Accuracy"),
        "f1.md": _scores(found, notes, "f1_weighted", "Weighted F1"),
        "efficiency.md": _efficiency(found, notes),
        "methods.md": f"# Methods as published\n\n{published.reported_methods()}",
    }


def _sections(found: dict[Condition, Found], table: Callable[[Found], str]) -> str:
    """Return a table for each condition, since results of different conditions are not compared."""
    parts = []
    for condition, cells in found.items():
        heading = condition.heading()
        parts.append((f"> **{heading}.**\n\n" if heading else "") + table(cells))
    return "\n\n".join(parts) if parts else NOTHING


def _front(found: dict[Condition, Found], notes: str, folder: Path) -> str:
    if not found:
        return f"# Leaderboards\n\n{NOTHING}{notes}"
    return (
        "# Leaderboards\n\n"
        "What is best for each task, whether it is really better than its base on the same rows, and what it costs. "
        "Pages: [accuracy](accuracy.md), [weighted F1](f1.md), [efficiency](efficiency.md), "
        "[methods as published](methods.md).\n\n"
        f"{_sections(found, lambda cells: best_table(cells, folder))}\n\n"
        "The interval is Wilson's on the effective number of rows (rows that repeat one another count once); the "
        "gain is tested by exact McNemar, or by a permutation of clusters where rows repeat. A constant answer is "
        "the share of the largest class. Memory is the process's peak on the CPU, allocated bytes on a GPU.\n"
        f"{notes}"
    )


def _scores(found: dict[Condition, Found], notes: str, metric: str, name: str) -> str:
    """Return the page of one metric: base beside adapters, then the published numbers."""

    def shown(cell: Cell) -> str:
        value = cell.metrics[metric]
        return f"{value.value:.4f}" + (f" ± {value.stderr:.4f}" if value.stderr is not None else "")

    def table(cells: Found) -> str:
        kept = {place: cell for place, cell in cells.items() if metric in cell.metrics}
        return _matrix(kept, shown) if kept else "No task here has this metric."

    return (
        f"# {name}\n\n{_sections(found, table)}\n\nValue ± standard error, clustered where rows repeat.\n\n"
        f"## As published\n\n{published.reported_scores(metric)}{notes}"
    )


def _matrix(found: Found, shown: Callable[[Cell], str]) -> str:
    tasks = sorted({task for _, task in found}, key=task_order)
    return markdown(matrix(found, tasks, shown, headless_bases(found.values())))


def _efficiency(found: dict[Condition, Found], notes: str) -> str:
    """Return the page of costs: scoring by task, and the training of each adapter."""

    def cost(cell: Cell) -> str:
        return f"{cell.seconds_per_row:.4f} s, {cell.peak_bytes / 2**30:.2f} GiB"

    scoring = _sections(found, lambda cells: _matrix(cells, cost))
    every = [cell for cells in found.values() for cell in cells.values()]
    return (
        f"# Efficiency\n\n## Scoring: seconds per row and peak memory\n\n{scoring}\n\n"
        f"## Training\n\n{_training(every)}\n\n{_machines(every)}"
        f"## As published\n\n{published.reported_efficiency()}{notes}"
    )


def _training(cells: Iterable[Cell]) -> str:
    """Return the table of what each adapter's training cost, by its own record."""
    import pandas as pd

    rows = []
    for cell in {cell.key.adapter_sha256: cell for cell in cells if cell.adapter}.values():
        record = (cell.adapter or {})["record"]
        resources, parameters = record.get("resources", {}), record.get("parameters", {})
        hours = resources.get("gpu_hours")
        rows.append(
            [
                f"{cell.key.base} + {cell.key.adapter}",
                (cell.adapter or {})["method"],
                f"{parameters['trainable']:,}" if parameters else "–",
                f"{(cell.adapter or {})['size_bytes'] / 2**20:.2f}",
                f"{resources['elapsed_seconds']:.0f}" if resources else "–",
                f"{hours:.3f}" if hours else "no GPU",
                f"{resources['resident_peak_bytes'] / 2**30:.2f}" if resources else "–",
            ]
        )
    columns = ["adapter", "method", "trained parameters", "MiB", "training s", "GPU hours", "peak memory (GiB)"]
    return markdown(pd.DataFrame(sorted(rows), columns=columns)) if rows else "No adapter has been scored."


def _machines(cells: Iterable[Cell]) -> str:
    seen = {
        f"{cell.machine['cpu']}, {cell.machine['cores']} cores, "
        f"{cell.machine['memory_bytes'] / 2**30:.0f} GiB" + "".join(f", {gpu}" for gpu in cell.machine["gpus"])
        for cell in cells
    }
    return "".join(f"Measured on: {machine}.\n" for machine in sorted(seen)) + "\n" if seen else ""


def _notes(cells: Cells) -> str:
    """Return what a reader has to know to believe the numbers, and what went wrong."""
    lines = [f"- rows: {source}" for source in sorted({cell.source for cell in cells.results})]
    lines += sorted({f"- {cell.key.base}: {cell.note}" for cell in cells.results if cell.note})
    lines += sorted({_flag(cell) for cell in cells.results} - {""})
    if days := sorted({cell.created[:10] for cell in cells.results}):
        lines.append(f"- scored: {days[0]}" + (f" to {days[-1]}" if days[-1] != days[0] else ""))
    lines += [f"- failed: {one.key.title()}: {one.error}" for one in cells.failures]
    lines += [f"- not a valid cell: {one.path.name}: {one.problem}" for one in cells.unreadable]
    return "\n## Notes\n\n" + "\n".join(lines) + "\n" if lines else ""


def _flag(cell: Cell) -> str:
    """Return a remark on one cell that its number does not show."""
    remarks = []
    if cell.truncated_share:
        remarks.append(f"{cell.truncated_share:.1%} of inputs cut")
    if cell.flags.get("trained_precision"):
        remarks.append(f"trained at {cell.flags['trained_precision']}, scored at {cell.key.precision}")
    if cell.adapter_proof is not None and not cell.adapter_proof["changed"]:
        remarks.append("THE ADAPTER CHANGED NO LOGIT")
    if cell.unparsed_share:
        remarks.append(f"{cell.unparsed_share:.1%} of answers could not be read")
    return f"- {cell.key.title()}: {', '.join(remarks)}" if remarks else ""


def write(pages: dict[str, str], output: Path) -> None:
    """Write the pages that differ."""
    output.mkdir(parents=True, exist_ok=True)
    for name, text in pages.items():
        if not (output / name).is_file() or (output / name).read_text(encoding="utf-8") != text:
            (output / name).write_text(text, encoding="utf-8")


def differing(pages: dict[str, str], output: Path) -> dict[str, str]:
    """Return for each page that is missing or differs the first lines of the difference."""
    found = {}
    for name, text in pages.items():
        old = (output / name).read_text(encoding="utf-8") if (output / name).is_file() else ""
        if old != text:
            lines = difflib.unified_diff(
                old.splitlines(), text.splitlines(), "as it is", "as it should be", lineterm="", n=0
            )
            found[name] = "\n".join(list(lines)[:DIFFERENT_LINES])
    return found
