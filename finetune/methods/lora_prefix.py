"""LoRA with a prefix in one adapter: thin matrices beside weights, trained keys and values before each layer's own."""

from typing import Any

from finetune.methods import lora
from finetune.recipe import Recipe


def apply(model: Any, recipe: Recipe) -> Any:
    """Return the model with both."""
    from peft import get_peft_model

    from finbench.adapters.combined.model import LoraPrefixConfig

    settings = lora.settings(model, recipe)
    return get_peft_model(model, LoraPrefixConfig(**settings, num_virtual_tokens=recipe.num_virtual_tokens))
