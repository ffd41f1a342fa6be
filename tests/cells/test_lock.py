"""A lock dies with its process, and what a killed writer left is told from what a living one writes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from finbench.cells.lock import held
from finbench.cells.store import Unwritable, path_of, read_cells, write_cell
from finbench.cells.upkeep import check_writable, clear_up, scoring
from tests.cells.test_store import CELL, KEY, OUTCOMES

HOLD = """
import sys, time
from pathlib import Path
from finbench.cells.lock import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@contextmanager
def another(path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Let another process hold the lock of a path."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_lock_is_lost_with_its_process_and_its_file_with_the_lock(tmp_path: Path) -> None:
    path = tmp_path / ".cell.lock"
    with another(path) as process:
        with held(path, wait=False) as mine:
            assert not mine
        assert path.exists()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert path.exists()
        with held(path) as mine:
            assert mine
    assert not path.exists()


def test_only_files_of_the_dead_are_cleared(tmp_path: Path) -> None:
    write_cell(tmp_path, CELL, OUTCOMES)
    folder = next(tmp_path.rglob("*.json")).parent
    alive, dead = folder / f".a-{0:012}.json.1.part", folder / f".b-{0:012}.json.2.part"
    with another(alive):
        with another(dead) as process:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        dead.write_text("{")
        (folder / ".mine").write_text("a file of somebody's")
        assert clear_up(tmp_path) == 1
        assert alive.exists() and not dead.exists() and (folder / ".mine").exists()
    assert clear_up(tmp_path) == 1 and not list(tmp_path.rglob(".*.part"))
    assert len(read_cells(tmp_path).results) == 1


def test_what_others_call_so_is_not_cleared(tmp_path: Path) -> None:
    for name in (".yarn.lock", ".large.iso.part", "deeper/.notes-2024.json.lock", ".probe.part"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    ours = (f".x-{0:012}.json.lock", f".x-{0:012}.parquet.7.part", f".x-{0:012}.failed.json.7.part", ".probe.7.part")
    for name in ours:
        (tmp_path / name).write_text("")
    assert clear_up(tmp_path) == len(ours)
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 4


def test_no_cell_is_written_through_a_link(tmp_path: Path) -> None:
    place = path_of(tmp_path, KEY)
    place.parent.mkdir(parents=True)
    (tmp_path / "thesis.txt").write_text("mine")
    (place.parent / f".{place.name}.{os.getpid()}.part").symlink_to(tmp_path / "thesis.txt")
    with pytest.raises(Unwritable):
        write_cell(tmp_path, CELL, OUTCOMES)
    assert (tmp_path / "thesis.txt").read_text() == "mine" and not place.exists()


def test_nothing_is_left_of_a_cell_that_was_held(tmp_path: Path) -> None:
    with scoring(tmp_path, KEY, wait=False) as mine, scoring(tmp_path, KEY, wait=False) as again:
        assert mine and not again
        write_cell(tmp_path, CELL, OUTCOMES)
    assert sorted(path.suffix for path in tmp_path.rglob("*") if path.is_file()) == [".json", ".parquet"]


def test_a_folder_that_cannot_be_written_is_found(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "cells", [KEY])
    assert not (tmp_path / "new").exists()  # nothing is made before there is something to keep
    (tmp_path / "file").write_text("")
    with pytest.raises(Unwritable, match="nothing was scored"):
        check_writable(tmp_path / "file" / "cells", [KEY])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
