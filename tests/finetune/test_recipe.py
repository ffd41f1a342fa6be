"""Recipes: keys, types, ranges and combinations, named where they are wrong."""

from pathlib import Path

import pytest

from finbench.errors import FinbenchError
from finetune.recipe import read_recipe

RECIPES = Path(__file__).resolve().parents[2] / "finetune" / "recipes"


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text("base: some/base\ntasks: [fin_fpb]\n")
    return path


def test_a_recipe_states_only_what_differs(recipe_file: Path) -> None:
    recipe = read_recipe(recipe_file, ["learning_rate=2e-5", "tasks=[fin_fpb,fin_tfns]", "bits=null"])
    assert (recipe.base, recipe.r, recipe.learning_rate) == ("some/base", 8, 2e-5)
    assert recipe.tasks == ("fin_fpb", "fin_tfns") and recipe.bits is None


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("learning_rat=1", "did you mean learning_rate"),
        ("r=0", "r must be 1 or more"),
        ("dropout=1", "dropout must be at least 0 and below 1"),
        ("method=lorra", "method is 'lorra'; choose one of full"),
        ("epochs=many", "epochs is 'many'; a number is wanted"),
        ("batch_size=true", "batch_size is True; a whole number"),
        ("method=qlora", "bits must be 4 or 8"),
        ("class_weights=true", "use sampling with task_type causal"),
        ("early_stopping=2 ", None),
        ("nonsense", "write key=value"),
        ("tasks=[]", "names no task"),
    ],
)
def test_what_is_wrong_is_named(recipe_file: Path, setting: str, message: str | None) -> None:
    if message is None:
        assert read_recipe(recipe_file, [setting]).early_stopping == 2
        return
    with pytest.raises(FinbenchError, match=message):
        read_recipe(recipe_file, [setting])


def test_full_fine_tuning_of_quantised_weights_is_refused(recipe_file: Path) -> None:
    with pytest.raises(FinbenchError, match="cannot go with method full"):
        read_recipe(recipe_file, ["method=full", "bits=8"])


def test_a_recipe_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(FinbenchError, match="minilm_fpb_lora.yaml"):
        read_recipe(tmp_path / "nothing.yaml")


def test_every_recipe_that_comes_along_is_valid() -> None:
    paths = [path for path in RECIPES.glob("*.yaml") if not path.name.startswith("_")]
    assert len(paths) >= 44
    for path in paths:
        recipe = read_recipe(path)
        # a pinned base is the same next year; of these no commit could be verified
        unpinned = ("yiyanghkust/finbert-pretrain", "karpathy/tinyllamas", "HuggingFaceTB/SmolLM2-135M-Instruct")
        assert recipe.revision or recipe.base in unpinned, path


def test_every_recipe_starts_on_its_own_model_and_says_what_it_lacks() -> None:
    """Without network each names its model id and what to do, before any training."""
    from finetune.base import load_base

    for path in (path for path in RECIPES.glob("*.yaml") if not path.name.startswith("_")):
        recipe = read_recipe(path)
        with pytest.raises(FinbenchError, match=f"{recipe.base}.*cannot be loaded.*base=FOLDER"):
            load_base(recipe, ("a", "b") if recipe.task_type == "classifier" else ())
