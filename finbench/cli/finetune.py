"""`finbench finetune RECIPE.yaml [key=value ...]`: train an adapter, or a whole model, from a recipe."""

import argparse
import shlex
import shutil
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument(
        "recipe", type=Path, help="a recipe's YAML; finetune/recipes/ holds those that come with finbench"
    )
    parser.add_argument("settings", nargs="*", metavar="key=value", help="settings over the recipe's own")
    parser.add_argument("--output", type=Path, help="folder of the adapter (default: adapters/<name of the recipe>)")
    parser.add_argument("--overwrite", action="store_true", help="remove what an earlier training left in that folder")


def run(options: argparse.Namespace) -> int:
    """Train, and say where the result lies and what it cost."""
    from finbench.paths import adapters
    from finetune.recipe import read_recipe
    from finetune.train import CHECKPOINTS, train

    recipe = read_recipe(options.recipe, options.settings)
    folder = options.output or adapters() / options.recipe.stem
    if options.overwrite and any((folder / name).exists() for name in ("finbench.json", CHECKPOINTS)):
        shutil.rmtree(folder)
    from finetune.card import describe

    words = ["finbench", "finetune", str(options.recipe), *options.settings, "--output", str(folder)]
    trained = train(recipe, folder)
    if not trained.writes:
        return 0
    record = describe(trained, recipe, shlex.join(words))
    print(
        f"{folder}: {record['parameters']['trainable']:,} trained parameters, {record['adapter_bytes']:,} bytes, ",
        end="",
    )
    print(f"{record['resources']['elapsed_seconds']:.0f} s, {record['examples']['too_long']} rows too long")
    for name in ("accuracy", "f1_weighted", "loss"):
        if name in record["metrics"]:
            print(f"  validation {name}: {record['metrics'][name]:.4f}")
    return 0
