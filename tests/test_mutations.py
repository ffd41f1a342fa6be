# ruff: noqa: E501
"""Each guard is taken out of a copy, one at a time, and the tests that are said to watch it fail."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
# what is guarded: (file, the guard, what it becomes, the tests that notice)
MUTATIONS = {
    "an answer without a token": (
        "finbench/models/pair.py", "    if not answer:", "    if False:",
        "tests/finetune/test_every_family.py::test_an_answer_without_a_token_of_its_own_is_refused_before_training",
    ),
    "label names by number": (
        "finbench/hf/classes.py", "named.get(number, f\"LABEL_{number}\") for number in range(config.num_labels)",
        "str(name) for name in config.id2label.values()",
        "tests/hf/test_load.py tests/models/test_classifier.py tests/runs",
    ),
    "the side that is filled up": (
        "finbench/hf/padding.py", "    training = model.training\n    model.eval()\n    try:\n        alone",
        "    return \"right\"\n    training = model.training\n    model.eval()\n    try:\n        alone",
        "tests/finetune/test_every_family.py",
    ),
    "rotary embeddings that nobody knows": (
        "finbench/hf/sharing.py", "    if rope := unknown_rope(model):", "    if (rope := unknown_rope(model)) and False:",
        "tests/models/test_positions.py",
    ),
    "a new head in float32": (
        "finetune/train.py", "weight.dtype in (torch.bfloat16, torch.float16)", "False",
        "tests/finetune/test_every_family.py::test_a_new_head_moves_in_bfloat16",
    ),
    "weights that a base lacks": (
        "finbench/hf/load.py", "    if absent:", "    if False:", "tests/models/test_loading.py",
    ),
    "an adapter trained anew": (
        "finbench/runs/one_base.py", "if found != adapter.sha256:", "if False:", "tests/runs/test_changed.py",
    ),
    "a base that was replaced": (
        "finbench/runs/one_base.py", "if found != cell.key.base_sha256:", "if False:", "tests/runs/test_changed.py",
    ),
    "prompts that were not trained with": (
        "finbench/runs/layout.py", "if matrix.other_prompts or", "if True or", "tests/tasks/test_prompting.py",
    ),
    "rows that have changed": (
        "finbench/cli/calibrate.py", "!= then.get(\"sha256\")", "== object()", "tests/server/test_calibration.py",
    ),
    "rows too few to fit on": (
        "finbench/predict/calibration.py", "FEWEST, DRAWS = 20", "FEWEST, DRAWS = 1", "tests/server/test_calibration.py",
    ),
    "seals": (
        "finbench/cells/seal.py", "found[RECORD] == seal[RECORD]", "True", "tests/cells/test_proof.py",
    ),
    "metrics from outcomes": (
        "finbench/cells/proof.py", "elif abs(metric[\"value\"] - values[name]) > EXACT:", "elif False:",
        "tests/cells/test_proof.py",
    ),
    "tokenizers in a base's hash": (
        "finbench/adapters/base_hash.py", "    for path in _around(folder):", "    for path in ():",
        "tests/adapters/test_base_hash.py",
    ),
    "lines with more cells than the header": (
        "finbench/data/tables.py", "        if len(cells) != len(names):", "        if False:",
        "tests/data/test_tables.py",
    ),
    "labels alike but for case": (
        "finetune/examples.py", "seen.setdefault(label.casefold(), label)) != label", "seen.setdefault(label, label)) != label",
        "tests/finetune/test_before.py",
    ),
    "metrics that there are not": (
        "finetune/before.py", "    if wanted not in known:", "    if False:", "tests/finetune/test_before.py",
    ),
    "folders that are taken": (
        "finetune/output.py", "elif not marked and folder.is_dir() and any(folder.iterdir()):", "elif False:",
        "tests/finetune/test_output.py tests/test_help.py",
    ),
    "of equal epochs the lower loss": (
        "finetune/loop.py", "TIE * loss / (1 + loss)", "0.0", "tests/finetune/test_loop.py",
    ),
    "answers that their formula does not give": (
        "finbench/data/formulas.py", "    return abs(_number(gold) - value) > TOLERANCE", "    return False and abs(_number(gold) - value) > TOLERANCE",
        "tests/data/test_finlora.py",
    ),
    "a service keeps no text": (
        "finbench/predict/predictor.py", "            self.lm.forget()  # a service keeps no text", "            pass",
        "tests/server/test_forgets.py",
    ),
    "residuals of a bottleneck that failed": (
        "finbench/adapters/bottleneck/layer.py", "            self._residual_hook.remove()", "            pass",
        "tests/adapters/test_bottleneck.py tests/adapters/test_on_model.py",
    ),
    "documents nested too deep": (
        "finbench/documents.py", "DEEPEST = 64", "DEEPEST = 10**9", "tests/test_documents.py",
    ),
    "a metric list that lacks one": (
        "finbench/tasks/check.py", "    if missing := sorted(given - named):", "    if missing := []:",
        "tests/tasks/test_validate.py",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTATIONS)
@pytest.mark.timeout(1200)
def test_a_guard_that_is_taken_out_is_missed(name: str, tmp_path: Path) -> None:
    file, guard, instead, watching = MUTATIONS[name]
    for part in ("finbench", "finetune", "tasks_yaml", "tests", "docs", "pyproject.toml"):
        source = ROOT / part
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, tmp_path / part, ignore=ignored) if source.is_dir() else shutil.copy(source, tmp_path)
    path = tmp_path / file
    text = path.read_text()
    assert text.count(guard) == 1, f"{guard!r} stands {text.count(guard)} times in {file}"
    path.write_text(text.replace(guard, instead))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-m", "not slow and not gpu", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *watching.split()], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and " failed" in done.stdout, (
        f"nobody misses it:\n{done.stdout[-2000:]}{done.stderr[-500:]}"
    )
