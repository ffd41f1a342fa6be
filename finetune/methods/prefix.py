"""Prefix tuning: trained keys and values before every layer's own (Li and Liang 2021, arXiv:2101.00190)."""

from typing import Any

from finetune.methods import common
from finetune.recipe import Recipe


def apply(model: Any, recipe: Recipe) -> Any:
    """Return the model with a trained prefix."""
    from peft import PrefixTuningConfig, get_peft_model

    from finbench.hf.prompts import check_takes_prefix

    check_takes_prefix(model)

    config = PrefixTuningConfig(
        **common(recipe),
        num_virtual_tokens=recipe.num_virtual_tokens,
        prefix_projection=recipe.prefix_projection,
        encoder_hidden_size=recipe.encoder_hidden_size or model.config.get_text_config().hidden_size,
    )
    return get_peft_model(model, config)
