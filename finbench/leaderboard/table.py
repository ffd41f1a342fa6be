"""Cells to tables: one row an entry (a base, or a base with an adapter), one column a task."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from finbench.runs.cell import Cell

if TYPE_CHECKING:
    import pandas as pd

# Tasks in the order of the published tables; others follow by name.
ORDER = ("fpb", "fiqa", "tfns", "nwgi", "ner", "headline", "xbrl_tags", "xbrl_values")


@dataclass(frozen=True, order=True)
class Entry:
    """What a row of a board is about: a base at a precision by a model type, with an adapter or without ("")."""

    base: str
    precision: str
    model: str
    adapter: str

    def title(self) -> str:
        """Return the entry's name for people."""
        name = f"{self.base} + {self.adapter}" if self.adapter else f"{self.base} (base)"
        name += "" if self.precision == "float32" else f" [{self.precision}]"
        return name + (" [hf]" if self.model == "hf" else "")


@dataclass(frozen=True, order=True)
class Condition:
    """What results must share to stand in one table: whose rows, how many of them, cleaned and cut or not."""

    sample: bool
    cleaned: bool
    limit: int
    cut: bool
    title: str

    def heading(self) -> str:
        """Return what a table must say of itself, "" for whole test sets as published."""
        remarks = [self.title] if self.title else []
        remarks += ["bundled sample rows: no score here is a real one"] if self.sample else []
        remarks += [f"first {self.limit} rows only"] if self.limit else []
        remarks += ["texts cleaned"] if self.cleaned else []
        remarks += ["too long inputs are cut and counted"] if self.cut else []
        return ". ".join(remarks)


def condition_of(cell: Cell) -> Condition:
    """Return the condition under which a cell was scored."""
    key = cell.key
    sample = bool(cell.flags.get("sample_rows"))
    return Condition(sample, key.clean, key.limit or 0, key.truncate == "report", cell.title)


def by_condition(cells: Iterable[Cell]) -> dict[Condition, dict[tuple[Entry, str], Cell]]:
    """Return the newest cell of each entry and task by condition, whole real test sets first."""
    groups: dict[Condition, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(condition_of(cell), []).append(cell)
    return {condition: newest(groups[condition]) for condition in sorted(groups)}


def entry_of(cell: Cell) -> Entry:
    """Return the entry that a cell belongs to."""
    key = cell.key
    return Entry(key.base, key.precision, key.engine.partition("/")[0], key.adapter)


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
    return sorted({replace(entry_of(cell), adapter="") for cell in cells if cell.flags.get("base_without_head")})


def markdown(table: "pd.DataFrame") -> str:
    """Return a table as markdown, its numbers as they stand."""
    return str(table.to_markdown(index=False, disable_numparse=True))
