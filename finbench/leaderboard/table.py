"""Cells to tables: one row an entry (a base, or a base with an adapter), one column a task."""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from finbench.cells.key import Cell, slug
from finbench.cells.order import newness
from finbench.leaderboard.conditions import Condition, condition_of
from finbench.leaderboard.primary import metric_of
from finbench.leaderboard.training import base_of_training, record_of

# Tasks in the order of the published tables; others follow by name.
ORDER = ("fpb", "fiqa", "tfns", "nwgi", "ner", "headline", "xbrl_tags", "xbrl_values")


class Entry(NamedTuple):
    """What a row of a board is about: a base at a precision by a model type, with an adapter or without ("").

    A model that finbench trained whole is its base with an "adapter" of method full, so that it stands beside the rest.
    A tuple, since boards of many cells hash and compare entries hundreds of thousands of times.
    """

    base: str
    precision: str
    model: str
    adapter: str

    def bare(self) -> "Entry":
        """Return the base without an adapter."""
        return self._replace(adapter="")

    def title(self) -> str:
        """Return the entry's name for people."""
        name = f"{self.base} + {self.adapter}" if self.adapter else f"{self.base} (base)"
        told = self.precision == "float32" or self.base.endswith(self.precision)
        name += "" if told else f" [{self.precision}]"
        return name + (" [hf]" if self.model == "hf" else "")


CellTable = dict[tuple[Entry, str], Cell]


def by_condition(cells: Iterable[Cell]) -> dict[Condition, CellTable]:
    """Return the newest cell of each entry and task by condition, whole real test sets first."""
    groups: dict[Condition, list[Cell]] = {}
    kept = list(cells)
    for cell in kept:
        groups.setdefault(condition_of(cell), []).append(cell)
    names = {cell.weights_sha256 or cell.key.base_sha256: cell.key.base for cell in kept if not trained_whole(cell)}
    return {condition: newest(groups[condition], names) for condition in sorted(groups)}


def trained_whole(cell: Cell) -> bool:
    """Say whether the cell's base is itself the result of a training of ours."""
    return cell.adapter is not None and not cell.key.adapter


def entry_of(cell: Cell, names: Mapping[str, str]) -> Entry:
    """Return the entry that a cell belongs to; `names` are those of bases by hash."""
    key = cell.key
    model = key.engine.partition("/")[0]
    if not trained_whole(cell):
        return Entry(key.base, key.precision, model, key.adapter)
    origin, sha256 = base_of_training(cell)
    return Entry(names.get(sha256, Path(origin).name), key.precision, model, key.base)


def task_order(name: str) -> tuple[int, str]:
    """Return what tasks are sorted by."""
    short = name.removeprefix("fin_")
    return (ORDER.index(short) if short in ORDER else len(ORDER), name)


def newest(cells: Iterable[Cell], names: Mapping[str, str]) -> CellTable:
    """Return the newest cell of each entry and task: an adapter trained anew under its name replaces the old one."""
    found: CellTable = {}
    for cell in cells:
        place = entry_of(cell, names), cell.key.task
        if place not in found or newness(cell) > newness(found[place]):
            found[place] = cell
    return found


def accuracy(cell: Cell) -> float:
    """Return a cell's accuracy, or the metric that its kind of answers is ranked by instead."""
    return metric_of(cell).value


def needs_head(cell: Cell) -> bool:
    """Say whether the cell's bare base could not answer: it has no head, or got one in the training."""
    return bool(cell.flags.get("base_without_head")) or (
        trained_whole(cell) and record_of(cell).get("task_type") == "SEQ_CLS"
    )


def short(task: str) -> str:
    """Return a task's name without the prefix that all of them have."""
    return task.removeprefix("fin_")


def file_stem(task: str) -> str:
    """Return what files of a task are called: a name that is none for a file gets one, and a mark to keep it apart."""
    wanted = short(task)
    return wanted if slug(wanted) == wanted else f"{slug(wanted)}-{sha256(task.encode()).hexdigest()[:8]}"
