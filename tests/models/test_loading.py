"""A checkpoint that lacks weights of the model's own is refused by every way of loading it."""

import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from finbench.errors import FinbenchError
from finbench.models.fast import FastLM
from finbench.models.loading import window_of
from finbench.models.plain import PlainLM
from finetune.recipe import read_recipe
from finetune.train import train


@pytest.fixture
def cut(gpt2: Path, tmp_path: Path) -> Path:
    folder = shutil.copytree(gpt2, tmp_path / "cut")
    weights = load_file(folder / "model.safetensors")
    del weights[next(name for name in weights if "mlp.c_fc.weight" in name)]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_it_is_refused_in_scoring_and_in_training(cut: Path, tmp_path: Path) -> None:
    said = "lacks weights of its own layers .*random numbers at every load"
    for kind in (FastLM, PlainLM):
        with pytest.raises(FinbenchError, match=said):
            kind(pretrained=str(cut), device="cpu")
    (tmp_path / "r.yaml").write_text(f"base: {cut}\ntasks: [fin_fpb]\n")
    with pytest.raises(FinbenchError, match=said):
        train(read_recipe(tmp_path / "r.yaml"), tmp_path / "adapter")


def test_a_base_without_a_window_asks_for_one(gpt2: Path) -> None:
    lm = FastLM(pretrained=str(gpt2), device="cpu", max_length=-1)
    with pytest.raises(FinbenchError, match="states no window: give one, max_length=2048"):
        window_of(lm)
