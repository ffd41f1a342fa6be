"""Whether a sentence of an analyst or of an earnings call makes a claim about a number to come (Shah et al. 2024).

Sentences in the split of `gtfintechlab/Numclaim`, which FLaME scores.
"""

from finbench.data.sources import SPLITS, Dataset, Files, Splits
from finbench.data.splits import read_splits
from finbench.data.tables import Record, name_label
from finbench.records import Row, SourceKind

LABELS = ("INCLAIM", "OUTOFCLAIM")


def read(files: Files, kind: SourceKind) -> tuple[Splits, dict[str, int]]:
    """Return the published splits."""
    names = {label: label for label in LABELS}

    def row(row_id: str, record: Record) -> Row:
        label = name_label(record["response"], names, "numclaim", record.place)
        return Row(row_id, record["context"], label=label, classifier_text=(record["context"],))

    return read_splits("numclaim", files, ("context", "response"), row)


DATASET = Dataset(
    name="numclaim",
    labels=LABELS,
    repo="gtfintechlab/Numclaim",
    revision="31b2df4c76d61d95aa0ca8866b60121bbe31cecd",
    hub_files={split: f"main/{split}-00000-of-00001.parquet" for split in SPLITS},
    folder_files={split: f"numclaim/{split}-00000-of-00001.parquet" for split in SPLITS},
    read=read,
    licence="see its card",
)
