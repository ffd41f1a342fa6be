"""A matrix: which bases with which adapters are scored on which tasks, and how; one YAML file.

```yaml
name: sentiment
title: ""                       # printed over the results, such as "models of random weights"
tasks: [fin_sentiment, fin_ner] # tasks or groups
limit: null                     # row cap
truncate: refuse                # or report: score too long an input and count it
strict: false                   # true: hf-fast refuses what it cannot score with shared prefixes
clean: false                    # the text cleaning of finbench.data.clean
perturb: [none]                 # also lower, upper, typos, numbers, tickers: changed test texts, for robustness.md
batch_size: 16
bases:
  - base: openai-community/gpt2 # an id or a folder
    name: gpt2                  # default: the last part of `base`
    model: hf-fast              # or hf, hf-classifier, vllm
    revision: null
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

import difflib
import glob
import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from finbench.data.perturb import NONE, check_kind
from finbench.documents import read_yaml
from finbench.errors import FinbenchError
from finbench.records import Truncate

ModelType = Literal["hf-fast", "hf", "hf-classifier", "vllm"]
DTYPES = ("float32", "bfloat16", "float16")
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
    trust_remote_code: bool = False
    dtype: str = "float32"
    bits: int | None = None
    adapters: tuple[str, ...] = ()
    score_base: bool = True
    note: str = ""
    tasks: tuple[str, ...] | None = None
    pipeline: int | None = None
    vllm: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        _one_of("model", self.model, get_args(ModelType))
        _one_of("dtype", self.dtype, DTYPES)
        _one_of("bits", self.bits, (None, 8, 4))
        if self.bits and self.model in ("hf", "vllm"):
            raise FinbenchError(f"bits is {self.bits}, which lm-eval's {self.model} cannot load: choose model hf-fast.")
        if self.pipeline is not None and (self.model != "hf-fast" or self.pipeline < 2):
            raise FinbenchError(f"pipeline is {self.pipeline}: it is two stages or more, of model hf-fast.")
        if self.vllm is not None and self.model != "vllm":
            raise FinbenchError(f"vllm is given, but model is {self.model}: choose model vllm, or leave it out.")
        for name in self.vllm or {}:
            _one_of("a setting of vllm", name, VLLM_SETTINGS)
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
    clean: bool = False
    perturb: tuple[str, ...] = (NONE,)
    batch_size: int = 16

    def __post_init__(self) -> None:
        _one_of("truncate", self.truncate, get_args(Truncate))
        if not self.perturb:
            raise FinbenchError("perturb is empty: name none, or what test texts are changed by.")
        for kind in self.perturb:
            check_kind(kind)
        if not self.bases:
            raise FinbenchError("bases is empty: name at least one base.")
        if self.limit is not None and self.limit < 1:
            raise FinbenchError(f"limit is {self.limit}: a row cap is at least 1, and null scores every row.")
        if self.batch_size < 1:
            raise FinbenchError(f"batch_size is {self.batch_size}: it is at least 1.")
        names = [base.name for base in self.bases]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise FinbenchError(f"several bases are called {twice[0]!r}: give each a `name` of its own.")


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
    values = _checked(given, Matrix, "the matrix")
    bases = values["bases"]
    if not isinstance(bases, list):
        raise FinbenchError(f"bases is {bases!r}: a list is wanted, each entry with a `base`.")
    values["bases"] = tuple(_base(entry, f"bases[{n}]") for n, entry in enumerate(bases))
    values["tasks"] = _names(values["tasks"], "tasks")
    if "perturb" in values:
        values["perturb"] = tuple(dict.fromkeys(_names(values["perturb"], "perturb")))
    return Matrix(**values)


def _base(given: Any, where: str) -> Base:
    values = _checked(given, Base, where)
    values["adapters"] = _resolved(_names(values.get("adapters") or [], f"{where}.adapters"))
    if values.get("tasks") is not None:
        values["tasks"] = _names(values["tasks"], f"{where}.tasks")
    try:
        return Base(**values)
    except FinbenchError as error:
        raise FinbenchError(f"{where}: {error}") from None


_ALLOWED: Mapping[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "bool": (bool,),
    "str | None": (str, type(None)),
    "int | None": (int, type(None)),
    "collections.abc.Mapping[str, typing.Any] | None": (dict, type(None)),
}


def _checked(given: Any, shape: type[Matrix] | type[Base], where: str) -> dict[str, Any]:
    """Return the given keys if every one is a field of the right type, and none without a default is missing."""
    if not isinstance(given, dict):
        raise FinbenchError(f"{where} is {given!r}: keys with values are wanted.")
    known = {field.name: field for field in fields(shape)}
    for name, value in given.items():
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}."
            raise FinbenchError(f"{where} has an unknown key {name!r}: {hint}")
        kind = known[name].type
        allowed = _ALLOWED.get(kind.__name__ if isinstance(kind, type) else str(kind))
        if allowed and (not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed)):
            raise FinbenchError(f"{where}: {name} is {value!r}; {_words(allowed)} is wanted.")
    missing = [name for name, field in known.items() if field.default is MISSING and name not in given]
    if missing:
        raise FinbenchError(f"{where} lacks {', '.join(missing)}.")
    return dict(given)


def _words(allowed: Sequence[type]) -> str:
    names = {str: "a text", int: "a whole number", bool: "true or false", dict: "keys with values", type(None): "null"}
    return " or ".join(names[kind] for kind in allowed)


def _names(given: Any, where: str) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        raise FinbenchError(f"{where} is {given!r}: a list of names is wanted.")
    return tuple(given)


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


def _one_of(name: str, value: object, allowed: Sequence[object]) -> None:
    if value not in allowed:
        shown = ", ".join("null" if one is None else str(one) for one in allowed)
        raise FinbenchError(f"{name} is {value!r}; choose one of {shown}.")
