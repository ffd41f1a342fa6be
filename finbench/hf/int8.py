"""Linear layers in 8 bits for a processor: weights rounded once, inputs as they come, products in whole numbers.

Every row of an input has a scale of its own, so that a text's answer depends on no other text of its batch; the
dynamic quantisation of torch.ao (deprecated, to be removed) and of onnxruntime share one over the batch. Used of torch
(2.11 to 2.13): `torch._int_mm`, which processors with VNNI or AMX run in one instruction.
"""

from typing import Any

import torch

LARGEST = 127
BLOCK = 128  # rows that are rounded together, so that what lies between stays in a processor's cache
SMALLEST = 1e-12  # of a scale: a row of zeros stays one
KEPT = {"classifier", "score", "pooler", "out_proj"}  # small, and an answer hangs on each of their numbers


class Int8Linear(torch.nn.Module):
    """A linear layer whose weight (out, in) is held as int8, with a scale for each output."""

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach().float()
        scales = weight.abs().amax(1).clamp_min(SMALLEST) / LARGEST
        rounded = torch.round(weight / scales[:, None]).to(torch.int8)
        self.register_buffer("weight", rounded.t())  # (in, out), as the product takes it
        self.register_buffer("scales", scales)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().float())

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        """Return (..., out) of (..., in), both in float."""
        rows = given.reshape(-1, given.shape[-1])
        found = rows.new_empty(len(rows), len(self.scales))
        for part, target in zip(rows.split(BLOCK), found.split(BLOCK), strict=True):
            low, high = torch.aminmax(part, dim=1, keepdim=True)
            sizes = torch.maximum(high, -low).clamp_min_(SMALLEST) / LARGEST  # (R, 1)
            product = torch._int_mm((part / sizes).round_().to(torch.int8), self.weight)  # (R, out), int32
            target.copy_(product).mul_(sizes).mul_(self.scales)
            if self.bias is not None:
                target.add_(self.bias)
        return found.view(*given.shape[:-1], -1)


def int8_linears(model: Any) -> Any:
    """Return the model with its linear layers in 8 bits, in place; those of its head stay as they are."""
    for path, child in list(model.named_modules()):
        if type(child) is torch.nn.Linear and not set(path.split(".")) & KEPT:
            parent, _, name = path.rpartition(".")
            setattr(model.get_submodule(parent), name, Int8Linear(child))
    model.config.quantization_config = {"quant_method": "finbench", "bits": 8}  # so that trials allow for rounding
    return model
