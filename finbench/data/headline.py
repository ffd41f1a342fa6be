"""Gold headlines and nine yes-or-no questions each (`FinGPT/fingpt-headline-cls`, after Sinha and Khandait 2020).

The nine rows of a headline are one cluster. The publisher's label of the question about price as such contradicts the
gold annotation in about four rows of five; rows are scored as published.
"""

from finbench.data.sources import Dataset, Files, Splits
from finbench.data.splits import read_splits
from finbench.data.tables import Record, name_label
from finbench.records import Row, SourceKind

LABELS = ("No", "Yes")
COLUMNS = ("instruction", "input", "output")


def read(files: Files, kind: SourceKind) -> tuple[Splits, dict[str, int]]:
    """Return the published splits."""

    def row(row_id: str, record: Record) -> Row:
        return Row(
            id=row_id,
            text=record["input"],
            label=name_label(record["output"], {label: label for label in LABELS}, "headline"),
            question=record["instruction"],
            cluster=record["input"],
            classifier_text=(record["instruction"], record["input"]),
        )

    return read_splits("headline", files, COLUMNS, row)


DATASET = Dataset(
    name="headline",
    labels=LABELS,
    repo="FinGPT/fingpt-headline-cls",
    revision="ef26d2f9fa680b6d920a1ed9d556d2d0054a8e90",
    hub_files={
        "train": "data/train-00000-of-00001-076115da2f92cef9.parquet",
        "test": "data/test-00000-of-00001-cf6e616f865b5590.parquet",
    },
    folder_files={
        "train": "headline/fingpt_headline_cls_train.jsonl",
        "test": "headline/fingpt_headline_cls_test.jsonl",
    },
    read=read,
    licence="CC BY-NC 4.0",
)
