"""Attention that takes any mask, and how long an input may be before layers or positions change what they do.

Used of transformers (5.3 to 5.24): `config._attn_implementation` and `set_attn_implementation`, a boolean mask
(1, 1, T, S) for "sdpa" and a mask of the model's own precision for "eager", and a configuration's `layer_types`,
`sliding_window`, `attention_chunk_size` and `rope_parameters` (or `rope_scaling`). A model whose attention takes masks
otherwise differs in the trial, and is scored as without finbench.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from finbench.hf.blocks import TreeMask, cut, dense
from finbench.hf.wrapped import base_of

MASKABLE = ("sdpa", "eager")  # those that take a mask of any shape
# Rotary embeddings whose frequencies do not depend on how long a pass is.
STATIC_ROPES = {"default", "linear", "llama3", "yarn", "proportional", "mrope"}
# Those that change beyond the length that the model was first trained for, with the longest position of a pass.
SWITCHING_ROPES = {"dynamic", "longrope", "su"}


@contextmanager
def maskable_attention(model: Any) -> Iterator[None]:
    """Within it the model's attention takes masks of any shape (flash attention does not), afterwards as before."""
    base = base_of(model)
    before = base.config._attn_implementation
    if before in MASKABLE:
        yield
        return
    softcap = getattr(base.config.get_text_config(), "attn_logit_softcapping", None)
    base.set_attn_implementation("eager" if softcap else "sdpa")
    try:
        yield
    finally:
        base.set_attn_implementation(before)


def as_mask(seen: torch.Tensor, model: Any, dtype: torch.dtype) -> torch.Tensor:
    """Return what each token sees (T, slots + T) as the mask (1, 1, T, slots + T) that the model's attention takes."""
    if base_of(model).config._attn_implementation == "sdpa":
        return seen[None, None]
    blank = torch.zeros(seen.shape, dtype=dtype, device=seen.device)
    return blank.masked_fill(~seen, torch.finfo(dtype).min)[None, None]


def tree_mask(ends: Sequence[int], kept: int, model: Any, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Return the mask (1, 1, T, kept + T) of a tree (`Pack.ends`) that continues `kept` tokens.

    On accelerators nothing is cut: there, many small calls cost more than the masked products.
    """
    blocks = cut(ends, kept)
    if device.type == "cpu" and len(blocks) > 1 and base_of(model).config._attn_implementation == "sdpa":
        return TreeMask(ends, kept, blocks, device)
    return as_mask(dense(ends, kept, device), model, dtype)


def window(model: Any) -> tuple[int | None, str]:
    """Return the longest input (tokens) that is computed alike whatever passes it is cut into, and what changes beyond.

    None where nothing does.
    """
    config = model.config.get_text_config()
    layers = getattr(config, "layer_types", None)
    limits: list[tuple[int, str]] = []
    if layers is None or set(layers) != {"full_attention"}:
        for name in ("sliding_window", "attention_chunk_size"):
            if size := getattr(config, name, None):
                limits.append((int(size), f"some layers see {size} tokens"))
    for rope in _ropes(config):
        kind = _kind(rope)
        if kind in SWITCHING_ROPES:
            size = rope.get("original_max_position_embeddings") or getattr(
                config, "original_max_position_embeddings", None
            )
            size = int(size or config.max_position_embeddings)
            limits.append((size, f"positions ({kind}) are turned otherwise in passes beyond {size} tokens"))
    return min(limits, default=(None, ""), key=lambda limit: limit[0] or 0)


def unknown_rope(model: Any) -> str:
    """Return the kind of a rotary embedding of which it is not known what it computes from a pass's length, or ""."""
    kinds = {_kind(rope) for rope in _ropes(model.config.get_text_config())}
    return next(iter(sorted(kinds - STATIC_ROPES - SWITCHING_ROPES)), "")


def _kind(rope: Mapping[str, Any]) -> str:
    return str(rope.get("rope_type") or rope.get("type") or "default")


def _ropes(config: Any) -> list[Mapping[str, Any]]:
    """Return the settings of all rotary embeddings: one for the model, or one for each type of layer."""
    found = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    nested = [part for part in found.values() if isinstance(part, Mapping)]
    return nested or [found]
