"""The Python face, used as a notebook uses it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import finbench
from finbench.errors import FinbenchError


@pytest.fixture(scope="module")
def study(bert: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a folder of cells and an adapter, both made from Python."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINBENCH_DATA", "sample")
        patch.setenv("FINBENCH_HOME", str(folder / "home"))
        recipe = {"base": str(bert), "tasks": ["fin_fpb"], "task_type": "classifier", "method": "lora", "max_steps": 2}
        adapter = finbench.finetune(recipe | {"target_modules": ["query"], "learning_rate": 1e-2}, folder / "lora")
        other = finbench.finetune(recipe | {"target_modules": ["value"], "seed": 1}, folder / "other")
        given = {"model": "hf-classifier", "name": "toy", "folder": folder / "cells"}
        found = finbench.score(str(bert), ["fin_fpb", "fin_headline"], [adapter, other], **given)
        assert list(found["entry"]) == ["toy + lora", "toy + other"]  # Headline has other classes
        again = finbench.score(str(bert), ["fin_fpb"], [adapter], **given)
        assert again["created"][0] == found["created"][0], "scored twice"
    return folder / "cells", adapter


def test_cells_are_a_frame(study: tuple[Path, Path]) -> None:
    frame = finbench.open_cells(study[0])
    assert list(frame["task"]) == ["fin_fpb"] * 2 and frame["accuracy"].between(0, 1).all()
    assert (frame["accuracy_stderr"] >= 0).all() and frame["rows"].nunique() == 1
    assert {"f1_weighted", "seconds_per_row", "peak_bytes", "source", "engine"} <= set(frame)


def test_two_entries_are_compared_on_their_rows(study: tuple[Path, Path]) -> None:
    [line] = finbench.compare("toy + lora", "toy + other", study[0]).to_dict("records")
    assert line["difference"] == pytest.approx((line["gained"] - line["lost"]) / line["rows"]) and 0 < line["p"] <= 1
    assert line["untested"] == ""
    with pytest.raises(FinbenchError, match=r"no entry 'toy': there are toy \+ lora, toy \+ other"):
        finbench.compare("toy", "toy + lora", study[0])


def test_tasks_on_other_rows_are_named_and_none_in_common_is_refused(
    study: tuple[Path, Path], bert: Path, tmp_path: Path
) -> None:
    folder, adapter = shutil.copytree(study[0], tmp_path / "cells"), study[1]
    given = {"model": "hf-classifier", "folder": folder}
    finbench.score(str(bert), ["fin_fpb"], [adapter], name="few", limit=5, **given)
    [line] = finbench.compare("few + lora", "toy + other", folder).to_dict("records")
    assert line["untested"] == "other rows" and line["p"] is None and line["gained"] is None
    finbench.score(str(bert), ["fin_fiqa"], [adapter], name="elsewhere", **given)
    with pytest.raises(FinbenchError, match=r"no task was answered by both: .* has fin_fiqa, .* fin_fpb"):
        finbench.compare("elsewhere + lora", "toy + other", folder)


def test_rows_are_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINBENCH_DATA", "sample")
    frame = finbench.rows("fin_fpb")
    assert set(frame["label"]) == {"negative", "neutral", "positive"} and frame["text"].str.len().min() > 5
    assert "xml" not in frame and len(finbench.rows("fin_fpb", "train")) > len(frame) / 4
    with pytest.raises(FinbenchError, match="no split 'tset'"):
        finbench.rows("fin_fpb", "tset")  # type: ignore[arg-type]


def test_what_is_wrong_is_said_as_the_command_says_it(bert: Path, tmp_path: Path) -> None:
    with pytest.raises(FinbenchError, match="unknown key 'limt' in .*: did you mean limit"):
        finbench.score(str(bert), ["fin_fpb"], limt=3, folder=tmp_path)
    with pytest.raises(FinbenchError, match="needs an `output`"):
        finbench.finetune({"base": str(bert)})


def test_the_package_is_imported_without_its_libraries() -> None:
    code = "import sys, finbench; print(sorted({'torch', 'pandas', 'transformers', 'lm_eval'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
    with pytest.raises(AttributeError, match="no attribute 'scoer'"):
        finbench.scoer  # type: ignore[attr-defined]  # noqa: B018
