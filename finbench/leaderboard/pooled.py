"""Tests between lines of a board, each with one cell a seed: the answers of all its seeds to a row stay together.

Where each has one seed, these are the tests of `paired`. Where it has several, a row with all its answers is swapped as
a whole, as rows that repeat one another are, so more seeds are no more rows.
"""

from collections.abc import Sequence
from math import gcd

import numpy as np

from finbench.cells.key import Cell
from finbench.leaderboard import draws, exact, primary, stats
from finbench.leaderboard.paired import CellRows, Gained, Outcomes, labels_of

SEVERAL = "exact swaps of rows with all their seeds' answers"
Cells = Sequence[Cell]


def accuracy(outcomes: Outcomes, first: Cells, second: Cells) -> exact.Comparison | str:
    """Test by how much the second is more accurate in the mean over seeds; why not, in words, where rows differ.

    Where another metric than accuracy ranks a task, it is that one over all seeds' answers.
    """
    if len(first) == len(second) == 1:
        return outcomes.accuracy(first[0], second[0])
    rows = _rows(outcomes, first, second)
    if rows is None:
        return why_not(outcomes, first, second)
    if rows[0][0].worth is not None:
        one, other = (_worth(side) * times for side, times in _scaled(*rows))
        return primary.compared(one, other, rows[0][0].member)
    found = gained(outcomes, first, second)
    if found is None:
        return "no counts of right answers"
    test = exact.swapped(found.differences, len(found.ids) * found.times)
    return exact.Comparison(test.difference, test.p_value, SEVERAL, test.floor)


def f1(outcomes: Outcomes, first: Cells, second: Cells) -> exact.Comparison | str:
    """Test by how much the second's weighted F1 over all its seeds' answers is higher, by a permutation of clusters."""
    if len(first) == len(second) == 1:
        return outcomes.f1(first[0], second[0])
    if not (labels := labels_of(first[0])):
        return "no classes"
    rows = _rows(outcomes, first, second)
    if rows is None:
        return why_not(outcomes, first, second)
    one, other = (sum(each.counts(labels) for each in side) * times for side, times in _scaled(*rows))
    kinds, times = np.unique(np.concatenate([one, other], axis=1), axis=0, return_counts=True)
    first_kinds, second_kinds = np.split(kinds, 2, axis=1)
    return draws.permutation(first_kinds, second_kinds, times, stats.f1_of)


def gained(outcomes: Outcomes, first: Cells, second: Cells) -> Gained | None:
    """Return by how many answers to each cluster's rows the second has more right, `times` the rows; None where unlike.

    With unlike numbers of seeds both are counted as often as makes them the same. There is none either where right
    answers are not what ranks the task.
    """
    rows = _rows(outcomes, first, second)
    if rows is None or rows[0][0].worth is not None:
        return None
    one, other = (sum(each.right_by_cluster() for each in side) * times for side, times in _scaled(*rows))
    return Gained(rows[0][0].ids, np.asarray(other - one), len(rows[0]) * _scaled(*rows)[0][1])


def interval(outcomes: Outcomes, first: Cells, second: Cells) -> stats.Interval | None:
    """Return the clustered bootstrap interval of what the second has over the first; None where rows differ."""
    found, rows = gained(outcomes, first, second), outcomes.rows(first[0])
    if found is None or rows is None:
        return None
    sizes = np.bincount(rows.member) * found.times
    kinds, times = np.unique(np.stack([found.differences, sizes], axis=1), axis=0, return_counts=True)
    return stats.bootstrap(kinds.astype(np.float64), times, lambda sums: np.asarray(sums[:, 0] / sums[:, 1]))


def why_not(outcomes: Outcomes, first: Cells, second: Cells) -> str:
    """Return in words why two lines cannot be compared."""
    missing = any(outcomes.rows(cell) is None for cell in (*first, *second))
    return "rows' outcomes missing" if missing else "other rows"


def _scaled(
    first: list[CellRows], second: list[CellRows]
) -> tuple[tuple[list[CellRows], int], tuple[list[CellRows], int]]:
    """Return each side with how often it counts, so that both count as many answers a row."""
    shared = gcd(len(first), len(second))
    return (first, len(second) // shared), (second, len(first) // shared)


def _worth(side: list[CellRows]) -> exact.Floats:
    """Return what the answers of all seeds to each row are worth together, (N, K)."""
    found: exact.Floats = np.sum([rows.worth for rows in side if rows.worth is not None], axis=0)
    return found


def _rows(outcomes: Outcomes, first: Cells, second: Cells) -> tuple[list[CellRows], list[CellRows]] | None:
    sides = [[outcomes.rows(cell) for cell in side] for side in (first, second)]
    one, other = ([rows for rows in side if rows is not None] for side in sides)
    if len(one) < len(first) or len(other) < len(second):
        return None
    head = one[0]
    same = all(
        np.array_equal(head.ids, rows.ids) and np.array_equal(head.member, rows.member) for rows in (*one, *other)
    )
    return (one, other) if same else None
