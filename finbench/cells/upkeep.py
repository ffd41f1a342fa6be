"""What a run does to the folder of cells before it scores: finds out whether it can be written, and clears up."""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from finbench.cells.key import CellKey
from finbench.cells.lock import held, remove_left_over
from finbench.cells.store import FAILURE, LOCK, OUTCOMES, PART, RESULT, Unwritable, is_done, path_of

# What `cells.store` and this file call their files: other programs' locks and downloads have the same endings.
OURS = re.compile(
    rf"\.(?:.+-[0-9a-f]{{12}}(?:{'|'.join(map(re.escape, (RESULT, FAILURE, OUTCOMES)))})(?:\.\d+{re.escape(PART)}|"
    rf"{re.escape(LOCK)})|probe\.\d+{re.escape(PART)})"
)
PROBE_BYTES = 1 << 20  # more than most cells take with their outcomes


def check_writable(folder: Path, keys: Iterable[CellKey]) -> None:
    """Write a probe wherever a cell of these keys will lie, or would have its folder made, and remove it.

    Raises:
        Unwritable: it cannot be written there, or the disk is full.

    """
    places = {path_of(folder, key).parent for key in keys} | {folder}
    for place in sorted({_standing(place) for place in places}):
        probe = place / f".probe.{os.getpid()}{PART}"
        try:
            with held(probe), probe.open("wb") as file:
                file.write(bytes(PROBE_BYTES))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise Unwritable(
                f"no result can be written to {place} ({error.strerror or error}), so nothing was scored. Make room "
                "there or free it, or name another folder with --cells."
            ) from error


def _standing(place: Path) -> Path:
    """Return the place, or the folder above it that is there."""
    while not os.path.lexists(place) and place.parent != place:
        place = place.parent
    return place


def clear_up(folder: Path) -> int:
    """Remove what killed runs left: files half written and locks, of writers that are dead; return how many."""
    found = [path for ending in (PART, LOCK) for path in folder.rglob(f".*{ending}")]
    return sum(_removed(path) for path in found if OURS.fullmatch(path.name))


def _removed(path: Path) -> bool:
    try:
        return remove_left_over(path)
    except OSError:  # another run has removed it, or it is not ours to open
        return False


@contextmanager
def scoring(folder: Path, key: CellKey, wait: bool) -> Iterator[bool]:
    """Hold the lock of a cell, so that no other run scores it; say False where another does and none waits.

    Raises:
        Unwritable: the lock cannot be made.

    """
    path = path_of(folder, key)
    path = path.with_name(f".{path.name}{LOCK}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = held(path, wait)
        mine = lock.__enter__()
    except OSError as error:
        raise Unwritable(f"{path.parent} cannot be written ({error.strerror or error}).") from error
    try:
        yield mine
    finally:
        lock.__exit__(None, None, None)


def state_of(folder: Path, key: CellKey) -> str:
    """Return a hash of the cell's file as it lies there, "" where there is none: another one means another result."""
    try:
        return sha256(path_of(folder, key).read_bytes()).hexdigest()
    except OSError:
        return ""


def scored_since(folder: Path, key: CellKey, state: str) -> bool:
    """Say whether somebody has scored the cell since its file was in that state."""
    return state_of(folder, key) != state and is_done(folder, key)
