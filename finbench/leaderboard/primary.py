"""The metric by which entries are ranked on a task, as the kind of its answers says: accuracy, F1 or ROUGE-L."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from finbench.cells.key import Cell
from finbench.leaderboard import draws, exact, stats
from finbench.records import Metric
from finbench.scoring.kinds import kind_called
from finbench.scoring.metrics import Floats, ratio

ACCURACY = "accuracy"
NAMES: Mapping[str, str] = {"f1": "F1", "rouge_l": "ROUGE-L", "bertscore": "BERTScore"}
Z = 1.959964  # of a 95% interval


def name_of(cell: Cell) -> str:
    """Return the name of the metric that a cell is ranked by."""
    name = kind_called(cell.kind).primary
    return name if name in cell.metrics else ACCURACY


def title_of(cell: Cell) -> str:
    """Return that name as people write it."""
    return NAMES.get(name_of(cell), name_of(cell))


def metric_of(cell: Cell, name: str = ACCURACY) -> Metric:
    """Return a metric of a cell, where accuracy stands for the one that it is ranked by."""
    return cell.metrics[name_of(cell) if name == ACCURACY else name]


def interval_of(cell: Cell) -> stats.Interval | None:
    """Return the normal interval of a primary metric other than accuracy; None for accuracy, which has a better one."""
    if name_of(cell) == ACCURACY:
        return None
    metric = metric_of(cell)
    reach = Z * (metric.stderr or 0.0)
    return stats.Interval(max(0.0, metric.value - reach), min(1.0, metric.value + reach))


def worth_of(table: Any, cell: Cell) -> Floats | None:
    """Return what each row is worth by that metric, (N, K), of a table of outcomes; None for accuracy.

    With counts they are what was right, said and wanted; else the row's value, and a one to divide by.
    """
    kind, name = kind_called(cell.kind), name_of(cell)
    if name == ACCURACY or "scores" not in table.column_names or not len(table):
        return None
    scores = [tuple(one or ()) for one in table["scores"].to_pylist()]
    wanted = 3 if kind.counts else len(kind.measures)
    if any(len(one) != wanted for one in scores):
        return None
    found = np.array(scores, dtype=np.float64)
    return found if kind.counts else np.stack([found[:, kind.measures.index(name)], np.ones(len(found))], axis=1)


def compared(first: Floats, second: Floats, member: npt.NDArray[np.int64]) -> exact.Comparison:
    """Test by how much the second's primary metric is higher, by a permutation of clusters; (N, K) each."""
    clusters = int(member.max()) + 1
    sums = [np.zeros((clusters, first.shape[1])) for _ in range(2)]
    for total, rows in zip(sums, (first, second), strict=True):
        np.add.at(total, member, rows)
    return draws.permutation(sums[0], sums[1], np.ones(clusters, dtype=np.int64), VALUES[first.shape[1]])


VALUES: Mapping[int, Callable[[Floats], Floats]] = {  # of summed lines (R, K)
    2: lambda sums: ratio(sums[:, 0], sums[:, 1]),
    3: lambda sums: ratio(2 * sums[:, 0], sums[:, 1] + sums[:, 2]),
}
