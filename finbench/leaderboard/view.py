"""All that the pages are made from, and what stands on each of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from finbench.cells.key import Cell
from finbench.cells.store import Cells
from finbench.leaderboard.flags import flags
from finbench.leaderboard.gains import Gain, gains_of
from finbench.leaderboard.markdown import escaped
from finbench.leaderboard.paired import Outcomes
from finbench.leaderboard.table import CellTable, Condition, Entry, by_condition, of_task

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
    _gains: dict[tuple[int, str], dict[Entry, Gain]] = field(default_factory=dict)

    def remarks(self, cell: Cell) -> list[str]:
        """Return the flags of a cell."""
        if id(cell) not in self._remarks:  # `cells` keeps them alive, so an id stays a cell's own
            self._remarks[id(cell)] = flags(cell)
        return self._remarks[id(cell)]

    def gains(self, found: CellTable, task: str) -> dict[Entry, Gain]:
        """Return what the best entries of a task have over their bare bases; `found` is one of the view's own."""
        place = id(found), task
        if place not in self._gains:
            self._gains[place] = gains_of(of_task(found, task), self.outcomes)
        return self._gains[place]

    def sections(self, table: Callable[[CellTable], str]) -> str:
        """Return a table for each condition under its heading, since different conditions are not compared."""
        return self.named_sections(lambda _, cells: table(cells))

    def named_sections(self, table: Callable[[int, CellTable], str]) -> str:
        """Return sections as above; `table` is also told which condition this is, from 0."""
        parts = []
        for number, (condition, cells) in enumerate(self.found.items()):
            if text := table(number, cells):
                heading = escaped(condition.heading())
                parts.append((f"> **{heading}.**\n\n" if heading else "") + text)
        return "\n\n".join(parts) if parts else NOTHING

    def notes(self) -> str:
        """Return what a reader has to know to believe the numbers, and what went wrong."""
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
        if days := sorted({cell.created[:10] for cell in cells.results}):
            lines.append(f"- scored: {days[0]}" + (f" to {days[-1]}" if days[-1] != days[0] else ""))
        lines += [f"- failed: {one.key.title()}: {one.error}" for one in cells.failures]
        lines += [f"- not a valid cell: {one.path.name}: {one.problem}" for one in cells.unreadable]
        lines += [f"- not proven: {one.path.name}: {one.problem}" for one in cells.unproven]
        lines = [*map(escaped, lines), *more_remarks]
        return "\n## Notes\n\n" + "\n".join(lines) + "\n" if lines else ""
