"""Attention in blocks gives what dense attention gives, of rows that never meet."""

import random
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from finbench.engine.model import SharedModel
from finbench.engine.prefix import Pack, chain, pack, sort_rows
from finbench.hf import attention
from finbench.hf.attention import tree_mask
from finbench.hf.blocks import TreeMask, cut, dense

SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
MODELS = {
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(vocab_size=50, n_positions=256, n_embd=32, n_layer=2, n_head=2)),
    "llama, grouped heads": lambda: LlamaForCausalLM(LlamaConfig(vocab_size=50, num_key_value_heads=2, **SMALL)),
    "mistral, sliding window": lambda: MistralForCausalLM(
        MistralConfig(vocab_size=50, num_key_value_heads=2, sliding_window=128, **SMALL)
    ),
    "llama, eager": lambda: LlamaForCausalLM(LlamaConfig(vocab_size=50, attn_implementation="eager", **SMALL)),
}


class Attended(TorchDispatchMode):
    """Notes the number of queries and keys of each attention kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[int, int]] = []

    def __torch_dispatch__(self, func: Any, types: object, args: tuple = (), kwargs: dict | None = None) -> object:
        if "scaled_dot_product" in str(func):
            self.sizes.append((args[0].shape[2], args[1].shape[2]))
        return func(*args, **(kwargs or {}))


def tree_after(kept: int) -> tuple[Pack, Pack]:
    """Return a prefix of `kept` tokens, and a tree that continues it: deep branches beside short ones."""
    draw = random.Random(0)
    prefix = draw.choices(range(50), k=kept)
    rows = [[*prefix, branch, *draw.choices(range(3), k=draw.randint(2, 12))] for branch in range(8) for _ in range(6)]
    found = sort_rows(rows)
    return chain(found, 0, 0, kept), pack(found, range(len(found.tokens)), kept, 10_000)


@pytest.mark.parametrize("family", MODELS)
def test_logits_are_those_of_dense_attention(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    shared = SharedModel(MODELS[family]().eval())
    prefix, tree = tree_after(60)
    past = shared.run(prefix, shared.root(), [])[1]
    slots = range(len(tree.tokens))
    with Attended() as blocks:
        logits, cache = shared.run(tree, past, slots)
    monkeypatch.setattr(attention, "cut", lambda *_: [])
    with Attended() as whole:
        expected, plain_cache = shared.run(tree, past, slots)
    assert (logits - expected).abs().max() < 1e-5
    for layer, plain in zip(cache.layers, plain_cache.layers, strict=True):
        assert torch.allclose(layer.keys, plain.keys, atol=1e-5)
    if family == "llama, eager":  # its attention is spelled out, and stays as it is
        assert not blocks.sizes
    else:
        assert whole.sizes == [(len(slots), 60 + len(slots))] * 2
        assert len(blocks.sizes) > 2 * 3
        assert sum(queries for queries, _ in blocks.sizes) == 2 * len(slots)
        assert {keys - queries for queries, keys in blocks.sizes} == {60}


def two_tasks() -> Pack:
    """Return rows of two tasks, each with a long beginning of its own, and one row twice."""
    draw = random.Random(1)
    rows = []
    for task in (1, 2):
        beginning = [0, task, *draw.choices(range(50), k=60)]
        rows += [[*beginning, row, *draw.choices(range(50), k=draw.randint(20, 40))] for row in range(5)]
    found = sort_rows([*rows, rows[0]])
    return pack(found, range(len(found.tokens)), 0, 10_000)


@pytest.mark.parametrize("kept", [0, 10, 60, 5000])
def test_blocks_hold_all_that_a_token_sees_and_little_else(kept: int) -> None:
    for tree in (tree_after(max(kept, 1))[1], two_tasks()):
        blocks = cut(tree.ends, kept)
        assert [block.start for block in blocks] == [0, *(block.stop for block in blocks[:-1])]
        assert blocks[-1].stop == len(tree.tokens)
        seen = dense(tree.ends, kept, torch.device("cpu"))[:, kept:]
        met = torch.zeros_like(seen)
        for block in blocks:
            for above in block.above:
                stem = blocks[above]
                assert seen[block.start : block.stop, stem.start : stem.stop].all()
                met[block.start : block.stop, stem.start : stem.stop] = True
            met[block.start : block.stop, block.start : block.stop] = True
        assert not (seen & ~met).any()
        assert kept < 5000 or len(blocks) == 1  # a long prefix is not copied for small blocks
        assert kept > 0 or met.sum() < 0.7 * met.numel()


def test_a_tree_of_whole_rows_has_its_beginnings_above() -> None:
    blocks = cut(two_tasks().ends, 0)
    assert max(len(block.above) for block in blocks) == 2  # what all rows begin with, and what a task's do
    assert len(blocks) > 8


@pytest.mark.parametrize("forgets", [False, True])
def test_gradients_are_those_of_dense_attention(forgets: bool) -> None:
    tree = two_tasks()
    count, grown = len(tree.tokens), []
    blocks, cuts = cut(tree.ends, 3), TreeMask.cuts
    masks = (TreeMask(tree.ends, 3, blocks, torch.device("cpu")), dense(tree.ends, 3, torch.device("cpu"))[None, None])
    for mask in masks:
        torch.manual_seed(0)
        sizes = (count, count + 3, count + 3)
        states = [torch.randn(1, 2, size, 8, dtype=torch.float64, requires_grad=True) for size in sizes]

        def attend(*states: torch.Tensor, mask: Any = mask) -> torch.Tensor:
            return torch.nn.functional.scaled_dot_product_attention(*states, attn_mask=mask)

        found = checkpoint(attend, *states, use_reentrant=False) if forgets else attend(*states)
        (found * torch.arange(8)).sum().backward()
        grown.append([found, *(state.grad for state in states)])
    for ours, expected in zip(*grown, strict=True):
        assert (ours - expected).abs().max() < 1e-12
    assert TreeMask.cuts - cuts == 1 + forgets  # what was forgotten is cut once more


def test_attention_keeps_what_it_was_given_and_nothing_else() -> None:
    tree = two_tasks()
    mask = TreeMask(tree.ends, 0, cut(tree.ends, 0), torch.device("cpu"))
    states = [torch.randn(1, 2, len(tree.tokens), 8, requires_grad=True) for _ in range(3)]
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.data_ptr()] = tensor.nbytes
        return tensor

    for dropout, most in ((0.0, 3), (0.1, 100)):  # one draw of dropout is not had again
        kept.clear()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            torch.nn.functional.scaled_dot_product_attention(*states, attn_mask=mask, dropout_p=dropout)
        assert 3 * states[0].nbytes <= sum(kept.values()) <= most * states[0].nbytes


def test_mixed_precision_costs_no_more_than_its_rounding() -> None:
    tree = two_tasks()
    mask = TreeMask(tree.ends, 0, cut(tree.ends, 0), torch.device("cpu"))
    torch.manual_seed(0)
    states = [torch.randn(1, 2, len(tree.tokens), 8, requires_grad=True) for _ in range(3)]
    attend = torch.nn.functional.scaled_dot_product_attention
    expected = torch.autograd.grad(attend(*states, attn_mask=mask).sum(), states)
    halves = [state.detach().bfloat16().requires_grad_() for state in states]
    with torch.autocast("cpu", torch.bfloat16):
        assert attend(*halves[:2], states[2], attn_mask=mask).dtype == torch.float32
        found = attend(*halves, attn_mask=mask)
    assert found.dtype == torch.bfloat16
    for ours, exact in zip(torch.autograd.grad(found.float().sum(), halves), expected, strict=True):
        assert ours.dtype == torch.bfloat16 and (ours - exact).norm() < 0.02 * exact.norm()


def test_whatever_else_is_done_with_a_mask_is_done_with_the_dense_one() -> None:
    tree = two_tasks()
    expected = dense(tree.ends, 3, torch.device("cpu"))[None, None]
    mask = TreeMask(tree.ends, 3, cut(tree.ends, 3), torch.device("cpu"))
    assert mask.shape == expected.shape and mask.dtype == torch.bool and isinstance(mask, torch.Tensor)
    assert torch.equal(~mask, ~expected)
    assert torch.equal(mask[:, :, 2:5].float(), expected[:, :, 2:5].float())
    assert torch.equal(torch.where(mask, 1, 2), torch.where(expected, 1, 2))


def test_nothing_is_cut_where_calls_cost_more() -> None:
    model = MODELS["gpt2"]()
    few, many = [slot + 1 for slot in range(30)], [slot + 1 for slot in range(200)]
    for ends, kept, is_cut in ((few, 0, False), (many, 100, True), (many, 5000, False)):
        mask = tree_mask(ends, kept, model, torch.float32, torch.device("cpu"))
        assert isinstance(mask, TreeMask) == is_cut
