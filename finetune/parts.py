"""Parts of a recipe that have keys of their own: the teacher of a student."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from finbench.errors import FinbenchError


@dataclass(frozen=True)
class Teacher:
    """The model whose answers a student learns from: a base, with an adapter or alone, held as `finbench run` would."""

    base: str
    adapter: str | None = None
    bits: Literal[4, 8] | None = None
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    revision: str | None = None
    trust_remote_code: bool = False
    batch_size: int = 32

    def __post_init__(self) -> None:
        if not self.base:
            raise FinbenchError("base names no model: give an id on the hub or a folder.")
        if self.batch_size < 1:
            raise FinbenchError(f"batch_size must be 1 or more (given: {self.batch_size}).")

    @property
    def name(self) -> str:
        """Return what people call it: its adapter's name, or its base's."""
        return Path(self.adapter or self.base).name
