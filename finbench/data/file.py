"""Rows of a user's own CSV, JSON lines or parquet file, for a task of their own.

A task YAML asks for it with
`dataset_kwargs: {dataset: file, train: news.csv, text: headline, label: mood, labels: [bad, good]}`.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path

from finbench.data.quarter import quarter
from finbench.data.sources import Splits
from finbench.data.tables import complete_records, name_label, read_table
from finbench.errors import FinbenchError
from finbench.paths import task_folders
from finbench.records import Row, RowSet

logger = logging.getLogger(__name__)


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
    _check_options(labels, train=train, test=test, text=text, label=label)
    named = [str(name) for name in labels]
    dropped: dict[str, int] = {}
    splits: Splits = {}
    classes: dict[str, str] = {}
    for split, given in (("train", train), ("test", test)) if test else (("file", train),):
        rows, missing = _read_rows(given, split, text, label, named, classes)
        splits["test" if split == "test" else "train"] = rows
        dropped |= missing
    if not test:
        rows = splits["train"]
        if len(rows) < 4:
            raise FinbenchError(f"{train!r} has {len(rows)} usable rows; a quarter of at least 4 can be held out.")
        in_train, in_test = quarter(len(rows))
        splits = {"train": [rows[n] for n in in_train], "test": [rows[n] for n in in_test]}
    known = tuple(named or sorted(classes))
    _check_classes(known, classes, train)
    source = f"file:{Path(train).name}" + (f"+{Path(test).name}" if test else "")
    for reason, count in dropped.items():
        _say_once(f"{source}: {count} rows are left out ({reason})")
    return RowSet("file", source, known, {split: tuple(rows) for split, rows in splits.items()}, dropped)


@lru_cache(maxsize=64)
def _say_once(text: str) -> None:
    logger.warning(text)  # rows are read anew for every command of a session


def _check_options(labels: Sequence[str], **texts: str) -> None:
    for name, value in texts.items():
        if not isinstance(value, str):
            raise FinbenchError(f"{name} is {value!r} among the task's dataset_kwargs; a text is wanted: use quotes.")
    if not texts["train"]:
        raise FinbenchError("dataset `file` needs `train: PATH` among the task's dataset_kwargs.")
    if not isinstance(labels, list | tuple) or any(type(one) not in (str, int, float) for one in labels):
        raise FinbenchError(
            f"labels is {labels!r} among the task's dataset_kwargs; a list of texts is wanted. YAML takes yes, no, on, "
            "off and null for other than texts: put them in quotes."
        )
    if twice := [name for name in labels if [str(one) for one in labels].count(str(name)) > 1]:
        raise FinbenchError(f"labels names {twice[0]!r} twice among the task's dataset_kwargs.")


def _read_rows(
    given: str, split: str, text: str, label: str, named: Sequence[str], classes: dict[str, str]
) -> tuple[list[Row], dict[str, int]]:
    """Return a file's rows and what was left out; note in `classes` where each class stands first."""
    records, missing = complete_records(read_table(find_file(given), (text, label)), split, text, label, known=named)
    for _, record in records:
        place = f"{record.place}, column {label!r}"
        if named:
            name_label(record[label], {known: known for known in named}, f"file {given!r}", place)
        classes.setdefault(record[label], f"{given}, {place}")
    rows = [
        Row(id=f"{split}-{n}", text=record[text], label=record[label], classifier_text=(record[text],))
        for n, record in records
    ]
    return rows, missing


def _check_classes(known: Sequence[str], places: Mapping[str, str], given: str) -> None:
    """Refuse classes of which two are one, written twice: 0 and 0.0, good and Good."""
    if len(known) < 2:
        raise FinbenchError(f"{given!r} has the classes {list(known)}; a classification task needs two at least.")
    seen: dict[object, str] = {}
    for name in known:
        other = seen.setdefault(_meaning(name), name)
        if other != name:
            stand = "; ".join(f"{one!r} ({places.get(one, 'labels')})" for one in (other, name))
            raise FinbenchError(f"two classes of {given!r} are one, written in two ways: {stand}. Write one of them.")


def _meaning(name: str) -> object:
    with suppress(InvalidOperation):
        if (number := Decimal(name)).is_finite():
            return number
    return " ".join(name.casefold().split())
