"""Transfer: every adapter on every task that it can answer, not only on those it was trained on."""

from finbench.leaderboard.markdown import SHOWN, markdown
from finbench.leaderboard.table import CellTable, Entry, accuracy, short, tasks_of
from finbench.leaderboard.training import is_own_task
from finbench.leaderboard.view import View


def page(view: View) -> str:
    """Return the page of transfer."""
    return (
        f"# Transfer\n\n{view.sections(_table)}\n\n"
        "Accuracy of each adapter on each task; a dot marks the tasks it was trained on, brackets hold the gain over "
        "the bare base where that was scored. A classifier's adapter answers only tasks with the classes it was "
        "trained on.\n"
    )


def _table(found: CellTable) -> str:
    tasks = tasks_of(found)
    entries = sorted({entry for (entry, _), cell in found.items() if cell.adapter})
    rows = [[entry.title(), *(_shown(found, entry, task) for task in tasks)] for entry in entries[:SHOWN]]
    return markdown(["adapter", *map(short, tasks)], rows, len(entries)) if rows else ""


def _shown(found: CellTable, entry: Entry, task: str) -> str:
    cell = found.get((entry, task))
    if cell is None:
        return "–"
    bare = found.get((entry.bare(), task))
    own = " •" if is_own_task(cell) else ""
    gain = f" ({accuracy(cell) - accuracy(bare):+.3f})" if bare else ""
    return f"{accuracy(cell):.3f}{own}{gain}"
