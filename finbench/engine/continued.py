"""Rows that continue one prefix, with its gradient: the pass of training, which the planner runs on shapes."""

from collections.abc import Mapping
from typing import Any

import torch

from finbench.hf.cache import spread, virtual_cache
from finbench.hf.forward import hidden_states, logits_at
from finbench.hf.wrapped import base_of

PrefixGroup = Mapping[str, torch.Tensor]


def answer_logits(model: Any, group: PrefixGroup) -> torch.Tensor:
    """Return a group's logits (B, K, V) at the places where its answers are read.

    `group` holds `prefix` (1, P), which may be empty, `input_ids` and `attention_mask` (B, S) of what follows it,
    padded on the left so that answers end together, and `keep` (), the number K of last positions that answers are
    read at.
    """
    base = base_of(model)
    cache = virtual_cache(model)
    start = cache.get_seq_length()  # prompt and prefix tuning's virtual tokens
    prefix, ids, mask = group["prefix"], group["input_ids"], group["attention_mask"]
    if prefix.shape[1]:
        places = torch.arange(start, start + prefix.shape[1], device=ids.device)[None]
        seen = mask.new_ones(1, start + prefix.shape[1])
        # the body alone: nothing is read here
        hidden_states(base.base_model, {"input_ids": prefix, "position_ids": places, "attention_mask": seen}, cache)
    kept = cache.get_seq_length()
    spread(cache, len(ids))
    inputs = {
        "input_ids": ids,
        "position_ids": (mask.cumsum(1) - 1).clamp(min=0) + kept,  # (B, S)
        "attention_mask": torch.cat([mask.new_ones(len(ids), kept), mask], 1),  # (B, kept + S)
    }
    # as places, for a slice's memory is slow to multiply
    read = torch.arange(-int(group["keep"]), 0, device=ids.device) + ids.shape[1]
    return logits_at(base, inputs, read, cache)
