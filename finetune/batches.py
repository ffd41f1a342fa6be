"""Examples to tensors: dynamic padding on the right, labels where an answer is read."""

from collections.abc import Sequence
from typing import Any

import torch

from finetune.examples import Example


def collate(rows: Sequence[dict[str, Any]], pad_token_id: int, labels: Sequence[str]) -> dict[str, torch.Tensor]:
    """Return a batch: `input_ids` and `attention_mask` (B, T), and `labels` (B,) classes or (B, T) next tokens.

    For causal rows the last token is a target only, so T is what scoring would send; -100 stands where no answer is
    read.
    """
    examples: list[Example] = [row["example"] for row in rows]
    causal = not labels
    inputs = [example.input_ids[:-1] if causal else example.input_ids for example in examples]
    batch = {
        "input_ids": _padded(inputs, pad_token_id),
        "attention_mask": _padded([(1,) * len(ids) for ids in inputs], 0),
    }
    if causal:
        targets = [
            (-100,) * (len(example.input_ids) - 1 - example.answer) + example.input_ids[-example.answer :]
            for example in examples
        ]
        batch["labels"] = _padded(targets, -100)
        return batch
    if examples[0].token_type_ids:
        batch["token_type_ids"] = _padded([example.token_type_ids for example in examples], 0)
    batch["labels"] = torch.tensor([labels.index(example.label) for example in examples])
    return batch


def _padded(rows: Sequence[Sequence[int]], value: int) -> torch.Tensor:
    longest = max(len(row) for row in rows)
    return torch.tensor([[*row, *([value] * (longest - len(row)))] for row in rows])
