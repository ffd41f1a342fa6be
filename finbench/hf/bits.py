"""What changes a base's weights as it is loaded: bits to a weight, and an adapter folded in."""

import inspect
from collections.abc import Mapping
from typing import Any

from finbench.errors import FinbenchError
from finbench.hf.wrapped import adapter_config, adapter_type, quantised

MERGEABLE = ("LORA", "IA3")
REPACKS = "support_avx512bf16_for_cpu"
# A classifier's head stays as it is: it is trained in full, and a few rows of weights save nothing.
KEEP_HEADS = {"llm_int8_skip_modules": ["classifier", "score"]}


def bits_config(eight: bool, four: bool, settings: Mapping[str, Any]) -> Any:
    """Return the `BitsAndBytesConfig` for 8-bit or 4-bit weights.

    Raises `FinbenchError` if both are asked for, or a setting is unknown.
    """
    from transformers import BitsAndBytesConfig

    if eight and four:
        raise FinbenchError("load_in_8bit and load_in_4bit were both given: choose one.")
    known = inspect.signature(BitsAndBytesConfig.__init__).parameters
    if unknown := set(settings) - set(known):
        raise FinbenchError(
            f"{', '.join(sorted(unknown))}: no such setting of bitsandbytes. Known: {', '.join(known)}."
        )
    settings = {"bnb_4bit_quant_type": "nf4", **settings} if four else settings
    return BitsAndBytesConfig(load_in_8bit=eight, load_in_4bit=four, **settings)


def merged(model: Any) -> Any:
    """Return the base with its adapter folded into the weights, which changes the base in place.

    Raises `FinbenchError` if there is no adapter, it cannot be folded in, or the base is quantised.
    """
    adapter = getattr(model, "active_peft_config", None)
    if adapter is None:
        raise FinbenchError("merge=True folds an adapter into its base, but none was given: add peft=FOLDER.")
    kind = adapter_type(model)
    if kind not in MERGEABLE:
        raise FinbenchError(f"merge=True cannot fold {kind} into the base, only {', '.join(MERGEABLE)}: leave it out.")
    if quantised(model):
        raise FinbenchError(
            "merge=True would round the adapter to the quantised base's weights and change its answers: "
            "leave merge out, or load the base without load_in_8bit and load_in_4bit."
        )
    return model.merge_and_unload(safe_merge=True)


def can_merge(model: Any) -> bool:
    """Return whether the adapter in force can be folded into the weights and leave the answers as they are.

    Half precision would round what is folded in, and quantised weights more so; an activated LoRA acts on some tokens.
    """
    somewhere = getattr(adapter_config(model), "alora_invocation_tokens", None)
    exact = str(model.dtype) == "torch.float32" and not quantised(model)
    return adapter_type(model) in MERGEABLE and exact and not somewhere


def say_bits(quantised: Any, other: Any) -> None:
    """Let another model around the same weights say that they are quantised, as far as they are."""
    for attribute in ("is_loaded_in_8bit", "is_loaded_in_4bit", "quantization_method", "hf_quantizer"):
        if hasattr(quantised, attribute):
            setattr(other, attribute, getattr(quantised, attribute))


def keep_layout(model: Any) -> Any:
    """Return a model whose 4-bit weights stay as they were loaded, whatever the processor.

    On processors with AVX512-BF16 bitsandbytes (0.49 to 0.50) repacks them in the first pass without gradients: scales
    and inputs are rounded to bfloat16, layers whose size is no multiple of 32 fail, and what trains afterwards gets no
    gradient through them. Its switch is an attribute of the layer; where there is none, nothing is repacked.
    """
    for part in model.modules():
        if getattr(part, REPACKS, False):
            setattr(part, REPACKS, False)
    return model
