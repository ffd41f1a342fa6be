"""Methods compared: the same recipe over its seeds on the tasks it was trained on, beside the published comparison."""

from finbench.cells.key import Cell
from finbench.leaderboard import published, stats
from finbench.leaderboard.markdown import SHOWN, markdown
from finbench.leaderboard.plots import Bar, Bars, bars
from finbench.leaderboard.table import CellTable, Entry, accuracy, short, task_order
from finbench.leaderboard.training import (
    augmented_by,
    costs_of,
    is_own_task,
    recipe_without_seed,
    student_of,
    trained_parameters,
)
from finbench.leaderboard.view import View

METRICS = {
    "accuracy": "accuracy",
    "precision_weighted": "precision",
    "recall_weighted": "recall",
    "f1_weighted": "F1",
}
BARS = 16  # of a task
RecipeGroup = tuple[str, str, str, str, str]  # task, base, precision, method, recipe without its seed


def page(view: View) -> dict[str, str]:
    """Return the page of methods and its pictures, by file name."""
    pictures: dict[str, str] = {}

    def section(number: int, found: CellTable) -> str:
        table = _table(found)
        if not table:
            return ""
        name = f"methods_{number}.svg"
        pictures[name] = bars(_panels(by_recipe(found)), "accuracy on test rows")
        return f"![accuracy of each method, mean and standard deviation over seeds]({name})\n\n{table}"

    text = (
        f"# Methods compared\n\n{view.named_sections(section)}\n\n"
        "Adapters of one recipe that differ in their seed are one line: mean ± standard deviation over the seeds, on "
        "the test rows of the tasks they were trained on. Precision, recall and F1 are weighted by class. Costs are "
        "means. Hollow bars are what others reported for GPT-2 and FinBERT; they are shown, not ranked.\n\n"
        f"## As published\n\n{published.reported_methods()}"
    )
    return {"methods.md": text, **pictures}


def _panels(groups: dict[RecipeGroup, list[Cell]]) -> list[Bars]:
    """Return a diagram for each task: our methods, best first, then the reported ones."""
    panels = []
    for task in sorted({group[0] for group in groups}, key=task_order):
        ours = []
        for group, cells in groups.items():
            if group[0] == task:
                spread = stats.over_seeds(sorted(accuracy(cell) for cell in cells))
                taught = f", student of {teacher}" if (teacher := student_of(cells[0])) else ""
            ours.append(Bar(f"{group[1]}, {group[3]}{taught}", spread.mean, spread.deviation, reported=False))
        ours.sort(key=lambda bar: (-bar.value, bar.name))
        theirs = [
            Bar(f"{model} {method} (reported)", value, None, reported=True)
            for model, method, value in published.accuracies_of_methods(short(task))
        ]
        panels.append(Bars(short(task), (*ours[:BARS], *theirs)))
    return panels


def _table(found: CellTable) -> str:
    groups = by_recipe(found)
    if not groups:
        return ""
    order = sorted(groups, key=lambda group: (task_order(group[0]), group[1:]))
    columns = ["task", "base", "method", "seeds", *METRICS.values(), "trained parameters", "training s", "MiB"]
    firsts = {group: cells[0] for group, cells in groups.items()}
    kinds = sorted({kind for cell in firsts.values() for kind in augmented_by(cell)})
    # columns that are there where a line has something to say
    said = {"student of": {group: student_of(cell) for group, cell in firsts.items()}}
    for kind in kinds:
        made = {group: augmented_by(cell).get(kind, 0) for group, cell in firsts.items()}
        said[f"rows by {kind}"] = {group: f"{number:,}" if number else "" for group, number in made.items()}
    said = {title: cells for title, cells in said.items() if any(cells.values())}
    lines = [
        [*_line(group, groups[group]), *(cells[group] or "–" for cells in said.values())] for group in order[:SHOWN]
    ]
    return markdown([*columns, *said], lines, len(order))


def by_recipe(found: CellTable) -> dict[RecipeGroup, list[Cell]]:
    """Return the cells of trained entries on their own tasks, by what they share but the seed."""
    groups: dict[RecipeGroup, list[Cell]] = {}
    for (entry, task), cell in found.items():
        if is_own_task(cell):
            groups.setdefault(_group(entry, task, cell), []).append(cell)
    return groups


def _group(entry: Entry, task: str, cell: Cell) -> RecipeGroup:
    return task, entry.base, entry.precision, (cell.adapter or {})["method"], recipe_without_seed(cell)


def _line(group: RecipeGroup, cells: list[Cell]) -> list[str]:
    task, base, precision, method, _ = group
    seconds = [took for cell in cells if (took := costs_of(cell).seconds) is not None]
    trained = [number for cell in cells if (number := trained_parameters(cell)) is not None]
    sizes = [size / 2**20 for cell in cells if (size := (cell.adapter or {})["size_bytes"]) is not None]
    return [
        short(task),
        base + ("" if precision == "float32" else f" [{precision}]"),
        method,
        str(len(cells)),
        *(_spread(cells, metric) for metric in METRICS),
        f"{trained[0]:,}" if trained else "–",
        f"{stats.over_seeds(seconds).mean:.0f}" if seconds else "–",
        f"{stats.over_seeds(sizes).mean:.2f}" if sizes else "–",
    ]


def _spread(cells: list[Cell], metric: str) -> str:
    values = [
        cell.metrics[metric].value for cell in sorted(cells, key=lambda one: one.key.digest()) if metric in cell.metrics
    ]
    return str(stats.over_seeds(values)) if values else "–"
