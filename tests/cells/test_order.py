"""What is newer is not for a clock to say: a date of 2099 keeps nothing on the boards."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from finbench.cells.key import Cell
from finbench.cells.order import newness
from finbench.cells.store import path_of, read_cells, write_cell
from finbench.cli import main
from tests.cells.test_store import CELL, KEY, OUTCOMES

Write = Callable[..., Cell]


def test_what_was_written_later_is_newer_whatever_the_clock_said(tmp_path: Path) -> None:
    first = replace(CELL, created="2099-01-01T00:00:00+00:00")
    second = replace(CELL, key=replace(KEY, rows_sha256="x"), created="2026-01-01T00:00:00+00:00")
    for cell in (first, second):
        write_cell(tmp_path, cell, OUTCOMES)
    newest = max(read_cells(tmp_path).results, key=newness)
    assert newest.key == second.key and newest.sequence == 2
    write_cell(tmp_path, first, OUTCOMES)
    assert max(read_cells(tmp_path).results, key=newness).sequence == 3


def test_other_adapters_and_bases_count_for_themselves(tmp_path: Path) -> None:
    keys = [KEY, replace(KEY, adapter="a", adapter_sha256="a"), replace(KEY, adapter="a-b", adapter_sha256="a")]
    for key in [*keys, replace(KEY, base="other")]:
        write_cell(tmp_path, replace(CELL, key=key), OUTCOMES)
    assert {cell.sequence for cell in read_cells(tmp_path).results} == {1}


def test_a_broken_neighbour_does_not_stop_the_count(tmp_path: Path) -> None:
    write_cell(tmp_path, CELL, OUTCOMES)
    path_of(tmp_path, KEY).write_text("{")
    write_cell(tmp_path, replace(CELL, key=replace(KEY, rows_sha256="x")), OUTCOMES)
    assert [cell.sequence for cell in read_cells(tmp_path).results] == [1]


@pytest.mark.parametrize("created", ["2099-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"])
def test_cells_that_were_not_counted_go_by_date_and_the_future_comes_last(created: str) -> None:
    old = replace(CELL, created="2026-01-01T00:00:00+00:00")
    dated = replace(CELL, created=created)
    assert (newness(dated) > newness(old)) is created.startswith("2026")


def test_boards_show_the_later_result_and_remark_on_the_future(scored: Write, tmp_path: Path) -> None:
    scored("toy", "a", 40, adapter_sha256="old", created="2099-01-01T00:00:00+00:00")
    boards = ["--cells", str(tmp_path / "cells"), "--output", str(tmp_path)]
    assert main(["leaderboard", *boards]) == 0
    assert "dated 2099-01-01, in the future" in (tmp_path / "README.md").read_text()
    assert "0.333" in (tmp_path / "accuracy.md").read_text()
    scored("toy", "a", 90, adapter_sha256="trained anew", created="2026-01-01T00:00:00+00:00")
    assert main(["leaderboard", *boards]) == 0
    page = (tmp_path / "accuracy.md").read_text()
    assert "0.750" in page and "0.333" not in page
