"""Weights are looked at before they are scored or saved: what is not a number is no result."""

import torch
from torch import nn

from finbench.errors import FinbenchError


def check(model: nn.Module, step: int) -> None:
    """Refuse trained weights that are infinite or no numbers.

    Raises:
        FinbenchError: there are such; the message names the first and the step.

    """
    for name, weight in model.named_parameters():
        if weight.requires_grad and not torch.isfinite(weight.detach()).all():
            raise FinbenchError(
                f"after step {step} the weights of {name} are infinite or no numbers, so nothing of them is saved. "
                "Choose a lower learning_rate, warmup_steps, or precision=float32."
            )
