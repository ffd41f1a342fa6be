"""Rows of a batch that begin alike: their common prefix runs once, with its gradient, and each row continues from it.

Exact: loss and gradients are those of the plain loop, up to the order of floating-point sums. Only dropout differs:
the rows of a batch see one draw of it in their prefix instead of one each.
"""

import inspect
from collections.abc import Mapping, Sequence
from functools import wraps
from types import MethodType
from typing import Any

import torch

from finbench.engine.model import EXACT, ROUNDED, virtual_cache, why_not, window
from finbench.engine.prefix import PASS_TOKENS, common_length
from finbench.hf.wrapped import quantised
from finetune.examples import Example

Group = Mapping[str, torch.Tensor]


def shared_batch(examples: Sequence[Example], fills: Sequence[bool], pad_token_id: int) -> dict[str, Any] | None:
    """Return a batch in which each task's rows share their prefix, None where that saves too little.

    `groups` holds for each task `prefix` (1, P), `input_ids` and `attention_mask` (B, S) of what follows it, padded on
    the left so that answers end together, and `keep` (), the number K of last positions that answers are read at.
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
) -> tuple[Group, torch.Tensor]:
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


def answer_logits(model: Any, group: Group) -> torch.Tensor:
    """Return a group's logits (B, K, V) at the places where its answers are read."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    cache = virtual_cache(model)
    start = cache.get_seq_length()  # prompt and prefix tuning's virtual tokens
    prefix, ids, mask = group["prefix"], group["input_ids"], group["attention_mask"]
    if prefix.shape[1]:
        places = torch.arange(start, start + prefix.shape[1], device=ids.device)[None]
        seen = mask.new_ones(1, start + prefix.shape[1])
        # the body alone: nothing is read here
        base.base_model(
            input_ids=prefix, position_ids=places, attention_mask=seen, past_key_values=cache, use_cache=True
        )
    kept = cache.get_seq_length()
    if len(ids) > 1:
        cache.batch_repeat_interleave(len(ids))
    positions = (mask.cumsum(1) - 1).clamp(min=0) + kept  # (B, S)
    seen = torch.cat([mask.new_ones(len(ids), kept), mask], 1)  # (B, kept + S)
    read = torch.arange(-int(group["keep"]), 0, device=ids.device) + ids.shape[1]
    picks = "logits_to_keep" in inspect.signature(base.forward).parameters
    output = base(
        input_ids=ids,
        position_ids=positions,
        attention_mask=seen,
        past_key_values=cache,
        use_cache=True,
        **({"logits_to_keep": read} if picks else {}),  # as places, for a slice's memory is slow to multiply
    )
    logits: torch.Tensor = output.logits if picks else output.logits[:, read]
    return logits


def install(model: Any) -> None:
    """Let `model(groups=...)` return the logits (N, V) that the groups' answers are read from.

    It is the model's own forward pass because gradients of several processes are only summed for what runs in there.
    """
    plain = model.forward

    @wraps(plain)
    def forward(self: Any, *args: Any, groups: Sequence[Group] | None = None, **inputs: Any) -> Any:
        if groups is None:
            return plain(*args, **inputs)
        return torch.cat([answer_logits(self, group).flatten(0, 1) for group in groups])

    model.forward = MethodType(forward, model)


def why_plain(model: Any, longest: int) -> str:
    """Return why rows of up to `longest` tokens cannot share prefixes on this model in training; "" if they can."""
    if reason := why_not(model):
        return reason
    size = window(model)
    if size is not None and longest + virtual_cache(model).get_seq_length() > size:
        return f"some layers see {size} tokens, fewer than the longest row"
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
    exact = model.dtype == torch.float32 and not quantised(model)
    return bool((ours - expected).abs().max() <= (EXACT if exact else ROUNDED) * expected.abs().max())
