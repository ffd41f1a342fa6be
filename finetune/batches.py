"""Examples to tensors: their order, dynamic padding on the right, labels where an answer is read."""

from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from typing import Any

import torch

from finbench.hf.padding import Side, filled_up
from finetune.examples import Example
from finetune.rivals import rival_batch
from finetune.shared_prefix import Sharing, packed_batch, shared_batch


def collate(
    rows: Sequence[dict[str, Any]],
    pad_token_id: int,
    labels: Sequence[str],
    shares: Sharing = "",
    side: Side = "right",
) -> dict[str, Any]:
    """Return a batch: `input_ids` and `attention_mask` (B, T), and `labels` (B,) classes or (B, T) next tokens.

    For causal rows the last token is a target only, so T is what scoring would send; -100 stands where no answer is
    read, and for a whole row that only fills up a batch. With `shares`, causal rows come as `packed_batch` has them, or
    as `shared_batch` has those whose common prefix is worth it, and a student's as `rival_batch`. Rows of classes are
    filled up on that `side`, and have their teacher's log-likelihoods as `teacher` (B, L).
    """
    examples: list[Example] = [row["example"] for row in rows]
    causal = not labels
    fills = [bool(row["fills"]) for row in rows]
    if examples[0].rivals:
        return rival_batch(examples, fills, pad_token_id, shares)
    if causal and shares == "packed":
        return packed_batch(examples, fills)
    if causal and shares and (batch := shared_batch(examples, fills, pad_token_id)):
        return batch
    inputs = [example.input_ids[:-1] if causal else example.input_ids for example in examples]
    batch = {
        "input_ids": filled_up(inputs, pad_token_id, side),
        "attention_mask": filled_up([(1,) * len(ids) for ids in inputs], 0, side),
    }
    if causal:
        targets = [
            (-100,) * (len(example.input_ids) - 1 - example.answer) + example.input_ids[-example.answer :]
            for example in examples
        ]
        batch["labels"] = filled_up(targets, -100)
        batch["labels"][fills] = -100
        return batch
    if examples[0].token_type_ids:
        batch["token_type_ids"] = filled_up([example.token_type_ids for example in examples], 0, side)
    classes = [-100 if fill else labels.index(row.label) for row, fill in zip(examples, fills, strict=True)]
    batch["labels"] = torch.tensor(classes)
    if examples[0].teacher:
        batch["teacher"] = torch.tensor([example.teacher for example in examples])
    return batch


def collate_seq2seq(rows: Sequence[dict[str, Any]], pad_token_id: int) -> dict[str, Any]:
    """Return a batch for an encoder-decoder model: prompts (B, T) with their mask, answers as `labels` (B, K)."""
    examples: list[Example] = [row["example"] for row in rows]
    prompts = [example.input_ids[: -example.answer] for example in examples]
    answers = [
        (-100,) * example.answer if row["fills"] else example.input_ids[-example.answer :]
        for example, row in zip(examples, rows, strict=True)
    ]
    return {
        "input_ids": filled_up(prompts, pad_token_id),
        "attention_mask": filled_up([(1,) * len(ids) for ids in prompts], 0),
        "labels": filled_up(answers, -100),
    }


class LengthGroupedOrder(torch.utils.data.Sampler[int]):
    """A shuffled order with rows of similar length side by side, the same for any number of processes.

    It follows from seed and epoch alone, so a resumed run sees the rows that the stopped one would have seen.
    `batch` is the number of rows in one step of the optimizer, over all processes. `whole` is a number of rows that the
    order is filled up to a multiple of, so that every process has as many batches: the places it adds are those of
    rows from the order's start, counted from the number of rows on, and the loss leaves them out.
    """

    def __init__(self, lengths: Sequence[int], batch: int, seed: int, whole: int = 1) -> None:
        self.lengths, self.batch, self.seed, self.epoch = list(lengths), batch, seed, 0
        self.fill = -len(self.lengths) % whole

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        self.epoch = int(epoch)

    def __len__(self) -> int:
        return len(self.lengths) + self.fill

    def __iter__(self) -> Iterator[int]:
        from transformers.trainer_pt_utils import get_length_grouped_indices

        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = get_length_grouped_indices(self.lengths, self.batch, generator=generator)
        filling = islice(cycle(order), self.fill)
        return iter([*order, *(place + len(self.lengths) for place in filling)])
