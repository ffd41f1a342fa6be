"""DoRA: LoRA on the direction of a weight, with a trained magnitude (Liu et al. 2024, arXiv:2402.09353)."""

from typing import Any

from finetune.methods import lora
from finetune.recipe import Recipe


def apply(model: Any, recipe: Recipe) -> Any:
    """Return the model with DoRA."""
    return lora.apply(model, recipe, use_dora=True)
