"""Cells to tables: one row an entry (a base, or a base with an adapter), one column a task."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from finbench.cells.key import Cell
from finbench.cells.order import newness
from finbench.leaderboard.markdown import SHOWN, markdown
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
        name += "" if self.precision == "float32" else f" [{self.precision}]"
        return name + (" [hf]" if self.model == "hf" else "")


CellTable = dict[tuple[Entry, str], Cell]


@dataclass(frozen=True, order=True)
class Condition:
    """What results must share to stand in one table: whose rows, how many of them, cleaned and cut or not."""

    sample: bool
    cleaned: bool
    prompting: str
    limit: int
    cut: bool
    title: str

    def heading(self) -> str:
        """Return what a table must say of itself, "" for whole test sets as published."""
        remarks = [self.title] if self.title else []
        remarks += ["bundled sample rows: no score here is a real one"] if self.sample else []
        remarks += [f"first {self.limit} rows only"] if self.limit else []
        remarks += ["texts cleaned"] if self.cleaned else []
        remarks += [f"prompts: {self.prompting}"] if self.prompting else []
        remarks += ["too long inputs are cut and counted"] if self.cut else []
        return ". ".join(remarks)


def condition_of(cell: Cell) -> Condition:
    """Return the condition under which a cell was scored."""
    key = cell.key
    sample = bool(cell.flags.get("sample_rows"))
    return Condition(
        sample, key.clean, str(cell.flags.get("prompting") or ""), key.limit or 0, key.truncate == "report", cell.title
    )


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


def of_task(found: CellTable, task: str) -> dict[Entry, Cell]:
    """Return the cells of one task, the most accurate first; of equals the bare base, since it costs nothing more."""
    cells = {entry: cell for (entry, name), cell in found.items() if name == task}
    return dict(sorted(cells.items(), key=lambda item: (-accuracy(item[1]), bool(item[0].adapter), item[0])))


def accuracy(cell: Cell) -> float:
    """Return a cell's accuracy, or the metric that its kind of answers is ranked by instead."""
    return metric_of(cell).value


def seconds(cell: Cell) -> str:
    """Return seconds per row as boards show them, a dash where nobody measured."""
    return f"{cell.seconds_per_row:.4f}" if cell.seconds_per_row is not None else "–"


def gibibytes(cell: Cell) -> str:
    """Return peak memory in GiB as boards show it, a dash where nobody measured."""
    return f"{cell.peak_bytes / 2**30:.2f}" if cell.peak_bytes is not None else "–"


def mebibytes(cell: Cell) -> str:
    """Return the adapter's size in MiB as boards show it, a dash where there is none or nobody knows."""
    size = cell.adapter["size_bytes"] if cell.adapter else None
    return f"{size / 2**20:.2f}" if size is not None else "–"


def tasks_of(found: CellTable) -> list[str]:
    """Return the tasks in the order of the published tables."""
    return sorted({task for _, task in found}, key=task_order)


def matrix(found: CellTable, show: Callable[[Cell], str], without_head: Sequence[Entry]) -> str:
    """Return markdown of entries by tasks; a base without a head says so, what was not scored is a dash."""
    tasks = tasks_of(found)
    rows = []
    entries = sorted({entry for entry, _ in found} | set(without_head))
    for entry in entries[:SHOWN]:
        values = [show(found[entry, task]) if (entry, task) in found else "–" for task in tasks]
        rows.append([entry.title(), *(["no head"] * len(tasks) if entry in without_head else values)])
    return markdown(["model", *map(short, tasks)], rows, len(entries))


def bases_without_head(found: CellTable) -> list[Entry]:
    """Return the bases that have no score of their own, since nobody trained a head for them."""
    return sorted({entry.bare() for (entry, _), cell in found.items() if needs_head(cell)})


def needs_head(cell: Cell) -> bool:
    """Say whether the cell's bare base could not answer: it has no head, or got one in the training."""
    return bool(cell.flags.get("base_without_head")) or (
        trained_whole(cell) and record_of(cell).get("task_type") == "SEQ_CLS"
    )


def short(task: str) -> str:
    """Return a task's name without the prefix that all of them have."""
    return task.removeprefix("fin_")
