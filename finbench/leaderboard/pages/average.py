"""The average over tasks and the average gain over the base, as papers put them into their headline."""

from dataclasses import dataclass

from finbench.leaderboard import published, stats
from finbench.leaderboard.markdown import SHOWN, markdown
from finbench.leaderboard.pages.methods import by_recipe
from finbench.leaderboard.table import CellTable, Entry, accuracy, short, task_order
from finbench.leaderboard.view import View


@dataclass(frozen=True)
class Average:
    """One line: an entry, or a method with adapters trained on each task, over some tasks, beside the base on these."""

    name: str
    scores: dict[str, float]
    base: dict[str, float]


def page(view: View) -> str:
    """Return the page of averages."""
    return (
        f"# Average over tasks\n\n{view.sections(_section)}\n\n"
        "Accuracies are averaged over tasks, each counting the same. A line of a method takes for each task the "
        "adapters that were trained on it, averaged over seeds. The gain is over the bare base on the same tasks and "
        "is there only where the base was scored on all of them. Averages over different tasks do not compare; "
        "what was scored on one task of several has none.\n\n"
        f"## As published\n\n{published.reported_averages()}"
    )


def _section(found: CellTable) -> str:
    several = len({task for _, task in found}) > 1
    averages = [one for one in (*_methods(found), *_entries(found)) if len(one.scores) > 1 or not several]
    if not averages:
        return ""
    lines = sorted(averages, key=lambda one: (-len(one.scores), -_mean(one.scores), one.name))
    columns = ["entry", "tasks", "average accuracy", "its base", "gain"]
    return markdown(columns, [_line(one) for one in lines[:SHOWN]], len(lines))


def _entries(found: CellTable) -> list[Average]:
    scores: dict[Entry, dict[str, float]] = {}
    for (entry, task), cell in found.items():
        scores.setdefault(entry, {})[task] = accuracy(cell)
    return [
        Average(entry.title(), values, scores.get(entry.bare(), {}) if entry.adapter else {})
        for entry, values in scores.items()
    ]


def _methods(found: CellTable) -> list[Average]:
    """Return a line for each base and method that has adapters of its own for several tasks."""
    collected: dict[tuple[str, str, str], dict[str, list[float]]] = {}
    for (task, base, precision, method, _), cells in by_recipe(found).items():
        values = collected.setdefault((base, precision, method), {}).setdefault(task, [])
        values += [accuracy(cell) for cell in cells]
    bare = {
        (entry.base, entry.precision, task): accuracy(cell)
        for (entry, task), cell in found.items()
        if not entry.adapter and entry.model != "hf"
    }
    return [
        Average(
            f"{base} + {method}, trained on the task" + ("" if precision == "float32" else f" [{precision}]"),
            {task: stats.over_seeds(sorted(values)).mean for task, values in by_task.items()},
            {task: bare[base, precision, task] for task in by_task if (base, precision, task) in bare},
        )
        for (base, precision, method), by_task in collected.items()
        if len(by_task) > 1
    ]


def _line(one: Average) -> list[str]:
    tasks = ", ".join(short(task) for task in sorted(one.scores, key=task_order))
    base = {task: one.base[task] for task in one.scores if task in one.base}
    whole = len(base) == len(one.scores)
    return [
        one.name,
        f"{len(one.scores)}: {tasks}",
        f"{_mean(one.scores):.4f}",
        f"{_mean(base):.4f}" if whole else "–",
        f"{_mean(one.scores) - _mean(base):+.4f}" if whole else "–",
    ]


def _mean(scores: dict[str, float]) -> float:
    return sum(scores[task] for task in sorted(scores)) / len(scores)
