"""A matrix as a user runs it: scored, skipped when done, failures kept, killed and gone on with, rendered, checked."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from finbench.cells.store import read_cells
from finbench.cli import main
from tests import forked
from tests.conftest import build_model

MATRIX = """\
name: small
title: toys
tasks: [fin_fpb, fin_xbrl_values]
limit: 6
bases:
  - {{base: {base}, name: toy, model: hf-fast, adapters: [{adapters}]}}
"""
RECIPE = """\
base: {base}
task_type: causal
tasks: [fin_fpb]
method: lora
max_steps: 2
validation_share: 0
learning_rate: 1.0e-2
seed: {seed}
"""


def make_adapter(base: Path, folder: Path, seed: int) -> Path:
    recipe = folder.parent / f"{folder.name}.yaml"
    recipe.write_text(RECIPE.format(base=base, seed=seed))
    assert main(["finetune", str(recipe), "--output", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a GPT-2 whose window holds a sentence and not a filing."""
    return build_model(tmp_path_factory.mktemp("gpt2"), "gpt2", window=512)


@pytest.fixture(scope="module")
def adapters(gpt2: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("adapters")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINBENCH_DATA", "sample")
        return [make_adapter(gpt2, folder / name, seed) for seed, name in enumerate(("one", "two"))]


@pytest.fixture
def matrix(gpt2: Path, adapters: list[Path], tmp_path: Path) -> Path:
    path = tmp_path / "matrix.yaml"
    path.write_text(MATRIX.format(base=gpt2, adapters=", ".join(map(str, adapters))))
    return path


def accuracies(folder: Path) -> dict[str, tuple[float, str]]:
    return {
        cell.key.title(): (cell.metrics["accuracy"].value, json.dumps(cell.confusion))
        for cell in read_cells(folder).results
    }


def test_a_matrix_is_scored_once_rendered_and_checked(
    matrix: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # the tiny model's window does not hold the XML, so these three cells fail and the others stand
    assert main(["run", str(matrix)]) == 1
    out = capsys.readouterr().out
    assert "6 cells" in out and out.count("failed: fin_xbrl_values") == 3 and "the model reads" in out
    cells = read_cells(Path("leaderboards/cells"))
    assert len(cells.results) == 3 and len(cells.failures) == 3 and not cells.unreadable
    proofs = {cell.key.adapter: cell.adapter_proof for cell in cells.results}
    assert proofs[""] is None and proofs["one"]["changed"] and proofs["two"]["changed"]
    before = {path: path.stat().st_mtime_ns for path in Path("leaderboards/cells").rglob("*.json")}
    assert main(["run", str(matrix)]) == 1  # nothing to do, and three cells have no result
    out = capsys.readouterr().out
    assert "--redo missing" in out and "0 to score" in out and "3 failed before and are left alone" in out
    assert before == {path: path.stat().st_mtime_ns for path in Path("leaderboards/cells").rglob("*.json")}
    assert main(["leaderboard", "--check"]) == 1
    assert main(["leaderboard"]) == 0
    assert main(["leaderboard", "--check"]) == 0
    front, notes = (Path(f"leaderboards/{name}.md").read_text() for name in ("README", "notes"))
    assert "toys" in front and "no score here is a real one" in front and "failed: fin_xbrl_values" in notes
    assert "first 6 rows only" in front and "3 failed" in front
    Path("leaderboards/accuracy.md").write_text("something else")
    capsys.readouterr()
    assert main(["leaderboard", "--check"]) == 1
    assert "accuracy.md differs" in capsys.readouterr().out


def test_adapters_on_one_base_are_those_loaded_alone(
    matrix: Path, gpt2: Path, adapters: list[Path], tmp_path: Path
) -> None:
    """The second adapter after the first, and the base after both, answer as if nothing had been there before."""
    folder = tmp_path / "cells"
    main(["run", str(matrix), "--cells", str(folder)])
    together = accuracies(folder)
    for adapter in adapters:
        alone = tmp_path / adapter.name
        path = tmp_path / f"{adapter.name}.yaml"
        path.write_text(MATRIX.format(base=gpt2, adapters=adapter))
        main(["run", str(path), "--cells", str(alone)])
        for title, result in accuracies(alone).items():
            assert together[title] == result


def test_an_adapter_trained_anew_in_place_gets_new_cells(gpt2: Path, tmp_path: Path) -> None:
    adapter = make_adapter(gpt2, tmp_path / "adapter", 5)
    path, folder = tmp_path / "matrix.yaml", tmp_path / "cells"
    path.write_text(MATRIX.format(base=gpt2, adapters=adapter).replace(", fin_xbrl_values", ""))
    assert main(["run", str(path), "--cells", str(folder)]) == 0
    first = {cell.key.adapter_sha256 for cell in read_cells(folder).results}
    for file in adapter.iterdir():
        file.unlink()
    adapter.rmdir()
    make_adapter(gpt2, adapter, 6)
    assert main(["run", str(path), "--cells", str(folder)]) == 0
    assert len({cell.key.adapter_sha256 for cell in read_cells(folder).results} - first) == 1


def test_a_killed_run_goes_on_and_leaves_finished_cells_alone(matrix: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    main(["run", str(matrix), "--cells", str(whole)])
    command = [sys.executable, "-m", "finbench", "run", str(matrix), "--cells", str(killed)]
    process = forked.start(command)
    deadline = time.monotonic() + 120
    while not list(killed.glob("*/*/*.json")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    finished = {path: path.read_bytes() for path in killed.rglob("*.json")}
    main(["run", str(matrix), "--cells", str(killed)])
    assert all(path.read_bytes() == text for path, text in finished.items())
    assert accuracies(killed) == accuracies(whole)
    for path in whole.rglob("*.parquet"):
        assert (killed / path.relative_to(whole)).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("task: [fin_fpb]", "did you mean tasks"),
        ("tasks: [fin_fbp]", "did you mean fin_fpb"),
        ("limit: many", "limit is 'many'"),
    ],
)
def test_a_wrong_matrix_is_named(
    line: str, message: str, gpt2: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "matrix.yaml"
    tasks = "" if line.startswith("task") else "tasks: [fin_fpb]\n"
    path.write_text(f"name: x\n{line}\n{tasks}bases:\n  - {{base: {gpt2}}}\n")
    assert main(["run", str(path), "--cells", str(tmp_path / "cells")]) == 2
    assert message in capsys.readouterr().err
