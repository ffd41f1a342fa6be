"""A matrix: which bases with which adapters are scored on which tasks, and how; one YAML file.

```yaml
name: sentiment
title: ""                       # a footnote of the results on boards, such as "models of random weights"
tasks: [fin_sentiment, fin_ner] # tasks or groups
limit: null                     # row cap
truncate: refuse                # or report: score too long an input and count it
strict: false                   # true: hf-fast refuses what it cannot score with shared prefixes
num_fewshot: null               # 0 to 5; null is the task's own number
chat_template: false            # shots and question as turns of the base's chat template
system_instruction: ""          # opens that conversation
other_prompts: false            # true: score adapters with other prompts than they were trained with
clean: false                    # the text cleaning of finbench.data.clean
perturb: [none]                 # also lower, upper, typos, numbers, tickers: changed test texts, for robustness.md
batch_size: 16
bases:
  - base: openai-community/gpt2 # an id or a folder
    name: gpt2                  # default: the last part of `base`
    model: hf-fast              # or hf, hf-classifier, vllm
    revision: null
    gguf_file: null             # the file of `base` that holds its weights; or base: FOLDER/FILE.gguf
    trust_remote_code: false     # true runs code that the base brings with it
    dtype: float32
    bits: null                  # 8 or 4
    adapters: [adapters/*]      # folders (wildcards allowed) or ids
    score_base: true            # false: the bare base has no score
    note: ""                    # what a reader must know, such as that the base has seen a test set
    tasks: null                 # default: the matrix's
    pipeline: null              # hf-fast: split by layers over so many processes
    vllm: null                  # vllm: settings of the engine, such as {tensor_parallel_size: 4, max_model_len: 4096}
```
"""

import glob
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from finbench.data.perturb import NONE, check_kind
from finbench.documents import read_yaml
from finbench.errors import FinbenchError
from finbench.hf.load import GGUF
from finbench.records import Truncate
from finbench.settings import filled, one_of
from finbench.tasks.prompting import Prompting

ModelType = Literal["hf-fast", "hf", "hf-classifier", "vllm"]
# Settings of vLLM that say how it works, not what comes out: others would have to enter a cell's key.
VLLM_SETTINGS = (
    *(
        "tensor_parallel_size",
        "pipeline_parallel_size",
        "data_parallel_size",
        "gpu_memory_utilization",
        "max_model_len",
    ),
    *("max_num_seqs", "max_num_batched_tokens", "enable_prefix_caching", "enforce_eager"),
)


@dataclass(frozen=True)
class Base:
    """One base of a matrix and what is put on it."""

    base: str
    name: str = ""
    model: ModelType = "hf-fast"
    revision: str | None = None
    gguf_file: str | None = None
    trust_remote_code: bool = False
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    bits: Literal[8, 4] | None = None
    adapters: tuple[str, ...] = ()
    score_base: bool = True
    note: str = ""
    tasks: tuple[str, ...] | None = None
    pipeline: int | None = None
    vllm: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.gguf_file and not self.base.endswith(self.gguf_file):
            object.__setattr__(self, "base", f"{self.base}/{self.gguf_file}")
        if self.base.endswith(GGUF) and self.model not in ("hf", "hf-fast"):
            raise FinbenchError(f"{self.base} is a GGUF file, which model {self.model} cannot load: choose hf-fast.")
        if self.bits and self.model in ("hf", "vllm"):
            raise FinbenchError(f"bits is {self.bits}, which lm-eval's {self.model} cannot load: choose model hf-fast.")
        if self.pipeline is not None and (self.model != "hf-fast" or self.pipeline < 2):
            raise FinbenchError(f"pipeline is {self.pipeline}: it is two stages or more, of model hf-fast.")
        if self.vllm is not None and self.model != "vllm":
            raise FinbenchError(f"vllm is given, but model is {self.model}: choose model vllm, or leave it out.")
        for name in self.vllm or {}:
            one_of("a setting of vllm", name, VLLM_SETTINGS)
            value = (self.vllm or {})[name]
            if isinstance(value, float) and not math.isfinite(value):
                raise FinbenchError(f"vllm: {name} is {value}: a finite number is wanted.")
        if not self.name:
            object.__setattr__(self, "name", Path(self.base).name)

    @property
    def devices(self) -> int:
        """Return how many GPUs the base takes where it takes any."""
        sizes = [(self.vllm or {}).get(f"{kind}_parallel_size", 1) for kind in ("tensor", "pipeline", "data")]
        return self.pipeline or math.prod(sizes)

    @property
    def precision(self) -> str:
        """Return how the weights are held: "float32", "8bit" and the like."""
        return f"{self.bits}bit" if self.bits else self.dtype


@dataclass(frozen=True)
class Matrix:
    """A whole matrix."""

    name: str
    tasks: tuple[str, ...]
    bases: tuple[Base, ...]
    title: str = ""
    limit: int | None = None
    truncate: Truncate = "refuse"
    strict: bool = False
    num_fewshot: int | None = None
    chat_template: bool = False
    system_instruction: str = ""
    other_prompts: bool = False
    clean: bool = False
    perturb: tuple[str, ...] = (NONE,)
    batch_size: int = 16

    def __post_init__(self) -> None:
        if not self.perturb:
            raise FinbenchError("perturb is empty: name none, or what test texts are changed by.")
        for kind in self.perturb:
            check_kind(kind)
        if not self.bases:
            raise FinbenchError("bases is empty: name at least one base.")
        if self.limit is not None and self.limit < 1:
            raise FinbenchError(f"limit is {self.limit}: a row cap is at least 1, and null scores every row.")
        if self.num_fewshot is not None and not 0 <= self.num_fewshot <= 5:
            raise FinbenchError(f"num_fewshot is {self.num_fewshot}: 0 to 5 shots are pinned, null is the task's own.")
        if self.system_instruction and not self.chat_template:
            raise FinbenchError("system_instruction opens a conversation: it needs chat_template: true.")
        if self.batch_size < 1:
            raise FinbenchError(f"batch_size is {self.batch_size}: it is at least 1.")
        names = [base.name for base in self.bases]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise FinbenchError(f"several bases are called {twice[0]!r}: give each a `name` of its own.")


def prompting_of(matrix: Matrix) -> Prompting:
    """Return how a matrix's prompts are made."""
    return Prompting(matrix.num_fewshot, matrix.chat_template, matrix.system_instruction)


def read_matrix(path: Path) -> Matrix:
    """Return the matrix of a YAML file, with wildcards among its adapters resolved against the working folder.

    Raises:
        FinbenchError: the file is missing or no YAML, a key is unknown or missing, a value is none of those allowed.

    """
    given = read_yaml(path)
    try:
        return matrix_of(given)
    except FinbenchError as error:
        raise FinbenchError(f"{path}: {error}") from None


def matrix_of(given: Any) -> Matrix:
    """Return the matrix of a mapping as its YAML would have it.

    Raises:
        FinbenchError: a key is unknown or missing, a value is none of those allowed.

    """
    matrix = filled(Matrix, given, "the matrix")
    bases = tuple(replace(base, adapters=_resolved(base.adapters)) for base in matrix.bases)
    return replace(matrix, bases=bases, perturb=tuple(dict.fromkeys(matrix.perturb)))


def _resolved(adapters: Sequence[str]) -> tuple[str, ...]:
    """Return the adapters with wildcards replaced by the adapter folders that they match, each once."""
    found: dict[str, None] = {}
    for adapter in adapters:
        if not glob.has_magic(adapter):
            found.setdefault(adapter)
            continue
        matches = [path for path in sorted(glob.glob(adapter)) if (Path(path) / "adapter_config.json").is_file()]
        if not matches:
            raise FinbenchError(f"no adapter's folder matches {adapter!r} (seen from {Path.cwd()}).")
        found.update(dict.fromkeys(matches))
    return tuple(found)
