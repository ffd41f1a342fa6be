"""Rank-stabilised LoRA: scaling by alpha / sqrt(r) (Kalajdzievski 2023, arXiv:2312.03732)."""

from typing import Any

from finetune.methods import lora
from finetune.recipe import Recipe


def apply(model: Any, recipe: Recipe) -> Any:
    """Return the model with rank-stabilised LoRA."""
    return lora.apply(model, recipe, use_rslora=True)
