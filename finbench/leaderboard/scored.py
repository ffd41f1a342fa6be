"""What a line of a board scored on a task under one condition, and which conditions come first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from finbench.cells.key import Cell
from finbench.leaderboard import stats
from finbench.leaderboard.conditions import Condition
from finbench.leaderboard.disturbed import mark
from finbench.leaderboard.paired import accuracy_interval, effective_rows
from finbench.leaderboard.primary import ACCURACY, metric_of, name_of
from finbench.leaderboard.seeds import Line
from finbench.leaderboard.table import CellTable, Entry, accuracy, needs_head, task_order
from finbench.leaderboard.training import costs_of, load_of_training

Boards = Mapping[str, Mapping[Condition, "list[Scored]"]]


@dataclass(frozen=True, eq=False)
class Scored:
    """A line's cells on one task under one condition, one a seed; `bare` is the cell of its base without adapter."""

    line: Line
    task: str
    condition: Condition
    cells: tuple[Cell, ...]
    bare: Cell | None = None

    @cached_property
    def accuracy(self) -> float:
        """Return the mean over seeds."""
        return sum(map(accuracy, self.cells)) / len(self.cells)

    def spread(self, metric: str = "accuracy") -> stats.Spread | None:
        """Return mean, standard deviation and number of seeds of a metric, None where the task lacks it.

        Accuracy stands for the metric that the task is ranked by.
        """
        values = [metric_of(cell, metric).value for cell in self.cells if metric in cell.metrics]
        return stats.over_seeds(values) if values else None

    def interval(self) -> stats.Interval:
        """Return Wilson's interval of the mean accuracy on the fewest effective rows of any seed.

        Of another primary metric it is the normal one, as wide as the widest of any seed.
        """
        if len(self.cells) == 1:
            return accuracy_interval(self.cells[0])
        if name_of(self.cells[0]) != ACCURACY:
            half = max((one.high - one.low) / 2 for one in map(accuracy_interval, self.cells))
            return stats.Interval(max(0.0, self.accuracy - half), min(1.0, self.accuracy + half))
        return stats.wilson(self.accuracy, min(map(effective_rows, self.cells)))

    def cannot_be_bare(self) -> bool:
        """Say whether the bare base could not answer, since it has no head."""
        return needs_head(self.cells[0])

    def training_seconds(self) -> float | None:
        """Return the mean over seeds of what the trainings took."""
        return mean_of([costs_of(cell).seconds for cell in self.cells])

    def adapter_mebibytes(self) -> float | None:
        """Return the mean size of the adapters; None for a bare base, or where nobody knows."""
        sizes = [cell.adapter["size_bytes"] if cell.adapter else None for cell in self.cells]
        found = mean_of(sizes)
        return found / 2**20 if found is not None else None

    def seconds_per_row(self) -> float | None:
        """Return the mean seconds per row of scoring."""
        return mean_of([cell.seconds_per_row for cell in self.cells])

    def scoring_mark(self) -> str:
        """Return the mark of seconds that were taken beside other work, "" for none."""
        return max(mark(cell.load) for cell in self.cells)

    def training_mark(self) -> str:
        """Return the same of the trainings' seconds."""
        return max(mark(load_of_training(cell)) for cell in self.cells)

    def gibibytes(self) -> float | None:
        """Return the mean peak memory of scoring."""
        found = mean_of([cell.peak_bytes for cell in self.cells])
        return found / 2**30 if found is not None else None


def mean_of(values: Sequence[float | None]) -> float | None:
    """Return the mean of what is known, None where nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def boards_of(found: Mapping[Condition, CellTable], lines: Mapping[Entry, Line]) -> Boards:
    """Return what was scored by task and condition: the first condition first, and its most accurate line first.

    Of conditions the first is that of real rows as published and prompted, then that with most rows; one in which no
    line answers a row rightly comes after the others. Of equal lines the bare base is first, since it costs nothing.
    """
    groups: dict[str, dict[Condition, dict[Line, list[Cell]]]] = {}
    for condition, table in found.items():
        for (entry, task), cell in table.items():
            groups.setdefault(task, {}).setdefault(condition, {}).setdefault(lines[entry], []).append(cell)
    return {task: _ordered(task, groups[task], found) for task in sorted(groups, key=task_order)}


def _ordered(
    task: str, by_condition: dict[Condition, dict[Line, list[Cell]]], found: Mapping[Condition, CellTable]
) -> dict[Condition, "list[Scored]"]:
    ranked = {
        condition: sorted(
            (
                Scored(line, task, condition, tuple(cells), _bare(line, task, found[condition]))
                for line, cells in by_line.items()
            ),
            key=lambda one: (-one.accuracy, not one.line.is_base, one.line.entries[0]),
        )
        for condition, by_line in by_condition.items()
    }
    return dict(sorted(ranked.items(), key=lambda item: _first(*item)))


def _first(condition: Condition, ranked: Sequence[Scored]) -> tuple[object, ...]:
    rows = max(cell.n_rows for one in ranked for cell in one.cells)
    nobody = not ranked[0].accuracy
    return condition.sample, condition.cleaned, nobody, -rows, condition


def _bare(line: Line, task: str, table: CellTable) -> Cell | None:
    return None if line.is_base else table.get((line.entries[0].bare(), task))


def by_line(boards: Boards) -> dict[tuple[Line, Condition], dict[str, Scored]]:
    """Return what each line scored by task, families together; of several row caps the one that leaves most rows.

    A line that was scored on real and on sample rows, or with several prompts, is several.
    """
    found: dict[tuple[Line, Condition], dict[str, Scored]] = {}
    for task, conditions in boards.items():
        for condition, ranked in conditions.items():
            for one in ranked:
                found.setdefault((one.line, condition.uncapped()), {}).setdefault(task, one)
    return dict(sorted(found.items(), key=lambda item: (item[0][0].order(), item[0][1])))
