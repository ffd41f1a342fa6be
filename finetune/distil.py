"""What a student learns from a teacher: T^2 * KL of their softened shares, beside the cross-entropy with labels.

Hinton, Vinyals and Dean 2015 (arXiv:1503.02531). The shares are those of the labels: a classifier's logits, or a causal
model's log-likelihoods of the labels' tokens after the prompt, which is what scoring compares.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn import functional

from finbench.errors import FinbenchError
from finbench.models.pair import check_has_tokens, encode_pair
from finetune.examples import Example
from finetune.recipe import Recipe
from finetune.teaching import Answers

FAR = -1e9  # the log-likelihood of a label that a row does not offer


@dataclass(frozen=True)
class Mix:
    """How much of the loss is the teacher's part, and how soft the shares are that it compares."""

    weight: float
    temperature: float

    def of(self, divergence: torch.Tensor, cross_entropy: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the teacher's and the labels' part of the loss."""
        return self.weight * self.temperature**2 * divergence, (1 - self.weight) * cross_entropy


def divergence(teacher: torch.Tensor, student: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return KL(teacher || student) of each row (B,), from the labels' logits or log-likelihoods (B, L) of both."""
    theirs = torch.log_softmax(teacher.float() / temperature, -1)
    ours = torch.log_softmax(student.float() / temperature, -1)
    return functional.kl_div(ours, theirs, reduction="none", log_target=True).sum(-1)


def label_scores(logits: torch.Tensor, inputs: Mapping[str, torch.Tensor], teacher: torch.Tensor) -> torch.Tensor:
    """Return a causal student's log-likelihoods (B, L) of its labels, `FAR` where a row has none.

    `logits` (N, V) stand where `finetune.rivals` says: token `tokens[r]` of label `owners[r]` is read at `at[r]`.
    """
    logits = logits.float()
    each = logits[inputs["at"], inputs["tokens"]] - torch.logsumexp(logits, -1)[inputs["at"]]  # (R,)
    scores = each.new_zeros(teacher.numel()).index_add(0, inputs["owners"], each).view_as(teacher)
    return scores.masked_fill(teacher <= FAR, FAR)


def taught(
    examples: Sequence[Example],
    docs: Mapping[str, Sequence[Any]],
    answers: Answers,
    tasks: Mapping[str, Any],
    lm: Any,
    recipe: Recipe,
    labels: Sequence[str],
) -> list[Example]:
    """Return the examples with the teacher's log-likelihoods; a causal student's also with every label as an answer.

    `labels` are a classifier's, in the order of its head; the teacher's are found by name.

    Raises:
        FinbenchError: an answer is longer than the student's window, or has no token of its own.

    """
    of_row = {(name, doc["id"]): doc for name, rows in docs.items() for doc in rows}
    found = []
    for example in examples:
        doc = of_row[example.task, example.row_id]
        scores = dict(zip(doc["choices"], answers.scores[example.task, example.row_id], strict=True))
        if labels:
            found.append(replace(example, teacher=tuple(scores[label] for label in labels)))
            continue
        rivals = _rivals(example, doc, tasks[example.task], lm, recipe)
        place = doc["choices"].index(example.label)
        found.append(replace(example, teacher=tuple(scores.values()), rivals=rivals, gold=place))
    return found


def _rivals(example: Example, doc: Any, task: Any, lm: Any, recipe: Recipe) -> tuple[tuple[tuple[int, ...], int], ...]:
    """Return for every label the tokens of prompt and answer, as scoring sends them, and how many are the answer's."""
    context = recipe.prompting.context(task, doc, lm)
    room = min(lm.longest_input, recipe.max_length or lm.longest_input)
    found = []
    for label in doc["choices"]:
        answer = f"{recipe.prompting.delimiter(task)}{label}"
        before, after = encode_pair(lm, context, answer)
        check_has_tokens(after, answer, example.task, example.row_id)
        if len(before) + len(after) - 1 > room:
            raise FinbenchError(
                f"{example.task}, row {example.row_id}: with the label {label!r} it has more tokens than the {room} "
                "that the student reads, so its share cannot be learned. Choose a base with a longer window."
            )
        found.append(((*before, *after), len(after)))
    return tuple(found)
