"""Bottleneck adapters: a narrow network after each feed-forward block (Pfeiffer et al. 2020, arXiv:2005.00247)."""

from typing import Any

from finetune.methods import common
from finetune.recipe import Recipe


def apply(model: Any, recipe: Recipe) -> Any:
    """Return the model with a bottleneck in every layer."""
    from peft import get_peft_model

    from finbench.adapters.bottleneck.model import BottleneckConfig

    config = BottleneckConfig(
        **common(recipe),
        reduction_factor=recipe.reduction_factor,
        placement=recipe.placement,
        non_linearity=recipe.non_linearity,
        dropout=recipe.dropout,
        target_modules=list(recipe.target_modules) if recipe.target_modules else None,
    )
    return get_peft_model(model, config)
