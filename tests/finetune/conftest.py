"""Teachers and their students: models, and the recipe that goes with them."""

from pathlib import Path

import pytest

from finbench.cli import main
from finetune.recipe import Recipe, read_recipe
from tests.conftest import build_model

COMMON = "tasks: [fin_fpb]\nbatch_size: 8\nmax_steps: 3\nvalidation_share: 0.2\nbest_by: null\nlearning_rate: 1.0e-2\n"


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a tiny GPT-2 without dropout, with labels of several tokens each."""
    return build_model(tmp_path_factory.mktemp("still"), "gpt2", resid_pdrop=0.0, attn_pdrop=0.0, embd_pdrop=0.0)


@pytest.fixture(scope="module")
def llama_teacher(llama: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a causal base and an adapter of FPB on it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINBENCH_DATA", "sample")
        folder = tmp_path_factory.mktemp("causal-teacher")
        recipe = folder / "r.yaml"
        recipe.write_text(f"base: {llama}\n{COMMON}")
        assert main(["finetune", str(recipe), "--output", str(folder / "teacher")]) == 0
    return llama, folder / "teacher"


@pytest.fixture(scope="module")
def bert_teacher(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return an encoder and an adapter of FPB on it, whose head has its labels in another order than the task's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINBENCH_DATA", "sample")
        folder = tmp_path_factory.mktemp("encoder-teacher")
        base = build_model(folder / "base", "bert", seed=3)
        recipe = folder / "r.yaml"
        recipe.write_text(f"base: {base}\ntask_type: classifier\n{COMMON}")
        assert main(["finetune", str(recipe), "--output", str(folder / "teacher")]) == 0
    return base, folder / "teacher"


def recipe_of(folder: Path, base: Path, teacher: tuple[Path, Path], kind: str, *settings: str) -> Recipe:
    path = folder / "student.yaml"
    path.write_text(
        f"base: {base}\ntask_type: {kind}\n{COMMON}teacher: {{base: '{teacher[0]}', adapter: '{teacher[1]}'}}\n"
    )
    return read_recipe(path, settings)
