"""P-tuning: a trained prompt whose embeddings come from a small network (Liu et al. 2021, arXiv:2103.10385)."""

from typing import Any

from finetune.methods import common
from finetune.recipe import Recipe


def apply(model: Any, recipe: Recipe) -> Any:
    """Return the model with a trained prompt encoder."""
    from peft import PromptEncoderConfig, get_peft_model

    config = PromptEncoderConfig(
        **common(recipe),
        token_dim=model.get_input_embeddings().embedding_dim,  # Electra's are narrower than its layers
        num_virtual_tokens=recipe.num_virtual_tokens,
        num_transformer_submodules=1,  # an encoder-decoder's prompt stands before the encoder's input alone
        encoder_hidden_size=recipe.encoder_hidden_size or model.config.get_text_config().hidden_size,
    )
    return get_peft_model(model, config)
