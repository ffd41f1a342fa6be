"""`finbench demo`: the main job from nothing, on bundled rows with models built on the spot."""

import argparse
import os
import shlex
from pathlib import Path

SENTIMENT = ("fin_fpb", "fin_fiqa", "fin_tfns", "fin_nwgi")  # what its adapters are trained on
TITLE = "Demonstration: toy models on bundled sample rows, scores mean nothing"
RECIPES = {
    "gpt2-lora": """\
base: models/gpt2
task_type: causal
tasks: [fin_sentiment]
validation_share: 0         # the bundled rows are too few to spare any
best_by: null
method: lora
target_modules: [c_attn, c_proj, c_fc]
r: 16
alpha: 32
epochs: 20
batch_size: 8
learning_rate: 3.0e-3
""",
    "llama-bottleneck": """\
base: models/llama
task_type: causal
tasks: [fin_sentiment]
validation_share: 0
best_by: null
method: bottleneck
reduction_factor: 2
epochs: 15
batch_size: 8
learning_rate: 1.0e-2
""",
    "bert-lora": """\
base: models/bert
task_type: classifier
tasks: [fin_sentiment]
validation_share: 0
best_by: null
method: lora
target_modules: [query, key, value, dense]
r: 16
alpha: 32
epochs: 20
batch_size: 8
learning_rate: 1.0e-3
""",
}
MATRIX = f"""\
name: demo
title: "{TITLE}"
tasks: [finbench]
batch_size: 16
bases:
  - {{base: models/gpt2, name: toy-gpt2, model: hf-fast, adapters: [adapters/gpt2-lora]}}
  - {{base: models/llama, name: toy-llama, model: hf-fast, adapters: [adapters/llama-bottleneck]}}
  - base: models/bert
    name: toy-bert
    model: hf-classifier
    tasks: [fin_sentiment]
    adapters: [adapters/bert-lora]
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("--folder", type=Path, default=Path("demo"), help="where to work (default: ./demo)")


def run(options: argparse.Namespace) -> int:
    """Build the models, then run the commands that a user would type, saying each."""
    os.environ["FINBENCH_DATA"] = "sample"
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    options.folder.mkdir(parents=True, exist_ok=True)
    os.chdir(options.folder)
    _build()
    for name, recipe in RECIPES.items():
        _file(Path(f"{name}.yaml"), recipe)
        _train(Path(f"{name}.yaml"), Path("adapters", name))
    _file(Path("matrix.yaml"), MATRIX)
    _command("run", "matrix.yaml")
    _command("leaderboard")
    print(f"\nDone. The boards: {Path('leaderboards', 'README.md').resolve()}")
    base, adapter = _best()
    print("Its best adapter behind a page: pip install .[serve] in the checkout of finbench, then")
    print(f"  cd {options.folder} && FINBENCH_DATA=sample finbench serve --base {base} --adapter {adapter}")
    print(f"Again, or with your own changes: cd {options.folder} && export FINBENCH_DATA=sample")
    return 0


def _best() -> tuple[str, str]:
    """Return base and adapter with the highest mean accuracy on the tasks that it was trained on."""
    from finbench.cells.store import read_cells

    scores: dict[str, list[float]] = {}
    for cell in read_cells(Path("leaderboards", "cells")).results:
        if cell.key.adapter and cell.key.task in SENTIMENT:
            scores.setdefault(cell.key.adapter, []).append(cell.metrics["accuracy"].value)
    best = max(scores, key=lambda name: sum(scores[name]) / len(scores[name]))
    return f"models/{best.partition('-')[0]}", f"adapters/{best}"


def _build() -> None:
    from finbench.demo.models import SHAPES, build_base, training_texts

    print("# toy models from bundled rows", flush=True)
    texts = training_texts()
    for family in SHAPES:
        build_base(family, Path("models", family), texts)


def _file(path: Path, text: str) -> None:
    from finbench.whole import refuse_foreign, write_text

    if path.exists() and path.read_bytes() != text.encode():
        refuse_foreign([path], "--folder")  # perhaps with somebody's own changes
    write_text(path, text)


def _train(recipe: Path, adapter: Path) -> None:
    """Train the recipe, unless the folder holds what it makes: a demonstration that was begun goes on."""
    from finetune.output import recorded_by
    from finetune.recipe import read_recipe

    if recorded_by(adapter) == read_recipe(recipe).sha256():
        print(f"\n# {adapter} is trained already")
    else:
        _command("finetune", str(recipe), "--output", str(adapter))


def _command(*words: str) -> None:
    from finbench.cli import main
    from finbench.errors import FinbenchError

    print(f"\n$ finbench {shlex.join(words)}", flush=True)
    if status := main(words):
        raise FinbenchError(f"`finbench {shlex.join(words)}` ended with status {status}; see above for the reason.")
