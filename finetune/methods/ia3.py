"""IA3: trained scales on keys, values and feed-forward activations (Liu et al. 2022, arXiv:2205.05638)."""

from typing import Any

from finetune.methods import common
from finetune.recipe import Recipe


def apply(model: Any, recipe: Recipe) -> Any:
    """Return the model with IA3 on PEFT's choice of modules for the family."""
    from peft import IA3Config, get_peft_model

    config = IA3Config(
        **common(recipe),
        target_modules=list(recipe.target_modules) if recipe.target_modules else None,
        fan_in_fan_out=model.config.model_type == "gpt2",  # its Conv1D holds weights transposed
    )
    return get_peft_model(model, config)
