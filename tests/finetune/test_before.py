"""Whatever would end a training ends it before its first step, and weights that are no numbers are not saved."""

import re
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from finbench.cli import main
from finbench.errors import FinbenchError
from finbench.runs.matrix import read_matrix
from finetune.before import disk_bytes
from finetune.examples import check_labels
from finetune.loop import RecipeTrainer
from finetune.recipe import read_recipe
from finetune.sweep import read_sweep

RECIPE = "base: {base}\ntask_type: classifier\ntasks: [{task}]\nmax_steps: 3\nbatch_size: 4\nvalidation_share: 0.3\n"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bert: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("recipe.yaml").write_text(RECIPE.format(base=bert, task="fin_fpb"))


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail if a training takes a step."""
    monkeypatch.setattr(RecipeTrainer, "train", lambda *_, **__: pytest.fail("it began to train"))


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["finetune", "recipe.yaml", *words]) == 2
    (said,) = re.findall(r"finbench finetune: .*", capsys.readouterr().err)
    return str(said)


def write_moods(labels: list[str]) -> None:
    lines = [f"Company {n} reports for quarter {n},{labels[n % len(labels)]}" for n in range(24)]
    Path("moods.csv").write_text("text,label\n" + "\n".join(lines) + "\n")


def test_labels_that_differ_only_by_case(capsys: pytest.CaptureFixture[str], bert: Path, never: None) -> None:
    write_moods(["Positive", "negative"])
    assert main(["new-task", "moods", "moods.csv"]) == 0
    task = Path("tasks_yaml/moods.yaml")
    task.write_text(task.read_text().replace('["Positive", "negative"]', '["Positive", "positive", "negative"]'))
    write_moods(["Positive", "positive", "negative"])
    Path("recipe.yaml").write_text(RECIPE.format(base=bert, task="moods"))
    said = refused(capsys)
    assert "'Positive'" in said and "'positive'" in said
    task.unlink()
    assert main(["new-task", "moods", "moods.csv"]) == 2
    assert "'positive'" in capsys.readouterr().err and not task.exists()
    with pytest.raises(FinbenchError, match="differ only by case"):
        check_labels(("Positive", "negative", "positive"), "task 'moods'")


def test_a_class_without_rows(capsys: pytest.CaptureFixture[str], bert: Path, never: None) -> None:
    write_moods(["bad", "good"])
    assert main(["new-task", "moods", "moods.csv"]) == 0
    task = Path("tasks_yaml/moods.yaml")
    task.write_text(task.read_text().replace('["bad", "good"]', '["bad", "fair", "good"]'))
    Path("recipe.yaml").write_text(RECIPE.format(base=bert, task="moods"))
    assert "no train row has the class 'fair'" in refused(capsys)


def test_a_metric_that_is_not_there(capsys: pytest.CaptureFixture[str], never: None) -> None:
    said = refused(capsys, "best_by=acuracy")
    assert "did you mean accuracy?" in said
    assert "f1_weighted" in refused(capsys, "best_by=nothing_like_it")
    assert "best_by" in refused(capsys, "best_by=eval_accuracy", "validation_share=0")
    assert "best_by" in refused(capsys, "best_by=f1_macro", "tasks=[fin_xbrl_tags]", "task_type=causal")


def test_a_sweeps_metric_that_is_not_there() -> None:
    Path("sweep.yaml").write_text("values: {r: [4]}\nmetric: acuracy\n")
    with pytest.raises(FinbenchError, match="sweep: metric .* did you mean accuracy"):
        read_sweep(Path("sweep.yaml"), Path("recipe.yaml"))


def test_stopping_by_rows_that_are_not_there(capsys: pytest.CaptureFixture[str], never: None) -> None:
    assert "leaves none" in refused(capsys, "validation_share=0.01", "early_stopping=2")


@pytest.mark.parametrize("output", ["recipe.yaml", "recipe.yaml/inside", "/proc/none/here"])
def test_a_folder_that_cannot_be_written(capsys: pytest.CaptureFixture[str], output: str, never: None) -> None:
    assert output.partition("/inside")[0] in refused(capsys, "--output", output)


def test_a_disk_without_room(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, never: None) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(2**40, 2**40, 1000))
    assert "Make room" in refused(capsys)


def test_room_is_what_the_checkpoints_take() -> None:
    recipe = read_recipe(Path("recipe.yaml"), ["max_steps=100", "eval_steps=10"])
    counts = {"trainable": 1000, "total": 50_000}
    assert disk_bytes(recipe, counts, 64) == 3 * (4000 + 8000) + 4000  # three checkpoints at once, and the adapter
    full = read_recipe(Path("recipe.yaml"), ["max_steps=100", "eval_steps=100", "method=full"])
    assert disk_bytes(full, {"trainable": 50_000, "total": 50_000}, 64) == 200_000 + 400_000 + 200_000


@pytest.mark.parametrize("value", [".inf", "-.inf", ".nan", "inf", "1e999", "9" * 400])
@pytest.mark.parametrize(
    "key", ["learning_rate", "weight_decay", "epochs", "alpha", "dropout", "validation_share", "reduction_factor"]
)
def test_numbers_are_finite(key: str, value: str) -> None:
    with pytest.raises(FinbenchError, match=key):
        read_recipe(Path("recipe.yaml"), [f"{key}={value}"])


def test_numbers_of_sweeps_and_matrices_are_finite() -> None:
    for values in (
        "learning_rate: {low: 1.0e-5, high: .inf}",
        "learning_rate: [.nan]",
        "r: {low: 1, high: 4, step: .inf}",
    ):
        Path("sweep.yaml").write_text(f"values:\n  {values}\n")
        with pytest.raises(FinbenchError, match=r"finite|no number|cannot be"):
            read_sweep(Path("sweep.yaml"), Path("recipe.yaml"))
    Path("sweep.yaml").write_text("values: {r: [4]}\ntrials: .inf\n")
    with pytest.raises(FinbenchError, match=r"trials|no number"):
        read_sweep(Path("sweep.yaml"), Path("recipe.yaml"))
    matrix = "name: m\ntasks: [fin_fpb]\nbases: [{base: x, model: vllm, vllm: {gpu_memory_utilization: .nan}}]\n"
    Path("matrix.yaml").write_text(matrix)
    with pytest.raises(FinbenchError, match=r"finite|no number"):
        read_matrix(Path("matrix.yaml"))


@pytest.mark.parametrize("settings", [["eval_steps=1"], ["validation_share=0", "best_by=null"], ["method=full"]])
def test_weights_that_are_no_numbers_are_not_saved(capsys: pytest.CaptureFixture[str], settings: list[str]) -> None:
    said = refused(capsys, "learning_rate=1e38", "weight_decay=1e5", *settings, "--output", "out")
    assert "infinite or no numbers" in said and not list(Path("out").rglob("*.safetensors"))


def test_the_least_of_a_share_that_should_be_low_is_kept(bert: Path) -> None:
    from finetune.train import _arguments

    recipe = read_recipe(Path("recipe.yaml"), ["best_by=unparsed"])
    assert _arguments(recipe, Path("out"), True).greater_is_better is False
