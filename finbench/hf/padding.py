"""On which side the rows of a classifier's batch can be filled up, so that each is answered as it is alone.

Families read a row at other places: its first token, its last one that is no padding, or simply the last (XLNet), and
virtual tokens may stand in front. So the side is found by a trial of one row, alone and filled up.
"""

from typing import Any, Literal

import torch

from finbench.hf.forward import mixed_precision
from finbench.hf.sharing import tolerance

Side = Literal["right", "left", ""]
TOKENS, FILLING = 7, 4


@torch.no_grad()
def padding_side(model: Any, pad_token_id: int) -> Side:
    """Return the side on which filling up changes no logit, the right one first; "" where both do."""
    training = model.training
    model.eval()
    try:
        alone = _logits(model, pad_token_id, "right", 0)
        sides: tuple[Side, Side] = ("right", "left")
        return next((side for side in sides if _alike(alone, _logits(model, pad_token_id, side, FILLING), model)), "")
    finally:
        model.train(training)


def _alike(alone: torch.Tensor, filled: torch.Tensor, model: Any) -> bool:
    largest = float(alone.abs().max().nan_to_num(1.0))
    return torch.allclose(alone, filled, rtol=0, atol=tolerance(model) * max(largest, 1e-2), equal_nan=True)


def _logits(model: Any, pad_token_id: int, side: Side, filling: int) -> torch.Tensor:
    """Return a fixed row's logits (1, L) in float32, with so many padding tokens on one side."""
    config = model.config.get_text_config()
    words = [word for word in range(5, int(config.vocab_size)) if word != pad_token_id]
    row = [words[(place * 37 + 11) % len(words)] for place in range(TOKENS)]
    if model.config.is_encoder_decoder and config.eos_token_id is not None:
        row[-1] = config.eos_token_id  # its head reads what stands at the end of the text
    pads, masked = [pad_token_id] * filling, [0] * filling
    ids = [*pads, *row] if side == "left" else [*row, *pads]
    mask = [*masked, *([1] * TOKENS)] if side == "left" else [*([1] * TOKENS), *masked]
    device = next(model.parameters()).device
    inputs = {"input_ids": torch.tensor([ids], device=device), "attention_mask": torch.tensor([mask], device=device)}
    with mixed_precision(model):
        return model(**inputs).logits.float()
