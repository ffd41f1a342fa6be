"""The rows' outcomes that come with the HTML page: a file a task, a letter an answer, and never a text.

A page opened from a file may load scripts beside it and nothing else, so each file is a script, loaded when two entries
of its task are compared.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os.path import commonprefix
from typing import Any

import numpy as np

from finbench.cells.key import Cell
from finbench.leaderboard.paired import CellRows
from finbench.leaderboard.primary import ACCURACY, name_of
from finbench.leaderboard.table import Entry, accuracy
from finbench.leaderboard.view import View

MOST_CELLS, MOST_OUTCOMES = 100, 1_000_000  # of a task; about a byte an outcome
START = 'finbenchOutcomes({\n"task": '
LETTERS = "".join(chr(code) for code in range(35, 127) if chr(code) not in "&<>\\")


@dataclass
class RowSet:
    """Cells of one task on the same rows with the same right answers."""

    first: CellRows
    cells: dict[str, CellRows] = field(default_factory=dict)

    def takes(self, rows: CellRows) -> bool:
        """Say whether these are the set's own rows."""
        one = self.first
        return (
            np.array_equal(one.ids, rows.ids)
            and np.array_equal(one.member, rows.member)
            and np.array_equal(one.golds, rows.golds)
        )


def sets_of(view: View) -> dict[str, list[RowSet]]:
    """Return the sets of rows by task, of as many cells as a page can carry: bare bases and the most accurate.

    Tasks that another metric than accuracy ranks have none: their answers are not right or wrong.
    """
    cells: dict[str, list[tuple[Entry, Cell]]] = {}
    for found in view.found.values():
        for (entry, task), cell in found.items():
            if name_of(cell) == ACCURACY:
                cells.setdefault(task, []).append((entry, cell))
    return {task: _sets(view, _first(of_task)) for task, of_task in cells.items()}


def _first(cells: Iterable[tuple[Entry, Cell]]) -> Iterator[Cell]:
    """Yield cells while there is room for their rows: half of it may be bare bases'."""
    ranked = sorted(cells, key=lambda one: (-accuracy(one[1]), one[0]))
    bases = [one for one in ranked if not one[0].adapter][: MOST_CELLS // 2]
    taken = outcomes = 0
    for cell in {id(cell): cell for _, cell in [*bases, *ranked]}.values():
        if taken < MOST_CELLS and outcomes + cell.n_rows <= MOST_OUTCOMES:
            taken, outcomes = taken + 1, outcomes + cell.n_rows
            yield cell


def _sets(view: View, cells: Iterable[Cell]) -> list[RowSet]:
    sets: list[RowSet] = []
    for cell in cells:
        if (rows := view.outcomes.rows(cell)) is None:
            continue
        fitting = next((one for one in sets if one.takes(rows)), None)
        if fitting is None:
            sets.append(fitting := RowSet(rows))
        fitting.cells[cell.key.digest()] = rows
    return sets


def script(task: str, sets: Sequence[RowSet]) -> str:
    """Return the file of a task: a call with its sets of rows, one line a cell."""
    found = {"letters": LETTERS, "sets": [_written(one) for one in sets]}
    return START + json.dumps(task) + "," + json.dumps(found, indent=0)[1:] + ");\n"


def _written(found: RowSet) -> Mapping[str, Any]:
    rows = found.first
    columns = [rows.golds.tolist(), *(one.predictions.tolist() for one in found.cells.values())]
    answers = list(dict.fromkeys(answer for column in columns for answer in column))
    width = 1
    while len(LETTERS) ** width < len(answers):
        width += 1
    letters = {answer: _in_letters(number, width) for number, answer in enumerate(answers)}
    golds, *said = ("".join(map(letters.__getitem__, column)) for column in columns)
    names = [str(name) for name in rows.ids]
    prefix = commonprefix(names)
    return {
        "prefix": prefix,
        "ids": "\n".join(name.removeprefix(prefix) for name in names),
        "clusters": " ".join(map(str, rows.member.tolist())) if rows.repeated else "",
        "answers": answers,
        "width": width,
        "golds": golds,
        "cells": dict(zip(found.cells, said, strict=True)),
        "right": {name: _bits(one) for name, one in found.cells.items() if one.near is not None},
    }


def _in_letters(number: int, width: int) -> str:
    found = ""
    for _ in range(width):
        number, place = divmod(number, len(LETTERS))
        found = LETTERS[place] + found
    return found


def _bits(rows: CellRows) -> str:
    """Return which answers are right where a tolerance says so, and not that they are the same."""
    return "".join("01"[int(one)] for one in rows.right)
