"""One metric, base beside adapters, then the published numbers: the pages of accuracy and of weighted F1."""

from finbench.cells.key import Cell
from finbench.leaderboard import published
from finbench.leaderboard.table import CellTable, bases_without_head, matrix
from finbench.leaderboard.view import View


def accuracy_page(view: View) -> str:
    """Return the page of accuracies."""
    return _page(view, "accuracy", "Accuracy")


def f1_page(view: View) -> str:
    """Return the page of weighted F1s."""
    return _page(view, "f1_weighted", "Weighted F1")


def _page(view: View, metric: str, name: str) -> str:
    def table(found: CellTable) -> str:
        kept = {place: cell for place, cell in found.items() if metric in cell.metrics}
        values: dict[str, list[float]] = {}
        for (_, task), cell in kept.items():
            values.setdefault(task, []).append(cell.metrics[metric].value)
        best = {task: max(scores) for task, scores in values.items() if max(scores) > min(scores)}

        def shown(cell: Cell) -> str:
            value = cell.metrics[metric]
            number = f"**{value.value:.4f}**" if value.value == best.get(cell.key.task) else f"{value.value:.4f}"
            error = f" ± {value.stderr:.4f}" if value.stderr is not None else ""
            return number + error + (" †" if view.remarks(cell) else "")

        return matrix(kept, shown, bases_without_head(found)) if kept else "No task here has this metric."

    return (
        f"# {name}\n\n{view.sections(table)}\n\nValue ± standard error, clustered where rows repeat. Bold is a "
        "task's highest number; whether it is shown to be the best, its task's page says. "
        "† marks a score with something to know before believing it: see its task's page.\n\n"
        f"## As published\n\n{published.reported_scores(metric)}"
    )
