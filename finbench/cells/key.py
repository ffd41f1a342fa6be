"""What a cell is: its key, from which its path follows, and its result as it stands in JSON."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import lru_cache
from typing import Any

from finbench.data.perturb import NONE
from finbench.records import Metric

SCHEMA_VERSION = 6
# Enters every key; raised when a change of ours alters the numbers of an unchanged model on unchanged rows.
ENGINE_VERSION = 1
_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=True)  # as `json.dumps`, which makes one at every call


@dataclass(frozen=True)
class CellKey:
    """Everything a result depends on, and names to read it by.

    `base` and `adapter` are names ("" for no adapter); what they stand for is said by the hashes (of the base's
    configuration, its weights and all files that shape its tokens and prompts, of the adapter's meaning and weights),
    so a result survives a move of the folder and not a change in it. `rows_sha256` is over the rows that were scored,
    `engine` the model type with the version of our scoring, `num_fewshot` the number of shots in the prompt, `limit`
    the row cap. `perturb` says how test texts were changed ("none", or as "typos/1" the kind and the version of its
    rule); all else is then as in the key of the unchanged texts.
    """

    base: str
    base_revision: str
    base_sha256: str
    adapter: str
    adapter_sha256: str
    precision: str
    task: str
    task_version: str
    rows_sha256: str
    prompt_sha256: str
    engine: str
    limit: int | None
    clean: bool
    truncate: str
    num_fewshot: int
    perturb: str = NONE

    def digest(self) -> str:
        """Return the first 12 hex digits of the SHA-256 over all fields."""
        return _digest(self)

    def stem(self) -> str:
        """Return where the cell lies in the folder of cells, without an extension: `task/base/adapter-digest`."""
        return f"{slug(self.task)}/{slug(self.base)}/{slug(self.adapter or 'base')}-{self.digest()}"

    def title(self) -> str:
        """Return the cell's name for people."""
        name = f"{self.task} | {self.base}" + (f" + {self.adapter}" if self.adapter else "")
        return name + (f" | perturbed: {self.perturbation}" if self.perturbed else "")

    @property
    def perturbed(self) -> bool:
        """Say whether the test texts were changed, so that the result ranks nowhere."""
        return self.perturb != NONE

    def unperturbed(self) -> "CellKey":
        """Return the key of the same weights on the same rows as they are."""
        return replace(self, perturb=NONE)

    @property
    def perturbation(self) -> str:
        """Return the kind of change without its version."""
        return self.perturb.partition("/")[0]


@lru_cache(maxsize=65536)
def _digest(key: CellKey) -> str:
    # Unperturbed keys are hashed without the field, so that files from before it was there keep their names.
    values = {name: value for name, value in vars(key).items() if name != "perturb" or value != NONE}
    return hashlib.sha256(_ENCODER.encode(values).encode()).hexdigest()[:12]


@lru_cache(maxsize=65536)
def slug(name: str) -> str:
    """Return the name as a file may be called on any system."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:80] or "unnamed"


@dataclass(frozen=True)
class Cell:
    """The result of one key, as `cell.schema.json` documents it; everything but the outcomes of single rows.

    `weights_sha256`, `sequence` and `seal` are what the store knows of it; two cells that differ in sequence and seal
    alone are equal. A field more is a line here and one in the schema; it is in the seal by itself.
    """

    key: CellKey
    created: str
    title: str
    note: str
    source: str
    n_rows: int
    n_clusters: int
    metrics: Mapping[str, Metric]
    per_class: Mapping[str, Mapping[str, float]]
    confusion: Mapping[str, Any] | None
    unparsed_share: float
    truncated_share: float | None
    elapsed_seconds: float | None
    seconds_per_row: float | None
    peak_bytes: int | None
    resources: Mapping[str, Any]
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    git: Mapping[str, Any] | None
    command: str
    flags: Mapping[str, Any]
    adapter: Mapping[str, Any] | None
    adapter_proof: Mapping[str, Any] | None
    rows_per_second: float | None = None
    missing: Sequence[str] = ()
    perturbed_share: float | None = None
    weights_sha256: str = ""
    kind: str = "choice"
    labels: Sequence[str] = ()
    load: Mapping[str, Any] | None = None
    sequence: int = field(default=0, compare=False)
    seal: Mapping[str, str | None] | None = field(default=None, compare=False)
    schema_version: int = field(default=SCHEMA_VERSION)

    def as_json(self) -> str:
        """Return the text of the cell's file; keys are sorted, so equal cells are equal bytes."""
        return written(asdict(self))


def written(record: Mapping[str, Any]) -> str:
    """Return the text of a record's file."""
    return json.dumps(record, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


_CELL_FIELDS = [one.name for one in fields(Cell)]


def cell_of(record: Mapping[str, Any]) -> Cell:
    """Return the cell of a record that fits the schema."""
    values = {name: record[name] for name in _CELL_FIELDS}
    values["key"] = CellKey(**record["key"])
    values |= {name: tuple(record[name]) for name in ("missing", "labels")}
    values["metrics"] = {name: Metric(**metric) for name, metric in record["metrics"].items()}
    return Cell(**values)
