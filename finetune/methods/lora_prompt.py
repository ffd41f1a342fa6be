"""LoRA with a prompt in one adapter: thin matrices beside weights, trained embeddings before the input."""

from typing import Any

from finetune.methods import lora
from finetune.recipe import Recipe


def apply(model: Any, recipe: Recipe) -> Any:
    """Return the model with both."""
    from peft import get_peft_model

    from finbench.adapters.combined.model import LoraPromptConfig

    settings = lora.settings(model, recipe)
    return get_peft_model(model, LoraPromptConfig(**settings, num_virtual_tokens=recipe.num_virtual_tokens))
