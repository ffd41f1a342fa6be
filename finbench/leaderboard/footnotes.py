"""Under which conditions a score was taken, as footnotes: each is said once, under the table in which it holds."""

from collections.abc import Callable, Iterable, Sequence

from finbench.cells.key import Cell
from finbench.leaderboard.markdown import escaped
from finbench.leaderboard.table import condition_of

RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
CUT = "some inputs were too long and cut"
SAID_BY_ITSELF = ("real rows", "row caps named")  # what a matrix's title says and a board says anyway
Said = Callable[[Cell], Sequence[str]]


def said_of(cell: Cell) -> list[str]:
    """Return the conditions of a cell, each by itself: rows, cap, cleaning, prompts, cuts, and its matrix's title."""
    found = [part for part in (condition_of(cell).heading().split(". ")) if part]
    found += [CUT] if cell.truncated_share else []
    title = (part.strip() for part in cell.title.split("; "))
    return found + [part for part in title if part and part.lower() not in SAID_BY_ITSELF]


class Footnotes:
    """Remarks on the cells of one table: with a number where they hold for some, once without where for all.

    Remarks that hold for the same cells are one footnote. Numbers are given in the order in which they are asked for.
    """

    def __init__(self, cells: Iterable[Cell], said: Said = said_of) -> None:
        """Note what is to be said of the cells, of which `said` tells the remarks."""
        holders: dict[str, set[int]] = {}
        self._remarks: dict[int, tuple[str, ...]] = {}
        kept = {id(cell): cell for cell in cells}
        for place, cell in kept.items():
            for remark in dict.fromkeys(said(cell)):
                holders.setdefault(remark, set()).add(place)
        together: dict[frozenset[int], list[str]] = {}
        for remark, places in holders.items():
            together.setdefault(frozenset(places), []).append(remark)
        self._everywhere = together.pop(frozenset(kept), [])
        for held, remarks in together.items():
            for place in held:
                self._remarks[place] = (*self._remarks.get(place, ()), "; ".join(remarks))
        self._numbers: dict[str, int] = {}

    def shared(self, cells: Sequence[Cell]) -> frozenset[str]:
        """Return the remarks that hold for all of some cells: a line of a table says them once, by its name."""
        found = [set(self._remarks.get(id(cell), ())) for cell in cells]
        return frozenset(set.intersection(*found)) if found else frozenset()

    def mark(self, cells: Sequence[Cell], but: frozenset[str] = frozenset()) -> str:
        """Return the numbers of the remarks on some cells, with a blank before each; "" where there is none."""
        remarks = dict.fromkeys(one for cell in cells for one in self._remarks.get(id(cell), ()) if one not in but)
        return self.numbers(list(remarks))

    def numbers(self, remarks: Iterable[str]) -> str:
        """Return the numbers of remarks as a table shows them."""
        found = sorted(self._numbers.setdefault(one, len(self._numbers) + 1) for one in remarks)
        return "".join(f" {str(number).translate(RAISED)}" for number in found)

    def text(self, between: str = "  \n") -> str:
        """Return what stands under the table: what holds for all, then each number with its remark; "" for nothing."""
        lines = [f"All of it: {escaped('; '.join(self._everywhere))}."] if self._everywhere else []
        lines += [f"{str(number).translate(RAISED)} {escaped(remark)}." for remark, number in self._numbers.items()]
        return between.join(lines)
