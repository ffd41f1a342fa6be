"""Virtual tokens that reach the base: PEFT's prefix, prompt and P-tuning where a base calls its cache otherwise.

PEFT (to 0.21) hands kept keys and values over as `past_key_values`, and asks a base's signature for that name.
transformers from 5.24 calls them `cache`: PEFT refuses prefix tuning on classifiers there, and in generation its
virtual tokens are dropped for an empty cache of transformers' own, so that the bare base answers. `connect` translates
on the instance; where a base takes no cache at all, virtual keys and values are refused by name.
"""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from finbench.errors import FinbenchError
from finbench.hf.forward import arguments_of
from finbench.hf.wrapped import adapter_type, base_of, through_peft

PEFT_NAME = "past_key_values"
CONNECTED = "_finbench_connected"


def connect(model: Any) -> Any:
    """Return a model that PEFT wraps, with its virtual tokens reaching the base under the base's own name.

    Raises:
        FinbenchError: the adapter keeps virtual keys and values, and the base takes none.

    """
    if not through_peft(model):
        return model
    base = base_of(model)
    if adapter_type(model) == "PREFIX_TUNING":
        check_takes_prefix(base)
    name = _seq2seq_name(base) if base.config.is_encoder_decoder else arguments_of(base).cache
    if not name or name == PEFT_NAME or getattr(base, CONNECTED, False):
        return model
    base.forward = _translated(base.forward, name)
    setattr(base, CONNECTED, True)
    if hasattr(model, "base_model_prepare_inputs_for_generation"):
        _translate_generation(model, name)
    return model


def check_takes_prefix(base: Any) -> None:
    """Refuse a base for prefix tuning that takes no kept keys and values.

    Raises:
        FinbenchError: it does not.

    """
    if not base.config.is_encoder_decoder and not arguments_of(base).cache:
        raise FinbenchError(
            f"prefix tuning keeps keys and values before the input, and {base.config.model_type} takes none: use "
            "lora, or prompt, whose virtual tokens stand in the input."
        )


def _seq2seq_name(base: Any) -> str:
    """Return the name that an encoder-decoder model's output gives its cache, by a trial of one token each."""
    import torch

    end = base.config.get_text_config().eos_token_id or 0  # which a classifier's head looks for
    ids = torch.full((1, 1), end, dtype=torch.long, device=base.device)
    with torch.no_grad():
        output = base(input_ids=ids, decoder_input_ids=ids, use_cache=True)
    return next((name for name, value in output.items() if hasattr(value, "get_seq_length")), "")


def _translated(forward: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Return a forward pass that takes PEFT's name for `name`, and has it in its signature, where PEFT looks."""

    @wraps(forward)
    def translated(*args: Any, **inputs: Any) -> Any:
        kept = inputs.pop(PEFT_NAME, None)
        if kept is not None:
            inputs[name] = kept
        return forward(*args, **inputs)

    signature = inspect.signature(forward)
    if PEFT_NAME in signature.parameters:
        return translated
    known = [part for part in signature.parameters.values() if part.kind is not inspect.Parameter.VAR_KEYWORD]
    more = [part for part in signature.parameters.values() if part.kind is inspect.Parameter.VAR_KEYWORD]
    ours = inspect.Parameter(PEFT_NAME, inspect.Parameter.KEYWORD_ONLY, default=None)
    translated.__signature__ = signature.replace(parameters=[*known, ours, *more])  # type: ignore[attr-defined]
    return translated


def _translate_generation(model: Any, name: str) -> None:
    """Let PEFT find transformers' cache under its own name as it prepares a step, and hand its cache on as `name`."""
    theirs, ours = model.base_model_prepare_inputs_for_generation, model.prepare_inputs_for_generation

    @wraps(theirs)  # transformers reads the signatures of both
    def before(*args: Any, **inputs: Any) -> dict[str, Any]:
        return _renamed(theirs(*args, **inputs), name, PEFT_NAME)

    @wraps(ours)
    def after(*args: Any, **inputs: Any) -> dict[str, Any]:
        return _renamed(ours(*args, **inputs), PEFT_NAME, name)

    model.base_model_prepare_inputs_for_generation = before
    model.prepare_inputs_for_generation = after


def _renamed(inputs: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    if old in inputs:
        inputs[new] = inputs.pop(old)
    return inputs
