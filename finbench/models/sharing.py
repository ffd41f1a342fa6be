"""Whether `hf-fast` shares the prefixes of the model that it holds: found by a trial, and said where it cannot."""

import logging
from typing import Any

from finbench.engine.model import SharedModel
from finbench.errors import FinbenchError
from finbench.hf.attention import window
from finbench.hf.sharing import sharing_key, why_not
from finbench.hf.wrapped import virtual_tokens

logger = logging.getLogger(__name__)


def left_to_hf(lm: Any, longest: int) -> bool:
    """Return whether to leave it to `HFLM`, for inputs of up to `longest` tokens; the first time, say why."""
    key = sharing_key(lm.model)
    size, change = window(lm.model)
    if size is not None and longest + virtual_tokens(lm.model) > size:
        reason = f"{change}, fewer than the longest input has"
    else:
        if key not in lm.reasons:
            lm.reasons[key] = trial(lm) if lm.pipeline is None else ""
        reason = lm.reasons[key]
    if reason and lm.pipeline is not None:
        raise FinbenchError(f"pipeline shares prefixes, which cannot be here: {reason}. Leave pipeline out.")
    if reason and lm.strict:
        raise FinbenchError(f"hf-fast cannot share prefixes here: {reason}. Leave strict out to score as hf does.")
    lm.not_shared = lm.not_shared or reason
    if reason and reason not in lm.said:
        lm.said.add(reason)
        logger.warning(
            "hf-fast scores this model as hf does, without shared prefixes, several times slower: %s", reason
        )
    return bool(reason)


def trial(lm: Any) -> str:
    """Return why prefixes cannot be shared, "" if a small trial gives the plain forward pass's logits."""
    if lm.backend == "seq2seq":
        return "it is an encoder-decoder model"
    if reason := why_not(lm.model):
        return reason
    try:
        with lm.passes(0, "trial", True):
            differs = SharedModel(lm.model).differs()
    except Exception as error:  # whatever a family's code does with a cache it was not written for
        return f"a trial with kept keys and values failed ({type(error).__name__}: {error})"
    return "a trial with kept keys and values gave other logits" if differs else ""
