"""The folder of cells: one JSON file a result, failures beside, outcomes of single rows in Parquet.

A file is written under a temporary name, forced to disk and renamed, so what exists is whole. The JSON comes last and
is sealed with its outcomes: a cell is done where it is there, fits the schema, and says what its outcomes say.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from finbench.cells import proven
from finbench.cells.key import SCHEMA_VERSION, Cell, CellKey, cell_of, slug, written
from finbench.cells.lock import held
from finbench.cells.outcomes import outcomes_of, write_outcomes
from finbench.cells.proof import problem_of
from finbench.cells.reader import FAILURE, OUTCOMES, RESULT, Reader, later_version
from finbench.cells.schema import cell_schema, problems
from finbench.cells.seal import RECORD, seal_of
from finbench.documents import parse_json, read_text
from finbench.errors import FinbenchError
from finbench.records import Outcome

__all__ = [
    "FAILURE",
    "OUTCOMES",
    "RESULT",
    "Cells",
    "Failure",
    "Unreadable",
    "Unwritable",
    "has_failed",
    "is_done",
    "path_of",
    "problem",
    "read_cells",
    "read_outcomes",
    "write_cell",
    "write_failure",
]
PART, LOCK, NEWER = ".part", ".lock", ".newer"  # being written; being scored; of a later finbench, kept aside


class Unwritable(FinbenchError):
    """The folder of cells cannot be written: nothing that is scored could be kept."""


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
    """All that lies in a folder of cells, in the order of the paths.

    `unproven` are among the results: cells from before there were seals whose rows' outcomes are missing.
    """

    results: tuple[Cell, ...]
    failures: tuple[Failure, ...]
    unreadable: tuple[Unreadable, ...]
    unproven: tuple[Unreadable, ...] = ()


def path_of(folder: Path, key: CellKey, extension: str = RESULT) -> Path:
    """Return where a cell's result, failure or outcomes lie."""
    return folder / (key.stem() + extension)


def is_done(folder: Path, key: CellKey) -> bool:
    """Say whether the cell has a result that is whole and says what its rows' outcomes say."""
    return path_of(folder, key).is_file() and not problem(folder, key)


def problem(folder: Path, key: CellKey) -> str:
    """Return why the cell's file is no result, in one line; "" where it is one, or there is none."""
    path = path_of(folder, key)
    if not path.is_file():
        return ""
    found = Reader().read(str(path))
    return found if isinstance(found, str) else found.unproven


def has_failed(folder: Path, key: CellKey) -> bool:
    """Say whether the cell was tried and has no result."""
    path = path_of(folder, key, FAILURE)
    return path.is_file() and not isinstance(Reader().read(str(path)), str) and not is_done(folder, key)


def write_cell(folder: Path, cell: Cell, outcomes: Sequence[Outcome]) -> Path:
    """Write outcomes (where there are any) and result, sealed, remove an earlier failure; return the result's path.

    Raises:
        FinbenchError: the cell does not fit the schema, or its numbers are not those of its outcomes.
        Unwritable: the folder cannot be written.

    """
    record = asdict(replace(cell, sequence=_next_sequence(folder, cell.key), seal=None))
    path, beside = path_of(folder, cell.key), path_of(folder, cell.key, OUTCOMES)
    _check(record, cell.key.title())
    _keep_newer(path, beside)
    content: bytes | None = None

    def fill_outcomes(temporary: Path) -> None:
        nonlocal content
        write_outcomes(temporary, outcomes, hashed=not cell.labels)
        content = temporary.read_bytes()
        if wrong := problem_of(record, content):
            raise FinbenchError(f"the result of {cell.key.title()} is not that of its rows: {wrong}.")

    def fill_record(temporary: Path) -> None:
        temporary.write_text(written({**record, "seal": seal_of(record, content)}), encoding="utf-8")

    _write({**({beside: fill_outcomes} if outcomes else {}), path: fill_record})
    if not outcomes:
        beside.unlink(missing_ok=True)
    path_of(folder, cell.key, FAILURE).unlink(missing_ok=True)
    return path


def _check(record: Mapping[str, Any], title: str) -> None:
    found = list(problems(json.loads(written(record)), cell_schema()))
    if found or (wrong := problem_of(record, None)):
        raise FinbenchError(f"the result of {title} does not fit the schema: {'; '.join(found[:5]) or wrong}.")


def _next_sequence(folder: Path, key: CellKey) -> int:
    """Return one more than the largest sequence among the cells that this one takes the place of on boards."""
    found, start = [0], slug(key.adapter or "base")
    for path in path_of(folder, key).parent.glob(f"*{RESULT}"):
        if path.name.rpartition("-")[0] == start:
            with suppress(FinbenchError):
                record = parse_json(read_text(path), str(path))
                found += [record["sequence"]] if isinstance(record, dict) and _is_count(record.get("sequence")) else []
    return max(found) + 1


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < 2**53


def _keep_newer(path: Path, beside: Path) -> None:
    """Set aside a result that a later finbench wrote: this one cannot say what would be lost."""
    with suppress(FinbenchError):
        if path.is_file() and later_version(parse_json(read_text(path), str(path))):
            for one in (path, beside):
                if one.is_file():
                    one.replace(one.with_name(one.name + NEWER))


def write_failure(folder: Path, failure: Failure) -> Path:
    """Write a failure beside where the result would lie, and return its path.

    Raises:
        Unwritable: the folder cannot be written.

    """
    path = path_of(folder, failure.key, FAILURE)
    text = written({"schema_version": SCHEMA_VERSION, **asdict(failure)})
    _write({path: lambda temporary: temporary.write_text(text, encoding="utf-8")})
    return path


def _write(files: Mapping[Path, Callable[[Path], object]]) -> None:
    """Let each path's function write a temporary file beside it, force all to disk and rename them, the last one last.

    Temporary files are held while they are written, so that a run can tell what a killed one left (`cells.upkeep`).
    """
    parts = {path: path.with_name(f".{path.name}.{os.getpid()}{PART}") for path in files}
    try:
        with ExitStack() as stack:
            for path, fill in files.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(held(parts[path]))
                fill(parts[path])
                with parts[path].open("rb") as file:
                    os.fsync(file.fileno())
            for path, part in parts.items():
                part.replace(path)
    except OSError as error:
        where, why = next(iter(files)).parent, error.strerror or error
        raise Unwritable(f"{where} cannot be written ({why}); its files are as they were.") from error


def read_outcomes(folder: Path, key: CellKey) -> list[Outcome]:
    """Return the outcomes of a cell's rows; free answers are hashes, so they can be compared and not read.

    Raises:
        FinbenchError: they are not there, or cannot be read.

    """
    path = path_of(folder, key, OUTCOMES)
    if not path.is_file():
        raise FinbenchError(f"the rows' outcomes of {key.title()} are missing: {path}. Score the cell with --redo all.")
    return outcomes_of(path.read_bytes())


def read_cells(folder: Path, thorough: bool = False) -> Cells:
    """Return every result and failure in the folder; what cannot be read is listed, not skipped.

    Each result is held against its seal and its rows' outcomes; with `thorough` its standard errors too.
    """
    results: list[Cell] = []
    failures: list[Failure] = []
    unreadable: list[Unreadable] = []
    unproven: list[Unreadable] = []
    reader = Reader(thorough, () if thorough else proven.known())
    anew: list[str] = []
    for place in _places(folder):
        found = reader.read(place)
        if isinstance(found, str):
            shown = place.encode(errors="backslashreplace").decode()  # a name may be no text
            unreadable.append(Unreadable(Path(shown), found))
        elif place.endswith(FAILURE):
            of_failure = {name: value for name, value in found.record.items() if name != "schema_version"}
            failures.append(Failure(**{**of_failure, "key": CellKey(**found.record["key"])}))
        else:
            results.append(cell_of(found.record))
            if (seal := found.record["seal"]) and seal[RECORD] not in reader.known:
                anew.append(seal[RECORD])
            unproven += [Unreadable(Path(place), found.unproven)] if found.unproven else []
    proven.remember(anew)
    done = {cell.key for cell in results}
    left = tuple(one for one in failures if one.key not in done)
    return Cells(tuple(results), left, tuple(unreadable), tuple(unproven))


def _places(folder: Path) -> list[str]:
    """Return the cells' files in an order that no file system changes; texts, for paths take their time."""
    found = []
    for inside, _, names in os.walk(folder):
        found += [os.path.join(inside, name) for name in names if name.endswith(RESULT) and not name.startswith(".")]
    return sorted(found)
