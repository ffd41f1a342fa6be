"""One metric, base beside adapters, then the published numbers: the pages of accuracy and of weighted F1."""

from finbench.leaderboard import published, published_finlora
from finbench.leaderboard.markdown import SHOWN, markdown
from finbench.leaderboard.primary import ACCURACY, name_of, title_of
from finbench.leaderboard.seeds import Line, best_of, lines_of, shown
from finbench.leaderboard.table import CellTable, bases_without_head, short, tasks_of
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
        if not kept:
            return "No task here has this metric."
        tasks, lines = tasks_of(kept), lines_of(kept)
        best = best_of(lines, kept, tasks, metric)

        def value(line: Line, task: str) -> str:
            if not (cells := line.cells(kept, task)):
                return "–"
            ranked_by = title_of(cells[0]) if metric == ACCURACY and name_of(cells[0]) != ACCURACY else ""
            number, text = shown(cells, metric)
            known = " †" if any(view.remarks(cell) for cell in cells) else ""
            bold, _, rest = text.partition(" ")
            return (
                (f"**{bold}**" if number == best.get(task) else bold)
                + (f" {rest}" if rest else "")
                + (f" {ranked_by}" if ranked_by else "")
                + known
            )

        rows = [[line.title, *(value(line, task) for task in tasks)] for line in lines]
        rows += [[entry.title(), *["no head"] * len(tasks)] for entry in bases_without_head(found)]
        rows.sort(key=lambda row: row[0])
        return markdown(["model", *map(short, tasks)], rows[:SHOWN], len(rows))

    return (
        f"# {name}\n\n{view.sections(table)}\n\nValue ± standard error, clustered where rows repeat; of adapters "
        "that differ in their seed alone mean ± standard deviation (number of seeds), whose single scores stand on the "
        "task's page. Bold is a "
        "task's highest number; whether it is shown to be the best, its task's page says. "
        "† marks a score with something to know before believing it: see its task's page.\n\n"
        f"## As published\n\n{published.reported_scores(metric)}"
        f"\n{published_finlora.reported(metric)}"
    )
