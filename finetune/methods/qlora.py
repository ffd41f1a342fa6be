"""QLoRA: LoRA on a base whose weights are held in 4 or 8 bits (Dettmers et al. 2023, arXiv:2305.14314)."""

from typing import Any

from finetune.methods import lora
from finetune.recipe import Recipe


def apply(model: Any, recipe: Recipe) -> Any:
    """Return the quantised model with LoRA."""
    return lora.apply(model, recipe)
