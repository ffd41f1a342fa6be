"""What plain lm_eval wrote becomes cells that say what they cannot prove, and boards keep them apart."""

import json
import os
import shutil
import sys
from pathlib import Path

import jsonschema
import pytest

from finbench.cells.schema import cell_schema
from finbench.cells.store import path_of, read_cells, read_outcomes
from finbench.cli import main
from tests import forked
from tests.conftest import build_model
from tests.runs.test_run import make_adapter

TASKS = ("fin_fiqa", "fin_fpb_gen")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base") / "toy"
    build_model(folder, "gpt2")
    return folder


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINBENCH_DATA", "sample")
        return make_adapter(base, tmp_path_factory.mktemp("adapters") / "one", 3)


@pytest.fixture(scope="module")
def results(base: Path, adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the results file of a plain lm_eval with --log_samples."""
    folder = tmp_path_factory.mktemp("results")
    command = [sys.executable, "-m", "lm_eval", "--model", "hf-fast", "--tasks", ",".join(TASKS), "--log_samples"]
    command += ["--model_args", f"pretrained={base},peft={adapter}", "--output_path", str(folder), "--limit", "9"]
    environment = {**os.environ, "FINBENCH_DATA": "sample", "OMP_NUM_THREADS": "1"}
    forked.run(command, check=True, cwd=folder, env=environment)
    (path,) = folder.rglob("results_*.json")
    return path


def test_samples_give_the_cells_of_our_own_run(results: Path, base: Path, adapter: Path, tmp_path: Path) -> None:
    matrix = tmp_path / "matrix.yaml"
    matrix.write_text(
        f"name: own\ntasks: [{', '.join(TASKS)}]\nlimit: 9\nbases:\n"
        f"  - {{base: {base}, adapters: [{adapter}], score_base: false}}\n"
    )
    assert main(["run", str(matrix), "--cells", str(tmp_path / "own")]) == 0
    assert main(["import-results", str(results), "--cells", str(tmp_path / "imported")]) == 0
    own = {cell.key.task: cell for cell in read_cells(tmp_path / "own").results}
    imported = read_cells(tmp_path / "imported")
    assert {cell.key.task for cell in imported.results} == set(TASKS) and not imported.unreadable
    for cell in imported.results:
        ours = own[cell.key.task]
        for name in ("metrics", "confusion", "per_class", "n_rows", "n_clusters", "unparsed_share"):
            assert getattr(cell, name) == getattr(ours, name), name
        for name in ("base", "adapter", "precision", "task", "task_version", "rows_sha256", "limit", "num_fewshot"):
            assert getattr(cell.key, name) == getattr(ours.key, name), name
        rows, our_rows = read_outcomes(tmp_path / "imported", cell.key), read_outcomes(tmp_path / "own", ours.key)
        assert [(one.row_id, one.prediction) for one in rows] == [(one.row_id, one.prediction) for one in our_rows]
        assert {"base_sha256", "adapter_sha256", "adapter_proof", "peak_bytes", "seconds_per_row"} <= set(cell.missing)
        assert cell.peak_bytes is cell.seconds_per_row is cell.adapter_proof is None
        assert str(base) not in cell.as_json() and str(adapter) not in cell.as_json()
        jsonschema.validate(json.loads(cell.as_json()), cell_schema())


def test_without_samples_the_numbers_are_lm_evals_own(results: Path, tmp_path: Path) -> None:
    alone = tmp_path / results.name
    shutil.copy(results, alone)
    assert main(["import-results", str(alone), "--cells", str(tmp_path / "cells")]) == 0
    said = json.loads(results.read_text())["results"]
    for cell in read_cells(tmp_path / "cells").results:
        scores = said[cell.key.task]
        for name, metric in cell.metrics.items():
            shown = "acc" if name == "accuracy" else name
            assert (metric.value, metric.stderr) == (scores[f"{shown},none"], scores[f"{shown}_stderr,none"]), name
        assert {"rows_sha256", "confusion", "n_clusters"} <= set(cell.missing)
        assert not path_of(tmp_path / "cells", cell.key, ".parquet").exists()


def test_results_that_call_it_accuracy_are_read_too(results: Path, tmp_path: Path) -> None:
    record = json.loads(results.read_text())
    for scores in record["results"].values():
        for key in [key for key in scores if key.startswith("acc")]:
            scores[key.replace("acc", "accuracy", 1)] = scores.pop(key)
    (tmp_path / results.name).write_text(json.dumps(record))
    assert main(["import-results", str(tmp_path / results.name), "--cells", str(tmp_path / "cells")]) == 0
    for cell in read_cells(tmp_path / "cells").results:
        assert cell.metrics["accuracy"].value == record["results"][cell.key.task]["accuracy,none"]
        assert "acc" not in cell.metrics


@pytest.mark.parametrize("with_samples", [True, False])
def test_boards_keep_them_apart_and_say_so(with_samples: bool, results: Path, tmp_path: Path) -> None:
    given = tmp_path / results.name
    for path in results.parent.iterdir() if with_samples else [results]:
        shutil.copy(path, tmp_path / path.name)
    cells = tmp_path / "cells"
    assert main(["import-results", str(given), "--cells", str(cells)]) == 0
    assert main(["leaderboard", "--cells", str(cells), "--output", str(tmp_path / "boards")]) == 0
    front, notes = ((tmp_path / "boards" / name).read_text() for name in ("README.md", "notes.md"))
    assert "Imported from lm-eval, without proof" in front and "without proof of source, base_sha256" in notes
    assert "unknown, 0 cores" not in (tmp_path / "boards" / "efficiency.md").read_text()


def test_another_run_is_not_overwritten(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = tmp_path / "cells"
    assert main(["import-results", str(results), "--cells", str(cells)]) == 0
    assert main(["import-results", str(results), "--cells", str(cells)]) == 0  # the same run again is no other
    later = {**json.loads(results.read_text()), "date": 1.0}
    other = results.with_name(results.name)
    path = tmp_path / other.name
    path.write_text(json.dumps(later))
    for samples in results.parent.glob("samples_*"):
        shutil.copy(samples, tmp_path / samples.name)
    assert main(["import-results", str(path), "--cells", str(cells)]) == 2
    assert "holds another run" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"results": {}}'])
def test_what_is_no_result_is_said(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "results_x.json"
    path.write_text(text)
    assert main(["import-results", str(path)]) == 2
    assert "cannot be read as results of lm-eval" in capsys.readouterr().err
