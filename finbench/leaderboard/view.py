"""All that the pages are made from, and what stands on each of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from finbench.cells.key import Cell
from finbench.cells.store import Cells
from finbench.leaderboard.conditions import Condition
from finbench.leaderboard.disturbed import unknown
from finbench.leaderboard.flags import flags
from finbench.leaderboard.gains import Gain, gains_of
from finbench.leaderboard.markdown import escaped
from finbench.leaderboard.paired import Outcomes
from finbench.leaderboard.pictures.svg import colours_of
from finbench.leaderboard.scored import Boards, Scored, boards_of, by_line
from finbench.leaderboard.seeds import Line, lines_by_entry
from finbench.leaderboard.table import CellTable, by_condition

NOTHING = "No cell has been scored yet: `finbench run MATRIX.yaml`."
REMARKS, NAMED = 60, 8  # on a page, and cells of each; all of them are in the HTML page


def view_of(cells: Cells, folder: Path) -> "View":
    """Return what pages are made from; `folder` is where the cells lie, with the outcomes of their rows."""
    plain = tuple(cell for cell in cells.results if not cell.key.perturbed)
    perturbed = tuple(cell for cell in cells.results if cell.key.perturbed)
    return View(by_condition(plain), replace(cells, results=plain), Outcomes(folder), folder, perturbed)


@dataclass(frozen=True)
class View:
    """The cells by condition, the outcomes of their rows, and what could not be read; `folder` is the cells'.

    Cells of perturbed texts stand in `perturbed` alone: they rank nowhere and enter no average.
    """

    found: Mapping[Condition, CellTable]
    cells: Cells
    outcomes: Outcomes
    folder: Path
    perturbed: tuple[Cell, ...] = ()
    _remarks: dict[int, list[str]] = field(default_factory=dict)
    _gains: dict[tuple[str, Condition], dict[Line, Gain]] = field(default_factory=dict)

    @cached_property
    def boards(self) -> Boards:
        """Return what was scored by task and condition, the first condition of a task and its best line first."""
        return boards_of(self.found, lines_by_entry(self.found.values()))

    @cached_property
    def by_line(self) -> Mapping[tuple[Line, Condition], Mapping[str, Scored]]:
        """Return what each line scored by task, families together."""
        return by_line(self.boards)

    @cached_property
    def colours(self) -> Mapping[str, int]:
        """Return the colour of each family of bases in all pictures."""
        return colours_of(line.family for line, _ in self.by_line)

    def main(self, task: str) -> list[Scored]:
        """Return a task's lines under its first condition, the most accurate first."""
        return next(iter(self.boards[task].values()))

    def remarks(self, cell: Cell) -> list[str]:
        """Return the flags of a cell."""
        if id(cell) not in self._remarks:  # `cells` keeps them alive, so an id stays a cell's own
            self._remarks[id(cell)] = flags(cell)
        return self._remarks[id(cell)]

    def gains(self, task: str, condition: Condition) -> dict[Line, Gain]:
        """Return what the best lines of a task have over their bare bases under a condition."""
        if (task, condition) not in self._gains:
            self._gains[task, condition] = gains_of(self.boards[task][condition], self.outcomes)
        return self._gains[task, condition]

    def troubles(self) -> str:
        """Return in one line how much went wrong, "" for nothing."""
        cells = self.cells
        found = {"failed": cells.failures, "no valid cells": cells.unreadable, "not proven": cells.unproven}
        return ", ".join(f"{len(those)} {what}" for what, those in found.items() if those)

    def notes(self) -> str:
        """Return as a list what a reader has to know to believe the numbers, and what went wrong."""
        cells = self.cells
        more_remarks: list[str] = []
        lines = [f"- rows: {source}" for source in sorted({cell.source for cell in cells.results})]
        remarked: dict[str, set[str]] = {}
        for cell in cells.results:
            for remark in self.remarks(cell):
                remarked.setdefault(remark, set()).add(cell.key.title())
        for remark in sorted(remarked)[:REMARKS]:
            names = sorted(remarked[remark])
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            lines.append(f"- {remark}: {'; '.join(names[:NAMED])}{more}")
        if len(remarked) > REMARKS:
            more_remarks = [f"- {len(remarked) - REMARKS} more remarks: [index.html](index.html)"]
        lines += [f"- {untold}"] if (untold := unknown(cells.results)) else []
        if days := sorted({cell.created[:10] for cell in cells.results}):
            lines.append(f"- scored: {days[0]}" + (f" to {days[-1]}" if days[-1] != days[0] else ""))
        lines += [f"- failed: {one.key.title()}: {one.error}" for one in cells.failures]
        lines += [f"- not a valid cell: {one.path.name}: {one.problem}" for one in cells.unreadable]
        lines += [f"- not proven: {one.path.name}: {one.problem}" for one in cells.unproven]
        lines = [*map(escaped, lines), *more_remarks]
        return "\n".join(lines) + "\n" if lines else f"{NOTHING}\n"
