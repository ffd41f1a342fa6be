"""Rows of a batch that begin alike: their common prefix runs once, with its gradient, and each row continues from it.

Exact: loss and gradients are those of the plain loop, up to the order of floating-point sums. Only dropout differs:
the rows of a batch see one draw of it in their prefix instead of one each.
"""

from collections.abc import Sequence
from functools import wraps
from types import MethodType
from typing import Any

import torch

from finbench.engine.continued import PrefixGroup, answer_logits
from finbench.engine.prefix import PASS_TOKENS, common_length
from finbench.hf.attention import window
from finbench.hf.sharing import tolerance, why_not
from finbench.hf.wrapped import virtual_tokens
from finetune.examples import Example


def shared_batch(examples: Sequence[Example], fills: Sequence[bool], pad_token_id: int) -> dict[str, Any] | None:
    """Return a batch in which each task's rows share their prefix, None where that saves too little.

    `groups` holds for each task what `answer_logits` takes.
    `labels` (sum of B * K) are next tokens in the order of the groups, -100 where none is read.
    """
    of_task: dict[str, list[int]] = {}
    for number, example in enumerate(examples):
        of_task.setdefault(example.task, []).append(number)
    prefixes = {task: _common_prefix([examples[number] for number in rows]) for task, rows in of_task.items()}
    saved = sum((len(rows) - 1) * prefixes[task] for task, rows in of_task.items())
    further_passes = sum(1 + (len(rows) > 1) for rows in of_task.values()) - 1
    apart = any(len(rows) > 1 and not prefixes[task] for task, rows in of_task.items())
    if apart or saved <= PASS_TOKENS * further_passes:
        return None
    groups, labels = [], []
    for task, rows in of_task.items():
        group, targets = _group([examples[n] for n in rows], [fills[n] for n in rows], prefixes[task], pad_token_id)
        groups.append(group)
        labels.append(targets.flatten())
    return {"groups": groups, "labels": torch.cat(labels)}


def _common_prefix(examples: Sequence[Example]) -> int:
    """Return how many tokens all rows share before any answer is read; 0 for a single row."""
    if len(examples) == 1:
        return 0
    first = examples[0].input_ids
    shared = min(common_length(first, example.input_ids) for example in examples)
    return min(shared, *(len(example.input_ids) - 1 - example.answer for example in examples))


def _group(
    examples: Sequence[Example], fills: Sequence[bool], prefix: int, pad_token_id: int
) -> tuple[PrefixGroup, torch.Tensor]:
    """Return a group and its labels (B, K)."""
    suffixes = [example.input_ids[prefix:-1] for example in examples]
    longest, keep = max(map(len, suffixes)), max(example.answer for example in examples)
    ids = [[pad_token_id] * (longest - len(suffix)) + list(suffix) for suffix in suffixes]
    mask = [[0] * (longest - len(suffix)) + [1] * len(suffix) for suffix in suffixes]
    labels = [
        [-100] * keep if fill else [-100] * (keep - example.answer) + list(example.input_ids[-example.answer :])
        for example, fill in zip(examples, fills, strict=True)
    ]
    group = {
        "prefix": torch.tensor([examples[0].input_ids[:prefix]], dtype=torch.long),
        "input_ids": torch.tensor(ids),
        "attention_mask": torch.tensor(mask),
        "keep": torch.tensor(keep),
    }
    return group, torch.tensor(labels)


def install(model: Any) -> None:
    """Let `model(groups=...)` return the logits (N, V) that the groups' answers are read from.

    It is the model's own forward pass because gradients of several processes are only summed for what runs in there.
    """
    plain = model.forward

    @wraps(plain)
    def forward(self: Any, *args: Any, groups: Sequence[PrefixGroup] | None = None, **inputs: Any) -> Any:
        if groups is None:
            return plain(*args, **inputs)
        return torch.cat([answer_logits(self, group).flatten(0, 1) for group in groups])

    model.forward = MethodType(forward, model)


def why_plain(model: Any, longest: int) -> str:
    """Return why rows of up to `longest` tokens cannot share prefixes on this model in training; "" if they can."""
    if reason := why_not(model):
        return reason
    size, change = window(model)
    if size is not None and longest + virtual_tokens(model) > size:
        return f"{change}, fewer than the longest row has"
    training = model.training
    model.eval()
    try:
        return "" if _agrees(model) else "a trial with kept keys and values gave other logits"
    except Exception as error:  # whatever a family's code does with a cache it was not written for
        return f"a trial with kept keys and values failed ({type(error).__name__}: {error})"
    finally:
        model.train(training)


@torch.no_grad()
def _agrees(model: Any) -> bool:
    """Return whether two small rows, one padded, have the plain forward pass's logits."""
    vocabulary = model.get_input_embeddings().weight.shape[0]
    long = tuple(vocabulary * step // 13 for step in range(1, 13))
    rows = [long, (*long[:6], *long[:4])]
    device = model.get_input_embeddings().weight.device
    group, _ = _group([Example(str(n), "", row, "", 1) for n, row in enumerate(rows)], [False, False], 6, 0)
    ours = answer_logits(model, {name: value.to(device) for name, value in group.items()})[:, 0].float()
    plain = [model(input_ids=torch.tensor([row[:-1]], device=device)).logits[0, -1] for row in rows]
    expected = torch.stack(plain).float()
    return bool((ours - expected).abs().max() <= tolerance(model) * expected.abs().max())
