"""Robustness: the accuracy that the same model loses on the same rows when their texts are perturbed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from finbench.cells.key import Cell, CellKey
from finbench.cells.order import newness
from finbench.data.perturb import PERTURBATIONS
from finbench.leaderboard import stats
from finbench.leaderboard.chosen import LEVEL, holm
from finbench.leaderboard.conditions import Condition
from finbench.leaderboard.exact import Comparison
from finbench.leaderboard.gains import not_shown, shown_p
from finbench.leaderboard.markdown import escaped, markdown
from finbench.leaderboard.paired import accuracy_interval
from finbench.leaderboard.table import Entry, accuracy, short, task_order
from finbench.leaderboard.view import View

LISTED = 40  # entries of a task, the most accurate ones on unchanged texts
NOTHING = (
    "No perturbed texts have been scored. A matrix asks for them with\n\n"
    f"```yaml\nperturb: [{', '.join(PERTURBATIONS)}]\n```\n"
)
ABOUT = (
    "Accuracy lost when the test texts are perturbed: written in lower or upper case, with two letters swapped in a "
    "tenth of the words, with numbers or tickers masked. Labels, questions, options and the shot stay. Loss is over "
    "all rows, also those whose text has nothing to change; below zero, accuracy was gained. A star marks a loss or "
    "gain that is shown by exact McNemar, or by all swaps of clusters where rows repeat, with Holm's correction over "
    "all of a task's results on perturbed texts. Intervals are a bootstrap of the rows' clusters at 95%. No other page "
    "counts these. A dash was not scored, or failed: upper case takes more tokens, and the front page names what no "
    "longer fits."
)


@dataclass(frozen=True)
class Loss:
    """One perturbed cell beside its twin on the unchanged texts, and the test between the two.

    `of` is the number of such pairs of the task: those that are listed were chosen from them.
    """

    entry: Entry
    clean: Cell
    cell: Cell
    test: Comparison | str
    of: int
    interval: stats.Interval | None
    moved: tuple[int, int] | None

    @property
    def kind(self) -> str:
        """Return by what the texts were changed."""
        return self.cell.key.perturbation

    @property
    def value(self) -> float:
        """Return the accuracy that was lost."""
        return accuracy(self.clean) - accuracy(self.cell)


Losses = dict[Condition, dict[str, list[Loss]]]


def page(view: View) -> str:
    """Return the page of robustness."""
    losses, alone = losses_of(view)
    if not view.perturbed:
        return f"# Robustness\n\n{NOTHING}"
    parts = []
    for condition, tasks in losses.items():
        apart = f"{escaped(condition.heading())}.\n\n" if condition.heading() else ""
        parts += [
            f"## {escaped(short(task))}\n\n{apart}{_section(tasks[task])}" for task in sorted(tasks, key=task_order)
        ]
    if alone:
        parts.append(
            f"{alone} perturbed results stand alone: the same weights have no score on the same unchanged rows, so no "
            "loss can be given. Score the matrix with `none` among its perturbations."
        )
    return f"# Robustness\n\n{ABOUT}\n\n" + "\n\n".join(parts) + "\n"


def losses_of(view: View) -> tuple[Losses, int]:
    """Return the losses by condition and task, and how many perturbed cells have no twin on unchanged texts."""
    if not view.perturbed:
        return {}, 0
    twins = {
        cell.key: (condition, entry, cell)
        for condition, found in view.found.items()
        for (entry, _), cell in found.items()
    }
    pairs: dict[tuple[CellKey, str], Cell] = {}
    alone = 0
    for cell in sorted(view.perturbed, key=newness):  # the newest rule's is kept
        twin = cell.key.unperturbed()
        if twin in twins:
            pairs[twin, cell.key.perturbation] = cell
        else:
            alone += 1
    by_place: dict[tuple[Condition, str], dict[CellKey, list[Cell]]] = {}
    for (twin, _), cell in pairs.items():
        by_place.setdefault((twins[twin][0], twin.task), {}).setdefault(twin, []).append(cell)
    losses: Losses = {}
    for (condition, task), cells in sorted(by_place.items()):
        ranked = sorted(cells, key=lambda twin: (-accuracy(twins[twin][2]), twins[twin][1]))[:LISTED]
        losses.setdefault(condition, {})[task] = [
            _loss(view, twins[twin][1], twins[twin][2], cell, sum(map(len, cells.values())))
            for twin in ranked
            for cell in sorted(cells[twin], key=lambda one: _kind_order(one.key.perturbation))
        ]
    return losses, alone


def _kind_order(kind: str) -> int:
    return PERTURBATIONS.index(kind) if kind in PERTURBATIONS else len(PERTURBATIONS)


def _loss(view: View, entry: Entry, clean: Cell, cell: Cell, of: int) -> Loss:
    test, interval = view.outcomes.accuracy(clean, cell), view.outcomes.loss_interval(clean, cell)
    return Loss(entry, clean, cell, test, of, interval, view.outcomes.moved(clean, cell))


def corrected(losses: Sequence[Loss]) -> list[float | None]:
    """Return the p-values of a task's tests, corrected for all of its pairs; None where there is no test."""
    tested = {str(n): one.test.p_value for n, one in enumerate(losses) if isinstance(one.test, Comparison)}
    by_number = holm(tested, max((one.of for one in losses), default=0))
    return [by_number.get(str(n)) for n in range(len(losses))]


def _section(losses: Sequence[Loss]) -> str:
    p_values = corrected(losses)
    kinds = sorted({one.kind for one in losses}, key=_kind_order)
    shown: dict[Entry, dict[str, str]] = {}
    for one, p_value in zip(losses, p_values, strict=True):
        star = " *" if p_value is not None and p_value < LEVEL else ""
        line = shown.setdefault(one.entry, {"clean": f"{accuracy(one.clean):.3f}"})
        line[one.kind] = f"{one.value:.3f}{star}"
    rows = [[entry.title(), *(line.get(name, "–") for name in ("clean", *kinds))] for entry, line in shown.items()]
    details = [_line(one, p_value) for one, p_value in zip(losses, p_values, strict=True)]
    columns = ["entry", "perturbed", "texts changed", "accuracy [95%]", "lost [95%]", "rows lost / gained", "verdict"]
    return (
        f"{markdown(['entry', 'unchanged', *(f'lost: {kind}' for kind in kinds)], rows)}\n\n"
        f"<details><summary>intervals and tests</summary>\n\n{markdown(columns, details)}\n\n</details>"
    )


def _line(one: Loss, p_value: float | None) -> list[str]:
    interval, share = accuracy_interval(one.cell), one.cell.perturbed_share
    return [
        one.entry.title(),
        one.kind,
        f"{share:.1%}" if share is not None else "–",
        f"{accuracy(one.cell):.3f} [{interval.low:.3f}, {interval.high:.3f}]",
        lost(one),
        f"{one.moved[0]} / {one.moved[1]}" if one.moved else "–",
        verdict(one, p_value),
    ]


def lost(one: Loss) -> str:
    """Return a loss with its interval."""
    if one.moved == (0, 0):  # an interval of no width would claim what no sample can
        return f"{one.value:.3f}, no row's outcome changed"
    return f"{one.value:.3f}" + (f" [{one.interval.low:.3f}, {one.interval.high:.3f}]" if one.interval else "")


def verdict(one: Loss, p_value: float | None) -> str:
    """Return in words whether anything was lost, or why that cannot be tested."""
    if p_value is None or isinstance(one.test, str):
        return str(one.test)
    if p_value >= LEVEL:
        return not_shown(one.test, p_value, one.of)
    return f"{'loses' if one.value > 0 else 'gains'} ({shown_p(p_value)})"


def flat(losses: Losses) -> Iterable[tuple[Condition, str, Loss, float | None]]:
    """Yield every loss with its condition, task and corrected p-value."""
    for condition, tasks in losses.items():
        for task in sorted(tasks, key=task_order):
            for one, p_value in zip(tasks[task], corrected(tasks[task]), strict=True):
                yield condition, task, one, p_value
