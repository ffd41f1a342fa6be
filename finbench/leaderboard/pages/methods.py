"""Methods compared: the same recipe over its seeds on the tasks it was trained on, beside the published comparison."""

import json

from finbench.leaderboard import published, stats
from finbench.leaderboard.table import Entry, Found, markdown, record_of, short, task_order
from finbench.leaderboard.view import View
from finbench.runs.cell import Cell

METRICS = {
    "accuracy": "accuracy",
    "precision_weighted": "precision",
    "recall_weighted": "recall",
    "f1_weighted": "F1",
}
Group = tuple[str, str, str, str, str]  # task, base, precision, method, recipe without its seed


def page(view: View) -> str:
    """Return the page of methods."""
    return (
        f"# Methods compared\n\n{view.sections(_table)}\n\n"
        "Adapters of one recipe that differ in their seed are one line: mean ± standard deviation over the seeds, on "
        "the test rows of the tasks they were trained on. Precision, recall and F1 are weighted by class. Costs are "
        "means.\n\n"
        f"## As published\n\n{published.reported_methods()}"
    )


def _table(found: Found) -> str:
    groups = by_recipe(found)
    if not groups:
        return ""
    order = sorted(groups, key=lambda group: (task_order(group[0]), group[1:]))
    columns = ["task", "base", "method", "seeds", *METRICS.values(), "trained parameters", "training s", "MiB"]
    return markdown(columns, [_line(group, groups[group]) for group in order])


def by_recipe(found: Found) -> dict[Group, list[Cell]]:
    """Return the cells of trained entries on their own tasks, by what they share but the seed."""
    groups: dict[Group, list[Cell]] = {}
    for (entry, task), cell in found.items():
        record = record_of(cell)
        if task in record.get("tasks", ()):
            groups.setdefault(_group(entry, task, cell), []).append(cell)
    return groups


def _group(entry: Entry, task: str, cell: Cell) -> Group:
    recipe = {name: value for name, value in record_of(cell).get("recipe", {}).items() if name not in ("seed", "base")}
    method = (cell.adapter or {})["method"]
    return task, entry.base, entry.precision, method, json.dumps(recipe, sort_keys=True)


def _line(group: Group, cells: list[Cell]) -> list[str]:
    task, base, precision, method, _ = group
    records = [record_of(cell) for cell in cells]
    seconds = [one["resources"]["elapsed_seconds"] for one in records if one.get("resources")]
    trained = [one["parameters"]["trainable"] for one in records if one.get("parameters")]
    sizes = [(cell.adapter or {})["size_bytes"] / 2**20 for cell in cells]
    return [
        short(task),
        base + ("" if precision == "float32" else f" [{precision}]"),
        method,
        str(len(cells)),
        *(_spread(cells, metric) for metric in METRICS),
        f"{trained[0]:,}" if trained else "–",
        f"{stats.over_seeds(seconds).mean:.0f}" if seconds else "–",
        f"{stats.over_seeds(sizes).mean:.2f}",
    ]


def _spread(cells: list[Cell], metric: str) -> str:
    values = [
        cell.metrics[metric].value for cell in sorted(cells, key=lambda one: one.key.digest()) if metric in cell.metrics
    ]
    return str(stats.over_seeds(values)) if values else "–"
