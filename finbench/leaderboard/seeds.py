"""Entries that differ in their seed alone stand as one: a line a recipe, opened to its seeds on a task's page."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from finbench.cells.key import Cell
from finbench.leaderboard.names import family_of, method_in_words
from finbench.leaderboard.table import CellTable, Entry
from finbench.leaderboard.training import recipe_of, recipe_without_seed

SEED = re.compile(r"[_-]?(?:s|seed)?[_-]?\d+$")  # ends the name of an adapter that is one of several seeds


@dataclass(frozen=True)
class Line:
    """One line of a board: a base with what one recipe made of it, and its entries, one a seed.

    `method` is in words, "" for a bare base.
    """

    title: str
    method: str
    entries: tuple[Entry, ...]

    @property
    def family(self) -> str:
        """Return the name that the base shares with itself in fewer bits."""
        return family_of(self.entries[0].base)

    @property
    def is_base(self) -> bool:
        """Say whether this is a base without an adapter."""
        return not self.entries[0].adapter

    def order(self) -> tuple[str, str, bool, str]:
        """Return what lines are sorted by: families stand together, each base before its adapters."""
        return self.family, self.entries[0].base, not self.is_base, self.title

    def adapter(self) -> str:
        """Return the title without the base, or all of it for a bare base."""
        return self.title if self.is_base else self.title.removeprefix(f"{self.entries[0].base} + ")


def lines_of(found: CellTable) -> list[Line]:
    """Return the lines of one table in the order of their entries."""
    return list(dict.fromkeys(lines_by_entry([found]).values()))


def lines_by_entry(tables: Iterable[CellTable]) -> dict[Entry, Line]:
    """Return the line of each entry, over all tables."""
    groups: dict[tuple[str, ...], list[Entry]] = {}
    one_of: dict[Entry, Cell] = {}
    for found in tables:
        for (entry, _), cell in found.items():
            one_of.setdefault(entry, cell)
    for entry in sorted(one_of):
        groups.setdefault(_shared(entry, one_of[entry]), []).append(entry)
    return {entry: line for entries in groups.values() for line in [_line(entries, one_of)] for entry in entries}


def _line(entries: list[Entry], one_of: Mapping[Entry, Cell]) -> Line:
    cell = one_of[entries[0]]
    method = method_in_words(str((cell.adapter or {}).get("method")), recipe_of(cell)) if entries[0].adapter else ""
    return Line(_title(entries), method, tuple(entries))


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
