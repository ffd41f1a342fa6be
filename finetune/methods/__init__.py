"""One way to adapt a model a file; each exports `apply(model, recipe)`, which returns the model to train."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from finbench.errors import FinbenchError
from finbench.hf.prompts import connect
from finbench.hf.wrapped import base_of
from finetune.methods.support import check
from finetune.recipe import Recipe

EVERY_LINEAR = "all-linear"  # PEFT's word for every linear layer but the head
PEFT_TASK = {"causal": "CAUSAL_LM", "classifier": "SEQ_CLS", "seq2seq": "SEQ_2_SEQ_LM"}


def common(recipe: Recipe) -> dict[str, Any]:
    """Return what every method's PEFT configuration takes: the role, and the modules that are trained whole."""
    return {"task_type": PEFT_TASK[recipe.task_type], "modules_to_save": list(recipe.modules_to_save or ()) or None}


@contextmanager
def fitting(recipe: Recipe, model: Any) -> Iterator[None]:
    """Within it what PEFT or the model raise, because the method does not go with the model, is one line.

    Raises:
        FinbenchError: they do; memory that is too small is raised as it is.

    """
    try:
        yield
    except (FinbenchError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        reason = " ".join((str(error).strip().splitlines() or [type(error).__name__])[:2])
        raise FinbenchError(
            f"recipe: method {recipe.method} does not fit {base_of(model).config.model_type} ({reason}). Name the "
            "layers that it changes in target_modules, or choose another method, such as lora with target_modules: "
            "[all-linear]."
        ) from error


def apply(model: Any, recipe: Recipe) -> Any:
    """Return the model with the recipe's method applied.

    Raises:
        FinbenchError: the method does not work on this kind of model, or the model has none of the `target_modules`.

    """
    check(recipe, model.config.model_type)
    if recipe.target_modules and recipe.target_modules != (EVERY_LINEAR,):
        _check_modules(model, recipe)
    with fitting(recipe, model):
        return connect(importlib.import_module(f"finetune.methods.{recipe.method}").apply(model, recipe))


def _check_modules(model: Any, recipe: Recipe) -> None:
    names = sorted({name.rpartition(".")[2] for name, part in model.named_modules() if hasattr(part, "weight")})
    missing = [wanted for wanted in recipe.target_modules or () if wanted.rpartition(".")[2] not in names]
    if missing:
        raise FinbenchError(
            f"recipe: target_modules: {recipe.base!r} has no {', '.join(missing)}. It has {', '.join(names)}."
        )
