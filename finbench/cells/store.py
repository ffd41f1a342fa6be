"""The folder of cells: one JSON file a result, failures beside, outcomes of single rows in Parquet.

A file is written under a temporary name, forced to disk and renamed, so what exists is whole. The JSON comes last:
it exists means the cell is done.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from finbench.cells.key import SCHEMA_VERSION, Cell, CellKey, cell_of
from finbench.cells.migrate import migrated
from finbench.cells.schema import cell_schema, fits_cell, problems
from finbench.documents import parse_json, read_text
from finbench.errors import FinbenchError
from finbench.records import Outcome

RESULT, FAILURE, OUTCOMES = ".json", ".failed.json", ".parquet"


@dataclass(frozen=True)
class Failure:
    """A cell that could not be scored: why, and the last lines of where."""

    key: CellKey
    created: str
    error: str
    trace: str
    command: str


@dataclass(frozen=True)
class Unreadable:
    """A file among the cells that is no valid cell, and why."""

    path: Path
    problem: str


@dataclass(frozen=True)
class Cells:
    """All that lies in a folder of cells, in the order of the paths."""

    results: tuple[Cell, ...]
    failures: tuple[Failure, ...]
    unreadable: tuple[Unreadable, ...]


def path_of(folder: Path, key: CellKey, extension: str = RESULT) -> Path:
    """Return where a cell's result, failure or outcomes lie."""
    return folder / (key.stem() + extension)


def is_done(folder: Path, key: CellKey) -> bool:
    """Say whether the cell has a result."""
    return path_of(folder, key).is_file()


def has_failed(folder: Path, key: CellKey) -> bool:
    """Say whether the cell was tried and has no result."""
    return path_of(folder, key, FAILURE).is_file() and not is_done(folder, key)


def write_cell(folder: Path, cell: Cell, outcomes: Sequence[Outcome]) -> Path:
    """Write outcomes and result, remove an earlier failure, and return the result's path.

    Raises:
        FinbenchError: the cell does not fit the schema.

    """
    text = cell.as_json()
    if found := list(problems(json.loads(text), cell_schema())):
        raise FinbenchError(f"the result of {cell.key.title()} does not fit the schema: {'; '.join(found[:5])}.")
    hashed = cell.confusion is None
    _write(path_of(folder, cell.key, OUTCOMES), lambda path: _write_outcomes(path, outcomes, hashed))
    path = path_of(folder, cell.key)
    _write(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    path_of(folder, cell.key, FAILURE).unlink(missing_ok=True)
    return path


def write_failure(folder: Path, failure: Failure) -> Path:
    """Write a failure beside where the result would lie, and return its path."""
    path = path_of(folder, failure.key, FAILURE)
    text = json.dumps({"schema_version": SCHEMA_VERSION, **asdict(failure)}, sort_keys=True, indent=1) + "\n"
    _write(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    return path


def _write(path: Path, fill: Callable[[Path], object]) -> None:
    """Let `fill` write a temporary file beside the path, force it to disk and rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        fill(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _write_outcomes(path: Path, outcomes: Sequence[Outcome], hashed: bool) -> None:
    """Write one line a row; free answers as hashes, since they may quote what a dataset's licence keeps here."""
    import pyarrow
    import pyarrow.parquet

    def shown(answer: str) -> str:
        return hashlib.sha256(answer.encode()).hexdigest()[:16] if hashed and answer else answer

    columns = {
        "row_id": pyarrow.array([one.row_id for one in outcomes], pyarrow.string()),
        "cluster": pyarrow.array([one.cluster for one in outcomes], pyarrow.string()),
        "gold": pyarrow.array([shown(one.gold) for one in outcomes], pyarrow.string()),
        "prediction": pyarrow.array([shown(one.prediction) for one in outcomes], pyarrow.string()),
        "scores": pyarrow.array([list(one.scores) for one in outcomes], pyarrow.list_(pyarrow.float64())),
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), path)


def read_outcomes(folder: Path, key: CellKey) -> list[Outcome]:
    """Return the outcomes of a cell's rows; free answers are hashes, so they can be compared and not read.

    Raises:
        FinbenchError: they are not there.

    """
    import pyarrow.parquet

    path = path_of(folder, key, OUTCOMES)
    if not path.is_file():
        raise FinbenchError(f"the rows' outcomes of {key.title()} are missing: {path}. Score the cell with --redo all.")
    lines = pyarrow.parquet.read_table(path).to_pylist()
    return [Outcome(**{**line, "scores": tuple(line["scores"])}) for line in lines]


def read_cells(folder: Path) -> Cells:
    """Return every result and failure in the folder; what cannot be read is listed, not skipped."""
    results: list[Cell] = []
    failures: list[Failure] = []
    unreadable: list[Unreadable] = []
    adapters: dict[str, Any] = {}
    for place in _places(folder):
        record = _read(place, adapters)
        if isinstance(record, str):
            unreadable.append(Unreadable(Path(place), record))
        elif place.endswith(FAILURE):
            record.pop("schema_version")
            failures.append(Failure(**{**record, "key": CellKey(**record["key"])}))
        else:
            results.append(cell_of(record))
    done = {cell.key for cell in results}
    return Cells(tuple(results), tuple(one for one in failures if one.key not in done), tuple(unreadable))


def _places(folder: Path) -> list[str]:
    """Return the cells' files in an order that no file system changes; texts, for paths take their time."""
    found = []
    for inside, _, names in os.walk(folder):
        found += [os.path.join(inside, name) for name in names if name.endswith(RESULT) and not name.startswith(".")]
    return sorted(found)


def parsed(text: str, adapters: dict[str, Any]) -> Any:
    """Return what `parse_json` gives.

    The adapter with the record of its training stands first in a cell's file, is most of it, and the same in all cells
    of the adapter: `adapters` keeps it by its text, so that it is parsed once.
    """
    first, mark, rest = text.partition(',\n "adapter_proof":')
    if mark:
        with suppress(FinbenchError):
            if first not in adapters:
                adapters[first] = parse_json(first + "}", "the cell")
            others = parse_json('{"adapter_proof":' + rest, "the cell")
            if not adapters[first].keys() & others.keys():
                return {**adapters[first], **others}
    return parse_json(text, "the cell")  # which says where in the file the mistake is


def _read(place: str, adapters: dict[str, Any]) -> dict[str, Any] | str:
    """Return a file's record, or what is wrong with it."""
    try:
        record = parsed(read_text(Path(place)), adapters)
    except FinbenchError as error:
        return f"cannot be read as JSON ({error})"
    record = migrated(record)
    if later := _later_version(record):
        return f"schema_version is {later}, this finbench reads up to {SCHEMA_VERSION}: a later one wrote it, upgrade"
    if place.endswith(FAILURE):
        found = _failure_problems(record)
    else:
        found = [] if fits_cell()(record) else list(problems(record, cell_schema()))
    if found:
        return "; ".join(found[:3])
    if not place.removesuffix(FAILURE).removesuffix(RESULT).endswith(f"-{CellKey(**record['key']).digest()}"):
        return "its key does not belong to its name: it was edited or renamed"
    return record if isinstance(record, dict) else "it is no object"


def _later_version(record: Any) -> int | None:
    version = record.get("schema_version") if isinstance(record, dict) else None
    return version if isinstance(version, int) and version > SCHEMA_VERSION else None


def _failure_problems(record: Any) -> list[str]:
    schema: Mapping[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["schema_version", "key", "created", "error", "trace", "command"],
        "properties": {
            "schema_version": {"enum": [SCHEMA_VERSION]},
            "key": cell_schema()["properties"]["key"],
            **dict.fromkeys(("created", "error", "trace", "command"), {"type": "string"}),
        },
    }
    return list(problems(record, schema))
