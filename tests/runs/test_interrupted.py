"""A matrix killed five times at random moments ends in the cells, rows and boards of one that was left alone."""

import json
import os
import random
import sys
from pathlib import Path

import pytest

from finbench.cells.seal import seal_of
from finbench.cli import main
from tests import forked
from tests.conftest import build_model
from tests.runs.test_run import make_adapter

MATRIX = """\
name: small
tasks: [fin_fpb, fin_fiqa, fin_tfns, fin_fpb_gen]
bases:
  - {{base: {first}, name: first, adapters: [{adapter}]}}
  - {{base: {second}, name: second}}
"""
MEASURED = {
    "created": "2026-01-01T00:00:00+00:00", "command": "finbench run", "elapsed_seconds": 1.0, "seconds_per_row": 0.1,
    "rows_per_second": 10.0, "peak_bytes": 2**30, "resources": {},
}  # fmt: skip


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("matrix")
    first, second = folder / "first", folder / "second"
    build_model(first, "gpt2")
    build_model(second, "llama")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINBENCH_DATA", "sample")
        adapter = make_adapter(first, folder / "adapter", 3)
    path = folder / "matrix.yaml"
    path.write_text(MATRIX.format(first=first, second=second, adapter=adapter))
    return path


def without_costs(cells: Path) -> None:
    """Write the same measured costs into every cell, and seal it anew."""
    for path in cells.rglob("*.json"):
        record = json.loads(path.read_text())
        record |= {name: MEASURED[name] for name in MEASURED if name in record} | {"load": None}
        record["seal"] = seal_of(record, path.with_suffix(".parquet").read_bytes())
        path.write_text(json.dumps(record))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_five_kills_change_nothing_but_measured_costs(
    matrix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert main(["run", str(matrix), "--cells", str(whole / "cells")]) == 0
    seed = str(random.SystemRandom().randrange(10**6))
    command = [sys.executable, "-m", "tests.runs.killed_at_random", str(matrix), str(killed / "cells"), "5", seed]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    said = forked.run(command, env=environment)
    assert said.returncode == 0 and said.stdout.count("in the run") == 5, f"seed {seed}: {said.stdout}{said.stderr}"
    assert "exit 0" in said.stdout
    assert not list(killed.rglob(".*"))  # what killed processes were writing or held is cleared by the next
    for folder in (whole, killed):
        without_costs(folder / "cells")
        monkeypatch.chdir(folder)
        assert main(["leaderboard", "--cells", "cells", "--output", "boards"]) == 0
    assert len(list(whole.rglob("*.parquet"))) == 12
    assert contents(killed) == contents(whole), f"seed {seed}"
