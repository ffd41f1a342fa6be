"""What boards call things: the family of a base, and methods in words."""

import re
from collections.abc import Mapping
from typing import Any

BITS = re.compile(r"[ _-]?[48][ _-]?bits?$")  # ends the name that a matrix gives a base in fewer bits
WORDS = {
    "bottleneck": "bottleneck adapter",
    "dora": "DoRA",
    "full": "full fine-tuning",
    "ia3": "IA3",
    "lora": "LoRA",
    "lora_prefix": "LoRA with a prefix",
    "lora_prompt": "LoRA with a prompt",
    "prefix": "prefix tuning",
    "prompt": "prompt tuning",
    "ptuning": "P-tuning",
    "qlora": "LoRA",
    "rslora": "rank-stabilised LoRA",
}
RANKED = ("dora", "lora", "lora_prefix", "lora_prompt", "qlora", "rslora")  # methods whose rank a reader asks for


def family_of(base: str) -> str:
    """Return the name that a base shares with itself in fewer bits."""
    return BITS.sub("", base) or base


def method_in_words(method: str, recipe: Mapping[str, Any]) -> str:
    """Return a method as people call it, with bits and rank where a recipe says them: `LoRA, 4 bits, rank 4`."""
    words = [WORDS.get(method, method)]
    bits, rank = recipe.get("bits"), recipe.get("r")
    if method == "qlora":
        words.append(f"{bits} bits" if isinstance(bits, int) else "fewer bits")
    if method in RANKED and isinstance(rank, int):
        words.append(f"rank {rank}")
    return ", ".join(words)
