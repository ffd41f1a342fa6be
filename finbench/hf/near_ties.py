"""A classifier in bfloat16 whose near ties are asked again in float32, so that its labels are the float model's.

Processors with AMX multiply bfloat16 several times as fast as float32, and round to eight bits of a number. What that
moves decides a label only where two of them are almost as likely: those rows run once more.
"""

import copy
from types import SimpleNamespace
from typing import Any

import torch

NEAR = 0.4  # of a logit; on 1,212 FPB rows MiniLM's moved by 0.08 at most, so a lead by twice that


class NearTies(torch.nn.Module):
    """Stands where the classifier stands, with a second copy of its weights."""

    dtype = torch.float32

    def __init__(self, exact: Any) -> None:
        super().__init__()
        self.exact, self.near = exact, NEAR
        self.fast = copy.deepcopy(exact).to(torch.bfloat16)
        self.config = exact.config
        self.config.quantization_config = {"quant_method": "bfloat16", "bits": 16}  # so that trials allow for rounding

    @property
    def device(self) -> torch.device:
        """Return where inputs belong."""
        found: torch.device = self.exact.device
        return found

    def forward(self, **inputs: torch.Tensor) -> Any:
        """Return an output whose `logits` are (B, L), in float32."""
        logits = self.fast(**inputs).logits.float()
        if logits.shape[1] > 1:
            first, second = logits.topk(2).values.unbind(1)
            near = (first - second < self.near).nonzero()[:, 0]
            if len(near):
                logits[near] = self.exact(**{name: given[near] for name, given in inputs.items()}).logits.float()
        return SimpleNamespace(logits=logits)
