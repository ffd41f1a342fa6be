"""What names, titles and notes say is text: no page links, fetches or runs it, and no spreadsheet either."""

import csv
import io
import re
from pathlib import Path

import pytest

from finbench.cells.store import read_cells
from finbench.interchange.exported import RUN_BY_SPREADSHEETS, as_csv
from finbench.leaderboard.render import render
from tests.leaderboard.conftest import Write

HOSTILE = (
    "![x](https://evil.example/p.png) [here](https://evil.example) <img src=https://evil.example/i> "
    "[a]: https://evil.example\nhttps://evil.example/auto www.evil.example <script>alert(1)</script> [b][a] | x"
)


@pytest.mark.parametrize("field", ["note", "title", "source"])
def test_no_page_links_or_runs_a_text(field: str, scored: Write, tmp_path: Path) -> None:
    scored("base", "", 60, **{field: HOSTILE})
    scored(f"x {HOSTILE[:33]}", "ad [y](https://evil.example)", 80)
    for name, text in render(read_cells(tmp_path / "cells"), tmp_path / "cells").items():
        if name.endswith(".md"):
            assert "://evil" not in text and "www.evil" not in text, name
            assert not re.search(r"\]\s?\((?!\w+\.(?:md|html|svg)|cells)", text), name
            assert "<img" not in text and "<script>alert" not in text, name
        if name.endswith(".html"):
            assert "<script>alert" not in text and "<img src=https" not in text, name


@pytest.mark.parametrize("start", RUN_BY_SPREADSHEETS)
def test_no_cell_of_a_table_is_a_formula(start: str, scored: Write) -> None:
    formula = f"{start}HYPERLINK('https://evil.example')"
    cell = scored(formula, formula, 60, source=formula)
    rows = list(csv.DictReader(io.StringIO(as_csv([cell]))))
    expected = f"'{formula}".replace("\r", " ")
    assert rows[0]["base"] == expected and rows[0]["source"] == expected
    values = [row["value"] for row in rows]
    assert any(value.startswith("-") for value in values) or all(float(value) >= 0 for value in values)
    for row in rows:
        assert not any(text.startswith(RUN_BY_SPREADSHEETS) and not _is_number(text) for text in row.values())


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
