"""The loop as a user starts it: by the command line, stopped by kill -9, on two processes."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from finbench.cli import main
from tests import forked
from tests.conftest import build_model

RECIPE = """\
base: {base}
task_type: classifier
tasks: [fin_fpb]
method: lora
epochs: 6
batch_size: 4
learning_rate: 5.0e-3
dropout: 0.1
eval_steps: 3
validation_share: 0.2
best_by: null
"""


DROPOUTS = {
    "bert": ("hidden_dropout_prob", "attention_probs_dropout_prob"),
    "gpt2": ("resid_pdrop", "attn_pdrop", "embd_pdrop"),
}


@pytest.fixture
def recipe(bert: Path, tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.format(base=bert))
    return path


def test_an_adapter_folder_holds_what_it_should(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "adapter"
    assert main(["finetune", str(recipe), "epochs=1", "best_by=accuracy", "--output", str(folder)]) == 0
    assert {path.name for path in folder.iterdir()} == {
        "README.md", "adapter_config.json", "adapter_model.safetensors", "confusion.png", "curves.png", "finbench.json"
    }  # fmt: skip
    record = json.loads((folder / "finbench.json").read_text())
    assert record["labels"] == ["negative", "neutral", "positive"]
    assert record["rows"]["fin_fpb"]["source"] == "sample" and record["resources"]["elapsed_seconds"] > 0
    assert set(record["metrics"]) >= {"accuracy", "f1_weighted", "loss"}
    assert "validation accuracy" in capsys.readouterr().out
    assert main(["finetune", str(recipe), "--output", str(folder)]) == 2
    assert "finished adapter" in capsys.readouterr().err
    assert main(["finetune", str(recipe), "--overwrite", "--output", str(folder), "max_steps=1"]) == 0
    assert json.loads((folder / "finbench.json").read_text())["resources"]["steps"] == 1


def test_weights_that_cannot_be_had_are_named_at_once(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["finetune", str(recipe), "base=nobody/nothing-here", "--output", str(tmp_path / "x")]) == 2
    error = capsys.readouterr().err
    assert "nobody/nothing-here" in error and "base=FOLDER" in error
    # the same output serves the next attempt
    assert main(["finetune", str(recipe), "max_steps=1", "--output", str(tmp_path / "x")]) == 0


@pytest.mark.parametrize(
    ("family", "task_type"), [("bert", "classifier"), pytest.param("gpt2", "causal", marks=pytest.mark.slow)]
)
def test_two_processes_train_to_the_weights_of_one(family: str, task_type: str, tmp_path: Path) -> None:
    base = build_model(tmp_path / "base", family, **dict.fromkeys(DROPOUTS[family], 0.0))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(base=base))
    settings = [f"task_type={task_type}", "dropout=0", "max_steps=7", "learning_rate=1.0e-3", "validation_share=0"]
    one, two = tmp_path / "one", tmp_path / "two"
    # 22 rows: an epoch's last batch is not full
    # one of them with shared prefixes, where the model is causal, and one without
    alone_settings = ["limit=22", "batch_size=8", "prefix_sharing=off"]
    assert main(["finetune", str(recipe), *settings, *alone_settings, "--output", str(one)]) == 0
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes=2"]
    launch += ["--num_machines=1", "--mixed_precision=no", "--dynamo_backend=no", "--main_process_port=0"]
    command = ["-m", "finbench", "finetune", str(recipe), *settings, "limit=22", "batch_size=4", "--output", str(two)]
    forked.run([*launch, *command], check=True, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""})
    together, alone = weights(two), weights(one)
    for name, value in alone.items():
        assert (together[name] - value).abs().max() < 1e-5, name  # type: ignore[operator]
    assert len(json.loads((two / "finbench.json").read_text())["resources"]["ranks"]) == 2


def weights(folder: Path) -> dict[str, object]:
    return load_file(folder / "adapter_model.safetensors")


@pytest.mark.parametrize(
    ("family", "task_type"), [pytest.param("bert", "classifier", marks=pytest.mark.slow), ("gpt2", "causal")]
)
def test_a_killed_run_goes_on_to_the_same_weights(
    family: str, task_type: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(base=request.getfixturevalue(family)).replace("classifier", task_type))
    command = [sys.executable, "-m", "finbench", "finetune", str(recipe), "--output"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert main(["finetune", str(recipe), "--output", str(whole)]) == 0
    process = forked.start([*command, str(killed)])
    deadline = time.monotonic() + 120
    while not list(killed.glob("checkpoints/checkpoint-*/trainer_state.json")):
        assert process.poll() is None and time.monotonic() < deadline, "it ended before a checkpoint was there"
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (killed / "finbench.json").exists()
    assert main(["finetune", str(recipe), "--output", str(killed)]) == 0
    resources = json.loads((killed / "finbench.json").read_text())["resources"]
    assert resources["resumed_from_step"] > 0 and 0 < resources["seconds_before"] < resources["elapsed_seconds"]
    resumed, expected = weights(killed), weights(whole)
    assert resumed.keys() == expected.keys()
    for name, value in expected.items():
        assert (resumed[name] == value).all(), name  # type: ignore[attr-defined]
