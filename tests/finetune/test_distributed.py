"""The launch configurations that come with finbench: what they split trains to the adapter of one process."""

import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from finbench.cli import main
from finbench.errors import FinbenchError
from finetune import sharded as split
from finetune.recipe import DEFAULTS, read_recipe
from tests import forked
from tests.conftest import build_model

CONFIGS = DEFAULTS.parent.parent / "distributed"
RECIPE = """\
base: {base}
tasks: [fin_fpb]
method: lora
limit: 22
epochs: 6
max_steps: 7
learning_rate: 1.0e-3
validation_share: 0.2
best_by: accuracy
"""
# accelerate splits by FSDP only what runs on accelerators: CPUs are passed off as some
AS_ACCELERATORS = """\
import sys
from accelerate import state
plain = state.PartialState.__init__
def start(self, *given, **named):
    plain(self, *given, **named)
    if self.distributed_type == state.DistributedType.MULTI_CPU:
        self.distributed_type = self._shared_state["distributed_type"] = state.DistributedType.MULTI_GPU
state.PartialState.__init__ = start
from torch.distributed.fsdp import FSDPModule
from finetune import sharded as split
gathered = split.gathered
def checked(model):
    assert sum(isinstance(module, FSDPModule) for module in model.modules()) > 3
    return gathered(model)
split.gathered = checked
from finbench.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.format(base=build_model(tmp_path / "base", "llama")))
    return path


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter_model.safetensors")


def trains_alike(config: str, recipe: Path, settings: list[str], start: list[str]) -> None:
    """Assert that two launched processes leave the same adapter as one with the same rows in a step.

    Each validates after every epoch, and goes back to its best checkpoint in the end.
    """
    one, two = recipe.parent / "one", recipe.parent / config
    assert main(["finetune", str(recipe), *settings, "batch_size=8", "--output", str(one)]) == 0
    launch = [sys.executable, "-m", "accelerate.commands.launch", f"--config_file={CONFIGS / config}.yaml", *start]
    command = [*launch, "finetune", str(recipe), *settings, "batch_size=4", "--output", str(two)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    forked.run(command, check=True, timeout=500, env=environment)
    alone, together = weights(one), weights(two)
    assert alone.keys() == together.keys()
    assert max(float(value.abs().max()) for name, value in alone.items() if "lora_B" in name) > 1e-3
    for name, value in alone.items():
        assert (together[name] - value).abs().max() < 1e-5, name
    files = {path.name for path in one.iterdir()}
    assert {path.name for path in two.iterdir()} == files
    validated = [json.loads((folder / "finbench.json").read_text())["metrics"] for folder in (one, two)]
    assert validated[1] == pytest.approx(validated[0], abs=1e-5) and validated[0]["loss"] > 0


@pytest.mark.parametrize("bits", ["null", pytest.param("4", marks=pytest.mark.slow)])
def test_fsdp_trains_to_the_adapter_of_one_process(recipe: Path, bits: str) -> None:
    script = recipe.parent / "launched.py"
    script.write_text(AS_ACCELERATORS)
    trains_alike("fsdp", recipe, [f"bits={bits}"], [str(script)])


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("deepspeed") is None, reason="pip install .[deepspeed]")
@pytest.mark.parametrize(("config", "bits"), [("zero2", "null"), ("zero2", "4"), ("zero3", "null")])
def test_deepspeed_trains_to_the_adapter_of_one_process(recipe: Path, config: str, bits: str) -> None:
    trains_alike(config, recipe, [f"bits={bits}"], ["-m", "finbench"])


def test_ddp_trains_to_the_adapter_of_one_process(recipe: Path) -> None:
    trains_alike("ddp", recipe, [], ["-m", "finbench"])


@pytest.mark.parametrize(
    ("launched", "settings", "message"),
    [
        ("fsdp", ["optimizer=zero_one_adam"], "optimizer=zero_one_adam sends its own messages"),
        ("zero2", ["optimizer=zero_one_adam"], "optimizer=zero_one_adam sends its own messages"),
        ("fsdp", ["method=prompt"], "method=prompt reaches into weights"),
        ("zero3", ["method=prefix"], "method=prefix reaches into weights"),
        ("fsdp", ["bits=8"], "set bits=4"),
    ],
)
def test_what_cannot_be_split_is_refused(
    launched: str, settings: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(base="nobody/nothing-here"))
    launch(launched, monkeypatch)
    with pytest.raises(FinbenchError, match=message):
        split.check(read_recipe(recipe, settings))


def launch(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the variables by which accelerate tells a process how it was launched."""
    monkeypatch.setenv(f"ACCELERATE_USE_{'FSDP' if config == 'fsdp' else 'DEEPSPEED'}", "true")
    monkeypatch.setenv("ACCELERATE_DEEPSPEED_ZERO_STAGE", config[-1])


def test_what_is_not_split_goes_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(base="nobody/nothing-here"))
    settings = ["method=prompt", "bits=8", "validation_share=0.1"]
    split.check(read_recipe(recipe, [*settings, "optimizer=zero_one_adam"]))
    launch("zero2", monkeypatch)
    split.check(read_recipe(recipe, settings))
    assert split.gathered(torch.nn.Linear(1, 1)) is None


def test_accelerate_reads_every_configuration() -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    kinds = {}
    for path in sorted(CONFIGS.glob("*.yaml")):
        config = load_config_from_file(str(path))
        assert config.to_dict().keys() >= yaml.safe_load(path.read_text()).keys()
        kinds[path.stem] = str(config.distributed_type)
    assert kinds == {"ddp": "MULTI_GPU", "fsdp": "FSDP", "zero2": "DEEPSPEED", "zero3": "DEEPSPEED"}
