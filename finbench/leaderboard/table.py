"""Cells to tables: one row an entry (a base, or a base with an adapter), one column a task."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from finbench.runs.cell import Cell

if TYPE_CHECKING:
    import pandas as pd

# Tasks in the order of the published tables; others follow by name.
ORDER = ("fpb", "fiqa", "tfns", "nwgi", "ner", "headline", "xbrl_tags", "xbrl_values")


@dataclass(frozen=True, order=True)
class Entry:
    """What a row of a board is about: a base at a precision, with an adapter or without ("")."""

    base: str
    precision: str
    adapter: str
    limit: int

    def title(self) -> str:
        """Return the entry's name for people."""
        name = f"{self.base} + {self.adapter}" if self.adapter else f"{self.base} (base)"
        name += "" if self.precision == "float32" else f" [{self.precision}]"
        return name + (f" (first {self.limit} rows)" if self.limit else "")


def entry_of(cell: Cell) -> Entry:
    """Return the entry that a cell belongs to."""
    key = cell.key
    return Entry(key.base, key.precision, key.adapter, key.limit or 0)


def task_order(name: str) -> tuple[int, str]:
    """Return what tasks are sorted by."""
    short = name.removeprefix("fin_")
    return (ORDER.index(short) if short in ORDER else len(ORDER), name)


def newest(cells: Iterable[Cell]) -> dict[tuple[Entry, str], Cell]:
    """Return the newest cell of each entry and task: an adapter trained anew under its name replaces the old one."""
    found: dict[tuple[Entry, str], Cell] = {}
    for cell in cells:
        place = entry_of(cell), cell.key.task
        if place not in found or (cell.created, cell.key.digest()) > (
            found[place].created,
            found[place].key.digest(),
        ):
            found[place] = cell
    return found


def matrix(
    cells: dict[tuple[Entry, str], Cell], tasks: Sequence[str], show: Callable[[Cell], str], headless: Sequence[Entry]
) -> "pd.DataFrame":
    """Return entries by tasks; a base without a head says so, what was not scored is a dash."""
    import pandas as pd

    entries = sorted({entry for entry, _ in cells} | set(headless))
    rows = []
    for entry in entries:
        values = [show(cells[entry, task]) if (entry, task) in cells else "–" for task in tasks]
        if entry in headless:
            values = ["no head"] * len(tasks)
        rows.append([entry.title(), *values])
    return pd.DataFrame(rows, columns=["model", *(task.removeprefix("fin_") for task in tasks)])


def headless_bases(cells: Iterable[Cell]) -> list[Entry]:
    """Return the bases that have no score of their own, since nobody trained a head for them."""
    found = {
        Entry(cell.key.base, cell.key.precision, "", cell.key.limit or 0)
        for cell in cells
        if cell.flags.get("base_without_head")
    }
    return sorted(found)


def markdown(table: "pd.DataFrame") -> str:
    """Return a table as markdown, its numbers as they stand."""
    return str(table.to_markdown(index=False, disable_numparse=True))
