"""The splits of a publisher whose every record is one row: a dataset names its columns and makes a row of a record."""

from collections.abc import Callable, Sequence

from finbench.data.sources import SPLITS, Files, Splits
from finbench.data.tables import Record, complete_records, read_table
from finbench.records import Row


def read_splits(
    dataset: str, files: Files, columns: Sequence[str], row: Callable[[str, Record], Row], optional: Sequence[str] = ()
) -> tuple[Splits, dict[str, int]]:
    """Return the splits that there are files of, `row(id, record)` of each record, and counts of those left out.

    A record without a value in one of the `columns` is left out, unless that column is `optional`.
    """
    splits: Splits = {}
    dropped: dict[str, int] = {}
    needed = [column for column in columns if column not in optional]
    for split in (split for split in SPLITS if split in files):
        records, missing = complete_records(read_table(files[split], columns), split, *needed)
        dropped |= missing
        splits[split] = [row(f"{dataset}-{split}-{number}", record) for number, record in records]
    return splits, dropped
