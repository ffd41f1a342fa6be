"""Shared prefixes in training: the gradients of the plain loop, for every method and where batches are mixed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from finbench.tasks.load import load_tasks
from finetune import examples as making
from finetune import methods
from finetune.base import load_base
from finetune.batches import collate
from finetune.examples import Example
from finetune.loop import RecipeTrainer
from finetune.recipe import Recipe, read_recipe
from finetune.shared_prefix import install, shared_batch, why_plain

METHODS = ["full", "lora", "dora", "rslora", "ia3", "bottleneck", "prefix", "prompt", "ptuning"]


def recipe_of(base: Path, folder: Path, *settings: str) -> Recipe:
    path = folder / "recipe.yaml"
    path.write_text(f"base: {base}\ntasks: [fin_fpb]\nreduction_factor: 4\n")
    return read_recipe(path, settings)


def adapted(recipe: Recipe) -> tuple[Any, Any]:
    """Return the model without dropout, every trained weight moved off its start, and the tokenizer."""
    model, tokenizer, _ = load_base(recipe, ())
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


def test_tasks_in_one_batch_share_each_their_own_prefix(llama: Path, tmp_path: Path) -> None:
    recipe = recipe_of(llama, tmp_path, "tasks=[fin_fpb,fin_ner]", "method=lora")
    model, tokenizer = adapted(recipe)
    found = rows(model, tokenizer, recipe, 4)
    # a row given twice, and a task of one row
    batch = [{"example": found[n], "fills": False} for n in (0, 5, 1, 6, 2, 2, 7)]
    batch.append({"example": replace(found[3], task="alone"), "fills": False})
    ours = collate(batch, tokenizer.pad_token_id, (), shares=True)
    assert [len(group["input_ids"]) for group in ours["groups"]] == [4, 3, 1]
    install(model)
    assert_same(model, ours, collate(batch, tokenizer.pad_token_id, ()))


def test_a_batch_shares_only_what_is_worth_a_pass() -> None:
    def row(name: str, *ids: int, task: str = "t") -> Example:
        return Example(name, task, ids, "", 1)

    long = tuple(range(80))
    assert shared_batch([row("a", *long, 1, 2)], [False], 0) is None
    assert shared_batch([row("a", *long[:40], 1, 2), row("b", *long[:40], 3, 4)], [False] * 2, 0) is None
    apart = [row("a", *long, 1, 2), row("b", *long, 3, 4), row("c", 1, 2, task="u"), row("d", 2, 3, task="u")]
    assert shared_batch(apart, [False] * 4, 0) is None
    batch = shared_batch([row("a", *long, 1, 2, 3), row("b", *long, 3, 4)], [False, True], 0)
    assert batch is not None and batch["labels"].tolist() == [3, -100]
    group = batch["groups"][0]
    assert group["prefix"].tolist() == [list(long)]
    assert group["input_ids"].tolist() == [[1, 2], [0, 3]] and group["attention_mask"].tolist() == [[1, 1], [0, 1]]
    # the prefix of equal rows ends before the place their answer is read at
    twice = shared_batch([row("a", *long, 1, 2), row("b", *long, 1, 2)], [False] * 2, 0)
    assert twice is not None and twice["groups"][0]["input_ids"].tolist() == [[1], [1]]


def test_a_window_that_cuts_a_row_is_not_shared() -> None:
    from transformers import MistralConfig, MistralForCausalLM

    small = {"vocab_size": 400, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}
    small |= {"num_attention_heads": 2, "num_key_value_heads": 1, "sliding_window": 64}
    sliding = MistralForCausalLM(MistralConfig(**small))
    assert why_plain(sliding, 60) == "" and "see 64 tokens" in why_plain(sliding, 65)


@pytest.mark.parametrize("bits", [4, 8])
def test_a_quantised_base_shares(bits: int, llama: Path, tmp_path: Path) -> None:
    recipe = recipe_of(llama, tmp_path, "method=qlora", f"bits={bits}")
    model, tokenizer = adapted(recipe)
    batch = [{"example": example, "fills": False} for example in rows(model, tokenizer, recipe, 4)]
    assert why_plain(model, 200) == ""
    install(model)
    ours = collate(batch, tokenizer.pad_token_id, (), shares=True)
    assert_same(model, ours, collate(batch, tokenizer.pad_token_id, ()), 1e-4)
