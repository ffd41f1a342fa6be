"""A user's CSV with answers added: read strictly, every column kept, written whole beside the file and renamed."""

import csv
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TextIO

from finbench.errors import FinbenchError
from finbench.predict import answers
from finbench.whole import beside

ADDED = ("label", "confidence", "problem")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

State = tuple[int, int, int, int] | None


@dataclass(frozen=True)
class Table:
    """A CSV that was read once to its end: its columns, the place of its texts, its rows; `added` are the new columns.

    The new columns are called `label`, `confidence` and `problem`, or `predicted_label` and so on where the table has
    one of these: a column of the user's is never replaced.
    """

    path: Path
    columns: tuple[str, ...]
    place: int
    rows: int
    encoding: str
    added: tuple[str, ...]

    @property
    def renamed(self) -> bool:
        """Say whether the new columns have other names than usual."""
        return self.added != ADDED

    def read(self) -> Iterator[list[str]]:
        """Yield the rows, each with a cell for every column."""
        with self.path.open(newline="", encoding="utf-8-sig") as source:
            reader = csv.reader(source, strict=True)
            next(reader)
            for row in reader:
                if row:
                    yield [*row, *[""] * (len(self.columns) - len(row))]

    def check_output(self, output: Path, overwrite: bool) -> State:
        """Refuse, before a model is loaded, an output that would take the place of something else; return its state.

        Raises:
            FinbenchError: it is the input, or a file that is no earlier answer as finbench wrote it, and nobody said
                `overwrite`; or nothing can be written there.

        """
        state = _state(output)
        if output.is_dir():
            raise FinbenchError(f"--output {output} is a folder: name a file in it.")
        if not overwrite and output.exists() and output.samefile(self.path):
            raise FinbenchError(
                f"--output {output} is the file of --input: name another, or say --overwrite to have it replaced by "
                "the table with answers."
            )
        if not overwrite and output.is_file() and output.stat().st_size and not self._is_answer(output):
            raise FinbenchError(
                f"--output {output} is there already and is no earlier answer to {self.path} as it was written: name "
                "another file, or say --overwrite."
            )
        if _is_regular(output):
            _try_beside(output)
        return state

    def _is_answer(self, output: Path) -> bool:
        try:
            with output.open(newline="", encoding="utf-8-sig") as source:
                same_columns = next(csv.reader(source), []) == [*self.columns, *self.added]
        except (OSError, ValueError, csv.Error):
            return False
        return same_columns and answers.is_known(output)  # a label that somebody corrected is work of theirs

    @contextmanager
    def writer(self, output: Path | None, state: State = None) -> Iterator[Callable[[Sequence[str]], object]]:
        """Give what writes a row, the header written; a file appears when all its rows are written.

        `state` is what `check_output` found at the output: what somebody has put there since is not replaced.

        Raises:
            FinbenchError: it cannot be written, or somebody has written there; the answers lie beside it then.

        """
        if output is None:
            yield self._write_to(sys.stdout)
        elif not _is_regular(output):  # a pipe or device holds nothing that could be lost
            with output.open("w", newline="", encoding=self.encoding) as sink:
                yield self._write_to(sink)
        else:
            with beside(output) as part:
                with part.open("w", newline="", encoding=self.encoding) as sink:
                    yield self._write_to(sink)
                if _state(output) != state:
                    raise _kept_beside(part, output)
                answers.remember(part)

    def _write_to(self, sink: TextIO) -> Callable[[Sequence[str]], object]:
        writer = csv.writer(sink)
        writer.writerow([*self.columns, *self.added])

        def write(row: Sequence[str]) -> None:
            writer.writerow(row)
            if sink is sys.stdout:
                sink.flush()  # rows appear as they are done

        return write


def _state(path: Path) -> State:
    """Return what changes whenever a file is written or replaced, None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _kept_beside(part: Path, output: Path) -> FinbenchError:
    """Give the answers a free name, and return what says so."""
    target = output.resolve()
    names = (target.with_name(f"{target.stem}.answers{number or ''}{target.suffix}") for number in count())
    free = next(name for name in names if not name.exists())
    part.rename(free)
    return FinbenchError(
        f"{output} was written by somebody else meanwhile and stays as it is; the answers are in {free}."
    )


def read_table(path: Path, column: str) -> Table:
    """Return a CSV's columns and number of rows, every row of it read.

    Raises:
        FinbenchError: there is no such file or column, or a line is no row of the table; the message names the line.

    """
    if not path.is_file():
        raise FinbenchError(f"there is no file {str(path)!r}.")
    csv.field_size_limit(sys.maxsize)  # a cell is as long as it is; the model says what it cannot read
    try:
        with path.open("rb") as bare:
            encoding = "utf-8-sig" if bare.read(3) == BYTE_ORDER_MARK else "utf-8"
        with path.open(newline="", encoding="utf-8-sig") as source:
            columns, rows = _checked(path, source)
    except OSError as error:
        raise FinbenchError(f"{path} cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise FinbenchError(f"{path} is not in UTF-8 ({error}): save it as CSV in UTF-8.") from error
    if columns.count(column) != 1:
        problem = "several columns" if column in columns else "no column"
        raise FinbenchError(f"{path} has {problem} {column!r}; it has {', '.join(columns)}.")
    return Table(path, columns, columns.index(column), rows, encoding, _new_names(columns))


def _checked(path: Path, source: TextIO) -> tuple[tuple[str, ...], int]:
    """Return the columns and the number of rows."""
    reader = csv.reader(source, strict=True)
    try:
        columns, rows = tuple(next(reader, ())), 0
        for row in reader:
            rows += bool(row)
            if len(row) > len(columns):
                raise FinbenchError(
                    f"{path}, line {reader.line_num}: {len(row)} cells where the header has {len(columns)}; a text "
                    "with a comma in it stands between quotes."
                )
    except csv.Error as error:
        raise FinbenchError(f"{path}, line {reader.line_num}: {error}; look for a quote that is not closed.") from error
    return columns, rows


def _new_names(columns: Sequence[str]) -> tuple[str, ...]:
    """Return names for the new columns that the table does not have."""
    names: tuple[str, ...] = ADDED
    number = 1
    while set(names) & set(columns):
        names = tuple(f"predicted_{name}" + (f"_{number}" if number > 1 else "") for name in ADDED)
        number += 1
    return names


def _is_regular(output: Path) -> bool:
    return output.is_file() or not output.exists()


def _try_beside(output: Path) -> None:
    """Raise what writing would raise."""
    target = output.resolve()
    for folder in (target.parent, *target.parent.parents):
        if folder.exists():
            break
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise FinbenchError(f"--output {output} cannot be written: {folder} is no folder that can be written to.")
