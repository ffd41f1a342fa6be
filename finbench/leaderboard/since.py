"""What changed in the cells since a commit, or against another folder of cells."""

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from finbench.cells.key import Cell
from finbench.cells.order import newness
from finbench.cells.store import Cells, read_cells
from finbench.errors import FinbenchError
from finbench.leaderboard.conditions import condition_of

METRICS = ("accuracy", "f1_weighted")


def changes(since: str, folder: Path) -> list[str]:
    """Return a line for each cell that is new, gone, failed, mended or has another score than then.

    `since` is a folder of cells (or of boards with `cells` in it), or a commit of the repository that holds `folder`.

    Raises:
        FinbenchError: it is neither.

    """
    now = read_cells(folder)
    if (given := Path(since)).is_dir():
        return list(_compared(read_cells(given / "cells" if (given / "cells").is_dir() else given), now))
    with tempfile.TemporaryDirectory() as temporary:
        _extract(since, folder.resolve(), Path(temporary))
        return list(_compared(read_cells(Path(temporary)), now))


def _extract(commit: str, folder: Path, into: Path) -> None:
    """Write the cells of a commit, those of `folder` alone, into another folder; none where it had none."""

    def git(*words: str) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(["git", *words], cwd=folder, capture_output=True)

    if not folder.is_dir() or git("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}").returncode:
        raise FinbenchError(f"--since {commit}: neither a folder of cells nor a commit of {folder}. Name one of them.")
    made = git("archive", "--format=tar", commit, ".")
    if made.returncode == 0:
        with tarfile.open(fileobj=io.BytesIO(made.stdout)) as archive:
            archive.extractall(into, filter="data")


def _compared(then: Cells, now: Cells) -> Iterator[str]:
    old, new = _by_place(then), _by_place(now)
    for place in sorted(old.keys() | new.keys()):
        title = ", ".join(part for part in place if part)
        if place not in old:
            yield f"new: {title}: {_scores(new[place])}"
        elif place not in new:
            yield f"gone: {title}: {_scores(old[place])}"
        elif difference := _difference(old[place], new[place]):
            yield f"changed: {title}: {difference}"
    failed_then, failed_now = ({one.key.title(): one.error for one in cells.failures} for cells in (then, now))
    yield from (f"failed: {name}: {failed_now[name]}" for name in sorted(failed_now.keys() - failed_then.keys()))
    yield from (f"no longer failed: {name}" for name in sorted(failed_then.keys() - failed_now.keys()))
    broken = {one.path.name: one.problem for one in now.unreadable}
    known = {one.path.name for one in then.unreadable}
    yield from (f"not a valid cell: {name}: {broken[name]}" for name in sorted(broken.keys() - known))


def _by_place(cells: Cells) -> dict[tuple[str, ...], Cell]:
    """Return the newest cell by what a reader takes for the same: task, entry and condition, whatever the hashes."""
    found: dict[tuple[str, ...], Cell] = {}
    for cell in sorted(cells.results, key=newness):
        key = cell.key
        found[key.title(), key.precision, key.engine.partition("/")[0], condition_of(cell).heading()] = cell
    return found


def _difference(old: Cell, new: Cell) -> str:
    """Return how the scores moved and which parts of the key did, "" where a cell is what it was."""
    moved = [
        f"{name} {old.metrics[name].value:.4f} to {new.metrics[name].value:.4f}"
        for name in METRICS
        if name in old.metrics and name in new.metrics and old.metrics[name].value != new.metrics[name].value
    ]
    before, after = vars(old.key), vars(new.key)
    because = [name.removesuffix("_sha256") for name in before if before[name] != after.get(name)]
    return "; ".join([*moved, *([f"another {', '.join(because)}"] if because else [])])


def _scores(cell: Cell) -> str:
    return ", ".join(f"{name} {cell.metrics[name].value:.4f}" for name in METRICS if name in cell.metrics)
