"""One metric, every entry on every task with the published numbers below: the pages of accuracy and weighted F1."""

from finbench.leaderboard import published, published_finlora
from finbench.leaderboard.footnotes import Footnotes
from finbench.leaderboard.markdown import SHOWN, markdown, unbroken
from finbench.leaderboard.primary import ACCURACY, metric_of, name_of, title_of
from finbench.leaderboard.scored import Scored
from finbench.leaderboard.seeds import Line
from finbench.leaderboard.table import short
from finbench.leaderboard.view import NOTHING, View

COLUMNS = (
    "*Entry* is a base, or a base + its adapter; *trained by* says with which method. Numbers are the share of test "
    "rows answered rightly (accuracy, or the metric named beside it that ranks the task), or F1 averaged over classes "
    "by their rows (weighted F1): value ± standard error, clustered where rows repeat; of several seeds mean ± their "
    "standard deviation (and number). Bold is the highest of a task among entries on the same rows, and of no other "
    "rows; whether it is shown to be the best, the task's page says. † marks a score with something to know before "
    "believing it: see the task's page."
)


def accuracy_page(view: View) -> str:
    """Return the page of accuracies."""
    return _page(view, "accuracy", "Accuracy")


def f1_page(view: View) -> str:
    """Return the page of weighted F1s."""
    return _page(view, "f1_weighted", "Weighted F1")


def _page(view: View, metric: str, name: str) -> str:
    found = {line: scores for line, scores in view.by_line.items() if any(_has(one, metric) for one in scores.values())}
    tasks = [task for task in view.boards if any(task in scores for scores in found.values())]
    if not found:
        return f"# {name}\n\n{'No task here has this metric.' if view.boards else NOTHING}\n"
    best = {task: _best(view.main(task), metric) for task in tasks}
    shown = dict(list(found.items())[:SHOWN])
    notes = Footnotes(cell for scores in shown.values() for one in scores.values() for cell in one.cells)

    def value(one: Scored | None, but: frozenset[str]) -> str:
        if one is None or (spread := one.spread(metric)) is None:
            return "–"
        number = f"{spread.mean:.4f}"
        first = one.condition == view.main(one.task)[0].condition
        number = f"**{number}**" if first and spread.mean == best[one.task] else number
        known = " †" if any(view.remarks(cell) for cell in one.cells) else ""
        ranked_by = name_of(one.cells[0]) if metric == ACCURACY else ACCURACY
        other = f" {title_of(one.cells[0])}" if ranked_by != ACCURACY else ""
        return f"{number}{_beside(one, metric)}{other}{known}{notes.mark(one.cells, but)}"

    rows = []
    for (line, _), scores in shown.items():
        but = notes.shared([cell for one in scores.values() for cell in one.cells])
        numbers = [value(scores.get(task), but) for task in tasks]
        rows.append([f"{line.title}{notes.numbers(sorted(but))}", line.method or "–", *numbers])
    rows = _with_bases(rows, list(shown), view, len(tasks))
    table = unbroken(markdown(["entry", "trained by", *map(short, tasks)], rows, len(found), _published(tasks, metric)))
    sources = published.sources([short(task) for task in tasks])
    return (
        f"# {name}\n\n{table}\n\n{COLUMNS}\n\n{notes.text()}\n\n{sources}\n\n"
        f"## Published on further tasks\n\n{published_finlora.reported(metric)}"
    )


def _has(one: Scored, metric: str) -> bool:
    return any(metric in cell.metrics for cell in one.cells)


def _best(ranked: list[Scored], metric: str) -> float | None:
    """Return the highest number of a task's lines, None where they do not differ."""
    values = [spread.mean for one in ranked if (spread := one.spread(metric)) is not None]
    return max(values) if values and max(values) > min(values) else None


def _beside(one: Scored, metric: str) -> str:
    """Return what stands beside a value: the spread over seeds with their number, or the standard error."""
    spread = one.spread(metric)
    if spread is not None and spread.deviation is not None:
        return f" ± {spread.deviation:.4f} ({spread.n})"
    error = metric_of(one.cells[0], metric).stderr
    return f" ± {error:.4f}" if error is not None else ""


def _with_bases(rows: list[list[str]], lines: list[tuple[Line, object]], view: View, tasks: int) -> list[list[str]]:
    """Return the rows with those bases that have no head to answer with, each before its adapters."""
    known, found = {line.entries[0] for line, _ in lines}, []
    headless = {
        one.line.entries[0].bare()
        for conditions in view.boards.values()
        for ranked in conditions.values()
        for one in ranked
        if one.cannot_be_bare()
    } - known
    for (line, _), row in zip(lines, rows, strict=True):
        bare = line.entries[0].bare()
        if bare in headless:
            headless.discard(bare)
            found.append([bare.title(), "–", *["no head"] * tasks])
        found.append(row)
    return found


def _published(tasks: list[str], metric: str) -> list[list[str]]:
    """Return the block of published numbers below ours."""
    found = published.by_model(
        [short(task) for task in tasks], lambda one: one.accuracy if metric == "accuracy" else one.f1
    )
    rows = [
        [name, method or "–", *("–" if value is None else f"{value:.4f}" for value in values)]
        for name, method, values in found
    ]
    return [[f"*{published.HEADING}*", *[""] * (len(tasks) + 1)], *rows] if rows else []
