"""The tokens of a prompt and of the answer after it, as an lm-eval model encodes them.

Used of lm-eval (0.4.12 to 0.4.13): `_encode_pair` of its model types, which gives a space to one of the two.
"""

import math
from collections.abc import Sequence
from typing import Any

from finbench.errors import FinbenchError


def encode_pair(lm: Any, context: str, answer: str) -> tuple[list[int], list[int]]:
    """Return the ids of the prompt and of the answer, as scoring sends them."""
    before, after = lm._encode_pair(context, answer)
    return before, after


def check_has_tokens(answer: Sequence[int], text: str, task: str | None, row: object) -> None:
    """Refuse an answer of no tokens: a token that spans the prompt's end and the answer's start swallowed it.

    lm-eval's `hf` stops at an assertion there; a likelihood of nothing would be 1, which every other answer loses to.

    Raises:
        FinbenchError: it has none.

    """
    if not answer:
        raise FinbenchError(
            f"{task}, row {row}: the answer {text!r} has no token of its own with this base's tokenizer, which joins "
            "it to the end of the prompt, so it cannot be scored. Choose another base, or end doc_to_text otherwise "
            "(or target_delimiter) in the task's YAML."
        )


def row_of(request: Any) -> object:
    """Return the id of the row that a request of lm-eval is about, its number where it has none."""
    return request.doc.get("id", request.doc_id) if isinstance(request.doc, dict) else request.doc_id


def name_of(request: Any) -> str:
    """Return how a message names a request: its task and its row."""
    return f"{request.task_name or 'a request'}, row {row_of(request)}"


def refuse_nan(request: Any, value: float) -> None:
    """Refuse a log-likelihood that is no number.

    Raises:
        FinbenchError: it is NaN.

    """
    if math.isnan(value):
        raise FinbenchError(
            f"{name_of(request)}: the log-likelihood is NaN, so the model's answer means nothing. "
            "Try dtype=float32, and check that the adapter was trained on this base."
        )
