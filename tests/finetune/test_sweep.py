"""A sweep picks by validation rows, goes on where it was stopped, and refuses what recipes do not have."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
import yaml

from finbench.errors import FinbenchError
from finetune.recipe import read_recipe
from finetune.sweep import read_sweep
from tests import forked

SWEEP = "values:\n  learning_rate: {low: 1.0e-7, high: 1.0e-2, log: true}\n  r: [2, 4]\nseeds: [0, 1]\nmetric: loss\n"


@pytest.fixture
def recipe(bert: Path, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(
        f"base: {bert}\ntask_type: classifier\ntasks: [fin_fpb]\nvalidation_share: 0.3\nmax_steps: 4\nbatch_size: 4\n"
    )
    (tmp_path / "sweep.yaml").write_text(SWEEP + "direction: minimize\ntrials: 2\n")
    return path


def test_a_killed_sweep_goes_on_and_writes_the_winners_recipe(recipe: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "finbench", "sweep", "tiny.yaml", "sweep.yaml", "--output", "out"]
    first = forked.start(command, cwd=tmp_path)
    finished = tmp_path / "out" / "trial-0000" / "seed-0" / "finbench.json"
    deadline = time.monotonic() + 240
    while not finished.is_file() and time.monotonic() < deadline:
        assert first.poll() is None, first.communicate()
        time.sleep(0.05)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    made = finished.stat().st_mtime_ns
    done = forked.run(command, cwd=tmp_path, check=True)
    assert finished.stat().st_mtime_ns == made, "a finished training was done again"
    records = [json.loads(path.read_text()) for path in (tmp_path / "out").glob("trial-*/seed-*/finbench.json")]
    assert len(records) == 4, "two trials of two seeds"
    mean: dict[float, list[float]] = {}
    for record in records:
        mean.setdefault(record["recipe"]["learning_rate"], []).append(record["metrics"]["loss"])
    best = min(mean, key=lambda rate: sum(mean[rate]))
    written = yaml.safe_load((tmp_path / "out" / "best.yaml").read_text())
    assert written["learning_rate"] == pytest.approx(best) and "weight_decay" not in written
    assert read_recipe(tmp_path / "out" / "best.yaml").max_steps == 4
    assert "validation loss" in done.stdout and "±" in done.stdout
    assert len((tmp_path / "out" / "report.md").read_text().splitlines()) > 5


@pytest.mark.slow
def test_a_trial_that_fails_is_counted_and_the_others_go_on(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text('values: {target_modules: [["query"], ["no_such_module"]]}\ntrials: 4\n')
    command = [sys.executable, "-m", "finbench", "sweep", "tiny.yaml", "sweep.yaml", "--output", "out", "max_steps=1"]
    done = forked.run(command, cwd=tmp_path, check=True)
    failed = [p for p in (tmp_path / "out").glob("trial-*/*.log") if "has no no_such_module" in p.read_text()]
    assert failed and f"{len(failed)} trials failed" in done.stdout
    assert yaml.safe_load((tmp_path / "out" / "best.yaml").read_text())["target_modules"] == ["query"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("values: {learning_rates: [1]}", "did you mean learning_rate"),
        ("values: {r: [0]}", "must be 1 or more"),
        ("values: {r: {from: 1, to: 2}}", "low and high"),
        ("values: {seed: [1, 2]}", "all `seeds`"),
        ("trials: 3", "lacks values"),
        ("values: {r: [4]}\nepochs: 3", "unknown key 'epochs'"),
        ("values: {validation_share: [0.0]}", "validation_share above 0"),
    ],
)
def test_what_is_wrong_is_named_before_anything_is_trained(recipe: Path, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "sweep.yaml").write_text(text)
    with pytest.raises(FinbenchError, match=said):
        read_sweep(tmp_path / "sweep.yaml", recipe)
