"""Entries that differ in their seed alone stand as one: a line a recipe, opened to its seeds on a task's page."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from finbench.cells.key import Cell
from finbench.leaderboard import stats
from finbench.leaderboard.primary import metric_of
from finbench.leaderboard.table import CellTable, Entry
from finbench.leaderboard.training import recipe_of, recipe_without_seed

SEED = re.compile(r"[_-]?(?:s|seed)?[_-]?\d+$")  # ends the name of an adapter that is one of several seeds


@dataclass(frozen=True)
class Line:
    """One line of a board: a base with what one recipe made of it, and its entries, one a seed."""

    title: str
    entries: tuple[Entry, ...]

    def cells(self, found: CellTable, task: str) -> list[Cell]:
        """Return the cells of a task, one a seed that was scored on it."""
        return [found[entry, task] for entry in self.entries if (entry, task) in found]


def lines_of(found: CellTable) -> list[Line]:
    """Return the lines of a table in the order of their entries."""
    groups: dict[tuple[str, ...], list[Entry]] = {}
    one_of = {entry: cell for (entry, _), cell in found.items()}
    for entry in sorted(one_of):
        groups.setdefault(_shared(entry, one_of[entry]), []).append(entry)
    return [Line(_title(entries), tuple(entries)) for entries in groups.values()]


def shown(cells: list[Cell], metric: str) -> tuple[float, str]:
    """Return a metric's mean over seeds, and it in words: with its spread, or of one seed with its standard error."""
    values = [metric_of(cell, metric).value for cell in cells]
    if len(values) > 1:
        spread = stats.over_seeds(values)
        return spread.mean, f"{spread} ({len(values)})"
    error = metric_of(cells[0], metric).stderr
    return values[0], f"{values[0]:.4f}" + (f" ± {error:.4f}" if error is not None else "")


def _shared(entry: Entry, cell: Cell) -> tuple[str, ...]:
    if not entry.adapter or not recipe_of(cell):
        return tuple(entry)
    method = str((cell.adapter or {}).get("method"))
    return (entry.base, entry.precision, entry.model, "", method, recipe_without_seed(cell))


def _title(entries: list[Entry]) -> str:
    if len(entries) == 1:
        return entries[0].title()
    names = {SEED.sub("", entry.adapter) for entry in entries}
    name = names.pop() if len(names) == 1 else f"{entries[0].adapter} and {len(entries) - 1} more"
    return entries[0]._replace(adapter=name).title()


def best_of(lines: list[Line], found: CellTable, tasks: list[str], metric: str) -> Mapping[str, float]:
    """Return each task's highest number among the lines, where they differ."""
    best = {}
    for task in tasks:
        cells = [one for line in lines if (one := line.cells(found, task))]
        values = [shown(of_line, metric)[0] for of_line in cells]
        if values and max(values) > min(values):
            best[task] = max(values)
    return best
