"""A file of every earlier schema version is read as if it had been written today."""

import json
from pathlib import Path

import jsonschema
import pytest

from finbench.cells.key import SCHEMA_VERSION
from finbench.cells.migrate import MIGRATIONS, migrated
from finbench.cells.schema import cell_schema
from finbench.cells.store import read_cells
from finbench.cli import main

HERE = Path(__file__).parent


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
def test_a_file_of_each_version_is_read(version: int) -> None:
    folder = HERE / f"version_{version}"
    for path in folder.rglob("*.json"):
        assert json.loads(path.read_text())["schema_version"] == version
    cells = read_cells(folder)
    assert len(cells.results) == len(cells.failures) == 1 and not cells.unreadable
    cell = cells.results[0]
    assert cell.schema_version == SCHEMA_VERSION and cell.missing == ()
    assert cell.rows_per_second == pytest.approx(cell.n_rows / cell.elapsed_seconds)
    jsonschema.validate(json.loads(cell.as_json()), cell_schema())


def test_every_version_has_a_step_and_a_file() -> None:
    assert sorted(MIGRATIONS) == list(range(1, SCHEMA_VERSION))
    assert {path.name for path in HERE.glob("version_*")} == {f"version_{number}" for number in MIGRATIONS}


def test_boards_are_rendered_from_old_files(tmp_path: Path) -> None:
    assert main(["leaderboard", "--cells", str(HERE / "version_1"), "--output", str(tmp_path)]) == 0
    assert "stories260K" in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize("record", [{"schema_version": 99}, {"schema_version": "1"}, {}, [], None])
def test_what_is_unknown_stays_for_the_schema_to_refuse(record: object) -> None:
    assert migrated(record) == record
