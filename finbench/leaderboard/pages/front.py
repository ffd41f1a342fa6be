"""The front page: what is best for each task, is it really better than its base, at what cost, can it be trusted."""

from collections.abc import Mapping
from dataclasses import dataclass

from finbench.cells.key import Cell
from finbench.leaderboard import stats
from finbench.leaderboard.flags import with_outcomes
from finbench.leaderboard.paired import Outcomes, accuracy_interval, constant_answer
from finbench.leaderboard.table import (
    Entry,
    Found,
    accuracy,
    gibibytes,
    markdown,
    mebibytes,
    needs_head,
    of_task,
    record_of,
    seconds,
    short,
    tasks_of,
)
from finbench.leaderboard.view import View

TITLE = "# Leaderboards"
LEVEL = 0.05
RIVALS = 12  # entries next to the best that are tested against it


@dataclass(frozen=True)
class Best:
    """The most accurate entry of a task: what became of its test against its base, and who is tied with it."""

    task: str
    entry: Entry
    cell: Cell
    gain: stats.Comparison | str
    tied: tuple[Entry, ...]
    tested: int


def page(view: View, others: Mapping[str, str]) -> str:
    """Return the page; `others` are the titles of the other pages by file name."""
    boards, tasks = (
        ", ".join(f"[{title}]({name})" for name, title in others.items() if name.startswith("task_") == of_task)
        for of_task in (False, True)
    )
    return (
        f"{TITLE}\n\n"
        "What is best for each task, whether it is really better than its base on the same rows, what it costs and "
        "what to know before believing it.\n\n"
        f"- Boards: {boards}\n- Tasks: {tasks or 'none yet'}\n"
        "- Every score to sort and filter, with its proof: [index.html](index.html), to be opened in a browser\n\n"
        f"{view.sections(lambda found: _section(found, view.outcomes))}\n\n"
        "Intervals are Wilson's at 95% on the effective number of rows (rows that repeat one another count once). "
        "Gains and ties are tested on the same rows by exact McNemar, or by a permutation of clusters where rows "
        "repeat; p is corrected by Holm over the gains of a table, and over the entries tested against a task's best. "
        f"An entry is tied with the best where the corrected p is {LEVEL} or more; the {RIVALS} next to it are "
        "tested. A constant answer is the share of the largest class: what always saying the same would score. A bare "
        "base without a trained head cannot answer at all, so there is nothing to gain over. Memory is the process's "
        "peak on the CPU, allocated bytes on a GPU.\n"
        f"{view.notes()}"
    )


def _section(found: Found, outcomes: Outcomes) -> str:
    all_best = [best_of(found, task, outcomes) for task in tasks_of(found)]
    measured = {one.task: one.gain.p_value for one in all_best if isinstance(one.gain, stats.Comparison)}
    corrected = stats.holm(measured)
    columns = ["task", "best", "accuracy [95% interval]", "over its base", "tied with it", "constant answer"]
    quality = markdown(columns, [_quality(one, corrected.get(one.task)) for one in all_best])
    costs = [_cost(one, outcomes) for one in all_best if accuracy(one.cell)]
    columns = ["task", "best", "adapter", "training", "scoring", "memory", "rows (effective)", "to know"]
    return f"{quality}\n\n{markdown(columns, costs)}" if costs else quality


def best_of(found: Found, task: str, outcomes: Outcomes) -> Best:
    """Return the most accurate entry of a task with its tests."""
    ranked = of_task(found, task)
    (entry, cell), *rivals = ranked.items()
    tests = {other: outcomes.accuracy(cell, rival) for other, rival in rivals[:RIVALS]}
    p_values = {other: test.p_value for other, test in tests.items() if isinstance(test, stats.Comparison)}
    corrected = stats.holm({str(n): p for n, p in enumerate(p_values.values())})
    tied = tuple(other for n, other in enumerate(p_values) if corrected[str(n)] >= LEVEL)
    return Best(task, entry, cell, gain_of(entry, ranked, outcomes), tied, len(p_values))


def gain_of(entry: Entry, ranked: Mapping[Entry, Cell], outcomes: Outcomes) -> stats.Comparison | str:
    """Return the difference to the bare base on the same rows, or in words why there is none."""
    bare = entry.bare()
    if not entry.adapter:
        return "is a base"
    if bare not in ranked:
        return "its base cannot answer" if needs_head(ranked[entry]) else "base not scored"
    return outcomes.accuracy(ranked[bare], ranked[entry])


def shown_gain(gain: stats.Comparison | str, p_value: float | None) -> str:
    """Return a gain with its corrected p-value and what that means, in words."""
    if isinstance(gain, str) or p_value is None:
        return str(gain)
    p = f"{p_value:.3f}" if p_value >= 0.001 else "< 0.001"
    if p_value >= LEVEL:
        verdict = "not shown to differ"
    else:
        verdict = "better" if gain.difference > 0 else "worse"
    return f"{gain.difference:+.3f}, {verdict} (p {p})"


def _quality(one: Best, p_value: float | None) -> list[str]:
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
        shown_gain(one.gain, p_value),
        tied or ("none" if one.tested else "nothing to compare"),
        f"{constant:.3f}" if constant is not None else "–",
    ]


def _beside(best: Entry, other: Entry) -> str:
    """Return another entry's name, without the base where that is the best's too."""
    return f"+ {other.adapter}" if other.adapter and other._replace(adapter=best.adapter) == best else other.title()


def _cost(one: Best, outcomes: Outcomes) -> list[str]:
    cell = one.cell
    training = record_of(cell).get("resources", {}).get("elapsed_seconds")
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
