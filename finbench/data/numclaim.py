"""Whether a sentence of an analyst or of an earnings call makes a claim about a number to come (Shah et al. 2024).

Sentences in the split of `gtfintechlab/Numclaim`, which FLaME scores.
"""

from finbench.data.sources import SPLITS, Dataset, Files, Splits
from finbench.data.tables import complete_records, name_label, read_table
from finbench.records import Row, SourceKind

LABELS = ("INCLAIM", "OUTOFCLAIM")


def read(files: Files, kind: SourceKind) -> tuple[Splits, dict[str, int]]:
    """Return the published splits."""
    names = {label: label for label in LABELS}
    splits: Splits = {}
    dropped: dict[str, int] = {}
    for split in SPLITS:
        table = read_table(files[split], ("context", "response"))
        records, missing = complete_records(table, split, "context", "response")
        dropped |= missing
        splits[split] = [
            Row(
                id=f"numclaim-{split}-{n}",
                text=record["context"],
                label=name_label(record["response"], names, "numclaim", record.place),
                classifier_text=(record["context"],),
            )
            for n, record in records
        ]
    return splits, dropped


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
