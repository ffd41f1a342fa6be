"""Which method works on which kind of model; what does not is refused by name with what to use instead."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from finbench.errors import FinbenchError
from finetune.recipe import Method, Recipe

METHODS: tuple[str, ...] = get_args(Method)


@dataclass(frozen=True)
class Kind:
    """A family of models in one role; families that are not listed are treated as the one they share a layout with."""

    family: str
    task_type: str


KINDS = (
    Kind("gpt2", "causal"),
    Kind("llama", "causal"),
    Kind("bert", "classifier"),
    Kind("gpt2", "classifier"),
)
# What does not work, and why. A decoder's classification head reads the last token that is no padding, and finds it by
# the input's ids, which know nothing of virtual tokens in front.
_LAST_TOKEN = (
    "its head looks for a row's last token in the input, and virtual tokens shift it: use prefix, lora or full"
)
REFUSED = {
    (method, "classifier", family): _LAST_TOKEN
    for method in ("prompt", "ptuning")
    for family in ("gpt2", "llama", "mistral", "qwen2", "qwen3", "gpt_neox", "gemma")
}


PEFT_TYPES = {
    **dict.fromkeys(("lora", "dora", "rslora", "qlora"), "LORA"),
    "bottleneck": "BOTTLENECK",
    "prefix": "PREFIX_TUNING",
    "prompt": "PROMPT_TUNING",
    "ptuning": "P_TUNING",
    "ia3": "IA3",
    "lora_prefix": "LORA_PREFIX",
    "lora_prompt": "LORA_PROMPT",
}


def check_continues(recipe: Recipe, settings: Mapping[str, Any]) -> None:
    """Refuse to go on from an adapter of another method: the record would name what was not trained.

    `settings` is the adapter's own configuration.

    Raises:
        FinbenchError: it is of another method.

    """
    kind = settings.get("peft_type")
    same = kind == PEFT_TYPES.get(recipe.method)
    if kind == "LORA" and same:
        same = bool(settings.get("use_dora")) == (recipe.method == "dora")
        same = same and bool(settings.get("use_rslora")) == (recipe.method == "rslora")
    if not same:
        raise FinbenchError(
            f"recipe: from_adapter: {recipe.from_adapter!r} is an adapter of type {kind}, which method {recipe.method} "
            "does not make: set the method that it was trained with, or leave from_adapter out."
        )


def works(method: str, kind: Kind) -> bool:
    """Return whether the method works on this kind."""
    return (method, kind.task_type, kind.family) not in REFUSED


def check(recipe: Recipe, family: str) -> None:
    """Refuse what does not work.

    Raises:
        FinbenchError: the method does not work on this family in this role.

    """
    if reason := REFUSED.get((recipe.method, recipe.task_type, family)):
        raise FinbenchError(f"recipe: method {recipe.method} does not work on a {family} {recipe.task_type}: {reason}.")
