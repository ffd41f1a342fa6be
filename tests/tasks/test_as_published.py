"""Every task of finbench_all, from rows in its publisher's form to a score by plain lm_eval and by `finbench run`."""

import json
import sys
from pathlib import Path

import pytest

from finbench.cells.store import read_cells
from finbench.cli import main
from finbench.data.load import DATASETS, load
from finbench.scoring.for_lm_eval import name_in_lm_eval
from finbench.tasks.load import kind_of, load_tasks
from tests import forked
from tests.conftest import build_model
from tests.data.published import lay_out

LIMIT = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("published")
    lay_out(place)
    return place


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny Llama whose window holds the 77 names of Banking77."""
    return build_model(tmp_path_factory.mktemp("base"), "llama", window=4096)


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_is_read_from_its_publishers_files(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINBENCH_DATA", str(folder))
    rows = load(name)
    assert rows.source.startswith("folder") and all(len(part) >= 2 for part in rows.splits.values())


def test_every_task_is_scored_by_plain_lm_eval_and_by_a_run(
    folder: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINBENCH_DATA", str(folder))
    tasks = load_tasks(["finbench_all"])
    command = [sys.executable, "-m", "lm_eval", "--model", "hf", "--model_args", f"pretrained={base},dtype=float32"]
    command += ["--tasks", "finbench_all", "--limit", str(LIMIT), "--device", "cpu", "--output_path", "out"]
    forked.run([*command, "--gen_kwargs", "max_gen_toks=8"], cwd=tmp_path, check=True)
    (found,) = (tmp_path / "out").rglob("results_*.json")
    results = json.loads(found.read_text())
    for name, task in tasks.items():
        assert results["n-samples"][name]["effective"] == LIMIT, name
        for metric in kind_of(name, task).metrics:
            assert 0 <= results["results"][name][f"{name_in_lm_eval(metric)},none"] <= 1, (name, metric)

    matrix = {"name": "m", "tasks": ["finbench_all"], "limit": LIMIT, "bases": [{"base": str(base), "name": "toy"}]}
    (tmp_path / "m.yaml").write_text(json.dumps(matrix))
    assert main(["run", str(tmp_path / "m.yaml"), "--cells", str(tmp_path / "cells")]) == 0
    cells = {cell.key.task: cell for cell in read_cells(tmp_path / "cells").results}
    assert cells.keys() == tasks.keys()
    assert all(cell.kind == kind_of(name, tasks[name]).name for name, cell in cells.items())
