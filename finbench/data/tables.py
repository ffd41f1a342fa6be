"""Records of a publisher's or a user's table: CSV, JSON lines or parquet, every value as text."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from finbench.errors import FinbenchError

Record = Mapping[str, str]


def read_table(path: Path, columns: Sequence[str]) -> list[Record]:
    """Return the records of a table whose name ends in .csv, .jsonl or .parquet; empty cells are "".

    Raises:
        FinbenchError: the table cannot be read, or lacks one of `columns`; the message names the columns found.

    """
    if not path.is_file():
        raise FinbenchError(f"there is no file {str(path)!r}; give the path of a .csv, .jsonl or .parquet table.")
    reader = {".csv": _read_csv, ".jsonl": _read_jsonl, ".parquet": _read_parquet}.get(path.suffix.lower())
    if reader is None:
        raise FinbenchError(f"{str(path)!r} ends in {path.suffix!r}; tables are read from .csv, .jsonl and .parquet.")
    try:
        records = reader(path)
    except (UnicodeDecodeError, csv.Error) as error:
        raise FinbenchError(f"cannot read {str(path)!r}: {error}. It must be UTF-8 with one record a line.") from error
    found = list(dict.fromkeys(name for record in records for name in record))
    missing = [name for name in columns if name not in found]
    if missing:
        raise FinbenchError(
            f"{str(path)!r} has no column {', '.join(map(repr, missing))}; "
            f"its columns are {', '.join(map(repr, found)) or 'none: it is empty'}."
        )
    return records


def _read_csv(path: Path) -> list[Record]:
    with path.open(encoding="utf-8-sig", newline="") as file:  # FiQA's files open with a byte-order mark
        return [
            {name: (value or "").strip() for name, value in record.items() if isinstance(name, str)}
            for record in csv.DictReader(file)
        ]


def _read_jsonl(path: Path) -> list[Record]:
    records = []
    # Not splitlines(): JSON strings may hold U+2028 and the like, which are no line ends of a file.
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise FinbenchError(f"{str(path)!r}, line {number} is no JSON: {error}.") from error
        if not isinstance(record, dict):
            raise FinbenchError(f"{str(path)!r}, line {number}: each line must be an object of columns and values.")
        records.append(_as_text(record))
    return records


def _read_parquet(path: Path) -> list[Record]:
    import pyarrow
    import pyarrow.parquet

    try:
        return [_as_text(record) for record in pyarrow.parquet.read_table(path).to_pylist()]
    except pyarrow.ArrowException as error:
        raise FinbenchError(f"{str(path)!r} is no parquet file: {error}.") from error


def _as_text(record: Mapping[str, object]) -> Record:
    return {str(name): "" if value is None else str(value).strip() for name, value in record.items()}


def complete_records(
    records: Iterable[Record], split: str, *columns: str
) -> tuple[list[tuple[int, Record]], dict[str, int]]:
    """Return the records with a value in each of `columns`, numbered as in the table, and the count of the others."""
    numbered = list(enumerate(records))
    kept = [(number, record) for number, record in numbered if all(record.get(column) for column in columns)]
    return kept, {f"{split}: without text or label": len(numbered) - len(kept)} if len(kept) < len(numbered) else {}


def name_label(raw: str, names: Mapping[str, str], dataset: str) -> str:
    """Return the class that a publisher's label stands for, by name.

    Raises:
        FinbenchError: the publisher has no such label.

    """
    if raw not in names:
        raise FinbenchError(f"rows of {dataset}: unknown label {raw!r}; known are {', '.join(map(repr, names))}.")
    return names[raw]
