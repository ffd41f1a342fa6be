"""Several recipes in one call: each has a folder of its own; what is finished, or another recipe's, is left alone."""

from pathlib import Path

import pytest

from finbench.cli import main
from finetune.recipe import read_recipe
from finetune.subprocess import TrainingFailed

RECIPE = "base: no/such-base\ntasks: [fin_fpb]\n"


@pytest.fixture
def recipes(tmp_path: Path) -> list[str]:
    paths = [tmp_path / "one.yaml", tmp_path / "two.yaml"]
    for path in paths:
        path.write_text(RECIPE)
    return [str(path) for path in paths]


def finish(folder: Path, recipe_sha256: str) -> None:
    folder.mkdir(parents=True)
    (folder / "finbench.json").write_text(f'{{"recipe_sha256": "{recipe_sha256}"}}')


def test_finished_adapters_are_left_alone(
    recipes: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two"):
        finish(tmp_path / "out" / name, read_recipe(Path(recipes[0]), ["seed=3"]).sha256())
    assert main(["finetune", *recipes, "seed=3", "--output", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.count("finished before, left alone") == 2
    assert main(["finetune", *recipes, "seed=4", "--output", str(tmp_path / "out")]) == 2
    assert "holds the adapter of another recipe" in capsys.readouterr().err


def test_what_is_wrong_is_named_before_anything_is_trained(
    recipes: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "one.yaml").write_text(RECIPE)
    assert main(["finetune", recipes[0], str(tmp_path / "other" / "one.yaml")]) == 2
    assert "the same name" in capsys.readouterr().err
    assert main(["finetune", recipes[0], str(tmp_path / "none.yaml")]) == 2
    assert "there is no recipe" in capsys.readouterr().err


def test_a_recipe_that_fails_does_not_stop_the_others(
    recipes: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[tuple[str, str]] = []

    def train(recipe: Path, settings: list[str], output: Path) -> dict[str, object]:
        trained.append((recipe.name, output.name))
        if recipe.name == "one.yaml":
            raise TrainingFailed("no base (all of it: one.log)")
        return {
            "parameters": {"trainable": 7}, "adapter_bytes": 9, "resources": {"elapsed_seconds": 1.0},
            "examples": {"too_long": 0}, "metrics": {},
        }  # fmt: skip

    monkeypatch.setattr("finetune.subprocess.train_apart", train)
    assert main(["finetune", *recipes, "--output", str(tmp_path / "out")]) == 1
    out = capsys.readouterr().out
    assert trained == [("one.yaml", "one"), ("two.yaml", "two")] and "7 trained parameters" in out
    assert "failed: " in out and "all of it: one.log" in out
