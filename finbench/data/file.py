"""Rows of a user's own CSV, JSON lines or parquet file, for a task of their own.

A task YAML asks for it with
`dataset_kwargs: {dataset: file, train: news.csv, text: headline, label: mood, labels: [bad, good]}`.
"""

from collections.abc import Sequence
from pathlib import Path

from finbench.data.quarter import quarter
from finbench.data.sources import Splits
from finbench.data.tables import complete_records, name_label, read_table
from finbench.errors import FinbenchError
from finbench.paths import task_folders
from finbench.records import Row, RowSet


def find_file(given: str) -> Path:
    """Return the file of an absolute path, or of one relative to the working folder or to a folder of task YAMLs.

    Raises:
        FinbenchError: it is in none of them; the message lists where it was looked for.

    """
    places = [Path.cwd(), *task_folders()]
    for place in places:
        if (place / given).is_file():
            return place / given
    looked = ", ".join(str(place / given) for place in dict.fromkeys(places))
    raise FinbenchError(f"there is no file {given!r} (looked for {looked}); correct the task's YAML.")


def read(train: str, test: str = "", text: str = "text", label: str = "label", labels: Sequence[str] = ()) -> RowSet:
    """Return the rows of a train file and a test file, or of one file of which a fixed quarter (seed 42) is test.

    `text` and `label` name columns; `labels` the classes in the order that scores are given, every one that occurs in
    alphabetical order where none are named.

    Raises:
        FinbenchError: a file, a column or a label is not there; fewer than two classes or four rows are left.

    """
    if not train:
        raise FinbenchError("dataset `file` needs `train: PATH` among the task's dataset_kwargs.")
    dropped: dict[str, int] = {}
    if test:
        splits: Splits = {}
        for split, given in (("train", train), ("test", test)):
            rows, missing = _read_rows(given, split, text, label)
            splits["train" if split == "train" else "test"] = rows
            dropped |= missing
    else:
        rows, dropped = _read_rows(train, "file", text, label)
        if len(rows) < 4:
            raise FinbenchError(f"{train!r} has {len(rows)} usable rows; a quarter of at least 4 can be held out.")
        in_train, in_test = quarter(len(rows))
        splits = {"train": [rows[n] for n in in_train], "test": [rows[n] for n in in_test]}
    known = _classes(splits, [str(name) for name in labels], train)
    source = f"file:{Path(train).name}" + (f"+{Path(test).name}" if test else "")
    return RowSet("file", source, known, {split: tuple(rows) for split, rows in splits.items()}, dropped)


def _read_rows(given: str, split: str, text: str, label: str) -> tuple[list[Row], dict[str, int]]:
    records, missing = complete_records(read_table(find_file(given), (text, label)), split, text, label)
    rows = [
        Row(id=f"{split}-{n}", text=record[text], label=record[label], classifier_text=(record[text],))
        for n, record in records
    ]
    return rows, missing


def _classes(splits: Splits, labels: Sequence[str], given: str) -> tuple[str, ...]:
    found = sorted({row.label for rows in splits.values() for row in rows})
    for name in found if labels else ():
        name_label(name, {known: known for known in labels}, f"file {given!r}")
    known = tuple(labels or found)
    if len(known) < 2:
        raise FinbenchError(f"{given!r} has the classes {list(known)}; a classification task needs two at least.")
    return known
