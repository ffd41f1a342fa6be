"""The tokens of a prompt and of the answer after it, as an lm-eval model encodes them.

Used of lm-eval (0.4.12 to 0.4.13): `_encode_pair` of its model types, which gives a space to one of the two.
"""

from typing import Any


def encode_pair(lm: Any, context: str, answer: str) -> tuple[list[int], list[int]]:
    """Return the ids of the prompt and of the answer, as scoring sends them."""
    before, after = lm._encode_pair(context, answer)
    return before, after
