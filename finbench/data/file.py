"""Rows of a user's own CSV, JSON lines or parquet file, for a task of their own.

A task YAML asks for it with
`dataset_kwargs: {dataset: file, train: news.csv, text: headline, label: mood, labels: [bad, good]}`, or for answers of
another kind than classes `{dataset: file, kind: number, train: figures.csv, text: [table, question], label: answer}`.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from finbench.data.quarter import SEED, SHARE, quarter
from finbench.data.sources import Splits
from finbench.data.tables import complete_records, name_label, read_table
from finbench.errors import FinbenchError
from finbench.paths import task_folders
from finbench.records import Row, RowSet
from finbench.scoring.bertscore import settings_of
from finbench.scoring.kinds import kind_called, labels
from finbench.scoring.kinds.labels import NONE
from finbench.scoring.kinds.multiple_choice import LETTERS, letter_of
from finbench.settings import filled

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


@dataclass(frozen=True)
class FileOptions:
    """What a task of one's own says of its rows, among its `dataset_kwargs`.

    `text` is a column or several, `label` that of the right answers, `id` one that names rows. `kind` says how answers
    are read (`finbench.scoring.kinds`), `labels` are the classes in the order that scores are given (every one that
    occurs, in alphabetical order, where none are named), `options` the columns of a multiple choice. Without a `test`
    file `test_share` of the rows, drawn by `split_seed`, is test. The rest are settings of the kind `number`, and
    `bertscore` names the local model of that kind.
    """

    train: str
    test: str = ""
    text: tuple[str, ...] = ("text",)
    label: str = "label"
    labels: tuple[str, ...] = ()
    id: str = ""
    kind: str = "choice"
    options: tuple[str, ...] = ()
    test_share: float = SHARE
    split_seed: int = SEED
    relative_tolerance: float | None = None
    absolute_tolerance: float | None = None
    point: Literal[".", ","] = "."
    percent: Literal["points", "share"] = "points"
    bertscore: str = ""

    def __post_init__(self) -> None:
        kind_called(self.kind)
        if not self.train:
            raise FinbenchError("dataset `file` needs `train: PATH`.")
        if not self.text:
            raise FinbenchError("text names no column.")
        if twice := [name for name in self.labels if self.labels.count(name) > 1]:
            raise FinbenchError(f"labels names {twice[0]!r} twice.")
        if self.split_seed < 0:
            raise FinbenchError(f"split_seed is {self.split_seed}: a number from 0 is wanted.")
        if self.kind == "labels" and NONE in (label.casefold() for label in self.labels):
            raise FinbenchError(f"labels names {NONE!r}, which says that no label holds: leave it out.")
        if not 0 < self.test_share < 1:
            raise FinbenchError(f"test_share is {self.test_share}: between 0 and 1 is wanted.")
        for name in ("relative_tolerance", "absolute_tolerance"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise FinbenchError(f"{name} is {value}: a number from 0 is wanted.")
        if (self.kind == "multiple_choice") != bool(self.options):
            raise FinbenchError("`options` names the columns of kind multiple_choice, and of no other kind.")
        if len(self.options) == 1 or len(self.options) > len(LETTERS):
            raise FinbenchError(f"options names {len(self.options)} columns: 2 to {len(LETTERS)} are wanted.")

    def settings(self) -> dict[str, Any]:
        """Return what differs from the defaults among what the kind reads."""
        defaults = {field.name: field.default for field in fields(self)}
        found = {name: getattr(self, name) for name in kind_called(self.kind).settings}
        return {name: value for name, value in found.items() if value != defaults[name]}


def read(**given: Any) -> RowSet:
    """Return the rows of a train file and a test file, or of one file of which a fixed share is test (`FileOptions`).

    Raises:
        FinbenchError: an option is unknown; a file, a column or a label is not there, an answer is none of its kind;
            fewer than two classes or four rows are left.

    """
    options = filled(FileOptions, _named_labels(given), "the task's dataset_kwargs")
    splits: Splits = {}
    dropped: dict[str, int] = {}
    classes: dict[str, str] = {}
    files = {"train": options.train, "test": options.test} if options.test else {"file": options.train}
    for split, file in files.items():
        rows, missing = _read_rows(file, split, options, classes)
        splits["test" if split == "test" else "train"] = rows
        dropped |= missing
    if not options.test:
        rows = splits["train"]
        if len(rows) < 4 or not 1 <= round(len(rows) * options.test_share) < len(rows):
            raise FinbenchError(
                f"{options.train!r} has {len(rows)} usable rows; {options.test_share:g} of at least 4 can be held out, "
                "if both parts keep a row."
            )
        in_train, in_test = quarter(len(rows), options.test_share, options.split_seed)
        splits = {"train": [rows[n] for n in in_train], "test": [rows[n] for n in in_test]}
    source = f"file:{Path(options.train).name}" + (f"+{Path(options.test).name}" if options.test else "")
    for reason, count in dropped.items():
        _say_once(f"{source}: {count} rows are left out ({reason})")
    found = options.settings() | (settings_of(options.bertscore) if options.kind == "bertscore" else {})
    settings = json.dumps(found, sort_keys=True) if found else ""
    of_split = {split: tuple(rows) for split, rows in splits.items()}
    return RowSet("file", source, _labels_of(options, classes, splits), of_split, dropped, settings)


def _labels_of(options: FileOptions, classes: Mapping[str, str], splits: Splits) -> tuple[str, ...]:
    """Return the labels that answers are made of, none where they are not."""
    if options.kind == "multiple_choice":
        most = max((len(row.options) for rows in splits.values() for row in rows), default=0)
        return tuple(LETTERS[:most])
    kind = kind_called(options.kind)
    if not (kind.classes or kind.by_label):
        return ()
    known = options.labels or tuple(sorted(classes))
    _check_classes(known, classes, options.train)
    return known


@lru_cache(maxsize=64)
def _say_once(text: str) -> None:
    logger.warning(text)  # rows are read anew for every command of a session


def _named_labels(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options with labels as texts, which YAML may have taken for numbers."""
    labels = given.get("labels", [])
    if not isinstance(labels, list | tuple) or any(type(one) not in (str, int, float) for one in labels):
        raise FinbenchError(
            f"labels is {labels!r} among the task's dataset_kwargs; a list of texts is wanted. YAML takes yes, no, on, "
            "off and null for other than texts: put them in quotes."
        )
    return {**given, "labels": [str(one) for one in labels]}


def _read_rows(
    given: str, split: str, options: FileOptions, classes: dict[str, str]
) -> tuple[list[Row], dict[str, int]]:
    """Return a file's rows and what was left out; note in `classes` where each class stands first."""
    needed = (*options.text, options.label, *((options.id,) if options.id else ()))
    table = read_table(find_file(given), (*needed, *options.options))
    known = (*options.labels, NONE) if options.kind in ("labels", "spans") else options.labels
    records, missing = complete_records(table, split, *needed, known=known)
    rows, seen = [], dict[str, str]()
    for number, record in records:
        place = f"file {given!r}, {record.place}"
        row = _row(f"{split}-{number}", record, options, f"{place}, column {options.label!r}")
        for name in labels.split(row.answer) if options.kind == "labels" else (row.label,) if row.label else ():
            classes.setdefault(name, f"{given}, {record.place}, column {options.label!r}")
        if (other := seen.setdefault(row.id, record.place)) != record.place:
            raise FinbenchError(f"{place}: the id {row.id!r} stands in {other} too; ids are unique.")
        rows.append(row)
    return rows, missing


def _row(number: str, record: Mapping[str, str], options: FileOptions, place: str) -> Row:
    """Return the row of a record; its answer is checked by the rules of its kind."""
    texts, answer = [record[column] for column in options.text], record[options.label]
    text = text_of(texts, options.text)
    name = record[options.id] if options.id else number
    kind = kind_called(options.kind)
    if options.kind == "multiple_choice":
        cells = [record[column] for column in options.options]
        offered = tuple(cell for cell in cells if cell)
        if any(cells[len(offered) :]):
            raise FinbenchError(f"{place}: an option stands behind an empty one; fill the columns from the first.")
        letter = letter_of(answer, offered)
        if not letter or len(offered) < 2:
            raise FinbenchError(f"{place}: {answer!r} is no letter, number or text of its {len(offered)} options.")
        return Row(name, text, label=letter, options=offered)
    if kind.classes:
        if options.labels:
            name_label(answer, {known: known for known in options.labels}, place)
        return Row(name, text, label=answer, classifier_text=classifier_text_of(texts, options.text))
    if wrong := kind.gold(answer, options.settings()):
        raise FinbenchError(f"{place}: {answer[:60]!r} {wrong}.")
    if kind.by_label:
        for one in labels.split(answer) if options.labels else ():
            name_label(one, {known: known for known in options.labels}, place)
    return Row(name, text, answer=answer)


def text_of(cells: Sequence[str], columns: Sequence[str]) -> str:
    """Return a row's text: its cell, or those of several columns on a line each, with the columns' names."""
    if len(cells) == 1:
        return cells[0]
    return "\n".join(f"{name}: {cell}" for name, cell in zip(columns, cells, strict=True))


def classifier_text_of(cells: Sequence[str], columns: Sequence[str]) -> tuple[str, ...]:
    """Return what an encoder reads of a row: its cells, a pair at most, else its text."""
    return tuple(cells) if len(cells) <= 2 else (text_of(cells, columns),)


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
