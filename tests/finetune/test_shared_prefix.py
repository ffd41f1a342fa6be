"""Shared prefixes in training: the gradients of the plain loop, for every method and where batches are mixed."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from finbench.hf.blocks import TreeMask
from finbench.tasks.load import load_tasks
from finetune import examples as making
from finetune import methods
from finetune.base import load_base
from finetune.batches import collate
from finetune.examples import Example
from finetune.loop import RecipeTrainer
from finetune.recipe import Recipe, read_recipe
from finetune.shared_prefix import install, packed_batch, shared_batch, why_not_packed, why_plain

METHODS = ["full", "lora", "dora", "rslora", "ia3", "bottleneck", "prefix", "prompt", "ptuning"]
METHODS += ["lora_prefix", "lora_prompt"]


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
    assert why_plain(model, 200) == "" and why_not_packed(model, 200, 6) == ""
    install(model)
    plain = collate(batch, tokenizer.pad_token_id, ())
    padded = collate(batch, tokenizer.pad_token_id, (), shares="padded")
    assert padded["groups"][0]["prefix"].shape[1] > 40
    assert_same(model, padded, plain)
    assert_same(model, collate(batch, tokenizer.pad_token_id, (), shares="packed"), plain)


def test_tasks_in_one_batch_share_each_their_own_prefix(llama: Path, tmp_path: Path) -> None:
    recipe = recipe_of(llama, tmp_path, "tasks=[fin_fpb,fin_ner]", "method=lora")
    model, tokenizer = adapted(recipe)
    found = rows(model, tokenizer, recipe, 4)
    # a row given twice, and a task of one row
    batch = [{"example": found[n], "fills": False} for n in (0, 5, 1, 6, 2, 2, 7)]
    batch.append({"example": replace(found[3], task="alone"), "fills": False})
    padded = collate(batch, tokenizer.pad_token_id, (), shares="padded")
    assert [len(group["input_ids"]) for group in padded["groups"]] == [4, 3, 1]
    install(model)
    plain = collate(batch, tokenizer.pad_token_id, ())
    assert_same(model, padded, plain)
    packed = collate(batch, tokenizer.pad_token_id, (), shares="packed")
    assert len(packed["groups"][0].tree.paths) == 7  # the row given twice stands there once
    assert_same(model, packed, plain)


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
    assert why_not_packed(sliding, 60, 4) == "" and "see 64 tokens" in why_not_packed(sliding, 65, 4)


@pytest.mark.parametrize("bits", [4, 8])
def test_a_quantised_base_shares(bits: int, llama: Path, tmp_path: Path) -> None:
    recipe = recipe_of(llama, tmp_path, "method=qlora", f"bits={bits}")
    model, tokenizer = adapted(recipe)
    batch = [{"example": example, "fills": False} for example in rows(model, tokenizer, recipe, 4)]
    assert why_plain(model, 200) == "" and why_not_packed(model, 200, 4) == ""
    install(model)
    plain = collate(batch, tokenizer.pad_token_id, ())
    for way in ("padded", "packed"):
        assert_same(model, collate(batch, tokenizer.pad_token_id, (), shares=way), plain, 1e-4)


SIZES = {"vocab_size": 90, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
SIZES |= {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128, "pad_token_id": 0}
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen3": {"head_dim": 8},
    "mistral": {"sliding_window": 64},
    "gemma3_text": {"head_dim": 8, "sliding_window": 64, "layer_types": ["sliding_attention", "full_attention"]},
    "gpt2": {"n_positions": 128, "attn_pdrop": 0.0, "resid_pdrop": 0.0, "embd_pdrop": 0.0},
}


def tiny(family: str, **settings: Any) -> Any:
    """Return a model of a family in float64, with a LoRA whose weights are off their start."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    config = AutoConfig.for_model(family, **{**SIZES, **FAMILIES[family], **settings})
    base = AutoModelForCausalLM.from_config(config).double()
    targets = ["c_attn", "c_fc"] if family == "gpt2" else ["q_proj", "v_proj", "down_proj"]
    lora = LoraConfig(r=2, target_modules=targets, task_type="CAUSAL_LM", fan_in_fan_out=family == "gpt2")
    model = get_peft_model(base, lora, autocast_adapter_dtype=False)
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data = 0.05 * torch.randn_like(weight)
    return model.train()


def drawn(count: int, *lengths: int) -> list[Example]:
    """Return rows of two tasks in turn, of answers of one or two tokens."""
    draw = random.Random(0)
    begins = [draw.choices(range(1, 90), k=20) for _ in range(2)]
    found = []
    for n in range(count):
        own = draw.choices(range(1, 90), k=draw.randint(*lengths))
        found.append(Example(str(n), str(n % 2), (*begins[n % 2], *own), "", 1 + n % 3 // 2))
    return found


@pytest.mark.parametrize("forgets", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_packed_gradients_are_those_of_whole_rows_to_rounding(family: str, forgets: bool) -> None:
    model, examples = tiny(family), drawn(9, 8, 40)
    assert why_not_packed(model, 62, 9, forgets) == ""  # in all more tokens than there are positions
    install(model)
    rows = [{"example": example, "fills": n == 8} for n, example in enumerate(examples)]
    plain = collate(rows, 0, ())
    expected_loss, expected = gradients(model, plain)
    if forgets:
        model.gradient_checkpointing_enable({"use_reentrant": False})
        model.enable_input_require_grads()
    before = TreeMask.cuts
    loss, found = gradients(model, collate(rows, 0, (), shares="packed"))
    assert TreeMask.cuts - before == 2 * (1 + forgets)  # a layer that is run twice is cut twice
    assert abs(loss - expected_loss) < 1e-6 and found.keys() == expected.keys()
    scale = max(float(value.norm()) for value in expected.values())
    for name, value in expected.items():
        assert float((found[name] - value).norm()) <= 1e-6 * max(float(value.norm()), 0.01 * scale), name


def test_rows_that_share_nothing_and_rows_that_all_fill_up_are_packed_too() -> None:
    model = tiny("llama")
    install(model)
    alone = [replace(example, input_ids=example.input_ids[20 + n :]) for n, example in enumerate(drawn(3, 8, 40))]
    rows = [{"example": example, "fills": False} for example in alone]
    assert_same(model, collate(rows, 0, (), shares="packed"), collate(rows, 0, ()))
    batch = packed_batch(alone, [True] * 3)
    assert (batch["labels"] == -100).all() and len(model(groups=batch["groups"])) == len(batch["labels"]) > 0
    batch = packed_batch([Example("a", "t", (1, 2, 3), "", 2), Example("b", "t", (1, 2, 3, 4), "", 1)], [False, False])
    assert batch["groups"][0].tree.tokens == (1, 2, 3) and batch["groups"][0].reads == (0, 1, 2)
    assert batch["labels"].tolist() == [2, 3, 4]


def test_what_is_not_cut_into_blocks_is_padded() -> None:
    model = tiny("llama", attn_implementation="eager")
    assert "cut into blocks" in why_not_packed(model, 60, 4) and why_plain(model, 60) == ""


def test_code_that_takes_a_pass_for_a_row_is_found_by_a_pass_beyond_its_positions() -> None:
    model = tiny("llama")
    rotary = model.get_base_model().model.rotary_emb
    plain = rotary.forward

    def by_length(states: torch.Tensor, position_ids: torch.Tensor) -> Any:
        cos, sin = plain(states, position_ids)
        return (cos, sin) if states.shape[1] <= 128 else (cos * 3, sin)

    rotary.forward = by_length
    assert why_not_packed(model, 40, 3) == ""
    assert "gave other logits" in why_not_packed(model, 40, 4)
