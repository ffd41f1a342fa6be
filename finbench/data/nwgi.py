"""News with GPT instructions (`oliverwang15/news_with_gpt_instructions`): news labelled by a language model.

`DATASET` has three classes by FinGPT's mapping (strong and moderate labels keep their sign, mild ones are neutral),
`DATASET7` the publisher's seven.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from finbench.data.sources import Dataset, Files, Splits
from finbench.data.splits import read_splits
from finbench.data.tables import Record, name_label
from finbench.records import Row, SourceKind

THREE_OF_SEVEN = {
    "strong negative": "negative",
    "moderately negative": "negative",
    "mildly negative": "neutral",
    "neutral": "neutral",
    "mildly positive": "neutral",
    "moderately positive": "positive",
    "strong positive": "positive",
}


def read(files: Files, kind: SourceKind, names: Mapping[str, str]) -> tuple[Splits, dict[str, int]]:
    """Return the published splits, the publisher's labels mapped by `names`."""

    def row(row_id: str, record: Record) -> Row:
        return Row(
            id=row_id,
            text=record["news"],
            label=name_label(record["label"], names, "nwgi"),
            classifier_text=(record["news"],),
        )

    return read_splits("nwgi", files, ("news", "label"), row)


DATASET = Dataset(
    name="nwgi",
    labels=("negative", "neutral", "positive"),
    repo="oliverwang15/news_with_gpt_instructions",
    revision="3c4664c48ef4ba001868a9c7205059fa85bcc9e6",
    hub_files={
        "train": "data/train-00000-of-00001-dd971e407aecb39b.parquet",
        "test": "data/test-00000-of-00001-c551483ebf365496.parquet",
    },
    folder_files={"train": "nwgi/train.jsonl", "test": "nwgi/test.jsonl"},
    read=partial(read, names=THREE_OF_SEVEN),
    licence="MIT",
)
DATASET7 = replace(
    DATASET,
    name="nwgi7",
    labels=tuple(THREE_OF_SEVEN),
    read=partial(read, names={label: label for label in THREE_OF_SEVEN}),
)
