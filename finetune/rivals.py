"""Batches in which every label of a row can be read: a row runs once for each label that no other's tokens begin with.

Labels of one token each, or that differ in their last one alone, are all read in one pass of the row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

import torch

from finbench.hf.padding import filled_up
from finetune.distil import FAR
from finetune.examples import Example
from finetune.shared_prefix import Sharing, packed_batch, shared_batch


def rival_batch(
    examples: Sequence[Example], fills: Sequence[bool], pad_token_id: int, shares: Sharing
) -> dict[str, Any]:
    """Return a batch of causal rows with rivals.

    `input_ids` and `attention_mask` (C, T) with `read` (K,), the positions that logits are wanted at, or `groups`
    where prefixes are shared; of these logits, as (N, V), `at`, `tokens` and `owners` (R,) say which token of which
    label (row * L + label) is read where. `labels` (B,) are the right ones' places, -100 for a row that only fills up;
    `teacher` (B, L).
    """
    most = max(len(example.rivals) for example in examples)
    carriers: list[Example] = []
    reads: list[tuple[int, int, int, int]] = []  # carrier, position in its tokens, token read there, owner
    for row, example in enumerate(examples):
        mine: list[int] = []
        order = sorted(range(len(example.rivals)), key=lambda n: -len(example.rivals[n][0]))  # noqa: B023
        for label in order:
            tokens, answer = example.rivals[label]
            carrier = next((n for n in mine if carriers[n].input_ids[: len(tokens) - 1] == tokens[:-1]), None)
            if carrier is None:
                carrier = len(carriers)
                mine.append(carrier)
                carriers.append(replace(example, input_ids=tokens, answer=answer))
            first = len(tokens) - answer
            longer = max(carriers[carrier].answer, len(carriers[carrier].input_ids) - first)
            carriers[carrier] = replace(carriers[carrier], answer=longer)
            reads += [(carrier, first + n - 1, tokens[first + n], row * most + label) for n in range(answer)]
    batch, places = _inputs(carriers, [(carrier, position) for carrier, position, _, _ in reads], pad_token_id, shares)
    gold = [-100 if fill else example.gold for example, fill in zip(examples, fills, strict=True)]
    scores = [[*example.teacher, *[FAR] * (most - len(example.teacher))] for example in examples]
    return {
        **batch,
        "at": torch.tensor(places),
        "tokens": torch.tensor([token for _, _, token, _ in reads]),
        "owners": torch.tensor([owner for _, _, _, owner in reads]),
        "labels": torch.tensor(gold),
        "teacher": torch.tensor(scores),
    }


def _inputs(
    carriers: Sequence[Example], reads: Sequence[tuple[int, int]], pad_token_id: int, shares: Sharing
) -> tuple[dict[str, Any], list[int]]:
    """Return what the model reads, and where in its flat logits (N, V) each (carrier, position) stands."""
    none = [False] * len(carriers)
    if shares == "packed":
        return {"groups": packed_batch(carriers, none)["groups"]}, _in_a_row(carriers, reads)
    if shares and (batch := shared_batch(carriers, none, pad_token_id)):
        return {"groups": batch["groups"]}, _in_groups(carriers, reads)
    ids = [carrier.input_ids[:-1] for carrier in carriers]
    positions = sorted({position for _, position in reads})
    place = {position: n for n, position in enumerate(positions)}
    batch = {
        "input_ids": filled_up(ids, pad_token_id),
        "attention_mask": filled_up([(1,) * len(one) for one in ids], 0),
        "read": torch.tensor(positions),
    }
    return batch, [carrier * len(positions) + place[position] for carrier, position in reads]


def _in_a_row(carriers: Sequence[Example], reads: Sequence[tuple[int, int]]) -> list[int]:
    """Return the places as `packed_batch` lays rows out: one after another, of each the last positions."""
    ends = [end - 1 for end in accumulate(carrier.answer for carrier in carriers)]
    return _from_the_end(carriers, reads, ends)


def _from_the_end(
    carriers: Sequence[Example], reads: Sequence[tuple[int, int]], ends: Sequence[int] | Mapping[int, int]
) -> list[int]:
    """Return where each is read, counted back from where its carrier's last position stands."""
    return [ends[number] - (len(carriers[number].input_ids) - 2 - position) for number, position in reads]


def _in_groups(carriers: Sequence[Example], reads: Sequence[tuple[int, int]]) -> list[int]:
    """Return the places as `shared_batch` lays rows out: a group a task, of each row the last positions."""
    of_task: dict[str, list[int]] = {}
    for number, carrier in enumerate(carriers):
        of_task.setdefault(carrier.task, []).append(number)
    ends: dict[int, int] = {}  # where the logit of a carrier's last position stands
    start = 0
    for rows in of_task.values():
        keep = max(carriers[number].answer for number in rows)
        for row, number in enumerate(rows):
            ends[number] = start + row * keep + keep - 1
        start += len(rows) * keep
    return _from_the_end(carriers, reads, ends)
