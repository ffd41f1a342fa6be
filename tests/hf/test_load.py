"""A base that brings code of its own: no command runs it, whatever stands on standard input."""

import json
import os
import sys
from pathlib import Path

import pytest

from finbench.errors import FinbenchError
from finbench.hf.classes import class_names
from finbench.hf.load import load_config, load_model, load_tokenizer
from tests import forked

CODE = """
from pathlib import Path
Path({mark!r}).write_text("ran")
from transformers import {base}Config, {base}{head}
class OwnConfig({base}Config):
    model_type = "own_kind"
class OwnModel({base}{head}):
    config_class = OwnConfig
"""


@pytest.fixture
def foreign(tmp_path: Path, gpt2: Path) -> tuple[Path, Path]:
    """Return a folder whose configuration names code beside it, and the mark which that code leaves."""
    import shutil

    folder, mark = tmp_path / "foreign", tmp_path / "mark"
    shutil.copytree(gpt2, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "own_kind",
        "architectures": ["OwnModel"],
        "auto_map": {
            "AutoConfig": "own.OwnConfig",
            "AutoModelForCausalLM": "own.OwnModel",
            "AutoModelForSequenceClassification": "own.OwnModel",
        },
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(CODE.format(mark=str(mark), base="GPT2", head="LMHeadModel"))
    return folder, mark


RECIPE = "base: {base}\ntask_type: {kind}\ntasks: [fin_fpb]\nmax_steps: 1\nbatch_size: 2\n"
MATRIX = "name: m\ntasks: [fin_fpb]\nlimit: 2\nbases:\n  - {{base: {base}, model: {kind}}}\n"


COMMANDS = {
    "predict": "predict --base {base} Profit",
    "calibrate": "calibrate --base {base} --adapter {base}",
    "serve": "serve --base {base} --port 0",
    "finetune causal": "finetune {folder}/causal.yaml",
    "finetune classifier": "finetune {folder}/classifier.yaml",
    "plan recipe": "plan {folder}/causal.yaml",
    "plan matrix": "plan {folder}/hf-fast.yaml",
    "run hf": "run {folder}/hf.yaml",
    "run hf-fast": "run {folder}/hf-fast.yaml",
    "run hf-classifier": "run {folder}/hf-classifier.yaml",
    "compat": "compat --base {base} --tasks fin_fpb_gen",
    "audit": "data audit fin_fpb --tokenizer {base}",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_runs_it(name: str, foreign: tuple[Path, Path], tmp_path: Path) -> None:
    base, mark = foreign
    for kind in ("causal", "classifier"):
        (tmp_path / f"{kind}.yaml").write_text(RECIPE.format(base=base, kind=kind))
    for kind in ("hf", "hf-fast", "hf-classifier"):
        (tmp_path / f"{kind}.yaml").write_text(MATRIX.format(base=base, kind=kind))
    root = str(Path(__file__).resolve().parents[2])
    done = forked.run(
        [sys.executable, "-m", "finbench", *COMMANDS[name].format(base=base, folder=tmp_path).split()],
        input="y\ny\ny\n",
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": root, "OMP_NUM_THREADS": "1"},
    )
    assert not mark.exists(), "the base's code ran"
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode != 0 or name == "audit", done.stdout + done.stderr  # a tokenizer needs no code


def test_asked_for_it_runs(foreign: tuple[Path, Path]) -> None:
    base, mark = foreign
    with pytest.raises(FinbenchError, match="brings code of its own, which finbench does not run"):
        load_config(str(base))
    load_config(str(base), trust_remote_code=True)
    assert mark.read_text() == "ran"


def test_what_is_not_there_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "no_such_kind"}')
    for load in (load_config, load_tokenizer, lambda base: load_model("AutoModelForCausalLM", base)):
        with pytest.raises(FinbenchError, match=r"cannot be loaded: .*give a folder"):
            load(str(tmp_path))


def test_label_names_are_read_by_number(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "bert", "id2label": {"2": "neutral", "0": "positive", "1": "negative"}})
    )
    assert class_names(load_config(str(tmp_path))) == ("positive", "negative", "neutral")


@pytest.mark.parametrize("base", ["/nowhere/at/all", "./nothing-here", "../nor-here"])
def test_a_folder_that_is_not_there_is_called_one(base: str) -> None:
    with pytest.raises(FinbenchError, match=f"there is no folder '{base}': give the folder of a model"):
        load_config(base)
