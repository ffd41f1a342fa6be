"""What changes a base's weights as it is loaded: bits to a weight, and an adapter folded in."""

import inspect
from collections.abc import Mapping
from typing import Any

from finbench.errors import FinbenchError
from finbench.hf.wrapped import quantised

MERGEABLE = ("LORA", "IA3")
# A classifier's head stays as it is: it is trained in full, and a few rows of weights save nothing.
KEEP_HEADS = {"llm_int8_skip_modules": ["classifier", "score"]}


def bits_config(eight: bool, four: bool, settings: Mapping[str, Any]) -> Any:
    """Return the `BitsAndBytesConfig` for 8-bit or 4-bit weights.

    Raises `FinbenchError` if both are asked for, or a setting is unknown.
    """
    from transformers import BitsAndBytesConfig

    if eight and four:
        raise FinbenchError("load_in_8bit and load_in_4bit were both given: choose one.")
    known = inspect.signature(BitsAndBytesConfig.__init__).parameters
    if unknown := set(settings) - set(known):
        raise FinbenchError(
            f"{', '.join(sorted(unknown))}: no such setting of bitsandbytes. Known: {', '.join(known)}."
        )
    settings = {"bnb_4bit_quant_type": "nf4", **settings} if four else settings
    return BitsAndBytesConfig(load_in_8bit=eight, load_in_4bit=four, **settings)


def merged(model: Any) -> Any:
    """Return the base with its adapter folded into the weights, which changes the base in place.

    Raises `FinbenchError` if there is no adapter, it cannot be folded in, or the base is quantised.
    """
    adapter = getattr(model, "active_peft_config", None)
    if adapter is None:
        raise FinbenchError("merge=True folds an adapter into its base, but none was given: add peft=FOLDER.")
    kind = str(getattr(adapter.peft_type, "value", adapter.peft_type))
    if kind not in MERGEABLE:
        raise FinbenchError(f"merge=True cannot fold {kind} into the base, only {', '.join(MERGEABLE)}: leave it out.")
    if quantised(model):
        raise FinbenchError(
            "merge=True would round the adapter to the quantised base's weights and change its answers: "
            "leave merge out, or load the base without load_in_8bit and load_in_4bit."
        )
    return model.merge_and_unload(safe_merge=True)
