"""The front page's table: what is best for each task, whether it is really better than its base, and at what cost."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from finbench.errors import FinbenchError
from finbench.leaderboard import stats
from finbench.leaderboard.table import Entry, markdown, task_order
from finbench.runs.cell import Cell
from finbench.runs.store import read_outcomes

if TYPE_CHECKING:
    from finbench.records import Outcome


def best_table(cells: dict[tuple[Entry, str], Cell], folder: Path) -> str:
    """Return markdown: per task the entry with the highest accuracy, its interval, its gain and its cost."""
    import pandas as pd

    rows = []
    for task in sorted({task for _, task in cells}, key=task_order):
        of_task = {entry: cell for (entry, name), cell in cells.items() if name == task}
        best = max(
            of_task, key=lambda entry: (of_task[entry].metrics["accuracy"].value, not entry.adapter, entry.title())
        )
        rows.append(_row(task, best, of_task, folder))
    columns = ["task", "best", "accuracy [95% interval]", "over its base", "constant answer"]
    return markdown(pd.DataFrame(rows, columns=[*columns, "rows (effective)", "adapter", "s/row", "memory"]))


def _row(task: str, best: Entry, of_task: dict[Entry, Cell], folder: Path) -> list[str]:
    cell = of_task[best]
    accuracy = cell.metrics["accuracy"]
    effective = stats.effective_n(accuracy.value, accuracy.stderr, cell.n_rows)
    interval = stats.wilson(accuracy.value, min(effective, cell.n_rows))
    supports = [values["support"] for values in cell.per_class.values()]
    size = cell.adapter["size_bytes"] / 2**20 if cell.adapter else None
    return [
        task.removeprefix("fin_"),
        best.title(),
        f"{accuracy.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]",
        _gain(best, of_task, folder),
        f"{max(supports) / sum(supports):.3f}" if supports else "–",
        f"{cell.n_rows} ({cell.n_clusters})",
        f"{size:.2f} MiB" if size is not None else "–",
        f"{cell.seconds_per_row:.4f}",
        f"{cell.peak_bytes / 2**30:.2f} GiB",
    ]


def _gain(best: Entry, of_task: dict[Entry, Cell], folder: Path) -> str:
    """Return the difference to the bare base on the same rows, with the paired test's p-value."""
    bare = replace(best, adapter="")
    if not best.adapter:
        return "is a base"
    if bare not in of_task:
        return "base has no head" if of_task[best].flags.get("base_without_head") else "base not scored"
    try:
        first = read_outcomes(folder, of_task[bare].key)
        second = read_outcomes(folder, of_task[best].key)
    except FinbenchError:
        return "rows' outcomes missing"
    if [one.row_id for one in first] != [one.row_id for one in second]:
        return "other rows"
    found = compare(first, second)
    p = f"{found.p_value:.3f}" if found.p_value >= 0.001 else "< 0.001"
    return f"{found.difference:+.3f} (p {p})"


def compare(first: "list[Outcome]", second: "list[Outcome]") -> stats.Comparison:
    """Compare accuracies on the same rows: exact McNemar where rows are independent, else a permutation of clusters."""
    right = [[one.prediction == one.gold for one in outcomes] for outcomes in (first, second)]
    clusters = [one.cluster for one in first]
    if len(set(clusters)) == len(clusters):
        return stats.mcnemar(*right)
    golds = [one.gold for one in first]

    def accuracy(predictions: object) -> float:
        return sum(p == g for p, g in zip(predictions, golds, strict=True)) / len(golds)  # type: ignore[call-overload]

    return stats.permutation([o.prediction for o in first], [o.prediction for o in second], clusters, accuracy)
