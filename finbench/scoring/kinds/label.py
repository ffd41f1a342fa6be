"""A label that the model writes: read where it is named, alone and not denied."""

from collections.abc import Sequence

from finbench.records import Outcome
from finbench.scoring.kinds.kind import Doc, Kind
from finbench.scoring.labels import label_in


def read_label(doc: Doc, results: Sequence[str]) -> Outcome:
    """Return the label that the answer's first line names, "" if it names none, several, or what it is not."""
    return Outcome(doc["id"], doc["cluster"], doc["label"], label_in(results[0], doc["choices"]))


KIND = Kind(
    name="label",
    output_type="generate_until",
    read=read_label,
    classes=True,
    answer=lambda doc, text: label_in(text, doc["choices"]),
    asks="Which class does this text belong to?",
)
