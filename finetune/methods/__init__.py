"""One way to adapt a model a file; each exports `apply(model, recipe)`, which returns the model to train."""

import importlib
from typing import Any

from finbench.errors import FinbenchError
from finbench.hf.prompts import connect
from finetune.methods.support import check
from finetune.recipe import Recipe

EVERY_LINEAR = "all-linear"  # PEFT's word for every linear layer but the head
PEFT_TASK = {"causal": "CAUSAL_LM", "classifier": "SEQ_CLS", "seq2seq": "SEQ_2_SEQ_LM"}


def common(recipe: Recipe) -> dict[str, Any]:
    """Return what every method's PEFT configuration takes: the role, and the modules that are trained whole."""
    return {"task_type": PEFT_TASK[recipe.task_type], "modules_to_save": list(recipe.modules_to_save or ()) or None}


def does_not_fit(recipe: Recipe, family: str, error: Exception) -> FinbenchError:
    """Return what a method's own error means to the user."""
    reason = " ".join((str(error).strip().splitlines() or [type(error).__name__])[:2])
    return FinbenchError(
        f"recipe: method {recipe.method} does not fit {family} ({reason}). Name the layers that it changes in "
        "target_modules, or choose another method, such as lora with target_modules: [all-linear]."
    )


def apply(model: Any, recipe: Recipe) -> Any:
    """Return the model with the recipe's method applied.

    Raises:
        FinbenchError: the method does not work on this kind of model, or the model has none of the `target_modules`.

    """
    check(recipe, model.config.model_type)
    if recipe.target_modules and recipe.target_modules != (EVERY_LINEAR,):
        _check_modules(model, recipe)
    try:
        return connect(importlib.import_module(f"finetune.methods.{recipe.method}").apply(model, recipe))
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, IndexError, NotImplementedError) as error:
        raise does_not_fit(recipe, model.config.model_type, error) from error


def _check_modules(model: Any, recipe: Recipe) -> None:
    names = sorted({name.rpartition(".")[2] for name, part in model.named_modules() if hasattr(part, "weight")})
    missing = [wanted for wanted in recipe.target_modules or () if wanted.rpartition(".")[2] not in names]
    if missing:
        raise FinbenchError(
            f"recipe: target_modules: {recipe.base!r} has no {', '.join(missing)}. It has {', '.join(names)}."
        )
