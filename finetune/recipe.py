"""A recipe: what is trained, how, and with what numbers. YAML key = field = command-line key."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from finbench.documents import parse_yaml, read_yaml
from finbench.errors import FinbenchError
from finbench.settings import filled, known
from finbench.tasks.prompting import Prompting
from finetune.parts import Augment, Teacher

Method = Literal[
    "full", "lora", "dora", "rslora", "qlora", "bottleneck", "prefix", "prompt", "ptuning", "ia3",
    "lora_prefix", "lora_prompt",
]  # fmt: skip
TRACKERS = ("tensorboard", "trackio")
ZERO_ONE_KEYS = ("variance_kappa", "sync_every_step_until", "sync_doubles_every", "sync_interval_most")
LATER = ("chat_template", "system_instruction", "gguf_file", "teacher", "unlabelled", "augment")  # not always there
TAUGHT = ("distil_weight", "temperature", "teacher_confidence")  # which say something of a student alone
DEFAULTS = Path(__file__).parent / "recipes" / "_default.yaml"


@dataclass(frozen=True)
class Recipe:
    """All settings of one training; `recipes/_default.yaml` documents them and holds the defaults."""

    base: str
    revision: str | None
    gguf_file: str | None
    trust_remote_code: bool
    task_type: Literal["causal", "classifier", "seq2seq"]
    tasks: tuple[str, ...]
    limit: int | None
    validation_share: float
    num_fewshot: int | None
    chat_template: bool
    system_instruction: str
    clean: bool
    truncate: Literal["refuse", "drop"]
    max_length: int | None
    method: Method
    bits: Literal[4, 8] | None
    precision: Literal["float32", "bfloat16", "float16"]
    from_adapter: str | None
    teacher: Teacher | None
    distil_weight: float
    temperature: float
    unlabelled: str | None
    teacher_confidence: float
    augment: tuple[Augment, ...]
    r: int
    alpha: float
    dropout: float
    bias: Literal["none", "all", "lora_only"]
    target_modules: tuple[str, ...] | None
    modules_to_save: tuple[str, ...] | None
    num_virtual_tokens: int
    prefix_projection: bool
    encoder_hidden_size: int | None
    reduction_factor: float
    placement: Literal["pfeiffer", "houlsby", "parallel"]
    non_linearity: str
    epochs: float
    max_steps: int | None
    batch_size: int
    gradient_accumulation: int
    learning_rate: float
    weight_decay: float
    warmup_steps: int
    scheduler: Literal["linear", "cosine", "constant", "constant_with_warmup"]
    optimizer: Literal["adamw", "zero_one_adam"]
    variance_kappa: int | None
    sync_every_step_until: int | None
    sync_doubles_every: int | None
    sync_interval_most: int | None
    eval_steps: int | None
    best_by: str | None
    early_stopping: int | None
    class_weights: bool
    sampling: Literal["none", "over", "under"]
    gradient_checkpointing: bool
    prefix_sharing: Literal["auto", "off"]
    seed: int
    report_to: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.gguf_file and not self.base.endswith(self.gguf_file):
            object.__setattr__(self, "base", f"{self.base}/{self.gguf_file}")
        for field in fields(self):
            value = getattr(self, field.name)
            finite = not isinstance(value, float) or math.isfinite(value)
            self._require(field.name, finite, "must be a finite number")
        for name in ("r", "num_virtual_tokens", "batch_size", "gradient_accumulation"):
            self._require(name, getattr(self, name) >= 1, "must be 1 or more")
        for name in ("epochs", "learning_rate", "alpha", "reduction_factor", "temperature"):
            self._require(name, getattr(self, name) > 0, "must be above 0")
        whole = ("limit", "max_steps", "eval_steps", "early_stopping", "max_length", "encoder_hidden_size")
        for name in whole + ZERO_ONE_KEYS:
            value = getattr(self, name)
            self._require(name, value is None or value >= 1, "must be 1 or more, or null")
        for name in ("warmup_steps", "weight_decay", "seed"):
            self._require(name, getattr(self, name) >= 0, "must not be negative")
        self._require("seed", self.seed < 2**32, "must be below 2^32")
        self._require("dropout", 0 <= self.dropout < 1, "must be at least 0 and below 1")
        self._require("validation_share", 0 <= self.validation_share < 1, "must be at least 0 and below 1")
        self._require("report_to", set(self.report_to) <= set(TRACKERS), f"takes {' and '.join(TRACKERS)}")
        self._require("num_fewshot", self.num_fewshot is None or 0 <= self.num_fewshot <= 5, "must be 0 to 5, or null")
        self._require("base", bool(self.base), "names no model: give an id on the hub or a folder, base=...")
        self._require("tasks", bool(self.tasks), "names no task: give tasks=[fin_fpb]")
        self._combinations()
        self._teaching()

    def _combinations(self) -> None:
        quantises = self.method == "qlora"
        self._require("bits", not quantises or self.bits is not None, "must be 4 or 8 with method qlora")
        self._require("bits", self.method != "full" or self.bits is None, "cannot go with method full: use qlora")
        weighs = self.class_weights and self.task_type != "classifier"
        self._require("class_weights", not weighs, "weighs a classifier's loss: use sampling with task_type causal")
        talks = (self.chat_template or self.system_instruction) and self.task_type == "classifier"
        self._require("chat_template", not talks, "shapes a prompt, and a classifier reads none")
        alone = self.system_instruction and not self.chat_template
        self._require("system_instruction", not alone, "needs chat_template: true")
        places = self.method != "bottleneck" or self.task_type != "seq2seq"
        self._require("method", places, "has no place in an encoder-decoder model: use lora, ia3, prefix or prompt")
        scaled = self.precision == "float16" and self.optimizer == "zero_one_adam"
        self._require("optimizer", not scaled, "cannot go with precision float16, whose steps may be skipped")
        for name in ZERO_ONE_KEYS if self.optimizer == "adamw" else ():
            self._require(name, getattr(self, name) is None, "is a setting of optimizer zero_one_adam")
        stops = self.early_stopping is not None and (self.best_by is None or self.validation_share == 0)
        self._require("early_stopping", not stops, "needs best_by and a validation_share above 0")

    def _teaching(self) -> None:
        self._require("distil_weight", 0 <= self.distil_weight <= 1, "must be at least 0 and at most 1")
        confident = 0 <= self.teacher_confidence < 1
        self._require("teacher_confidence", confident, "must be at least 0 and below 1")
        self._require("unlabelled", not self.unlabelled or self.teacher is not None, "needs a teacher, who labels it")
        if self.teacher is None:
            return
        learns = self.task_type != "seq2seq"
        self._require(
            "teacher", learns, "cannot go with task_type seq2seq: a student is a causal model or a classifier"
        )
        idle = self.distil_weight == 0 and not self.unlabelled
        self._require("distil_weight", not idle, "leaves the teacher nothing to say where no row is unlabelled")

    def _require(self, field: str, holds: bool, text: str) -> None:
        if not holds:
            raise FinbenchError(f"{field} {text} (given: {getattr(self, field)!r}).")

    def steps_an_epoch(self, rows: int, processes: int = 1) -> int:
        """Return the steps of the optimizer in which so many train rows are seen once."""
        return math.ceil(rows / (self.batch_size * self.gradient_accumulation * processes))

    def steps(self, rows: int, processes: int = 1) -> int:
        """Return the steps of the whole training."""
        return self.max_steps or math.ceil(self.epochs * self.steps_an_epoch(rows, processes))

    @property
    def prompting(self) -> Prompting:
        """Return how prompts are made; a classifier reads a text without one."""
        if self.task_type == "classifier":
            return Prompting()
        return Prompting(self.num_fewshot, self.chat_template, self.system_instruction)

    def settings(self) -> dict[str, Any]:
        """Return the keys and values as YAML and JSON have them."""
        found: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return found

    def sha256(self) -> str:
        """Return a hash of all settings, with what the teacher's adapter and the unlabelled file hold when first asked.

        Later settings are in it where they say something, so that earlier hashes stay.

        Raises:
            FinbenchError: the teacher's adapter or the unlabelled file is not there.

        """
        return self._sha256

    @cached_property
    def _sha256(self) -> str:
        unsaid = {name for name in LATER if not getattr(self, name)} | {*(() if self.teacher else TAUGHT)}
        settings = {name: value for name, value in self.settings().items() if name not in unsaid}
        return hashlib.sha256(json.dumps(settings | self._learned_from(), sort_keys=True).encode()).hexdigest()

    def _learned_from(self) -> dict[str, str]:
        """Return hashes of the files that a student learns from: a changed one makes another training."""
        from finbench.adapters.base_hash import sha256_of_file
        from finbench.adapters.folder import read_adapter

        found = {}
        if self.teacher is not None and self.teacher.adapter is not None:
            found["teacher_sha256"] = read_adapter(self.teacher.adapter).sha256
        if self.unlabelled:
            if not Path(self.unlabelled).is_file():
                raise FinbenchError(f"unlabelled: there is no file {self.unlabelled!r}.")
            found["unlabelled_sha256"] = sha256_of_file(Path(self.unlabelled))
        return found


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Return the recipe of a YAML file over the defaults, with `key=value` settings over both.

    Raises:
        FinbenchError: the file cannot be read, a key is unknown, or a value is out of its range.

    """
    if not path.is_file():
        near = [p.name for p in DEFAULTS.parent.glob("*.yaml") if not p.name.startswith("_")]
        raise FinbenchError(f"there is no recipe at {str(path)!r}. Those that come with finbench: {', '.join(near)}.")
    settings = {**_defaults(), **known(Recipe, read_yaml(path), str(path))}
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise FinbenchError(f"{override!r} is no setting: write key=value, such as epochs=1.")
        given = {key: parse_yaml(value, f"the command line's {key}")}
        settings.update(known(Recipe, given, "the command line"))
    return filled(Recipe, settings, "recipe")


def check_named_things(recipe: Recipe) -> None:
    """Refuse a recipe that names a base's folder, a task or an adapter that is not there.

    Raises:
        FinbenchError: there is none.

    """
    from finbench.adapters.folder import read_adapter
    from finbench.hf.load import check_place
    from finbench.tasks.named import check_named

    check_place(recipe.base)
    check_named(recipe.tasks)
    if recipe.from_adapter:
        read_adapter(recipe.from_adapter)


def from_settings(settings: Mapping[str, Any]) -> Recipe:
    """Return the recipe of an adapter's record; keys that it lacks, because it is older, have their defaults.

    Raises:
        FinbenchError: a key is unknown, or a value is out of its range.

    """
    return filled(Recipe, {**_defaults(), **known(Recipe, dict(settings), "the adapter's record")}, "recipe")


def _defaults() -> dict[str, Any]:
    return dict(known(Recipe, read_yaml(DEFAULTS), str(DEFAULTS)))
