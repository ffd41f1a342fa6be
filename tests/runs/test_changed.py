"""What is scored is what was planned: what changes on the way gets no cell under its old hash."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finbench.cells.key import SCHEMA_VERSION
from finbench.cells.store import path_of, read_cells
from finbench.cli import main
from finbench.runs.bases import loaded
from tests.conftest import build_model
from tests.runs.test_run import make_adapter

MATRIX = """\
name: small
tasks: [{tasks}]
limit: 6
bases:
  - {{base: {base}, name: toy, model: hf-fast, adapters: [{adapters}]}}
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a base and two adapters that differ."""
    folder = tmp_path_factory.mktemp("kept")
    build_model(folder / "base", "gpt2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINBENCH_DATA", "sample")
        for seed, name in enumerate(("one", "other")):
            make_adapter(folder / "base", folder / name, seed)
    return folder


@pytest.fixture
def work(kept: Path, tmp_path: Path) -> Path:
    """Return a copy of it to be changed, with a matrix."""
    work = Path(shutil.copytree(kept, tmp_path / "work"))
    (work / "m.yaml").write_text(MATRIX.format(base=work / "base", adapters=work / "one", tasks="fin_fpb"))
    return work


def run(work: Path, *more: str) -> int:
    return main(["run", str(work / "m.yaml"), "--cells", str(work / "cells"), *more])


def when_loading(monkeypatch: pytest.MonkeyPatch, name: str, change: Callable[[], object]) -> None:
    """Let something happen between planning and the call of a base's method."""
    real = getattr(loaded.CausalBase, name)

    def changed(self: Any, *given: Any) -> Any:
        change()
        return real(self, *given)

    monkeypatch.setattr(loaded.CausalBase, name, changed)


def replace_adapter(work: Path) -> None:
    shutil.copy(work / "other" / "adapter_model.safetensors", work / "one")


def test_an_adapter_that_was_trained_anew_is_not_scored_under_its_old_hash(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        when_loading(patch, "put_on", lambda: replace_adapter(work))
        assert run(work) == 1
    said = capsys.readouterr()
    assert "the adapter one" in said.out and "has changed since the run was planned" in said.out
    assert "Traceback" not in said.out + said.err
    cells = read_cells(work / "cells")
    assert [cell.key.adapter for cell in cells.results] == [""] and not cells.failures  # it says nothing of the old one
    assert run(work) == 0
    assert {cell.key.adapter for cell in read_cells(work / "cells").results} == {"", "one"}


def test_an_adapter_that_is_gone_is_a_failed_cell_with_one_line(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    when_loading(monkeypatch, "__init__", lambda: shutil.rmtree(work / "one"))
    assert run(work) == 1
    (failure,) = read_cells(work / "cells").failures
    assert "the adapter one is gone since the run was planned" in failure.error
    assert not failure.trace and "\n" not in failure.error
    assert len(read_cells(work / "cells").results) == 1 and "Traceback" not in capsys.readouterr().err


def test_a_base_that_was_replaced_is_not_scored_under_its_old_hash(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def change() -> None:
        path = work / "base" / "model.safetensors"
        path.write_bytes(path.read_bytes()[:-1] + b"\x01")

    with monkeypatch.context() as patch:
        when_loading(patch, "__init__", change)
        assert run(work) == 1
    assert "the base toy" in capsys.readouterr().out
    assert not read_cells(work / "cells").results and not read_cells(work / "cells").failures
    assert run(work) == 1  # the adapter was made for the base that was there: it says so; the base has its cell
    assert [cell.key.adapter for cell in read_cells(work / "cells").results] == [""]


def test_a_base_that_changes_while_it_is_scored_keeps_no_result(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = loaded.CausalBase.monitor

    def monitor(_: object) -> Any:  # which begins when the cell is scored
        (work / "base" / "chat_template.jinja").write_text("{{ x }}")
        return real()

    monkeypatch.setattr(loaded.CausalBase, "monitor", monitor)
    assert run(work) == 1
    assert not read_cells(work / "cells").results


def test_another_tokenizer_is_another_cell(work: Path) -> None:
    (work / "m.yaml").write_text(MATRIX.format(base=work / "base", adapters="", tasks="fin_fpb"))
    assert run(work) == 0
    path = work / "base" / "tokenizer.json"
    settings = json.loads(path.read_text())
    settings["model"]["merges"] = settings["model"]["merges"][:3]
    path.write_text(json.dumps(settings))
    assert run(work) == 0
    first, second = read_cells(work / "cells").results
    assert first.key.base_sha256 != second.key.base_sha256 and first.weights_sha256 == second.weights_sha256


NOW = f'"schema_version": {SCHEMA_VERSION}'


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_text(path.read_text()[:200]),
        lambda path: path.write_text(""),
        lambda path: path.with_suffix(".parquet").unlink(),
        lambda path: path.write_text(path.read_text().replace(NOW, NOW.replace(str(SCHEMA_VERSION), "99"))),
        lambda path: path.write_text(path.read_text().replace('"n_rows": 6', '"n_rows": 5')),
    ],
    ids=["cut", "empty", "no outcomes", "newer", "edited"],
)
def test_a_cell_that_is_none_is_listed_and_scored_again(
    damage: Callable[[Path], object], work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (work / "m.yaml").write_text(MATRIX.format(base=work / "base", adapters="", tasks="fin_fpb, fin_fiqa"))
    assert run(work) == 0
    before = {cell.key.task: cell for cell in read_cells(work / "cells").results}
    path = path_of(work / "cells", before["fin_fpb"].key)
    other = path_of(work / "cells", before["fin_fiqa"].key)
    kept = other.read_bytes()
    damage(path)
    capsys.readouterr()
    assert run(work, "--dry-run") == 0 and "1 done, 1 to score" in capsys.readouterr().out
    assert run(work) == 0
    assert f"not a valid cell: {path}: " in capsys.readouterr().out
    after = {cell.key.task: cell for cell in read_cells(work / "cells").results}
    assert after["fin_fpb"].metrics == before["fin_fpb"].metrics and other.read_bytes() == kept


def test_rows_that_change_while_they_are_read_are_refused(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from finbench.data import load

    monkeypatch.chdir(work)
    rows = [f"company {n} {'gained' if n % 2 else 'lost'} {n},{'Yes' if n % 2 else 'No'}" for n in range(40)]
    Path("news.csv").write_text("\n".join(["text,label", *rows]))
    assert main(["new-task", "mood", "news.csv"]) == 0
    (work / "m.yaml").write_text(MATRIX.format(base=work / "base", adapters="", tasks="mood"))
    real = load.read

    def read(*given: Any, **options: Any) -> Any:
        found = real(*given, **options)
        Path("news.csv").write_text("\n".join(["text,label", *(row.replace("company", "firm") for row in rows)]))
        return found

    with monkeypatch.context() as patch:
        patch.setattr(load, "read", read)
        assert run(work) == 2
    assert "the rows of mood changed while they were read" in capsys.readouterr().err
    assert run(work) == 0
