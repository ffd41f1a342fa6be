"""Whether a model's prefixes can be shared, as far as its configuration and its adapter tell; the rest is a trial's."""

from typing import Any

import torch

from finbench.hf.attention import unknown_rope
from finbench.hf.forward import CACHE_NAMES, arguments_of
from finbench.hf.wrapped import adapter_config, adapter_type, base_of, quantised, virtual_tokens

SHAREABLE_LAYERS = {"full_attention", "sliding_attention", "chunked_attention"}
VIRTUAL = {"PREFIX_TUNING", "PROMPT_TUNING", "P_TUNING", "LORA_PREFIX", "LORA_PROMPT"}
# The trial's greatest difference from the plain forward pass, as a share of the largest logit.
EXACT, ROUNDED = 1e-3, 0.1


def tolerance(model: Any) -> float:
    """Return how far a trial's logits may differ from the plain pass's, as a share of the largest logit."""
    return EXACT if model.dtype in (torch.float32, torch.float64) and not quantised(model) else ROUNDED


def sharing_key(model: Any) -> tuple[object, ...]:
    """Return what decides whether prefixes can be shared; it does not change with the weights."""
    return (id(model), adapter_type(model), virtual_tokens(model))


def why_not(model: Any) -> str:
    """Return why prefixes cannot be shared on this model, judged by its configuration; "" if they can."""
    config = model.config.get_text_config()
    layers = set(getattr(config, "layer_types", None) or [])
    base = base_of(model)
    if model.config.is_encoder_decoder:
        return "it is an encoder-decoder model"
    if layers - SHAREABLE_LAYERS or getattr(base, "_is_stateful", False):
        return "its layers keep a state instead of keys and values"
    if "local" in (getattr(config, "attention_layers", None) or []):
        return "its local attention counts slots, not positions"
    if rope := unknown_rope(model):
        return f"it is not known what its rotary embedding ({rope}) computes from the length of a pass"
    if not arguments_of(base).cache:
        return f"its forward pass takes no kept keys and values (tried as {', '.join(CACHE_NAMES)})"
    if virtual_tokens(model) and adapter_type(model) not in VIRTUAL:
        return f"the adapter's type {adapter_type(model)} builds its prompt from the whole input"
    if getattr(adapter_config(model), "alora_invocation_tokens", None):
        return "an activated LoRA looks for its invocation in the whole input"
    return ""
