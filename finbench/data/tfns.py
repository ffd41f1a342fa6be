"""Twitter Financial News Sentiment (`zeroshot/twitter-financial-news-sentiment`): tweets, bearish to bullish.

The publisher calls the held-out split validation; it is the test split here, as in published numbers.
"""

from finbench.data.sources import SPLITS, Dataset, Files, Splits
from finbench.data.tables import complete_records, name_label, read_table
from finbench.records import Row, SourceKind

LABELS = ("negative", "neutral", "positive")
# The publisher's order is bearish, bullish, neutral; copies exist that swap the last two.
NAMES = {"0": "negative", "1": "positive", "2": "neutral"}


def read(files: Files, kind: SourceKind) -> tuple[Splits, dict[str, int]]:
    """Return the published splits."""
    splits: Splits = {}
    dropped: dict[str, int] = {}
    for split in SPLITS:
        records, missing = complete_records(read_table(files[split], ("text", "label")), split, "text", "label")
        dropped |= missing
        splits[split] = [
            Row(
                id=f"tfns-{split}-{n}",
                text=record["text"],
                label=name_label(record["label"], NAMES, "tfns"),
                classifier_text=(record["text"],),
            )
            for n, record in records
        ]
    return splits, dropped


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
