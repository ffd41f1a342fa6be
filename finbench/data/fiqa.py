"""FiQA 2018 task 1, sentiment of financial posts and headlines, in the split of `pauri32/fiqa-2018`.

The publisher's validation rows all stand in train, so they make no split here.
"""

from finbench.data.sources import Dataset, Files, Splits
from finbench.data.splits import read_splits
from finbench.data.tables import Record, name_label
from finbench.records import Row, SourceKind

LABELS = ("negative", "neutral", "positive")
NAMES = {"0": "positive", "1": "neutral", "2": "negative"}
KINDS = {"post": "tweet", "headline": "news"}
QUESTION = "What is the sentiment of this {}? Please choose an answer from {{negative/neutral/positive}}."


def read(files: Files, kind: SourceKind) -> tuple[Splits, dict[str, int]]:
    """Return the published splits; the question says tweet or news, as the record's `format` does."""

    def row(row_id: str, record: Record) -> Row:
        return Row(
            id=row_id,
            text=record["sentence"],
            label=name_label(record["label"], NAMES, "fiqa"),
            question=QUESTION.format(KINDS.get(record["format"], "news")),
            classifier_text=(record["sentence"],),
        )

    return read_splits("fiqa", files, ("sentence", "format", "label"), row, optional=("format",))


DATASET = Dataset(
    name="fiqa",
    labels=LABELS,
    repo="pauri32/fiqa-2018",
    revision="74b7dd5d4fc61e0fa5d979bef2c53111ea69c58a",
    hub_files={"train": "train.csv", "test": "test.csv"},
    folder_files={"train": "fiqa/fiqa_train.csv", "test": "fiqa/fiqa_test.csv"},
    read=read,
    licence="none stated",
)
