"""Quality against cost: for each task what no other entry beats in both, marked, with a picture."""

from collections.abc import Callable, Sequence

from finbench.leaderboard.footnotes import Footnotes
from finbench.leaderboard.markdown import markdown
from finbench.leaderboard.pictures.scatter import Diagram, Point, scatter
from finbench.leaderboard.scored import Scored
from finbench.leaderboard.table import file_stem, short
from finbench.leaderboard.view import NOTHING, View

LISTED = 30  # entries of a task on the page; those on the front always
COSTS: dict[str, Callable[[Scored], float | None]] = {
    "seconds to answer a row": Scored.seconds_per_row,
    "seconds of training": Scored.training_seconds,
    "size of the adapter (MiB)": Scored.adapter_mebibytes,
}
COLUMNS = (
    "An entry is on the *front* (◆) of seconds a row where no other on the same rows is at least as accurate and as "
    "fast, and better in one. *Seconds a row* and *memory* (GiB) are those of scoring, *training* is in seconds, "
    "*adapter* its size in MiB; all are means over seeds. Costs compare only on the same machine. The pictures show "
    "accuracy against each cost, its front joined by a line."
)


def page(view: View) -> dict[str, str]:
    """Return the page and its pictures, by file name."""
    if not view.boards:
        return {"pareto.md": f"# Quality against cost\n\n{NOTHING}\n"}
    pictures: dict[str, str] = {}
    listed = {task: _listed(view.main(task)) for task in view.boards}
    notes = Footnotes(cell for lines in listed.values() for one in lines for cell in one.cells)
    rows = []
    for task, lines in listed.items():
        kept = front(view.main(task), Scored.seconds_per_row)
        rows += [_line(one, one in kept, notes) for one in lines]
        if picture := _picture(task, lines, view):
            pictures[f"cost_{file_stem(task)}.svg"] = picture
    columns = ["task", "front", "entry", "accuracy", "seconds a row", "memory", "training", "adapter"]
    drawn = "\n\n".join(
        f"![accuracy against seconds a row, training and size on a task; the table has the numbers]({name})"
        for name in pictures
    )
    table = markdown(columns, rows[:0], 0, rows)  # all of them: LISTED a task
    text = f"# Quality against cost\n\n{table}\n\n{COLUMNS}\n\n{notes.text()}\n\n## Pictures\n\n{drawn}\n"
    return {"pareto.md": text, **pictures}


def front(lines: Sequence[Scored], cost: Callable[[Scored], float | None]) -> list[Scored]:
    """Return the lines that no other beats in accuracy and a cost; of equals in both, all.

    A line whose cost nobody measured is on no front.
    """
    best, kept = -1.0, list[Scored]()
    by_cost: dict[float, list[Scored]] = {}
    for one in lines:
        if (value := cost(one)) is not None:
            by_cost.setdefault(value, []).append(one)
    for value in sorted(by_cost):
        highest = max(one.accuracy for one in by_cost[value])
        if highest > best:
            best = highest
            kept += [one for one in by_cost[value] if one.accuracy == highest]
    return kept


def _listed(lines: list[Scored]) -> list[Scored]:
    kept = front(lines, Scored.seconds_per_row)
    return [one for n, one in enumerate(lines) if n < LISTED or one in kept]


def _line(one: Scored, is_front: bool, notes: Footnotes) -> list[str]:
    costs = (
        (one.seconds_per_row(), "{:.4f}"),
        (one.gibibytes(), "{:.2f}"),
        (one.training_seconds(), "{:.0f}"),
        (one.adapter_mebibytes(), "{:.2f}"),
    )
    shown = [form.format(value) if value is not None else "–" for value, form in costs]
    name = f"{short(one.task)}{notes.mark(one.cells)}"
    return [name, "◆" if is_front else "", one.line.title, f"{one.accuracy:.4f}", *shown]


def _picture(task: str, lines: Sequence[Scored], view: View) -> str:
    """Return a diagram a cost that is known of any entry; "" where none is."""
    diagrams = []
    for x_name, cost in COSTS.items():
        kept = front(lines, cost)
        points = [
            Point(value, one.accuracy, one.line.method or "base", one.line.title, one.line.family, one in kept)
            for one in lines
            if (value := cost(one)) is not None
        ]
        diagrams += [Diagram(x_name, tuple(points))] if points else []
    return scatter(f"{short(task)}: accuracy against cost", diagrams, view.colours) if diagrams else ""
