"""The average over tasks and the average gain over the base, as papers put them into their headline."""

from dataclasses import dataclass, replace

from finbench.leaderboard import published
from finbench.leaderboard.conditions import Condition
from finbench.leaderboard.footnotes import Footnotes
from finbench.leaderboard.markdown import SHOWN, markdown, unbroken
from finbench.leaderboard.scored import Scored
from finbench.leaderboard.table import accuracy, short, task_order
from finbench.leaderboard.training import is_own_task
from finbench.leaderboard.view import NOTHING, View

COLUMNS = (
    "Accuracies are averaged over tasks, each counting the same, and over seeds before that. *Trained on the task*: "
    "for "
    "each task the adapters of that method that were trained on it. *Its base* is the base without adapter on the same "
    "rows of the same tasks, *gain* the difference; both are there only where the base was scored on all of them. "
    "Averages over different tasks, or over different rows of them, do not compare; what was scored on one task of "
    "several has none."
)


@dataclass(frozen=True)
class Average:
    """One line: an entry, or a method with adapters trained on each task, over some tasks."""

    name: str
    family: str
    scores: dict[str, Scored]

    @property
    def mean(self) -> float:
        """Return the average over tasks."""
        return sum(one.accuracy for one in self.scores.values()) / len(self.scores)

    @property
    def base(self) -> float | None:
        """Return the average of the base on the same rows, None where it was not scored on all of them."""
        bare = [accuracy(one.bare) for one in self.scores.values() if one.bare is not None]
        return sum(bare) / len(bare) if len(bare) == len(self.scores) else None


def page(view: View) -> str:
    """Return the page of averages."""
    if not view.boards:
        return f"# Average over tasks\n\n{NOTHING}\n"
    several = len(view.boards) > 1
    averages = [one for one in (*_methods(view), *_entries(view)) if len(one.scores) > 1 or not several]
    lines = sorted(averages, key=lambda one: (-len(one.scores), -one.mean, one.name))
    shown = lines[:SHOWN]
    notes = Footnotes(cell for one in shown for scored in one.scores.values() for cell in scored.cells)
    columns = ["entry", "tasks", "average accuracy", "its base", "gain"]
    theirs = [
        [name, f"{tasks}: all", f"{mean:.4f}", *_gain(mean, base)] for name, tasks, mean, base in published.averages()
    ]
    below = [[f"*{published.HEADING}*", *[""] * 4], *theirs]
    table = unbroken(markdown(columns, [_line(one, notes) for one in shown], len(lines), below))
    told = published.sources([short(task) for task in view.boards])
    return f"# Average over tasks\n\n{table}\n\n{COLUMNS}\n\n{notes.text()}\n\n{told}\n"


def _entries(view: View) -> list[Average]:
    return [Average(line.title, line.family, dict(scores)) for (line, _), scores in view.by_line.items()]


def _methods(view: View) -> list[Average]:
    """Return a line for each base and method that has adapters of its own for several tasks."""
    collected: dict[tuple[str, str, str, Condition], dict[str, Scored]] = {}
    families: dict[tuple[str, str, str, Condition], str] = {}
    for (line, condition), scores in view.by_line.items():
        for task, one in scores.items():
            if line.method and is_own_task(one.cells[0]):
                place = (*line.entries[0].bare()[:2], line.method, condition)
                by_task = collected.setdefault(place, {})
                families[place] = line.family
                by_task[task] = _together(one, by_task[task]) if task in by_task else one
    return [
        Average(f"{base} + {method}, trained on the task", families[base, precision, method, condition], by_task)
        for (base, precision, method, condition), by_task in collected.items()
        if len({one.line for one in by_task.values()}) > 1
    ]


def _together(one: Scored, other: Scored) -> Scored:
    """Return two recipes of one method as one where they were scored on the same rows, else the one with more rows."""
    if one.condition == other.condition:
        return replace(other, cells=other.cells + one.cells)
    return max(one, other, key=lambda scored: scored.cells[0].n_rows)


def _line(one: Average, notes: Footnotes) -> list[str]:
    but = notes.shared([cell for scored in one.scores.values() for cell in scored.cells])
    in_order = sorted(one.scores.items(), key=lambda item: task_order(item[0]))
    tasks = ", ".join(f"{short(task)}{notes.mark(scored.cells, but)}" for task, scored in in_order)
    return [
        f"{one.name}{notes.numbers(sorted(but))}",
        f"{len(one.scores)}: {tasks}",
        f"{one.mean:.4f}",
        *_gain(one.mean, one.base),
    ]


def _gain(mean: float, base: float | None) -> list[str]:
    return ["–", "–"] if base is None else [f"{base:.4f}", f"{mean - base:+.4f}"]
