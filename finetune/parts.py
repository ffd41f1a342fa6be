"""Parts of a recipe that have keys of their own: the teacher of a student, and ways to make more rows of rows."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from finbench.errors import FinbenchError
from finbench.settings import one_of


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


CASING, MASKED = "casing", "masked"
KINDS_OF_ROWS = ("lower", "upper", "typos", "numbers", "tickers", CASING, MASKED)


@dataclass(frozen=True)
class Augment:
    """One way to make more train rows: each row, or each of some `classes`, comes again, changed, `copies` times.

    `kind` is a perturbation (`finbench.data.perturb`), `casing` (lower case, capitals or title case, drawn for each
    copy), or `masked`: a `share` of the words replaced by what the masked language model in the folder `model` offers.
    """

    kind: str
    copies: int = 1
    classes: tuple[str, ...] = ()
    model: str | None = None
    share: float = 0.15

    def __post_init__(self) -> None:
        one_of("kind", self.kind, KINDS_OF_ROWS)
        if self.copies < 1:
            raise FinbenchError(f"copies must be 1 or more (given: {self.copies}).")
        if not 0 < self.share <= 1:
            raise FinbenchError(f"share must be above 0 and at most 1 (given: {self.share}).")
        if (self.kind == MASKED) != (self.model is not None):
            raise FinbenchError("model names a masked language model's folder: with kind masked, and with no other.")
