"""Which method works on which kind of model; what does not is refused by name with what to use instead."""

from dataclasses import dataclass

from finbench.errors import FinbenchError
from finetune.recipe import Recipe

METHODS = ("full", "lora", "dora", "rslora", "qlora", "bottleneck", "prefix", "prompt", "ptuning", "ia3")


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
