"""What can be refused from the arguments alone is refused before anything that takes seconds is imported."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

HEAVY = ("torch", "transformers", "peft", "lm_eval", "pandas")
CODE = f"""
import sys
from finbench.cli import main
status = main(sys.argv[1:])
print(status, [name for name in {HEAVY} if name in sys.modules])
"""
RECIPE = "base: gpt2\ntasks: [fin_fpb]\nmethod: lora\n"
MATRIX = "name: m\ntasks: [fin_fbp]\nbases: [{base: gpt2}]\n"
NEEDS = {"sweep": "optuna", "serve": "fastapi_offline"}  # what an extra of a command's name brings
REFUSED = {
    "finetune r.yaml precision=bf16": "precision is 'bf16'; choose one of float32, bfloat16, float16.",
    "finetune r.yaml epoch=1": "unknown key 'epoch' in the command line: did you mean epochs?",
    "finetune r.yaml tasks=[fin_fbp]": "no task or group is called 'fin_fbp': did you mean fin_fpb?",
    "finetune r.yaml base=./nowhere": "there is no folder './nowhere'",
    "finetune r.yaml from_adapter=./nowhere": "there is no folder ./nowhere",
    "finetune r.yaml --output taken": "is not empty, and nothing in it says that finbench wrote it",
    "finetune nowhere.yaml": "there is no recipe at 'nowhere.yaml'",
    "sweep r.yaml s.yaml r=none": "r is 'none'; a whole number is wanted.",
    "plan r.yaml bits=5": "bits is 5; choose one of 4, 8, null.",
    "plan nowhere.yaml": "nowhere.yaml",
    "run nowhere.yaml": "nowhere.yaml",
    "run m.yaml": "no task or group is called 'fin_fbp': did you mean fin_fpb?",
    "predict --base ./nowhere text": "there is no folder './nowhere'",
    "predict --base gpt2 --adapter ./nowhere text": "there is no folder ./nowhere",
    "predict --base gpt2 --task fin_fbp text": "no task or group is called 'fin_fbp'",
    "predict --base gpt2 --input nowhere.csv --column text": "nowhere.csv",
    "calibrate --base ./nowhere --adapter ./nowhere": "nowhere",
    "serve --base ./nowhere": "there is no folder './nowhere'",
}


@pytest.mark.parametrize("words", REFUSED)
def test_a_wrong_argument_is_refused_before_the_heavy_imports(words: str, tmp_path: Path) -> None:
    extra = words.split()[0]
    if extra in NEEDS and find_spec(NEEDS[extra]) is None:
        pytest.skip(f"the extra {extra} is not installed, which is what the command says first")
    (tmp_path / "r.yaml").write_text(RECIPE)
    (tmp_path / "s.yaml").write_text("values: {r: [4, 8]}\n")
    (tmp_path / "m.yaml").write_text(MATRIX)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("mine")
    done = subprocess.run(
        [sys.executable, "-c", CODE, *words.split()], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert REFUSED[words] in done.stderr and done.stdout.splitlines()[-1] == "2 []", done.stdout + done.stderr
