"""Every command that writes: a file that is not an earlier one of its own is refused, and stays as it is."""

import json
from pathlib import Path

import pytest

from finbench.cli import main
from finbench.cli.demo import RECIPES, _file
from finbench.demo.models import build_base
from finbench.errors import FinbenchError
from finbench.predict import calibration

CELLS = Path(__file__).parents[1] / "leaderboards" / "cells"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def contents() -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["README.md", "index.html", "accuracy.md", "cost_fpb.svg"])
def test_boards(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(name).write_text("mine")
    Path("task_list.md").write_text("- [ ] mine\n")
    Path("methods_of_ours.svg").write_text("<svg/>")
    before = contents()
    words = ["leaderboard", "--cells", str(CELLS), "--output", "."]
    assert main(words) == 2 and name in capsys.readouterr().err and contents() == before
    Path(name).unlink()
    assert main(words) == 0 and main(words) == 0
    assert Path("task_list.md").exists() and Path("methods_of_ours.svg").exists()
    page = Path("accuracy.md")
    page.write_text(page.read_text() + "edited")  # a board that was edited is a board
    assert main(words) == 0 and not page.read_text().endswith("edited")


@pytest.mark.parametrize("kind", ["csv", "lm-eval", "model-index", "every-eval-ever"])
def test_exports(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["export", kind, "--cells", str(CELLS), "--output", "out"]
    assert main(words) == 0 and main(words) == 0
    *_, last = (path for path in Path("out").rglob("*") if path.is_file())
    last.write_text('{"results": "mine"}')
    before = contents()
    assert main(words) == 2 and str(last) in capsys.readouterr().err and contents() == before


def test_an_audit(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["data", "audit", "fin_fpb", "--output", "audit.json"]
    Path("audit.json").write_text('{"mine": {}}')
    assert main(words) == 2 and json.loads(Path("audit.json").read_text()) == {"mine": {}}
    Path("audit.json").unlink()
    assert main(words) == 0 and main(words) == 0


def test_a_sweep(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna", reason="sweeps are an extra")
    Path("recipe.yaml").write_text("base: no/base\ntasks: [fin_fpb]\n")
    Path("sweep.yaml").write_text("values: {r: [4]}\n")
    for name in ("report.md", "best.yaml", "trials.log"):
        Path("out").mkdir(exist_ok=True)
        Path("out", name).write_text("mine")
        before = contents()
        assert main(["sweep", "recipe.yaml", "sweep.yaml", "--output", "out"]) == 2
        assert "holds no sweep" in capsys.readouterr().err and contents() == before
        Path("out", name).unlink()


def test_a_demonstration() -> None:
    name = f"{next(iter(RECIPES))}.yaml"
    _file(Path(name), "as it comes")
    _file(Path(name), "as it comes")
    Path(name).write_text("with my own changes")
    with pytest.raises(FinbenchError, match="--folder"):
        _file(Path(name), "as it comes")
    Path("models").mkdir()
    Path("models", "tokenizer.json").write_text("mine")
    with pytest.raises(FinbenchError, match="holds no model"):
        build_base("bert", Path("models"), ["text"])
    assert Path("models", "tokenizer.json").read_text() == "mine"


def test_a_calibration() -> None:
    Path(calibration.PICTURE).write_text("mine")
    with pytest.raises(FinbenchError, match=calibration.PICTURE):
        calibration.check_folder(Path())
    found = calibration.Calibration(1.0, "fin_fpb", "", 1, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0)
    calibration.write(found, Path())
    calibration.check_folder(Path())


@pytest.mark.usefixtures("forks")
def test_a_log_beside_an_adapter() -> None:
    from finetune.subprocess import TrainingFailed, train_apart

    Path("recipe.yaml").write_text("base: no/base\ntasks: [none]\n")
    Path("one.log").write_text("mine")
    with pytest.raises(FinbenchError, match=r"one\.log"):
        train_apart(Path("recipe.yaml"), [], Path("one"))
    assert Path("one.log").read_text() == "mine"
    Path("one.log").unlink()
    for _ in range(2):
        with pytest.raises(TrainingFailed):
            train_apart(Path("recipe.yaml"), [], Path("one"))
