"""Every method on every kind of model: trains, saves, loads in a fresh process with equal logits, changes answers."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from finbench.errors import FinbenchError
from finetune.card import describe
from finetune.methods.support import KINDS, METHODS, works
from finetune.recipe import read_recipe
from finetune.train import Trained, train
from tests import forked

pytestmark = pytest.mark.usefixtures("without_pictures")
BITS = {"qlora": (("bits=8",), ("bits=4",))}
CASES = [
    (kind.family, kind.task_type, method, settings)
    for kind in KINDS
    for method in METHODS
    if works(method, kind)
    for settings in BITS.get(method, ((),))
]
FRESH = """
import json, sys, torch
from pathlib import Path
cases = json.loads(Path(sys.argv[1]).read_text())
for name, case in cases.items():
    if case["task_type"] == "classifier":
        from finbench.models.classifier import ClassifierLM as kind
    else:
        from finbench.models.fast import FastLM as kind
    bits = {"load_in_%sbit" % case["bits"]: True} if case["bits"] else {}
    where = {"pretrained": case["folder"]} if case["full"] else {"pretrained": case["base"], "peft": case["folder"]}
    model = kind(**where, device="cpu", dtype="float32", **bits).model.eval()
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([case["ids"]])).logits
    torch.save(logits, Path(case["folder"]) / "fresh.pt")
"""


def small(base: Path, task_type: str, method: str, settings: tuple[str, ...], folder: Path) -> Trained:
    """Train three steps on the bundled rows."""
    path = folder.parent / f"{folder.name}.yaml"
    path.write_text(
        f"base: {base}\ntask_type: {task_type}\ntasks: [fin_fpb]\nmethod: {method}\nmax_steps: 3\nvalidation_share: 0\n"
        f"batch_size: 4\nlearning_rate: 1.0e-2\nreduction_factor: 4\nseed: 1\n"
    )
    recipe = read_recipe(path, settings)
    trained = train(recipe, folder)
    describe(trained, recipe, "finbench finetune ...")
    return trained


def logits_of(model: Any, ids: list[int]) -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = model.eval()(input_ids=torch.tensor([ids])).logits
    return logits


def test_every_method_trains_saves_and_loads_anew(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    from finbench.models.classifier import ClassifierLM
    from finbench.models.fast import FastLM

    ids = list(range(5, 25))
    cases: dict[str, dict[str, Any]] = {}
    for family, task_type, method, settings in CASES:
        base = request.getfixturevalue(family)
        name = "-".join([family, task_type, method, *settings])
        trained = small(base, task_type, method, settings, tmp_path / name)
        record = json.loads((tmp_path / name / "finbench.json").read_text())
        assert record["parameters"]["trainable"] > 0 and record["adapter_bytes"] > 0, name
        assert bool(trained.labels) == (task_type == "classifier"), name
        bits = record["recipe"]["bits"]
        cases[name] = {
            "task_type": task_type, "full": method == "full", "base": str(base), "bits": bits,
            "folder": str(tmp_path / name), "ids": ids,
        }  # fmt: skip
    listing = tmp_path / "cases.json"
    listing.write_text(json.dumps(cases))
    forked.run([sys.executable, "-c", FRESH, str(listing)], check=True)
    bases: dict[tuple[str, int | None], torch.Tensor] = {}
    for name, case in cases.items():
        fresh = torch.load(Path(case["folder"]) / "fresh.pt")
        kind = ClassifierLM if case["task_type"] == "classifier" else FastLM
        bits = {f"load_in_{case['bits']}bit": True} if case["bits"] else {}
        if case["full"]:
            here = kind(pretrained=case["folder"], device="cpu", **bits).model
        else:
            here = kind(pretrained=case["base"], peft=case["folder"], device="cpu", dtype="float32", **bits).model
        assert torch.equal(fresh, logits_of(here, ids)), f"{name}: another process gives other logits"
        assert torch.isfinite(fresh).all(), name
        if case["task_type"] == "causal":
            if (case["base"], case["bits"]) not in bases:
                plain = FastLM(pretrained=case["base"], device="cpu", dtype="float32", **bits).model
                bases[case["base"], case["bits"]] = logits_of(plain, ids)
            # a prompt's virtual tokens have logits too; and with an adapter lm-eval fits the embedding to the
            # tokenizer, which has fewer tokens than the tiny models
            same = fresh[:, -len(ids) :]
            change = (bases[case["base"], case["bits"]][..., : same.shape[-1]] - same).abs().max()
            assert change > 1e-4, f"{name}: the adapter changes nothing"


def test_training_lowers_the_loss_of_the_train_rows(bert: Path, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"base: {bert}\ntask_type: classifier\ntasks: [fin_fpb]\nmethod: full\nepochs: 30\nvalidation_share: 0\n"
        "batch_size: 8\nlearning_rate: 2.0e-3\nclass_weights: true\n"
    )
    trained = train(read_recipe(path), tmp_path / "out")
    losses = [entry["loss"] for entry in trained.history if "loss" in entry]
    assert losses[0] > 0.9 and losses[-1] < 0.5 * losses[0]


def test_lora_on_every_linear_layer_trains_more_than_the_attention(bert: Path, tmp_path: Path) -> None:
    few = small(bert, "classifier", "lora", (), tmp_path / "few").parameters["trainable"]
    many = small(bert, "classifier", "lora", ("target_modules=all-linear",), tmp_path / "many").parameters["trainable"]
    assert many > few


def test_what_does_not_work_is_refused_by_name(gpt2: Path, tmp_path: Path) -> None:
    with pytest.raises(FinbenchError, match="prompt does not work on a gpt2 classifier.*use prefix"):
        small(gpt2, "classifier", "prompt", (), tmp_path / "out")
    with pytest.raises(FinbenchError, match="has no q_proj. It has .*c_attn"):
        small(gpt2, "causal", "lora", ("target_modules=[q_proj]",), tmp_path / "out")
