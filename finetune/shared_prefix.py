"""Rows of a batch that begin alike: what they share runs once, with its gradient, and each row continues from it.

Two ways. Packed, all rows of a batch are one sequence, each shared token and no padding in it, in which a row sees
itself alone (`finbench.hf.blocks`). Padded, a task's rows continue their common prefix side by side; that is for
accelerators, and for models whose attention cannot be cut into blocks.

Exact: loss and gradients are those of the plain loop, up to the order of floating-point sums. Only dropout differs:
the rows of a batch see one draw of it in what they share instead of one each.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from random import Random
from types import MethodType
from typing import Any, Literal

import torch

from finbench.engine.continued import Packed, PrefixGroup, answer_logits, group_logits, packed, packed_logits
from finbench.engine.prefix import PASS_TOKENS, common_length
from finbench.hf.attention import window
from finbench.hf.blocks import LEAST_BLOCK, TreeMask
from finbench.hf.sharing import tolerance, why_not
from finbench.hf.wrapped import base_of, virtual_tokens
from finetune.examples import Example

Sharing = Literal["packed", "padded", ""]
# What the trial's rows begin with, and what they have in all where the rows to come are longer.
SHARED, TRIAL = 6, 6 + LEAST_BLOCK + 4


def packed_batch(examples: Sequence[Example], fills: Sequence[bool]) -> dict[str, Any]:
    """Return a batch as one packed group, for `group_logits`, and `labels` (N,): next tokens, -100 where none is read.

    Tokens that only fill up a batch are read too, for a pass wants a place to read.
    """
    labels: list[int] = []
    for example, fill in zip(examples, fills, strict=True):
        labels += [-100] * example.answer if fill else example.input_ids[-example.answer :]
    rows = packed([example.input_ids[:-1] for example in examples], [example.answer for example in examples])
    return {"groups": [rows], "labels": torch.tensor(labels)}


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
    def forward(self: Any, *args: Any, groups: Sequence[PrefixGroup | Packed] | None = None, **inputs: Any) -> Any:
        if groups is None:
            return plain(*args, **inputs)
        return torch.cat([group_logits(self, group) for group in groups])

    model.forward = MethodType(forward, model)


def why_plain(model: Any, longest: int) -> str:
    """Return why rows of up to `longest` tokens cannot share prefixes on this model in training; "" if they can."""
    return _why_not(model, longest) or _tried(model, _continued)


def why_not_packed(model: Any, longest: int, batch: int, forgets: bool = False) -> str:
    """Return why `batch` rows of up to `longest` tokens cannot be packed on this model in training; "" if they can.

    `forgets` says that gradient checkpointing is on.
    """
    if reason := _why_not(model, longest):
        return reason
    if forgets and virtual_tokens(model):
        return "virtual tokens are kept keys and values, which gradient checkpointing drops"
    if base_of(model).device.type != "cpu" and not forgets:
        return "attention is cut into blocks on processors alone"
    return _tried(model, lambda model: _packed(model, longest, batch))


def _why_not(model: Any, longest: int) -> str:
    if reason := why_not(model):
        return reason
    size, change = window(model)
    cuts = size is not None and longest + virtual_tokens(model) > size
    return f"{change}, fewer than the longest row has" if cuts else ""


def _tried(model: Any, trial: Callable[[Any], str]) -> str:
    """Return what is wrong with a trial of shared passes, "" where nothing is."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            return trial(model)
    except Exception as error:  # whatever a family's code does with a cache or a mask it was not written for
        return f"a trial with shared tokens failed ({type(error).__name__}: {error})"
    finally:
        model.train(training)


def _continued(model: Any) -> str:
    """Compare two small rows that continue a prefix, one padded, with the plain forward pass."""
    vocabulary = model.get_input_embeddings().weight.shape[0]
    long = tuple(vocabulary * step // 13 for step in range(1, 13))
    rows = [long, (*long[:6], *long[:4])]
    device = model.get_input_embeddings().weight.device
    group, _ = _group([Example(str(n), "", row, "", 1) for n, row in enumerate(rows)], [False, False], 6, 0)
    ours = answer_logits(model, {name: value.to(device) for name, value in group.items()})[:, 0]
    return _differ(model, ours, [row[:-1] for row in rows])


def _packed(model: Any, longest: int, batch: int) -> str:
    """Compare some rows of a pack with the plain forward pass, and see that attention ran in blocks.

    Where a batch may hold more tokens than the model has positions, so does the pack: code that takes the length of a
    pass for that of a row shows there.
    """
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None) or 0
    beyond = int(positions) < batch * longest
    length = longest if beyond else min(longest, TRIAL)
    shared = min(SHARED, length // 2)
    tokens = max(2 * LEAST_BLOCK, int(positions) if beyond else 0)
    count = max(3, tokens // (length - shared - 1) + 2) if length > shared + 1 else 2 * LEAST_BLOCK
    draw, words = Random(0), range(model.get_input_embeddings().weight.shape[0])
    stem = draw.choices(words, k=shared)
    rows = [(*stem, *draw.choices(words, k=length - shared - n % 2)) for n in range(count)]
    cuts = TreeMask.cuts
    ours = packed_logits(model, packed(rows, [1] * count))
    if ours.device.type == "cpu" and TreeMask.cuts == cuts:
        return "its attention does not call what is cut into blocks"
    some = [0, count // 2, count - 1]
    return _differ(model, ours[some], [rows[place] for place in some])


def _differ(model: Any, ours: torch.Tensor, rows: Sequence[Sequence[int]]) -> str:
    """Return whether the last logits of these rows, run alone, are not those found."""
    plain = [model(input_ids=torch.tensor([row], device=ours.device)).logits[0, -1] for row in rows]
    expected = torch.stack(plain).float()
    same = (ours.float() - expected).abs().max() <= tolerance(model) * expected.abs().max()
    return "" if same else "a trial with shared tokens gave other logits"
