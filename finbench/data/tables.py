"""Records of a publisher's or a user's table: CSV, JSON lines or parquet, every value as text, read strictly.

What would shift, swallow or misspell a value is refused with file, line and column; what is no value at all (an empty
cell, null, NaN, and the words that pandas writes and reads for them) is "", and counted by `complete_records`.
"""

import csv
import io
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from finbench.documents import Written, parse_json, read_text
from finbench.errors import FinbenchError

# The words that pandas takes for no value (`read_csv`, `keep_default_na`), and two more spellings of them.
NO_VALUE = frozenset(
    "nan NaN -nan -NaN NAN null NULL Null NA N/A n/a <NA> #N/A #NA None NaT 1.#IND -1.#IND 1.#QNAN -1.#QNAN".split()
)
# `finbench predict --review` writes a text that a spreadsheet would run so, too, beside its cell.
TEXT, TEXT_AS_JSON = "text", "text_as_json"
MOST_CLASSES = 50  # a column with more different values holds no classes


class Record(dict[str, str]):
    """One record: the columns asked for, every value as text; `place` says where it stands, such as "line 7"."""

    def __init__(self, values: Mapping[str, str], place: str) -> None:
        super().__init__(values)
        self.place = place


def read_table(path: Path, columns: Sequence[str]) -> list[Record]:
    """Return the columns asked for of a table whose name ends in .csv, .jsonl or .parquet; empty cells are "".

    Raises:
        FinbenchError: the table cannot be read strictly, lacks one of `columns`, or holds in them what is no text,
            number or date; the message names file, line and column, or the columns found.

    """
    if not path.is_file():
        raise FinbenchError(f"there is no file {str(path)!r}; give the path of a .csv, .jsonl or .parquet table.")
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise FinbenchError(f"{str(path)!r} ends in {path.suffix!r}; tables are read from .csv, .jsonl and .parquet.")
    found, records = reader(path, columns)
    missing = [name for name in columns if name not in found]
    if missing:
        raise FinbenchError(
            f"{str(path)!r} has no column {', '.join(map(repr, missing))}; "
            f"its columns are {', '.join(map(repr, found)) or 'none: it is empty'}.{_hint(found)}"
        )
    return records


def _hint(found: Sequence[str]) -> str:
    marks = [mark for mark in ";\t|" if len(found) == 1 and mark in found[0]]
    return f" Its cells seem to stand apart by {marks[0]!r}: save it with commas." if marks else ""


def _read_csv(path: Path, columns: Sequence[str]) -> tuple[list[str], list[Record]]:
    text = read_text(path)  # FiQA's files open with a byte-order mark
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise FinbenchError(f"{path}, line {line}: a null character; save the table as text in UTF-8.")
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # a filing is one cell of millions of characters
    lines = _csv_lines(path, text)
    _, header = next(lines, (0, []))
    names = [name.strip() for name in header]
    if twice := [name for name in dict.fromkeys(names) if name and names.count(name) > 1]:
        raise FinbenchError(f"{path}, line 1: the column {twice[0]!r} stands twice; rename one of them.")
    records = []
    for line, cells in lines:
        if len(cells) != len(names):
            raise FinbenchError(
                f"{path}, line {line} has {len(cells)} cells and the header {len(names)}; "
                "put a cell with a comma or a line break in it in double quotes."
            )
        values = {name: cell.strip() for name, cell in zip(names, cells, strict=True) if name in columns}
        if TEXT_AS_JSON in names and TEXT in values and (written := cells[names.index(TEXT_AS_JSON)].strip()):
            values[TEXT] = _original(written, values[TEXT], f"{path}, line {line}")
        records.append(Record(values, f"line {line}"))
    _check_swallowed(path, text, columns, names, records)
    return [name for name in names if name], records


def _original(written: str, shown: str, place: str) -> str:
    """Return the text that a cell shows made harmless; one that somebody has rewritten since is a text of its own."""
    found = parse_json(written, f"{place}, column {TEXT_AS_JSON!r}")
    if not isinstance(found, str):
        raise FinbenchError(f"{place}: the column {TEXT_AS_JSON!r} holds no text; empty the cell.")
    same = [sign for sign in found if sign.isalnum()] == [sign for sign in shown if sign.isalnum()]
    return found.strip() if same else shown


def _csv_lines(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Return the records of a CSV that are not blank, each with the line that it begins in."""
    lines = list(io.StringIO(text, newline=""))
    reader = csv.reader(lines, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise FinbenchError(
                f"{path}, line {line}: {error}. A double quote that opens a cell closes it too, and one inside is "
                "written twice."
            ) from None
        if cells is None:
            return
        written, read = (sum(part.count('"') for part in parts) for parts in (lines[line - 1 : reader.line_num], cells))
        # Quotes come in pairs but for a sign of inches in a record without quotes. A stray one beside quoted cells has
        # cut a cell of several lines in two.
        if written % 2 and written > read:
            raise FinbenchError(
                f"{path}, line {line}: a stray double quote beside cells in double quotes; write one inside of a cell "
                "twice, and put the cell in quotes."
            )
        if len(cells) > 1 or (cells and cells[0].strip()):
            yield line, cells


def _check_swallowed(
    path: Path, text: str, columns: Sequence[str], names: Sequence[str], records: Sequence[Record]
) -> None:
    """Refuse a cell that holds whole records: a stray quote opened it and another one, lines later, closed it.

    A line inside of a cell is taken for a record where it has the header's number of cells and, in a column of classes,
    a class of the other records.
    """
    long = [n for n, record in enumerate(records) if any("\n" in cell for cell in record.values())]
    if not long or len(names) < 2:
        return
    others = [record for n, record in enumerate(records) if n not in set(long)]
    for column in columns:
        if column not in names:
            continue
        place, classes = names.index(column), {record[column] for record in others} - {""}
        if len(classes) > min(MOST_CLASSES, len(others) / 2):
            continue
        for record in (records[n] for n in long):
            for cell in (cell for name, cell in record.items() if name != column):
                for inner in cell.splitlines():
                    cells = next(csv.reader([inner]), [])
                    if len(cells) == len(names) and cells[place].strip() in classes:
                        raise FinbenchError(
                            f"{path}, {record.place}: a cell holds what looks like the record {inner[:60]!r}. A stray "
                            "double quote opens it: write a quote inside of a cell twice."
                        )


def _read_jsonl(path: Path, columns: Sequence[str]) -> tuple[list[str], list[Record]]:
    found: dict[str, None] = {}
    lines: list[tuple[str, dict[str, Any]]] = []
    # Not splitlines(): JSON strings may hold U+2028 and the like, which are no line ends of a file.
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        record = parse_json(line, repr(str(path)), line=number, constants=True, exact=True)
        if not isinstance(record, dict):
            raise FinbenchError(f"{str(path)!r}, line {number}: each line must be an object of columns and values.")
        found.update(dict.fromkeys(record))
        lines.append((f"line {number}", {name: record.get(name) for name in columns}))
    for name in columns:
        _write_alike([values for _, values in lines], name)
    asked = [name for name in columns if name in found]
    return list(found), [_record(values, asked, path, place) for place, values in lines]


def _write_alike(lines: Sequence[dict[str, Any]], name: str) -> None:
    """Write whole numbers of a column as 0.0 where others are written so: 0 and 0.0 are one number, and one class."""
    kinds = {type(line[name]) for line in lines} - {type(None), float}
    if kinds == {int, Written}:
        for line in lines:
            line[name] = f"{line[name]}.0" if type(line[name]) is int else line[name]


def _read_parquet(path: Path, columns: Sequence[str]) -> tuple[list[str], list[Record]]:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
        names = list(file.schema_arrow.names)
        if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
            raise FinbenchError(f"{path}: the column {twice[0]!r} stands twice; rename one of them.")
        rows = file.read(columns=[name for name in names if name in columns]).to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError) as error:  # ValueError: a text in it that is no UTF-8
        reason = next(iter(str(error).splitlines()), "")
        raise FinbenchError(f"{str(path)!r} is no parquet file that can be read: {reason}.") from error
    return names, [_record(row, columns, path, f"row {number}") for number, row in enumerate(rows, start=1)]


READERS: Mapping[str, Callable[[Path, Sequence[str]], tuple[list[str], list[Record]]]] = {
    ".csv": _read_csv,
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
}


def _record(values: Mapping[str, Any], columns: Collection[str], path: Path, place: str) -> Record:
    found = {}
    for name, value in values.items():
        if name in columns:
            text = _as_text(value)
            if text is None:
                raise FinbenchError(
                    f"{path}, {place}: the column {name!r} holds {_kind(value)} where a text or a number belongs."
                )
            found[name] = text
    return Record(found, place)


def _as_text(value: Any) -> str | None:
    """Return a text, a number, a date or true and false as text, "" for no value; None for what is none of them."""
    if value is None or (isinstance(value, float | Decimal) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()  # as JSON writes it
    if isinstance(value, float | Decimal) and math.isinf(value):
        return None
    if isinstance(value, str | int | float | Decimal | date | time | timedelta):
        return str(value).strip()
    return None


def _kind(value: Any) -> str:
    if isinstance(value, float | Decimal):
        return "an infinite number"
    kinds: tuple[tuple[type, str], ...] = ((bytes, "bytes"), (list, "a list"), (dict, "an object"))
    return next((words for kind, words in kinds if isinstance(value, kind)), f"a {type(value).__name__}")


def complete_records(
    records: Iterable[Mapping[str, str]], split: str, *columns: str, known: Collection[str] = ()
) -> tuple[list[tuple[int, Record]], dict[str, int]]:
    """Return the records with a value in each of `columns`, numbered as in the table, and counts of the others.

    A word such as "nan" or "NULL" is no value, unless it is one of the classes in `known`.
    """
    kept: list[tuple[int, Record]] = []
    dropped = {f"{split}: without text or label": 0, f"{split}: a word such as nan or null for text or label": 0}
    empty, worded = dropped
    for number, record in enumerate(records):
        values = [record.get(column, "") for column in columns]
        if not all(values):
            dropped[empty] += 1
        elif any(value in NO_VALUE and value not in known for value in values):
            dropped[worded] += 1
        else:
            kept.append((number, record if isinstance(record, Record) else Record(record, f"record {number + 1}")))
    return kept, {reason: count for reason, count in dropped.items() if count}


def name_label(raw: str, names: Mapping[str, str], dataset: str, place: str = "") -> str:
    """Return the class that a publisher's label stands for, by name.

    Raises:
        FinbenchError: the publisher has no such label.

    """
    if raw not in names:
        where = f", {place}" if place else ""
        raise FinbenchError(
            f"rows of {dataset}{where}: unknown label {raw!r}; known are {', '.join(map(repr, names))}."
        )
    return names[raw]
