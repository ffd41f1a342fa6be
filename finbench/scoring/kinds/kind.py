"""What a kind of answer is: how gold and answer are read, what a row is worth, which metrics follow."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from finbench.records import Outcome

Doc = Mapping[str, Any]
Reader = Callable[[Doc, Sequence[Any]], Outcome]


@dataclass(frozen=True)
class Kind:
    """One kind of answer.

    `read` turns a row and what the model said into an outcome, "" as prediction where nothing could be read. What a
    row is worth stands in the outcome's scores: `measures` names them, each from 0 to 1, and their means are metrics;
    of a measure called accuracy the mean takes the place of exact equality. With `counts` the scores are
    what was right, what was said and what was wanted, and precision, recall and F1 follow from their sums; with
    `by_label` gold and prediction are lists of labels, and F1 is averaged over labels too.
    `classes` says that gold and prediction are one label each, so that a confusion matrix says all.
    `gold` says what is wrong with a row's right answer, "" where nothing is; `answer` is what a generated text says,
    for people, "" where it cannot be read. `asks` ends a prompt that has no
    instruction of its own; `settings` are the keys of a task's `dataset_kwargs` that the kind reads. `primary` is the
    metric by which entries are ranked.
    """

    name: str
    output_type: Literal["multiple_choice", "generate_until"]
    read: Reader
    measures: tuple[str, ...] = ()
    counts: bool = False
    by_label: bool = False
    classes: bool = False
    settings: tuple[str, ...] = ()
    asks: str = ""
    primary: str = "accuracy"
    gold: Callable[[str, Mapping[str, Any]], str] = lambda answer, settings: ""
    answer: Callable[[Doc, str], str] = lambda doc, text: ""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Return the names of its metrics beside those of classes."""
        return tuple(dict.fromkeys(("accuracy", "unparsed", *self.measures, *self.ratios)))

    @property
    def ratios(self) -> tuple[str, ...]:
        """Return the names of the metrics that follow from counts; `f1_macro` is over labels."""
        if not self.counts:
            return ()
        return ("precision", "recall", "f1", "f1_macro") if self.by_label else ("precision", "recall", "f1")


def settings_of(doc: Doc) -> Mapping[str, Any]:
    """Return what a task says of its answers, which `finbench.data.load.splits` hands to each row."""
    import json

    found = doc.get("settings")
    return json.loads(found) if found else {}
