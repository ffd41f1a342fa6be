"""Rows that share tokens, with their gradient: the passes of training, which the planner runs on shapes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from finbench.engine.model import SharedModel
from finbench.engine.prefix import Pack, pack, sort_rows
from finbench.hf.cache import spread, virtual_cache
from finbench.hf.forward import hidden_states, logits_at
from finbench.hf.wrapped import base_of

PrefixGroup = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Packed:
    """Rows in one tree, each shared token once and none of them padding, and the slots that answers are read at."""

    tree: Pack
    reads: tuple[int, ...]


def packed(rows: Sequence[tuple[int, ...]], answers: Sequence[int]) -> Packed:
    """Return rows of token ids in one tree, with as many last places of each to read as it has answer tokens."""
    found = sort_rows(rows)
    tree = pack(found, range(len(found.tokens)), 0, sum(map(len, rows)))
    reads: list[int] = []
    for row, place, answer in zip(rows, found.row_of, answers, strict=True):
        reads += tree.paths[place][len(row) - answer : len(row)]
    return Packed(tree, tuple(reads))


def group_logits(model: Any, group: PrefixGroup | Packed) -> torch.Tensor:
    """Return the logits (N, V) that a group's answers are read from, row by row."""
    return packed_logits(model, group) if isinstance(group, Packed) else answer_logits(model, group).flatten(0, 1)


def packed_logits(model: Any, rows: Packed) -> torch.Tensor:
    """Return the logits (R, V) where the rows' answers are read, of one pass in which each row sees itself alone."""
    shared = SharedModel(model)
    shared.inner = base_of(model)  # `model` is what runs this
    cache = virtual_cache(model) if shared.virtual_tokens else None
    return shared.grow(rows.tree, cache, rows.reads)


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
