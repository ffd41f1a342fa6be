"""A cell proves what it says: whatever is edited, cut or lost is named in a line, and takes no board down."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from finbench.cells import proven
from finbench.cells.key import written
from finbench.cells.seal import seal_of
from finbench.cells.store import is_done, path_of, problem, read_cells, write_cell
from finbench.cli import main
from finbench.errors import FinbenchError
from finbench.records import Metric, Outcome
from tests.cells.test_store import CELL, KEY, OUTCOMES

DEEP = "[" * 5000 + "]" * 5000
Record = dict[str, Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the file of a cell in `tmp_path/cells`, beside another that stays as it is."""
    write_cell(tmp_path / "cells", replace(CELL, key=replace(KEY, base="whole")), OUTCOMES)
    return write_cell(tmp_path / "cells", CELL, OUTCOMES)


def edit(path: Path, change: Callable[[Record], object], seal: bool = False) -> None:
    """Edit a cell by hand; `seal` computes its seal anew, as somebody who means it would."""
    record = json.loads(path.read_text())
    change(record)
    if seal:
        record["seal"] = seal_of(record, path.with_suffix(".parquet").read_bytes())
    path.write_text(json.dumps(record))


def accuracy(value: object) -> Callable[[Record], object]:
    return lambda record: record["metrics"]["accuracy"].update(value=value)


SENSELESS: list[tuple[Callable[[Record], object], str]] = [
    (accuracy(0.99), "metrics.accuracy is 0.99, its outcomes give 0.5"),
    (accuracy(42), "metrics.accuracy.value is 42, not between 0 and 1"),
    (accuracy(-0.5), "metrics.accuracy.value is -0.5"),
    (lambda record: record.update(n_rows=-1), "n_rows is -1"),
    (lambda record: record.update(n_rows=3), "confusion.matrix does not count 3 rows"),
    (lambda record: record.update(n_clusters=1), "n_rows and n_clusters are 2 and 1, its outcomes have 2 and 2"),
    (lambda record: record["confusion"].update(matrix=[[1, 0], [0, 1]]), "no matrix of 2 rows of 3 numbers"),
    (lambda record: record["confusion"].update(matrix=[[1, 0, 0], [1]]), "no matrix of 2 rows of 3 numbers"),
    (lambda record: record["confusion"].update(matrix=[[0, 1, 0], [0, 0, 1]]), "outcomes give [[1, 0, 0], [0, 0, 1]]"),
    (lambda record: record["confusion"].update(labels=["yes", "yes"]), "not different names"),
    (lambda record: record["confusion"].update(labels=["yes", "nay"]), "per_class is about"),
    (lambda record: record["per_class"]["no"].update(support=7.0), "per_class.no.support is 7.0"),
    (lambda record: record["metrics"].update(bleu={"value": 1, "stderr": None}), "metrics.bleu is none that finbench"),
    (lambda record: record["metrics"].pop("unparsed"), "metrics.unparsed is missing"),
    (lambda record: record.update(created="yesterday"), "created is 'yesterday', no date"),
    (lambda record: record.update(created="2026-02-31T00:00:00+00:00"), "no date of ISO 8601"),
    (lambda record: record.update(created="9999-12-31T23:59:59-23:59"), "no date of ISO 8601"),
    (lambda record: record.update(created="2026-01-01T00:00:00"), "no date of ISO 8601 with its offset"),
    (lambda record: record.update(truncated_share=1.5), "truncated_share is 1.5"),
    (lambda record: record.update(seconds_per_row=-1.0), "seconds_per_row is -1.0"),
    (lambda record: record.update(sequence=-1), "sequence is -1"),
]  # fmt: skip


def check(path: Path) -> tuple[str, str]:
    """Return the problem of the one broken cell, and what the boards say; all commands that read cells must live."""
    folder = path.parents[2]
    cells = read_cells(folder)
    assert [cell.key.base for cell in cells.results] == ["whole"] and len(cells.unreadable) == 1
    boards = folder.with_name("boards")
    assert main(["leaderboard", "--cells", str(folder), "--output", str(boards)]) == 1
    assert main(["leaderboard", "--cells", str(folder), "--output", str(boards), "--check"]) == 1
    assert main(["leaderboard", "--cells", str(folder), "--output", str(boards), "--since", str(folder)]) == 0
    for kind in ("csv", "lm-eval", "every-eval-ever"):
        assert main(["export", kind, "--cells", str(folder), "--output", str(folder.with_name(kind))]) == 1
    assert not is_done(folder, KEY) and "\n" not in cells.unreadable[0].problem
    return cells.unreadable[0].problem, "".join((boards / name).read_text() for name in ("README.md", "notes.md"))


@pytest.mark.parametrize(("change", "message"), SENSELESS)
def test_an_edited_cell_is_named_whether_or_not_it_is_sealed_anew(
    change: Callable[[Record], object], message: str, path: Path
) -> None:
    kept = path.read_text()
    edit(path, change)
    found, board = check(path)
    assert "it was edited" in found and "whole" in board and path.name in board
    path.write_text(kept)
    edit(path, change, seal=True)
    assert message in read_cells(path.parents[2]).unreadable[0].problem


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"value": 0.5', '"value": NaN', "NaN is no number of JSON"),
        ('"value": 0.5', '"value": Infinity', "Infinity is no number of JSON"),
        ('"value": 0.5', '"value": 1e999', "larger than any"),
        ('"resources": {}', f'"resources": {{"x": {DEEP}}}', "nested deeper"),
        ('"title": ""', '"title": "\\ud800"', "half of a"),
        ('"title": ""', '"title": "", "title": "x"', "stands twice"),
        ('"n_rows": 2', f'"n_rows": {"9" * 5000}', "5000 digits"),
    ],
)
def test_what_json_cannot_hold_is_named(old: str, new: str, message: str, path: Path) -> None:
    path.write_text(path.read_text().replace(old, new, 1))
    assert message in check(path)[0]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def damages() -> Iterator[tuple[str, Callable[[Path], object], str]]:
    """Yield ways to lose a file, and what is then said."""
    yield "no outcomes", lambda path: path.with_suffix(".parquet").unlink(), "outcomes beside it are missing"
    yield "cut outcomes", lambda path: cut(path.with_suffix(".parquet")), "not those that it was sealed with"
    yield "empty outcomes", lambda path: path.with_suffix(".parquet").write_bytes(b""), "not those that it was sealed"
    yield "cut", cut, "cannot be read as JSON"
    yield "empty", lambda path: path.write_text(""), "cannot be read as JSON"
    yield "a list", lambda path: path.write_text("[]"), "is a list"
    yield "newer", lambda path: edit(path, lambda record: record.update(schema_version=99)), "a later one wrote it"


@pytest.mark.parametrize(("damage", "message"), [one[1:] for one in damages()], ids=[one[0] for one in damages()])
def test_a_lost_file_is_named_and_counts_as_not_done(
    damage: Callable[[Path], object], message: str, path: Path
) -> None:
    damage(path)
    assert message in check(path)[0]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"gold": ["yes", "no"]}, "no column"),
        ({"row_id": [1, 2], "cluster": ["1", "2"], "gold": ["yes", "no"], "prediction": ["yes", ""]}, "something else"),
        ({"row_id": ["1", "2"], "cluster": ["1", "2"], "gold": ["yes", None], "prediction": ["yes", ""]}, "something"),
        ({"row_id": ["1", "2"], "cluster": ["1", "2"], "gold": ["yes", "9"], "prediction": ["yes", ""]}, "gold is '9'"),
        ({"row_id": ["1", "2"], "cluster": ["1", "2"], "gold": ["yes", "no"], "prediction": ["yes", "?"]}, "is '?'"),
        ({"row_id": ["1"], "cluster": ["1"], "gold": ["yes"], "prediction": ["yes"]}, "its outcomes have 1 and 1"),
        ({"row_id": [], "cluster": [], "gold": [], "prediction": []}, "something else"),
    ],
)
def test_outcomes_of_another_shape_are_named(columns: dict[str, list[Any]], message: str, path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.table(columns), path.with_suffix(".parquet"))
    edit(path, lambda record: None, seal=True)
    assert message in check(path)[0]


def test_a_broken_parquet_is_named_also_where_it_was_sealed(path: Path) -> None:
    path.with_suffix(".parquet").write_bytes(b"PAR1 nothing PAR1")
    edit(path, lambda record: None, seal=True)
    assert "cannot be read as Parquet" in check(path)[0]


def test_standard_errors_are_recomputed_by_a_check(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(path, lambda record: record["metrics"]["accuracy"].update(stderr=0.001), seal=True)
    folder = path.parents[2]
    boards = ["--cells", str(folder), "--output", str(folder.with_name("boards"))]
    assert main(["leaderboard", *boards]) == 0
    capsys.readouterr()
    assert main(["leaderboard", *boards, "--check"]) == 1
    assert "metrics.accuracy.stderr is 0.001, its outcomes give 0.5" in capsys.readouterr().out


def test_a_name_that_is_no_text_takes_no_board_down(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (path.parents[2] / os.fsdecode(b"caf\xe9.json")).write_text("{}")
    boards = path.parents[2].with_name("boards")
    assert main(["leaderboard", "--cells", str(path.parents[2]), "--output", str(boards)]) == 1
    assert "caf" in (boards / "notes.md").read_text()


def test_what_was_proved_is_remembered_by_its_seal_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = path.parents[2]
    assert not proven.known() and len(read_cells(folder).results) == 2 and len(set(proven.known())) == 2
    edit(path, accuracy(0.99))
    assert len(read_cells(folder).unreadable) == 1
    edit(path, accuracy(0.5), seal=True)
    path.with_suffix(".parquet").write_bytes(b"")
    assert "sealed with" in read_cells(folder).unreadable[0].problem


def unsealed(path: Path) -> Record:
    """Write the cell as version 3 had it."""
    record = json.loads(path.read_text())
    for name in ("seal", "sequence", "weights_sha256"):
        record.pop(name)
    path.write_text(written({**record, "schema_version": 3}))
    return record


def test_a_cell_from_before_there_were_seals_stays_on_the_boards(path: Path) -> None:
    unsealed(path)
    folder = path.parents[2]
    cells = read_cells(folder)
    assert len(cells.results) == 2 and not cells.unreadable and is_done(folder, KEY)
    boards = folder.with_name("boards")
    assert main(["leaderboard", "--cells", str(folder), "--output", str(boards)]) == 0
    assert "written before cells were sealed" in (boards / "index.html").read_text()
    assert main(["leaderboard", "--cells", str(folder), "--output", str(boards), "--check"]) == 0
    edit(path, accuracy(0.75))
    assert "its outcomes give 0.5" in check(path)[0]


def test_without_outcomes_an_old_cell_is_shown_as_unproven_and_scored_again(path: Path) -> None:
    unsealed(path)
    path.with_suffix(".parquet").unlink()
    folder = path.parents[2]
    assert len(read_cells(folder).results) == 2 and not is_done(folder, KEY)
    assert "nothing proves its score" in problem(folder, KEY)
    boards = ["--cells", str(folder), "--output", str(folder.with_name("boards"))]
    assert main(["leaderboard", *boards]) == 0
    assert "not proven" in (folder.with_name("boards") / "README.md").read_text()
    assert main(["leaderboard", *boards, "--check"]) == 1


def test_a_result_that_is_not_that_of_its_rows_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(
        FinbenchError, match=r"is not that of its rows: metrics.accuracy is 0.75, its outcomes give 0.5"
    ):
        write_cell(tmp_path, replace(CELL, metrics={**CELL.metrics, "accuracy": Metric(0.75, 0.5)}), OUTCOMES)
    with pytest.raises(FinbenchError, match="n_rows is 0"):
        write_cell(tmp_path, replace(CELL, n_rows=0), [])
    assert not [one for one in tmp_path.rglob("*") if one.is_file()]


def test_a_result_of_a_later_finbench_is_kept_aside(path: Path) -> None:
    edit(path, lambda record: record.update(schema_version=99))
    newer = path.read_bytes()
    write_cell(path.parents[2], CELL, OUTCOMES)
    assert is_done(path.parents[2], KEY) and path.with_name(path.name + ".newer").read_bytes() == newer


def test_an_imported_cell_without_outcomes_is_whole_and_takes_none(tmp_path: Path) -> None:
    bare = replace(CELL, missing=("n_clusters", "confusion"), confusion=None, per_class={}, labels=())
    write_cell(tmp_path, bare, [])
    assert is_done(tmp_path, KEY) and not path_of(tmp_path, KEY, ".parquet").exists()
    write_cell(tmp_path / "other", CELL, [Outcome("1", "1", "yes", "yes"), Outcome("2", "2", "no", "")])
    path_of(tmp_path / "other", KEY, ".parquet").rename(path_of(tmp_path, KEY, ".parquet"))
    assert "not those that it was sealed with" in problem(tmp_path, KEY)
