"""Weights split over processes (FSDP, DeepSpeed's ZeRO): what can be trained so, and how it is gathered to be saved."""

import os
from typing import Any, Literal

from finbench.errors import FinbenchError
from finetune.recipe import Recipe

SPLITTABLE = ("full", "lora", "rslora", "qlora")


def engine() -> Literal["", "FSDP", "ZeRO-2", "ZeRO-3"]:
    """Return what these processes were launched with; "" where every process holds whole weights and states."""
    if os.environ.get("ACCELERATE_USE_FSDP") == "true":
        return "FSDP"
    if os.environ.get("ACCELERATE_USE_DEEPSPEED") == "true":
        return "ZeRO-3" if os.environ.get("ACCELERATE_DEEPSPEED_ZERO_STAGE") == "3" else "ZeRO-2"
    return ""


def splits_weights() -> bool:
    """Return whether a process holds only its part of the weights while it trains."""
    return engine() in ("FSDP", "ZeRO-3")


def check(recipe: Recipe) -> None:
    """Raise a FinbenchError for a recipe that cannot be trained as these processes were launched."""
    if not engine():
        return
    refused = {
        "optimizer=zero_one_adam sends its own messages and holds whole weights: choose optimizer=adamw": (
            recipe.optimizer == "zero_one_adam"
        ),
        f"method={recipe.method} reaches into weights that are split: choose {', '.join(SPLITTABLE)}": (
            splits_weights() and recipe.method not in SPLITTABLE
        ),
        "bits=8 keeps weights that cannot be split: set bits=4": splits_weights() and recipe.bits == 8,
    }
    for reason, holds in refused.items():
        if holds:
            raise FinbenchError(f"{reason}, or launch with finetune/distributed/ddp.yaml. (Launched with {engine()}.)")


def gathered(model: Any) -> dict[str, Any] | None:
    """Return the trained weights whole, on the CPU; None where they are whole. Every process has to take part."""
    if not splits_weights():
        return None
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    if engine() == "FSDP":  # which accelerate leaves out where there is no accelerator
        whole = {n: weight.full_tensor() if hasattr(weight, "full_tensor") else weight for n, weight in trained.items()}
        return {name: weight.detach().cpu() for name, weight in whole.items()}
    import deepspeed

    with deepspeed.zero.GatheredParameters(list(trained.values())):
        return {name: weight.detach().cpu().clone() for name, weight in trained.items()}
