"""FiQA 2018 task 1, sentiment of financial posts and headlines, in the split of `pauri32/fiqa-2018`.

The publisher's validation rows all stand in train, so they make no split here.
"""

from finbench.data.sources import SPLITS, Dataset, Files, Splits
from finbench.data.tables import complete_records, name_label, read_table
from finbench.records import Row, SourceKind

LABELS = ("negative", "neutral", "positive")
NAMES = {"0": "positive", "1": "neutral", "2": "negative"}
KINDS = {"post": "tweet", "headline": "news"}
QUESTION = "What is the sentiment of this {}? Please choose an answer from {{negative/neutral/positive}}."


def read(files: Files, kind: SourceKind) -> tuple[Splits, dict[str, int]]:
    """Return the published splits; the question says tweet or news, as the record's `format` does."""
    splits: Splits = {}
    dropped: dict[str, int] = {}
    for split in SPLITS:
        table = read_table(files[split], ("sentence", "format", "label"))
        records, missing = complete_records(table, split, "sentence", "label")
        dropped |= missing
        splits[split] = [
            Row(
                id=f"fiqa-{split}-{n}",
                text=record["sentence"],
                label=name_label(record["label"], NAMES, "fiqa"),
                question=QUESTION.format(KINDS.get(record["format"], "news")),
                classifier_text=(record["sentence"],),
            )
            for n, record in records
        ]
    return splits, dropped


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
