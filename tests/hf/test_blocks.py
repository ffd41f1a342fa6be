"""Attention in blocks gives what dense attention gives, of rows that never meet."""

import random
from contextlib import nullcontext

import pytest
import torch
from torch.overrides import TorchFunctionMode
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from finbench.engine import model as sharing
from finbench.engine.model import SharedModel
from finbench.engine.prefix import Pack, chain, pack, sort_rows
from finbench.hf.blocks import in_blocks, spans

SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
MODELS = {
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(vocab_size=50, n_positions=256, n_embd=32, n_layer=2, n_head=2)),
    "llama, grouped heads": lambda: LlamaForCausalLM(LlamaConfig(vocab_size=50, num_key_value_heads=2, **SMALL)),
    "mistral, sliding window": lambda: MistralForCausalLM(
        MistralConfig(vocab_size=50, num_key_value_heads=2, sliding_window=128, **SMALL)
    ),
    "llama, eager": lambda: LlamaForCausalLM(LlamaConfig(vocab_size=50, attn_implementation="eager", **SMALL)),
}


class Attended(TorchFunctionMode):
    """Notes the number of queries and keys of each attention call."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[int, int]] = []

    def __torch_function__(self, func: object, types: object, args: tuple = (), kwargs: dict | None = None) -> object:
        if func is torch.nn.functional.scaled_dot_product_attention:
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
    monkeypatch.setattr(sharing, "in_blocks", lambda *_: nullcontext())
    with Attended() as dense:
        expected, plain_cache = shared.run(tree, past, slots)
    assert (logits - expected).abs().max() < 1e-5
    for layer, plain in zip(cache.layers, plain_cache.layers, strict=True):
        assert torch.allclose(layer.keys, plain.keys, atol=1e-5)
    if family == "llama, eager":  # its attention is spelled out, and stays as it is
        assert not blocks.sizes
    else:
        assert dense.sizes == [(len(slots), 60 + len(slots))] * 2
        assert len(blocks.sizes) > 2 * 3
        assert sum(queries for queries, _ in blocks.sizes) == 2 * len(slots)
        assert all(keys == 60 + queries for queries, keys in blocks.sizes)


def test_no_cut_parts_a_token_from_what_continues_it() -> None:
    for kept in (0, 10, 60):
        _, tree = tree_after(kept)
        for least in (1, 20, 1000):
            cuts = spans(tree.ends, least)
            assert [start for start, _ in cuts[1:]] == [stop for _, stop in cuts[:-1]]
            assert (cuts[0][0], cuts[-1][1]) == (0, len(tree.tokens))
            assert all(stop - start >= least for start, stop in cuts[:-1])
            assert all(tree.ends[slot] <= stop for start, stop in cuts for slot in range(start, stop))


def test_a_long_prefix_is_not_copied_for_small_blocks() -> None:
    ends = [slot + 1 for slot in range(200)]
    assert not isinstance(in_blocks(torch.ones(200, 300, dtype=torch.bool), ends), nullcontext)
    assert isinstance(in_blocks(torch.ones(200, 5200, dtype=torch.bool), ends), nullcontext)


def test_another_mask_is_left_alone() -> None:
    seen = torch.ones(200, 200, dtype=torch.bool).tril()
    states = torch.randn(1, 2, 200, 8)
    attend = torch.nn.functional.scaled_dot_product_attention
    with in_blocks(seen, range(1, 201)):
        causal = attend(states, states, states, attn_mask=seen.clone()[None, None])
        own = attend(states, states, states, attn_mask=seen[None, None])
    assert torch.equal(causal, attend(states, states, states, attn_mask=seen[None, None]))
    assert not torch.allclose(own, causal)  # told that no token continues another, it looks at blocks alone
