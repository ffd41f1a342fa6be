"""Students: what they learn from a teacher, which rows it labels, and what is kept and said of it."""

import csv
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from finbench.cli import main
from finbench.data.load import load
from finbench.errors import FinbenchError
from finetune.batches import collate
from finetune.distil import Mix, divergence, label_scores
from finetune.examples import Example
from finetune.recipe import Recipe, read_recipe
from finetune.rows import gather
from finetune.shared_prefix import install
from finetune.train import Trained, train
from tests import forked
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


@pytest.mark.parametrize("teaches", ["llama_teacher", "bert_teacher"])
@pytest.mark.parametrize("kind", ["classifier", "causal"])
def test_a_student_comes_nearer_to_its_teacher(
    teaches: str, kind: str, request: pytest.FixtureRequest, tmp_path: Path, bert: Path, still: Path
) -> None:
    teacher = request.getfixturevalue(teaches)
    base = bert if kind == "classifier" else still
    recipe = recipe_of(tmp_path, base, teacher, kind, "distil_weight=1", "temperature=1", "max_steps=30", "dropout=0")
    trained = train(recipe, tmp_path / "student")
    parts = [(entry["loss"], entry["loss_teacher"], entry["loss_labels"]) for entry in trained.history if "loss" in entry]
    assert len(parts) >= 3 and all(loss == pytest.approx(a + b, abs=1e-4) for loss, a, b in parts)
    assert all(labels == 0 for _, _, labels in parts), "the teacher alone has the whole weight"
    assert parts[-1][1] < 0.5 * parts[0][1], f"the student did not come nearer: {parts}"
