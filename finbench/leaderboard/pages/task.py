"""One task: every entry with rank, intervals, gain and costs, then its seeds, pairs, classes and confusions."""

from collections.abc import Mapping, Sequence

from finbench.cells.key import Cell
from finbench.leaderboard import pooled, published, stats
from finbench.leaderboard.chosen import LEVEL, holm
from finbench.leaderboard.conditions import Condition, said_of
from finbench.leaderboard.exact import Comparison
from finbench.leaderboard.flags import has_price_question
from finbench.leaderboard.footnotes import Footnotes
from finbench.leaderboard.gains import RIVALS, Gain, pairs_among, shown_gain
from finbench.leaderboard.markdown import SHOWN, escaped, markdown, unbroken
from finbench.leaderboard.pages import pairs
from finbench.leaderboard.paired import Outcomes, constant_answer
from finbench.leaderboard.pictures.forest import GainOf, forest
from finbench.leaderboard.scored import Scored
from finbench.leaderboard.seeds import Line
from finbench.leaderboard.table import Entry, accuracy, file_stem, short
from finbench.leaderboard.training import is_own_task
from finbench.leaderboard.view import View

DETAILED = 6  # entries whose classes and confusions are shown
COLUMNS = (
    f"*Rank*, F1 intervals and tests are those of the {RIVALS} best; entries of one rank cannot be told from the first "
    "of them on these rows, corrected for all pairs of entries. A dot marks what was trained on this task; *seeds* is "
    "how many trainings an entry is the mean of, ± their standard deviation. Accuracy has Wilson's interval, F1 "
    "(weighted by class) a bootstrap of clusters, both at 95% for an entry by itself. *Over its base*: the "
    "difference to "
    "the same base without adapter on the same rows, corrected for all adapters that these were chosen from; where so "
    "few rows differ that no answers on them could show anything, it says so. *Training* is in seconds, *adapter* its "
    "size in MiB, *seconds a row* and *memory* (peak, GiB) are those of scoring."
)


def page(view: View, task: str, name: str) -> dict[str, str]:
    """Return the page of a task, to be called `name`, and its picture, by file name."""
    parts, gains = [], list[GainOf]()
    for number, (condition, ranked) in enumerate(view.boards[task].items()):
        found = view.gains(task, condition)
        heading = condition.heading() or "whole test set"
        parts += [f"## Ranked apart: {escaped(heading)}"] if number else []
        parts.append(_section(ranked, found, view, first=not number))
        gains += _drawn(condition, ranked, found, view.outcomes)
    picture = f"gains_{file_stem(task)}.svg"
    shown = f"![gain of each entry over its base with its interval; the table has the numbers]({picture})\n\n"
    text = f"# {escaped(short(task))}\n\n{shown if gains else ''}" + "\n\n".join(parts) + "\n"
    title = f"{short(task)}: accuracy gained over the same base without adapter"
    return {name: text, **({picture: forest(title, gains, view.colours)} if gains else {})}


def _section(ranked: Sequence[Scored], gains: Mapping[Line, Gain], view: View, first: bool) -> str:
    outcomes = view.outcomes
    notes = Footnotes(
        [cell for one in ranked[:SHOWN] for cell in one.cells], lambda cell: [*said_of(cell), *view.remarks(cell)]
    )
    ranks = _ranks(ranked[:RIVALS], outcomes, pairs_among(len(ranked)))
    rows = [
        [str(ranks.get(one.line, "–")), *_line(one, one.line in ranks, gains.get(one.line), outcomes, notes)]
        for one in ranked[:SHOWN]
    ]
    columns = ["rank", "entry", "trained by", "seeds", "accuracy", "weighted F1", "over its base", "training"]
    columns += ["adapter", "seconds a row", "memory"]
    table = unbroken(markdown(columns, rows, len(ranked), _published(ranked[0].task)))
    parts = [_about(ranked, outcomes), table, COLUMNS if first else "", notes.text()]
    parts += [published.sources([short(ranked[0].task)])] if first else []
    details = {"Each seed by itself": _seeds(ranked), "Pairs on the same rows": pairs.section(ranked, gains, outcomes)}
    if any(has_price_question(one.cells[0]) for one in ranked[:RIVALS]):
        details["Without the price question"] = _without_price(ranked[:RIVALS], outcomes)
    parts += [f"### {title}\n\n{said}" for title, said in details.items() if said]
    classes = [_classes(one) for one in ranked[:DETAILED] if one.cells[0].confusion]
    parts += ["### Classes\n\n" + "\n\n".join(classes)] if classes else []
    return "\n\n".join(part for part in parts if part)


def _line(one: Scored, is_top: bool, gain: Gain | None, outcomes: Outcomes, notes: Footnotes) -> list[str]:
    interval, size = one.interval(), one.adapter_mebibytes()
    training, per_row, memory = one.training_seconds(), one.seconds_per_row(), one.gibibytes()
    spread = one.spread()
    beside = f" ± {spread.deviation:.3f}" if spread is not None and spread.deviation is not None else ""
    return [
        f"{one.line.title}{' •' if is_own_task(one.cells[0]) else ''}{notes.mark(one.cells)}",
        one.line.method or "–",
        str(len(one.cells)),
        f"{one.accuracy:.3f} [{interval.low:.3f}, {interval.high:.3f}]{beside}",
        _f1(one, is_top, outcomes),
        shown_gain(gain.test, gain.p_value, gain.of) if gain else "–",
        f"{training:.0f}" if training is not None else "–",
        f"{size:.2f}" if size is not None else "–",
        f"{per_row:.4f}" if per_row is not None else "–",
        f"{memory:.2f}" if memory is not None else "–",
    ]


def _f1(one: Scored, is_top: bool, outcomes: Outcomes) -> str:
    spread = one.spread("f1_weighted")
    if spread is None:
        return "–"
    if spread.deviation is not None:
        return f"{spread.mean:.3f} ± {spread.deviation:.3f}"
    interval = outcomes.f1_interval(one.cells[0]) if is_top else None
    return f"{spread.mean:.3f}" + (f" [{interval.low:.3f}, {interval.high:.3f}]" if interval else "")


def _published(task: str) -> list[list[str]]:
    """Return the block of what others published on the task, in the columns of the board."""
    rows = []
    for one in published.lines_of(short(task)):
        numbers = [f"{value:g}" if value is not None else "–" for value in (one.mebibytes, one.seconds)]
        f1 = f"{one.f1:.3f}" if one.f1 is not None else "–"
        hours = f"{one.hours} GPU hours" if one.hours else "–"
        memory = f"{one.gibibytes:g} to train" if one.gibibytes is not None else "–"
        rows.append(["–", one.name, one.method or "–", "–", f"{one.accuracy:.3f}", f1, "–", hours, *numbers, memory])
    return [["–", f"*{published.HEADING}*", *[""] * 9], *rows] if rows else []


def _ranks(top: Sequence[Scored], outcomes: Outcomes, pairs: int) -> dict[Line, int]:
    """Return ranks; the tests against one head of a group are corrected together, for `pairs` that any might be."""
    ranks: dict[Line, int] = {}
    waiting = list(top)
    while waiting:
        head, *rest = waiting
        tests = {str(n): pooled.accuracy(outcomes, head.cells, other.cells) for n, other in enumerate(rest)}
        corrected = holm({n: test.p_value for n, test in tests.items() if isinstance(test, Comparison)}, pairs)
        group = [head.line]
        for n, other in enumerate(rest):
            if corrected.get(str(n), 0.0) < LEVEL:
                break  # a group ends at the first that differs, so that ranks follow the order
            group.append(other.line)
        ranks |= dict.fromkeys(group, len(ranks) + 1)
        waiting = waiting[len(group) :]
    return ranks


def _about(ranked: Sequence[Scored], outcomes: Outcomes) -> str:
    """Return what the test set can tell at all."""
    cell = ranked[0].cells[0]
    constant = constant_answer(cell)
    said = [f"{cell.n_rows} rows ({cell.n_clusters} different)"]
    said += [f"a constant answer has {constant:.3f}"] if constant is not None else []
    if len(ranked) > 1 and (discordant := outcomes.discordant(cell, ranked[1].cells[0])):
        level = LEVEL / pairs_among(len(ranked))
        least = stats.detectable_difference(discordant, cell.n_clusters, level=level)
        said.append(
            "the smallest difference that a test between the first two, corrected, finds four times in five is "
            f"{least:.3f}"
        )
    text = "; ".join(said) + "."
    return text[0].upper() + text[1:]


def _seeds(ranked: Sequence[Scored]) -> str:
    """Return the table of each seed of the entries that have several, with what no column of the board has."""
    several = [one for one in ranked[:SHOWN] if len(one.cells) > 1]
    order = [(one.line, entry, cell) for one in several for entry, cell in _by_entry(one)]
    names = ("accuracy", "f1_weighted", "f1_macro", "mcc")
    rows = [
        [entry.title(), *(f"{cell.metrics[name].value:.3f}" if name in cell.metrics else "–" for name in names)]
        for _, entry, cell in order
    ]
    columns = ["entry", "accuracy", "weighted F1", "macro F1", "Matthews correlation"]
    return markdown(columns, rows) if rows else ""


def _by_entry(one: Scored) -> list[tuple[Entry, Cell]]:
    """Return the entries of a line with their cells, in the order of the entries."""
    named = {(cell.key.adapter or cell.key.base): cell for cell in one.cells}
    return [(entry, named[entry.adapter]) for entry in one.line.entries if entry.adapter in named]


def _drawn(
    condition: Condition, ranked: Sequence[Scored], gains: Mapping[Line, Gain], outcomes: Outcomes
) -> list[GainOf]:
    """Return the gains of a condition as the picture shows them."""
    found = []
    apart = f", {condition.heading()}" if condition.heading() else ""
    for one in ranked:
        gain = gains.get(one.line)
        if gain is None or one.bare is None or isinstance(gain.test, str):
            continue
        if interval := pooled.interval(outcomes, [one.bare], one.cells):
            shown = gain.p_value is not None and gain.p_value < LEVEL
            name = f"{one.line.adapter()}{apart}"
            found.append(GainOf(name, one.line.family, gain.test.difference, interval.low, interval.high, shown))
    return found


def _without_price(top: Sequence[Scored], outcomes: Outcomes) -> str:
    rows = []
    for one in top:
        read = [found for cell in one.cells if (found := outcomes.rows(cell)) is not None]
        if read:
            without = sum(found.without_price_question() for found in read) / len(read)
            rows.append([one.line.title, f"{one.accuracy:.3f}", f"{without:.3f}"])
    table = markdown(["entry", "accuracy as published", "without the price question"], rows)
    return f'Most labels of the question "talk about price?" contradict the gold annotation.\n\n{table}'


def _classes(one: Scored) -> str:
    """Return precision, recall and F1 of each class beside the confusion matrix: of an entry's best seed."""
    cell = max(one.cells, key=lambda each: (accuracy(each), each.key.digest()))
    confusion = cell.confusion or {}
    labels = confusion["labels"]
    columns = ["true class", "precision", "recall", "F1", *(f"said {label}" for label in labels), "unread"]
    rows = [
        [label, *(f"{cell.per_class[label][name]:.3f}" for name in ("precision", "recall", "f1")), *counts]
        for label, counts in zip(labels, confusion["matrix"], strict=True)
    ]
    seed = f", its best seed ({cell.key.adapter or cell.key.base})" if len(one.cells) > 1 else ""
    return f"**{escaped(one.line.title)}**{escaped(seed)}\n\n{markdown(columns, rows)}"
