"""Kept keys and values: made, forked, spread over a batch, and filled with an adapter's virtual tokens.

Used of transformers (5.3 to 5.24): `DynamicCache`, its `layers` with `keys` and `values`, `update`, and
`batch_repeat_interleave`; growing replaces a layer's tensors and never writes into them, on which `fork` rests. Of
PEFT: `get_prompt`, which returns embeddings or, for prefix tuning, a filled cache. Without any of these the trial of
shared passes fails, and a model is scored and trained as without finbench.
"""

import copy
from typing import Any

import torch
from transformers import DynamicCache

from finbench.hf.forward import arguments_of
from finbench.hf.wrapped import through_peft, virtual_tokens


def fork(cache: DynamicCache) -> DynamicCache:
    """Return a cache that grows on its own: tensors are shared, for growing replaces them."""
    twin = copy.copy(cache)
    twin.layers = [copy.copy(layer) for layer in cache.layers]
    return twin


def spread(cache: DynamicCache, rows: int) -> None:
    """Repeat a cache of one row for a batch, in place; gradients of the rows add up."""
    if rows > 1:
        cache.batch_repeat_interleave(rows)


def states(cache: DynamicCache) -> list[torch.Tensor]:
    """Return the keys and values (B, heads, T, d) of all layers."""
    return [one for layer in cache.layers for one in (layer.keys, layer.values) if one is not None]


def virtual_cache(model: Any) -> DynamicCache:
    """Return a cache of the virtual tokens that the adapter in force puts before the input, empty without such."""
    cache = DynamicCache()
    if not virtual_tokens(model):
        return cache
    if not through_peft(model):  # LoRA with a prefix or a prompt, which keeps its own
        ours: DynamicCache = model.base_model.virtual.cache(1)
        return ours
    prompt = model.get_prompt(batch_size=1)
    if isinstance(prompt, torch.Tensor):  # embeddings (1, V, H)
        inner = model.get_base_model()
        precision = inner.get_input_embeddings().weight.dtype
        inner(inputs_embeds=prompt.to(precision), use_cache=True, **{arguments_of(inner).cache: cache})
    else:
        for index, layer in enumerate(prompt.layers):
            cache.update(layer.keys, layer.values, index)
    return cache
