"""Pairs of entries on the same rows, by accuracy and by weighted F1: adapter with base, the best with its rivals."""

from collections.abc import Mapping

from finbench.cells.key import Cell
from finbench.leaderboard import stats
from finbench.leaderboard.pages.front import shown_gain
from finbench.leaderboard.paired import Outcomes
from finbench.leaderboard.table import Entry, markdown

Test = stats.Comparison | str


def pairs_of(top: Mapping[Entry, Cell], ranked: Mapping[Entry, Cell]) -> list[tuple[Entry, Entry]]:
    """Return who is tested against whom: each of the top against its bare base, and the best against the others."""
    bases = [(entry, bare) for entry in top if entry.adapter and (bare := entry.bare()) in ranked]
    best, *others = top
    return bases + [(best, other) for other in others if (best, other) not in bases]


def section(top: Mapping[Entry, Cell], ranked: Mapping[Entry, Cell], outcomes: Outcomes) -> str:
    """Return the table of pairs, "" where there is none to make; each column's p-values are corrected together."""
    pairs = pairs_of(top, ranked)
    if not pairs:
        return ""
    titles, columns = ["entry", "against"], []
    of_classes = bool(next(iter(top.values())).confusion)
    for name, test in [("accuracy", outcomes.accuracy), *([("weighted F1", outcomes.f1)] if of_classes else [])]:
        column = [test(ranked[other], ranked[entry]) for entry, other in pairs]
        titles.append(f"{name}, {_method(column)}")
        columns.append(_shown(column))
    rows = [[one.title(), other.title(), *found] for (one, other), *found in zip(pairs, *columns, strict=True)]
    return f"### Compared on the same rows\n\n{markdown(titles, rows)}"


def _shown(column: list[Test]) -> list[str]:
    tested = {str(n): test.p_value for n, test in enumerate(column) if isinstance(test, stats.Comparison)}
    corrected = stats.holm(tested)
    return [shown_gain(test, corrected.get(str(n))) for n, test in enumerate(column)]


def _method(column: list[Test]) -> str:
    """Return the name of the test, the same for all pairs: rows repeat in all of them or in none."""
    return next((test.method for test in column if isinstance(test, stats.Comparison)), "no test")
