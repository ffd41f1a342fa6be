"""Two runs in one folder share its cells, a killed one loses its locks, and a full disk ends a run in one line."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from finbench.cells import store
from finbench.cells.store import Unwritable, read_cells
from finbench.cli import main
from finbench.errors import FinbenchError
from tests import forked
from tests.conftest import build_model

MATRIX = """\
name: small
tasks: [fin_fpb, fin_fiqa, fin_tfns, fin_nwgi]
limit: 8
bases:
  - {{base: {base}, name: toy, model: hf-fast}}
"""
ROOT = str(Path(__file__).resolve().parents[2])
# A run whose cells take so long that another can come upon it at work; each says which it scores.
SLOW = """
import sys, time
from finbench.tasks.requests import ScoredTask
real = ScoredTask.score
def score(self, lm):
    print("scores", self.name, flush=True)
    time.sleep(float(sys.argv[1]))
    return real(self, lm)
ScoredTask.score = score
from finbench.cli import main
from finbench.errors import FinbenchError
raise SystemExit(main(sys.argv[2:]))
"""

# A run whose files may have so many bytes, which for a writer is a full disk.
LIMITED = """
import resource, sys
size = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
from finbench.cli import main
raise SystemExit(main(sys.argv[2:]))
"""


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("matrix")
    build_model(folder / "base", "gpt2")
    (folder / "m.yaml").write_text(MATRIX.format(base=folder / "base"))
    return folder / "m.yaml"


def start(matrix: Path, cells: Path, seconds: float, *more: str) -> forked.Started:
    command = [sys.executable, "-c", SLOW, str(seconds), "run", str(matrix), "--cells", str(cells), *more]
    environment = {**os.environ, "PYTHONPATH": ROOT, "OMP_NUM_THREADS": "1"}
    return forked.start(command, env=environment)


def scored(text: str) -> Iterator[str]:
    return (line.removeprefix("scores ") for line in text.splitlines() if line.startswith("scores "))


def rest(cells: Path) -> list[Path]:
    return [path for path in cells.rglob("*") if path.is_file() and path.suffix not in (".json", ".parquet")]


@pytest.mark.parametrize("redo", ["missing", "all"])
def test_two_runs_at_once_score_every_cell_once(redo: str, matrix: Path, tmp_path: Path) -> None:
    if redo == "all":
        assert main(["run", str(matrix), "--cells", str(tmp_path)]) == 0
    runs = [start(matrix, tmp_path, 1.0, "--redo", redo) for _ in range(2)]
    said = [run.communicate(timeout=240) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    names = [name for out, _ in said for name in scored(out)]
    assert sorted(names) == ["fin_fiqa", "fin_fpb", "fin_nwgi", "fin_tfns"]
    cells = read_cells(tmp_path)
    assert len(cells.results) == 4 and not cells.unreadable and not rest(tmp_path)


def test_a_killed_run_loses_its_lock_to_the_one_that_waits(matrix: Path, tmp_path: Path) -> None:
    first = start(matrix, tmp_path, 600)
    assert first.stdout is not None
    while not (line := first.stdout.readline()).startswith("scores"):
        assert line, first.communicate()
    second = start(matrix, tmp_path, 0)
    deadline = time.monotonic() + 120
    while len(list(tmp_path.rglob("*.json"))) < 3:  # all but the one that the first is at
        assert second.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    assert second.poll() is None
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    out, error = second.communicate(timeout=120)
    assert second.returncode == 0 and len(list(scored(out))) == 4, error
    assert len(read_cells(tmp_path).results) == 4 and not rest(tmp_path)


def test_what_a_killed_run_left_is_cleared_by_the_next(matrix: Path, tmp_path: Path) -> None:
    names = (f"base-{1:012}.json.7.part", f"base-{1:012}.json.lock")
    left = [tmp_path / "fin_fpb" / "toy" / f".{name}" for name in names]
    left[0].parent.mkdir(parents=True)
    for path in left:
        path.write_text("{")
    assert main(["run", str(matrix), "--cells", str(tmp_path)]) == 0
    assert not rest(tmp_path)


def test_an_unwritable_folder_is_found_before_the_first_cell(
    matrix: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from finbench.runs.bases import loaded

    monkeypatch.setattr(loaded, "load_base", lambda *_: pytest.fail("a model was loaded"))
    (tmp_path / "cells").write_text("a file where a folder belongs")
    assert main(["run", str(matrix), "--cells", str(tmp_path / "cells")]) == 2
    error = capsys.readouterr().err
    assert "no result can be written to" in error and error.count("\n") == 1


def limited(matrix: Path, cells: Path, size: int) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", LIMITED, str(size), "run", str(matrix), "--cells", str(cells)]
    return forked.run(command, env={**os.environ, "PYTHONPATH": ROOT, "OMP_NUM_THREADS": "1"})


def test_a_full_disk_is_found_before_the_first_cell(matrix: Path, tmp_path: Path) -> None:
    said = limited(matrix, tmp_path, 4096)
    assert said.returncode == 2 and said.stderr.strip().splitlines()[-1].startswith("finbench run: no result can be")
    assert "Traceback" not in said.stderr and not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_disk_that_fills_on_the_way_ends_the_run_in_one_line(
    matrix: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = store.write_outcomes
    written: list[Path] = []

    def full(path: Path, *given: object, **options: object) -> None:
        written.append(path)
        if len(written) > 2:
            path.write_bytes(b"PAR1")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(path, *given, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(store, "write_outcomes", full)
        assert main(["run", str(matrix), "--cells", str(tmp_path)]) == 2
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("finbench run")]
    assert len(error) == 1 and "No space left on device" in error[0] and "2 cells are done and stay" in error[0]
    assert len(written) == 3  # nothing more is scored that could not be kept
    cells = read_cells(tmp_path)
    assert len(cells.results) == 2 and not cells.failures and not cells.unreadable and not rest(tmp_path)
    assert main(["run", str(matrix), "--cells", str(tmp_path)]) == 0
    assert len(read_cells(tmp_path).results) == 4


def test_a_failure_that_cannot_be_kept_ends_the_run_in_one_line(
    matrix: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from finbench.runs import execute

    def fails(*_: object) -> None:
        raise Unwritable("the disk is full.")

    def broken(*_: object) -> None:
        raise FinbenchError("the base cannot be loaded.")

    monkeypatch.setattr("finbench.runs.bases.loaded.load_base", broken)
    monkeypatch.setattr(execute, "write_failure", fails)
    assert main(["run", str(matrix), "--cells", str(tmp_path / "cells")]) == 2
    assert "finbench run: the disk is full. The run stops: 0 cells are done" in capsys.readouterr().err
