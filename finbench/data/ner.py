"""The type of one entity in a credit agreement (`FinGPT/fingpt-ner-cls`, after Salinas Alvarado et al. 2015).

The same entity and sentence is asked about in 17 wordings; those rows are one cluster.
"""

import re

from finbench.data.sources import Dataset, Files, Splits
from finbench.data.splits import read_splits
from finbench.data.tables import Record, name_label
from finbench.errors import FinbenchError
from finbench.records import Row, SourceKind

LABELS = ("location", "organization", "person")
COLUMNS = ("instruction", "input", "output")
# From the first quote to the last one of the line: an entity may have an apostrophe of its own.
QUOTED = re.compile(r"'(.+)'")


def _entity(instruction: str) -> str:
    asked = QUOTED.search(instruction.splitlines()[0])
    if asked is None:
        raise FinbenchError(f"rows of ner: the instruction {instruction!r} quotes no entity in its first line.")
    return asked[1]


def read(files: Files, kind: SourceKind) -> tuple[Splits, dict[str, int]]:
    """Return the published splits."""

    def row(row_id: str, record: Record) -> Row:
        return Row(
            id=row_id,
            text=record["input"],
            label=name_label(record["output"], {label: label for label in LABELS}, "ner"),
            question=record["instruction"],
            entity=_entity(record["instruction"]),
            cluster=f"{_entity(record['instruction'])}|{record['input']}",
            classifier_text=(record["instruction"], record["input"]),
        )

    return read_splits("ner", files, COLUMNS, row)


DATASET = Dataset(
    name="ner",
    labels=LABELS,
    repo="FinGPT/fingpt-ner-cls",
    # No commit of this repository is known to hold both files; the file names carry a fingerprint of their content,
    # and the commit that the hub answers with is recorded in the source.
    revision="main",
    hub_files={
        "train": "data/train-00000-of-00001-b7fd93300d28495b.parquet",
        "test": "data/test-00000-of-00001-71355aae60cb2b0b.parquet",
    },
    folder_files={"train": "ner/fingpt_ner_cls_train.jsonl", "test": "ner/fingpt_ner_cls_test.jsonl"},
    read=read,
    licence="CC BY 3.0",
)
