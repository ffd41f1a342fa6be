"""On which side the rows of a classifier's batch can be filled up, so that each is answered as it is alone.

Families read a row at other places: its first token, its last one that is no padding, or simply the last (XLNet), and
virtual tokens may stand in front. So the side is found by a trial of one row, alone and filled up.
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch

from finbench.hf.forward import mixed_precision
from finbench.hf.sharing import tolerance

Side = Literal["right", "left", ""]
TOKENS, FILLING = 7, 4


def filled_up(rows: Sequence[Sequence[int]], value: int, side: Side = "right") -> torch.Tensor:
    """Return rows of unlike length as one tensor (B, T), the shorter ones filled up on a side ("": on the right)."""
    longest = max(map(len, rows))
    fillings = [[value] * (longest - len(row)) for row in rows]
    pairs = zip(rows, fillings, strict=True)
    return torch.tensor([[*filling, *row] if side == "left" else [*row, *filling] for row, filling in pairs])


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
    longer = [0] * (TOKENS + filling)  # beside which the row is the shorter one
    ids, mask = filled_up([row, longer], pad_token_id, side)[:1], filled_up([[1] * TOKENS, longer], 0, side)[:1]
    device = next(model.parameters()).device
    with mixed_precision(model):
        return model(input_ids=ids.to(device), attention_mask=mask.to(device)).logits.float()
