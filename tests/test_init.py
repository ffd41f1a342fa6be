"""A first working folder, from `finbench init` to a board."""

import os
import subprocess
import sys
from pathlib import Path

from tests import forked


def finbench(folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "finbench", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "FINBENCH_DATA": "sample", **more}
    return forked.run(command, cwd=folder, env=environment)


def test_what_it_makes_is_a_study(gpt2: Path, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    made = finbench(tmp_path, "init", "study")
    assert made.returncode == 0 and "finbench run matrix.yaml" in made.stdout, made.stderr
    assert {path.name for path in folder.iterdir()} == {"my_mood.csv", "recipe.yaml", "matrix.yaml", "tasks_yaml"}
    assert finbench(folder, "validate", "tasks_yaml/my_mood.yaml").returncode == 0
    foretold = finbench(folder, "finetune", "recipe.yaml", "--dry-run").stdout
    assert "lora on gpt2 (causal) for my_mood" in foretold and "into " in foretold
    matrix = (folder / "matrix.yaml").read_text()
    (folder / "matrix.yaml").write_text(matrix.replace("base: gpt2 ", f"base: {gpt2} "))
    trained = finbench(folder, "finetune", "recipe.yaml", f"base={gpt2}", "max_steps=1", "--output", "adapters/first")
    assert trained.returncode == 0, trained.stderr
    done = finbench(folder, "run", "matrix.yaml", "--cells", "leaderboards/cells")
    assert done.returncode == 0 and "2 to score" in done.stdout, done.stdout + done.stderr
    assert len(list((folder / "leaderboards" / "cells").rglob("*.json"))) == 2


def test_files_that_are_there_stay(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("mine")
    refused = finbench(tmp_path, "init")
    assert refused.returncode == 2 and "recipe.yaml: there already" in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.yaml"]


def test_a_task_of_that_name_elsewhere_leaves_the_folder_empty(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "my_mood.yaml").write_text("task: my_mood\n")
    refused = finbench(tmp_path, "init", "study", FINBENCH_TASKS=str(tmp_path / "tasks"))
    assert refused.returncode == 2 and "a task called 'my_mood' already" in refused.stderr, refused.stderr
    assert not list((tmp_path / "study").iterdir())
