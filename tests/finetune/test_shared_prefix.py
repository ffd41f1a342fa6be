"""Shared prefixes in training: the gradients of the plain loop, for every method and where batches are mixed."""

from pathlib import Path
from typing import Any

import pytest
import torch

from finbench.tasks import load_tasks
from finetune import examples as making
from finetune import methods
from finetune.base import load_base
from finetune.batches import collate
from finetune.examples import Example
from finetune.recipe import Recipe, read_recipe
from finetune.shared_prefix import install, why_plain
from finetune.train import RecipeTrainer

METHODS = ["full", "lora", "dora", "ia3", "bottleneck", "prefix", "prompt", "ptuning"]


def recipe_of(base: Path, folder: Path, *settings: str) -> Recipe:
    path = folder / "recipe.yaml"
    path.write_text(f"base: {base}\ntasks: [fin_fpb]\nreduction_factor: 4\n")
    return read_recipe(path, settings)


def adapted(recipe: Recipe) -> tuple[Any, Any]:
    """Return the model without dropout, every trained weight moved off its start, and the tokenizer."""
    model, tokenizer = load_base(recipe, ())
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    for name in ("attn_pdrop", "resid_pdrop", "embd_pdrop"):
        if hasattr(model.config, name):
            setattr(model.config, name, 0.0)
    model = methods.apply(model, recipe)
    torch.manual_seed(1)
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data += 0.05 * torch.randn_like(weight)
    return model.train(), tokenizer


def rows(model: Any, tokenizer: Any, recipe: Recipe, count: int = 6) -> list[Example]:
    from finbench.models.fast import FastLM

    tasks = load_tasks(recipe.tasks)
    docs = {name: list(task.training_docs())[:count] for name, task in tasks.items()}
    lm = FastLM(pretrained=model, tokenizer=tokenizer)
    found, _ = making.prompt_examples(tasks, docs, lm, recipe)
    return found


def gradients(model: Any, batch: dict[str, Any]) -> tuple[float, dict[str, torch.Tensor]]:
    """Return the loop's own loss of a batch, and the gradients of all trained weights."""
    trainer = RecipeTrainer.__new__(RecipeTrainer)
    trainer.model = model
    trainer.accelerator = type("Alone", (), {"unwrap_model": staticmethod(lambda wrapped: wrapped)})()
    model.zero_grad()
    loss = trainer.compute_loss(model, dict(batch))
    loss.backward()
    return loss.item(), {name: w.grad.clone() for name, w in model.named_parameters() if w.grad is not None}


def assert_same(model: Any, ours: dict[str, Any], plain: dict[str, Any], tolerance: float = 1e-5) -> None:
    (loss, found), (expected_loss, expected) = gradients(model, ours), gradients(model, plain)
    assert abs(loss - expected_loss) <= tolerance * abs(expected_loss)
    assert found.keys() == expected.keys() and expected
    scale = max(float(value.norm()) for value in expected.values())
    assert scale > 0
    for name, value in expected.items():
        assert float((found[name] - value).norm()) <= tolerance * max(float(value.norm()), 0.01 * scale), name


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("method", METHODS)
def test_gradients_are_those_of_the_plain_loss(
    family: str, method: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    recipe = recipe_of(request.getfixturevalue(family), tmp_path, f"method={method}")
    model, tokenizer = adapted(recipe)
    batch = [{"example": example, "fills": n == 5} for n, example in enumerate(rows(model, tokenizer, recipe))]
    assert why_plain(model, 200) == ""
    install(model)
    ours = collate(batch, tokenizer.pad_token_id, (), shares=True)
    assert ours["groups"][0]["prefix"].shape[1] > 40
    assert_same(model, ours, collate(batch, tokenizer.pad_token_id, ()))
