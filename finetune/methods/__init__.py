"""One way to adapt a model a file; each exports `apply(model, recipe)`, which returns the model to train."""

import importlib
from typing import Any

from finetune.recipe import Recipe

PEFT_TASK = {"causal": "CAUSAL_LM", "classifier": "SEQ_CLS"}


def apply(model: Any, recipe: Recipe) -> Any:
    """Return the model with the recipe's method applied."""
    return importlib.import_module(f"finetune.methods.{recipe.method}").apply(model, recipe)
