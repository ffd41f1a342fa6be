"""Frozen dataclasses that cross rooms: rows, their splits, adapters, outcomes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Split = Literal["train", "validation", "test"]
SourceKind = Literal["hub", "folder", "sample", "file"]
Truncate = Literal["refuse", "report"]  # what happens to an input that is longer than the model reads


@dataclass(frozen=True)
class Row:
    """One example of a dataset, in one shape whatever the dataset.

    `label` is a class by name (classification), `answer` a free text (generation); one of them is empty. Rows that
    repeat one another share `cluster`. `classifier_text` is what an encoder reads instead of a prompt: one text, a
    pair, or empty for rows that cannot be classified. `options` are the texts that a multiple choice offers.
    """

    id: str
    text: str
    label: str = ""
    answer: str = ""
    question: str = ""
    entity: str = ""
    xml: str = ""
    cluster: str = ""
    classifier_text: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def values(self) -> dict[str, Any]:
        """Return the fields by name; without options where there are none, as rows were hashed at first."""
        found = asdict(self)
        return found if self.options else {name: value for name, value in found.items() if name != "options"}

    def as_doc(self) -> dict[str, Any]:
        """Return the row as lm-eval's templates read it."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in self.values().items()}


@dataclass(frozen=True)
class RowSet:
    """All rows of a dataset, with where they came from and what was left out on the way.

    `source` names kind and place ("hub:owner/name@revision", "sample", "folder"), and what was drawn where there are no
    test rows; `dropped` counts rows left out by reason and split, such as {"train: text stands in test": 5}.
    `settings` say in JSON how answers are read, where a task of the user's own says so.
    """

    dataset: str
    source: str
    labels: tuple[str, ...]
    splits: Mapping[Split, tuple[Row, ...]]
    dropped: Mapping[str, int] = field(default_factory=dict)
    settings: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of one row: the prediction is a label or a normalised answer, "" where none could be read.

    `scores` are the labels' log-likelihoods in the order of the task's labels, empty where the task generates.
    """

    row_id: str
    cluster: str
    gold: str
    prediction: str
    scores: tuple[float, ...] = ()


@dataclass(frozen=True)
class Metric:
    """A number with its standard error; the error is None where it cannot be had (one row, or one cluster)."""

    value: float
    stderr: float | None
