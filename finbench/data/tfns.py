"""Twitter Financial News Sentiment (`zeroshot/twitter-financial-news-sentiment`): tweets, bearish to bullish.

The publisher calls the held-out split validation; it is the test split here, as in published numbers.
"""

from finbench.data.sources import Dataset, Files, Splits
from finbench.data.splits import read_splits
from finbench.data.tables import Record, name_label
from finbench.records import Row, SourceKind

LABELS = ("negative", "neutral", "positive")
# The publisher's order is bearish, bullish, neutral; copies exist that swap the last two.
NAMES = {"0": "negative", "1": "positive", "2": "neutral"}


def read(files: Files, kind: SourceKind) -> tuple[Splits, dict[str, int]]:
    """Return the published splits."""

    def row(row_id: str, record: Record) -> Row:
        return Row(
            id=row_id,
            text=record["text"],
            label=name_label(record["label"], NAMES, "tfns"),
            classifier_text=(record["text"],),
        )

    return read_splits("tfns", files, ("text", "label"), row)


DATASET = Dataset(
    name="tfns",
    labels=LABELS,
    repo="zeroshot/twitter-financial-news-sentiment",
    revision="ccbe24de388e287beb92dd393a335c376b350ac3",
    hub_files={"train": "sent_train.csv", "test": "sent_valid.csv"},
    folder_files={"train": "tfns/sent_train.csv", "test": "tfns/sent_valid.csv"},
    read=read,
    licence="MIT",
)
