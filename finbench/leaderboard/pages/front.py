"""The front page, one screen: the best of each task, what it gains and costs, what was learned, and the way on."""

from collections.abc import Mapping
from dataclasses import dataclass

from finbench.cells.key import Cell
from finbench.leaderboard import pooled, published
from finbench.leaderboard.chosen import LEVEL, holm
from finbench.leaderboard.conditions import said_of
from finbench.leaderboard.exact import Comparison
from finbench.leaderboard.flags import with_outcomes
from finbench.leaderboard.footnotes import Footnotes
from finbench.leaderboard.gains import RIVALS, Gain, pairs_among, shown_gain
from finbench.leaderboard.markdown import escaped, markdown, unbroken
from finbench.leaderboard.pages import learned
from finbench.leaderboard.paired import constant_answer
from finbench.leaderboard.scored import Scored
from finbench.leaderboard.seeds import Line
from finbench.leaderboard.table import accuracy, short
from finbench.leaderboard.view import NOTHING, View

TITLE = "# Leaderboards"
QUESTION = (
    "Which language model with which adapter answers each of these financial tasks best, is it really better than its "
    "base on the same rows, and what does it cost?"
)
ABOUT = (
    "*Accuracy*: share of test rows answered rightly, its 95% interval, ± over (so many) seeds. *Its base*: without "
    "adapter; one without a trained head cannot answer. *Gain*: tested on the same rows. *Tied*: other entries that "
    "these rows cannot tell from the best. *One answer*: always giving the commonest. *To train*: time, size of the "
    "adapter; *to answer*: time a row, and peak memory. *Published*: Llama 3.1 8B → with its better adapter, on other "
    "rows, not ranked. Entries on other rows or with another row cap are never ranked against each other: here the way "
    "with most rows counts ([how the numbers are made](notes.md))."
)


COLUMNS = (
    "task", "best entry", "accuracy", "its base", "gain", "tied", "one answer", "to train", "to answer", "published"
)  # fmt: skip


@dataclass(frozen=True)
class Best:
    """The most accurate line of a task: what became of its test against its base, and who is tied with it."""

    scored: Scored
    gain: Gain
    tied: tuple[Line, ...]
    tested: int


def page(view: View, others: Mapping[str, str]) -> str:
    """Return the page; `others` are the titles of the other pages by file name."""
    boards, tasks = (
        ", ".join(
            f"[{escaped(title)}]({name})" for name, title in others.items() if name.startswith("task_") == of_task
        )
        for of_task in (False, True)
    )
    troubles = view.troubles()
    return (
        f"{TITLE}\n\n{QUESTION}\n\n{_answer(view)}\n\n"
        "**The rest**\n\n"
        f"- A page a task, with every entry and its seeds: {tasks or 'none yet'}\n- Boards: {boards}\n"
        "- Every score to sort and filter, with its proof: [index.html](index.html), to be opened in a browser\n"
        + (f"- What went wrong: {troubles}: [notes](notes.md)\n" if troubles else "")
    )


def _answer(view: View) -> str:
    """Return the table of tasks, what its columns mean, and what was learned."""
    if not view.boards:
        return NOTHING
    found = [best_of(view, task) for task in view.boards]
    measured = {one.scored.task: one.gain.p_value for one in found if one.gain.p_value is not None}
    corrected = holm(measured)
    notes = Footnotes(
        [cell for one in found for cell in one.scored.cells],
        lambda cell: [*said_of(cell), *_known(cell, view)],
    )
    rows = [_row(one, corrected.get(one.scored.task), len(measured), notes) for one in found]
    learnt = "\n".join(f"- {escaped(one)}" for one in learned.sentences(view, found))
    table = unbroken(markdown(COLUMNS, rows))
    return f"{table}\n\n{ABOUT}\n\n{notes.text(' ')}\n\n**What was learned**\n\n{learnt}"


def _known(cell: Cell, view: View) -> list[str]:
    """Return the remarks on a cell, and under which other conditions its task was scored."""
    others = [condition.heading() or "whole test set" for condition in list(view.boards[cell.key.task])[1:]]
    apart = [f"also on its page, ranked apart: {'; '.join(others)}"] if others else []
    known = [one for one in with_outcomes(cell, view.outcomes) if one not in SAID_ABOVE]
    return known + apart


SAID_ABOVE = ("sample rows",)  # remarks that a condition says in full


def best_of(view: View, task: str) -> Best:
    """Return the most accurate line of a task under its first condition, with its tests."""
    best, *rivals = view.main(task)
    tests = {one.line: pooled.accuracy(view.outcomes, best.cells, one.cells) for one in rivals[:RIVALS]}
    p_values = {line: test.p_value for line, test in tests.items() if isinstance(test, Comparison)}
    corrected = holm({str(n): p for n, p in enumerate(p_values.values())}, pairs_among(len(rivals) + 1))
    tied = tuple(line for n, line in enumerate(p_values) if corrected[str(n)] >= LEVEL)
    return Best(best, view.gains(task, best.condition)[best.line], tied, len(p_values))


def _row(one: Best, p_value: float | None, tasks: int, notes: Footnotes) -> list[str]:
    best, line = one.scored, one.scored.line
    constant, published_8b = constant_answer(best.cells[0]), published.eight_b(short(best.task))
    name, mark = f"{short(best.task)}{notes.mark(best.cells)}", f"{constant:.3f}" if constant is not None else "–"
    if not best.accuracy:
        high = f"0.000 [0.000, {best.interval().high:.3f}]"
        return [name, "no entry answers a row rightly", high, "–", "–", "–", mark, "–", "–", published_8b]
    return [
        name,
        f"{line.method}: {line.title}" if line.method else line.title,
        shown_accuracy(best),
        f"{accuracy(best.bare):.3f}" if best.bare else ("cannot answer" if not line.is_base else "–"),
        shown_gain(one.gain.test, p_value, one.gain.of * tasks) if p_value is not None else "–",
        str(len(one.tied)) if one.tested else "alone",
        mark,
        *_costs(best),
        published_8b,
    ]


def shown_accuracy(one: Scored) -> str:
    """Return an accuracy with its interval and its spread over seeds."""
    interval, spread = one.interval(), one.spread()
    text = f"{one.accuracy:.3f} [{interval.low:.3f}, {interval.high:.3f}]"
    several = spread is not None and spread.deviation is not None
    return text + (f" ± {spread.deviation:.3f} ({spread.n})" if several and spread else "")


def _costs(one: Scored) -> list[str]:
    """Return what an entry costs to train and keep, and to use."""
    train = [(one.training_seconds(), f"{{:.0f}}{one.training_mark()} s"), (one.adapter_mebibytes(), "{:.1f} MiB")]
    answer = [(one.seconds_per_row(), f"{{:.3f}}{one.scoring_mark()} s"), (one.gibibytes(), "{:.1f} GiB")]
    return [
        ", ".join(text.format(value) for value, text in parts if value is not None) or "–" for parts in (train, answer)
    ]
