"""The conditions of a score, worded for headings and footnotes: sample rows, row cap, cleaning, prompts, cuts.

A board's table has one condition. Another thing that must be the same before scores are compared is a field of it here.
"""

from dataclasses import dataclass, replace

from finbench.cells.key import Cell

SAMPLE = "bundled sample rows: no score here is a real one"
CUT = "some inputs were too long and cut"
SAID_BY_ITSELF = ("real rows", "row caps named")  # what a matrix's title says and a board says anyway


@dataclass(frozen=True, order=True)
class Condition:
    """What results must share to be ranked against each other: whose rows, how many, cleaned or not, how prompted.

    Inputs that were cut and the matrix's title part nothing: they are said beside the score (`footnotes`).
    """

    sample: bool
    cleaned: bool
    prompting: str
    limit: int

    def heading(self) -> str:
        """Return what a table must say of itself, "" for whole test sets as published."""
        remarks = [SAMPLE] if self.sample else []
        remarks += [f"first {self.limit} rows only"] if self.limit else []
        remarks += ["texts cleaned"] if self.cleaned else []
        remarks += [f"prompts: {self.prompting}"] if self.prompting else []
        return ". ".join(remarks)

    def uncapped(self) -> "Condition":
        """Return the condition without its row cap, which each task may have of its own."""
        return replace(self, limit=0)


def condition_of(cell: Cell) -> Condition:
    """Return the condition under which a cell was scored; a cap that left no row out is none."""
    key = cell.key
    capped = key.limit if key.limit and cell.n_rows >= key.limit else 0
    return Condition(bool(cell.flags.get("sample_rows")), key.clean, str(cell.flags.get("prompting") or ""), capped)


def said_of(cell: Cell) -> list[str]:
    """Return the conditions of a cell, each by itself: rows, cap, cleaning, prompts, cuts, and its matrix's title."""
    found = [part for part in (condition_of(cell).heading().split(". ")) if part]
    found += [CUT] if cell.truncated_share else []
    title = (part.strip() for part in cell.title.split("; "))
    return found + [part for part in title if part and part.lower() not in SAID_BY_ITSELF]
