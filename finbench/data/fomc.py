"""What a sentence of the Federal Reserve's open market committee says of its policy (Shah, Paturi and Chava 2023).

Sentences of minutes, speeches and press conferences, in the split of `gtfintechlab/fomc_communication`.
"""

from finbench.data.sources import SPLITS, Dataset, Files, Splits
from finbench.data.splits import read_splits
from finbench.data.tables import Record, name_label
from finbench.records import Row, SourceKind

NAMES = {"0": "dovish", "1": "hawkish", "2": "neutral"}


def read(files: Files, kind: SourceKind) -> tuple[Splits, dict[str, int]]:
    """Return the published splits, labels mapped by the publisher's numbers."""

    def row(row_id: str, record: Record) -> Row:
        return Row(
            id=row_id,
            text=record["sentence"],
            label=name_label(record["label"], NAMES, "fomc", record.place),
            classifier_text=(record["sentence"],),
        )

    return read_splits("fomc", files, ("sentence", "label"), row)


DATASET = Dataset(
    name="fomc",
    labels=tuple(NAMES.values()),
    repo="gtfintechlab/fomc_communication",
    # The publisher's CSV as the hub converts it, whose file names are fixed; the commit is recorded in the source.
    revision="refs/convert/parquet",
    hub_files={split: f"default/{split}/0000.parquet" for split in SPLITS},
    folder_files={split: f"fomc/{split}.csv" for split in SPLITS},
    read=read,
    licence="CC BY-NC 4.0",
)
