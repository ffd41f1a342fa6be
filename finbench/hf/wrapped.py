"""A model as PEFT wraps it, or bare: its base, the adapter in force, and the virtual tokens that it puts in front.

Used of PEFT (0.18 to 0.21): `get_base_model`, `active_peft_config`, and `_adapters_disabled`, which `disable_adapter`
sets; without the last, a disabled adapter's virtual tokens would be counted.
"""

from typing import Any


def base_of(model: Any) -> Any:
    """Return the transformers model under PEFT's wrapper, or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def adapter_config(model: Any) -> Any:
    """Return the configuration of the adapter that is in force, None without one."""
    if not hasattr(model, "get_base_model") or getattr(model, "_adapters_disabled", False):
        return None
    return model.active_peft_config


def adapter_type(model: Any) -> str:
    """Return PEFT's word for the type of the adapter in force, such as "LORA"; "" without one."""
    kind = getattr(adapter_config(model), "peft_type", "")
    return str(getattr(kind, "value", kind))


def virtual_tokens(model: Any) -> int:
    """Return how many virtual tokens the adapter in force puts before the input (prompt, prefix and P-tuning)."""
    return int(getattr(adapter_config(model), "num_virtual_tokens", 0) or 0)


def through_peft(model: Any) -> bool:
    """Return whether PEFT itself puts virtual tokens before the input; those of LoRA with a prefix are ours."""
    return bool(getattr(adapter_config(model), "is_prompt_learning", False))


def embeds_in_front(model: Any) -> bool:
    """Return whether virtual tokens stand as embeddings before the input, where they have logits too.

    Prefix tuning's stand among the kept keys and values instead.
    """
    return through_peft(model) and adapter_type(model) != "PREFIX_TUNING"


def quantised(model: Any) -> bool:
    """Return whether the base's weights are quantised."""
    return getattr(model.config, "quantization_config", None) is not None
