"""Quality against cost: for each task what no other entry beats in both, marked, with a picture."""

from collections.abc import Mapping

from finbench.cells.key import Cell
from finbench.leaderboard.markdown import markdown
from finbench.leaderboard.plots import Panel, Point, scatter
from finbench.leaderboard.table import (
    CellTable,
    Entry,
    accuracy,
    gibibytes,
    mebibytes,
    of_task,
    seconds,
    short,
    tasks_of,
)
from finbench.leaderboard.view import View

LISTED = 30  # entries of a task on the page; those on the front always


def page(view: View) -> dict[str, str]:
    """Return the page and its pictures, by file name."""
    pictures: dict[str, str] = {}

    def section(number: int, found: CellTable) -> str:
        name = f"pareto_{number}.svg"
        ranked = {task: of_task(found, task) for task in tasks_of(found)}
        panels = [_panel(task, cells, front(cells)) for task, cells in ranked.items()]
        pictures[name] = scatter(panels, "seconds per row", "accuracy")
        return f"![accuracy against seconds per row]({name})\n\n{_table(ranked)}"

    text = (
        "# Quality against cost\n\nAn entry is on the front (◆) where no other is at least as accurate and as fast, "
        "and better in one. Seconds per row are measured while scoring, so they compare only on the same machine.\n\n"
        f"{view.named_sections(section)}\n"
    )
    return {"pareto.md": text, **pictures}


def front(cells: dict[Entry, Cell]) -> set[Entry]:
    """Return the entries that no other beats in accuracy and seconds per row; of equals in both, all."""
    best, kept = -1.0, set()
    by_cost: dict[float, list[Entry]] = {}
    for entry, cell in cells.items():
        if cell.seconds_per_row is None:  # an imported result, whose cost nobody measured
            continue
        by_cost.setdefault(cell.seconds_per_row, []).append(entry)
    for cost in sorted(by_cost):
        highest = max(accuracy(cells[entry]) for entry in by_cost[cost])
        if highest > best:
            best = highest
            kept |= {entry for entry in by_cost[cost] if accuracy(cells[entry]) == highest}
    return kept


def _table(ranked: Mapping[str, dict[Entry, Cell]]) -> str:
    rows = []
    for task, cells in ranked.items():
        kept = front(cells)
        listed = [entry for n, entry in enumerate(cells) if n < LISTED or entry in kept]
        rows += [_line(task, entry, cells[entry], entry in kept) for entry in listed]
    return markdown(["task", "front", "entry", "accuracy", "s/row", "memory (GiB)", "adapter (MiB)"], rows)


def _line(task: str, entry: Entry, cell: Cell, is_front: bool) -> list[str]:
    cost = [f"{accuracy(cell):.4f}", seconds(cell), gibibytes(cell), mebibytes(cell)]
    return [short(task), "◆" if is_front else "", entry.title(), *cost]


def _panel(task: str, cells: dict[Entry, Cell], kept: set[Entry]) -> Panel:
    shown = [entry for n, entry in enumerate(cells) if n < LISTED or entry in kept]
    points = [
        Point(cost, accuracy(cells[e]), e.title(), e in kept)
        for e in shown
        if (cost := cells[e].seconds_per_row) is not None
    ]
    return Panel(short(task), tuple(points))
