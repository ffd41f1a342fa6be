"""The front page: what is best for each task, is it really better than its base, at what cost, can it be trusted."""

from collections.abc import Mapping
from dataclasses import dataclass

from finbench.cells.key import Cell
from finbench.leaderboard.chosen import LEVEL, holm
from finbench.leaderboard.exact import Comparison
from finbench.leaderboard.flags import with_outcomes
from finbench.leaderboard.gains import RIVALS, Gain, pairs_among, shown_gain
from finbench.leaderboard.markdown import escaped, markdown
from finbench.leaderboard.paired import Outcomes, accuracy_interval, constant_answer
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
from finbench.leaderboard.training import costs_of
from finbench.leaderboard.view import View

TITLE = "# Leaderboards"
ABOUT = (
    "Intervals are Wilson's at 95% on the effective number of rows (rows that repeat one another count once), each "
    "for an entry by itself: the best of many is a little lucky. Gains and ties are tested on the same rows by exact "
    "McNemar, or by all swaps of clusters where rows repeat. The p of a gain is corrected for all entries of the "
    "task that the best was chosen from (Westfall and Young's smallest p, or Holm), then by Holm over the tasks of a "
    f"table. An entry is tied with the best where p is {LEVEL} or more; the {RIVALS} next to it are tested, and p is "
    "corrected for all pairs of the task's entries, since any might have been the best and its rival. Where so few "
    "rows differ that no answers on them could show anything, a table says so. A constant answer is the share of the "
    "largest class: what always saying the same would score. A bare base without a trained head cannot answer at "
    "all, so there is nothing to gain over. Memory is the process's peak on the CPU, allocated bytes on a GPU."
)


@dataclass(frozen=True)
class Best:
    """The most accurate entry of a task: what became of its test against its base, and who is tied with it."""

    task: str
    entry: Entry
    cell: Cell
    gain: Gain
    tied: tuple[Entry, ...]
    tested: int


def page(view: View, others: Mapping[str, str]) -> str:
    """Return the page; `others` are the titles of the other pages by file name."""
    boards, tasks = (
        ", ".join(
            f"[{escaped(title)}]({name})" for name, title in others.items() if name.startswith("task_") == of_task
        )
        for of_task in (False, True)
    )
    return (
        f"{TITLE}\n\n"
        "What is best for each task, whether it is really better than its base on the same rows, what it costs and "
        "what to know before believing it.\n\n"
        f"- Boards: {boards}\n- Tasks: {tasks or 'none yet'}\n"
        "- Every score to sort and filter, with its proof: [index.html](index.html), to be opened in a browser\n\n"
        f"{view.sections(lambda found: _section(found, view))}\n\n"
        f"{ABOUT}\n"
        f"{view.notes()}"
    )


def _section(found: CellTable, view: View) -> str:
    all_best = [best_of(found, task, view) for task in tasks_of(found)]
    measured = {one.task: one.gain.p_value for one in all_best if one.gain.p_value is not None}
    corrected = holm(measured)
    columns = ["task", "best", "accuracy [95% interval]", "over its base", "tied with it", "constant answer"]
    shown = [_quality(one, corrected.get(one.task), len(measured)) for one in all_best]
    quality = markdown(columns, shown)
    costs = [_cost(one, view.outcomes) for one in all_best if accuracy(one.cell)]
    columns = ["task", "best", "adapter", "training", "scoring", "memory", "rows (effective)", "to know"]
    return f"{quality}\n\n{markdown(columns, costs)}" if costs else quality


def best_of(found: CellTable, task: str, view: View) -> Best:
    """Return the most accurate entry of a task with its tests."""
    ranked = of_task(found, task)
    (entry, cell), *rivals = ranked.items()
    tests = {other: view.outcomes.accuracy(cell, rival) for other, rival in rivals[:RIVALS]}
    p_values = {other: test.p_value for other, test in tests.items() if isinstance(test, Comparison)}
    corrected = holm({str(n): p for n, p in enumerate(p_values.values())}, pairs_among(len(ranked)))
    tied = tuple(other for n, other in enumerate(p_values) if corrected[str(n)] >= LEVEL)
    return Best(task, entry, cell, view.gains(found, task)[entry], tied, len(p_values))


def _quality(one: Best, p_value: float | None, tasks: int) -> list[str]:
    interval, constant = accuracy_interval(one.cell), constant_answer(one.cell)
    if not accuracy(one.cell):
        nobody = ["no entry answers a row rightly", f"0.000 [0.000, {interval.high:.3f}]", "–", "–"]
        return [short(one.task), *nobody, f"{constant:.3f}" if constant is not None else "–"]
    tied = ", ".join(_beside(one.entry, other) for other in one.tied[:3])
    tied += f" and {len(one.tied) - 3} more" if len(one.tied) > 3 else ""
    return [
        short(one.task),
        one.entry.title(),
        f"{accuracy(one.cell):.3f} [{interval.low:.3f}, {interval.high:.3f}]",
        shown_gain(one.gain.test, p_value, one.gain.of * tasks),
        tied or ("none" if one.tested else "nothing to compare"),
        f"{constant:.3f}" if constant is not None else "–",
    ]


def _beside(best: Entry, other: Entry) -> str:
    """Return another entry's name, without the base where that is the best's too."""
    return f"+ {other.adapter}" if other.adapter and other._replace(adapter=best.adapter) == best else other.title()


def _cost(one: Best, outcomes: Outcomes) -> list[str]:
    cell = one.cell
    training = costs_of(cell).seconds
    return [
        short(one.task),
        one.entry.title(),
        f"{mebibytes(cell)} MiB" if cell.adapter else "–",
        f"{training:.0f} s" if training is not None else "–",
        f"{seconds(cell)} s/row",
        f"{gibibytes(cell)} GiB",
        f"{cell.n_rows} ({cell.n_clusters})",
        "; ".join(with_outcomes(cell, outcomes)) or "–",
    ]
