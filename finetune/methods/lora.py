"""LoRA: a trained product of two thin matrices beside each chosen weight (Hu et al. 2021, arXiv:2106.09685)."""

from typing import Any

from finetune.methods import EVERY_LINEAR, common
from finetune.recipe import Recipe

# The attention's projections by family; PEFT's own choice for families not named here.
ATTENTION = {
    "gpt2": ["c_attn"],
    "bert": ["query", "key", "value"],
    "roberta": ["query", "key", "value"],
    "distilbert": ["q_lin", "k_lin", "v_lin"],
    "llama": ["q_proj", "k_proj", "v_proj"],
    "mistral": ["q_proj", "k_proj", "v_proj"],
    "qwen2": ["q_proj", "k_proj", "v_proj"],
    "qwen3": ["q_proj", "k_proj", "v_proj"],
}


def apply(model: Any, recipe: Recipe, **variant: bool) -> Any:
    """Return the model with LoRA; `variant` names PEFT's switches of its kin (use_dora, use_rslora)."""
    from peft import LoraConfig, get_peft_model

    return get_peft_model(model, LoraConfig(**settings(model, recipe), **variant))


def settings(model: Any, recipe: Recipe) -> dict[str, Any]:
    """Return what a LoRA of this recipe on this model is configured with."""
    modules: list[str] | str | None = list(recipe.target_modules or ()) or ATTENTION.get(model.config.model_type)
    if modules == [EVERY_LINEAR]:
        modules = EVERY_LINEAR
    return common(recipe) | {
        "r": recipe.r,
        "lora_alpha": recipe.alpha,
        "lora_dropout": recipe.dropout,
        "bias": recipe.bias,
        "target_modules": modules,
        "fan_in_fan_out": model.config.model_type == "gpt2",  # its Conv1D holds weights transposed
    }
