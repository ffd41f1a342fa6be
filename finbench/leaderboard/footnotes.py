"""Footnotes of a table: what holds for some of its scores, said once below it and marked by a number at each."""

from collections.abc import Callable, Iterable, Sequence

from finbench.cells.key import Cell
from finbench.leaderboard.conditions import said_of
from finbench.leaderboard.markdown import escaped

RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
Said = Callable[[Cell], Sequence[str]]


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
