"""Prompt tuning: trained embeddings before the input (Lester et al. 2021, arXiv:2104.08691)."""

from typing import Any

from finetune.methods import common
from finetune.recipe import Recipe


def apply(model: Any, recipe: Recipe) -> Any:
    """Return the model with a trained prompt."""
    from peft import PromptTuningConfig, get_peft_model

    config = PromptTuningConfig(
        **common(recipe),
        token_dim=model.get_input_embeddings().embedding_dim,  # Electra's are narrower than its layers
        num_virtual_tokens=recipe.num_virtual_tokens,
        num_transformer_submodules=1,  # an encoder-decoder's prompt stands before the encoder's input alone
    )
    return get_peft_model(model, config)
