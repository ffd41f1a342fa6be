"""One task: every entry with rank, intervals and gain, then classes and confusion matrices of the best."""

from collections.abc import Mapping

from finbench.cells.key import Cell
from finbench.leaderboard import stats
from finbench.leaderboard.chosen import LEVEL, holm
from finbench.leaderboard.exact import Comparison
from finbench.leaderboard.flags import has_price_question
from finbench.leaderboard.gains import RIVALS, Gain, pairs_among, shown_gain
from finbench.leaderboard.markdown import SHOWN, escaped, markdown
from finbench.leaderboard.pages import pairs
from finbench.leaderboard.paired import Outcomes, accuracy_interval, constant_answer
from finbench.leaderboard.table import CellTable, Entry, accuracy, of_task, short
from finbench.leaderboard.training import is_own_task
from finbench.leaderboard.view import View

DETAILED = 6  # entries whose classes and confusions are shown


def page(view: View, task: str) -> str:
    """Return the page of a task."""

    def section(found: CellTable) -> str:
        ranked = of_task(found, task)
        return _section(ranked, view.gains(found, task), view) if ranked else ""

    return (
        f"# {escaped(short(task))}\n\n{view.sections(section)}\n\n"
        f"Accuracy with Wilson's interval, F1 with a bootstrap of clusters, both at 95% for an entry by itself. Ranks, "
        f"F1 intervals and tests are those of the {RIVALS} best. Gains are corrected for all adapters that these were "
        "chosen from; entries of one rank cannot be told from the first of them on these rows, corrected for all pairs "
        "of entries. Pairs are tested by accuracy and, by a permutation of clusters, by weighted F1. Where so few rows "
        "differ that no answers on them could show anything, it says so. A dot marks an adapter that was trained on "
        "this task.\n"
    )


def _section(ranked: Mapping[Entry, Cell], gains: Mapping[Entry, Gain], view: View) -> str:
    outcomes = view.outcomes
    top = dict(list(ranked.items())[:RIVALS])
    ranks = _ranks(top, outcomes, pairs_among(len(ranked)))
    rows = []
    for entry, cell in list(ranked.items())[:SHOWN]:
        found = gains.get(entry)
        gain = shown_gain(found.test, found.p_value, found.of) if found else "–"
        known = "; ".join(view.remarks(cell)) or "–"
        rows.append([str(ranks.get(entry, "–")), *_line(entry, cell, entry in top, outcomes), gain, known])
    columns = ["rank", "entry", "accuracy [95%]", "weighted F1 [95%]", "macro F1", "MCC", "over its base", "to know"]
    priced = any(has_price_question(cell) for cell in top.values())
    text = f"{_about(ranked, outcomes)}\n\n{markdown(columns, rows, len(ranked))}"
    if compared := pairs.section(top, ranked, gains, outcomes):
        text += f"\n\n{compared}"
    if priced:
        text += f"\n\n{_without_price(top, outcomes)}"
    detailed = [(entry, cell) for entry, cell in list(ranked.items())[:DETAILED] if cell.confusion]
    return text + "".join(f"\n\n{_classes(entry, cell)}" for entry, cell in detailed)


def _line(entry: Entry, cell: Cell, is_top: bool, outcomes: Outcomes) -> list[str]:
    interval, f1 = accuracy_interval(cell), cell.metrics.get("f1_weighted")
    own = " •" if is_own_task(cell) else ""
    f1_interval = outcomes.f1_interval(cell) if is_top and f1 else None
    shown = f"{f1.value:.3f}" if f1 else "–"
    if f1_interval:
        shown += f" [{f1_interval.low:.3f}, {f1_interval.high:.3f}]"
    others = [cell.metrics[name].value if name in cell.metrics else None for name in ("f1_macro", "mcc")]
    return [
        entry.title() + own,
        f"{accuracy(cell):.3f} [{interval.low:.3f}, {interval.high:.3f}]",
        shown,
        *("–" if value is None else f"{value:.3f}" for value in others),
    ]


def _ranks(top: Mapping[Entry, Cell], outcomes: Outcomes, pairs: int) -> dict[Entry, int]:
    """Return ranks; the tests against one head of a group are corrected together, for `pairs` that any might be."""
    ranks: dict[Entry, int] = {}
    waiting = list(top)
    while waiting:
        head, *rest = waiting
        tests = {str(n): outcomes.accuracy(top[head], top[other]) for n, other in enumerate(rest)}
        corrected = holm({n: test.p_value for n, test in tests.items() if isinstance(test, Comparison)}, pairs)
        group = [head]
        for n, other in enumerate(rest):
            if corrected.get(str(n), 0.0) < LEVEL:
                break  # a group ends at the first that differs, so that ranks follow the order
            group.append(other)
        ranks |= dict.fromkeys(group, len(ranks) + 1)
        waiting = waiting[len(group) :]
    return ranks


def _about(ranked: Mapping[Entry, Cell], outcomes: Outcomes) -> str:
    """Return what the test set can tell at all."""
    cells = list(ranked.values())
    constant = constant_answer(cells[0])
    said = [f"{cells[0].n_rows} rows ({cells[0].n_clusters} different)"]
    said += [f"a constant answer has {constant:.3f}"] if constant is not None else []
    if len(cells) > 1 and (discordant := outcomes.discordant(cells[0], cells[1])):
        level = LEVEL / pairs_among(len(cells))
        least = stats.detectable_difference(discordant, cells[0].n_clusters, level=level)
        said.append(
            "the smallest difference that a test between the first two, corrected, finds four times in five is "
            f"{least:.3f}"
        )
    text = "; ".join(said) + "."
    return text[0].upper() + text[1:]


def _without_price(top: Mapping[Entry, Cell], outcomes: Outcomes) -> str:
    rows = []
    for entry, cell in top.items():
        if (found := outcomes.rows(cell)) is not None:
            rows.append([entry.title(), f"{accuracy(cell):.3f}", f"{found.without_price_question():.3f}"])
    table = markdown(["entry", "accuracy as published", "without the price question"], rows)
    return f'Most labels of the question "talk about price?" contradict the gold annotation.\n\n{table}'


def _classes(entry: Entry, cell: Cell) -> str:
    """Return precision, recall and F1 of each class beside the confusion matrix, one table an entry."""
    confusion = cell.confusion or {}
    labels = confusion["labels"]
    columns = ["true class", "precision", "recall", "F1", *(f"said {label}" for label in labels), "unread"]
    rows = [
        [label, *(f"{cell.per_class[label][name]:.3f}" for name in ("precision", "recall", "f1")), *counts]
        for label, counts in zip(labels, confusion["matrix"], strict=True)
    ]
    return f"### {escaped(entry.title())}\n\n{markdown(columns, rows)}"
