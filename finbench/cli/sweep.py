"""`finbench sweep RECIPE.yaml SWEEP.yaml [key=value ...]`: search recipe values on validation rows."""

import argparse
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from finbench.cli.executing import add_executor, executor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("recipe", type=Path, help="the recipe whose values are searched")
    parser.add_argument("sweep", type=Path, help="a YAML with `values:` (choices or ranges), seeds, trials, metric")
    parser.add_argument("settings", nargs="*", metavar="key=value", help="settings that replace the recipe's")
    parser.add_argument("--trials", type=int, help="number of trials (default: the sweep file's)")
    parser.add_argument("--output", type=Path, help="folder of the trials (default: sweeps/<name of the sweep file>)")
    add_executor(parser, "a trial")


def run(options: argparse.Namespace) -> int:
    """Search, and write the report and the winner's recipe."""
    from finbench.errors import FinbenchError
    from finbench.whole import write_text

    if find_spec("optuna") is None:
        raise FinbenchError('sweeps need Optuna: pip install ".[sweep]" in the checkout of finbench.')
    from finetune.recipe import check_named_things, read_recipe

    check_named_things(read_recipe(options.recipe, options.settings))  # before seconds of imports
    from finetune.sweep import check_folder, read_sweep, report, search, winner

    sweep = read_sweep(options.sweep, options.recipe)
    if options.trials:
        sweep = replace(sweep, trials=options.trials)
    folder = options.output or Path("sweeps", options.sweep.stem)
    check_folder(folder)
    with executor(options) as cluster:
        study = search(options.recipe, sweep, options.settings, folder, cluster, options.cpus, options.gpus or 0)
    best = winner(options.recipe, study, options.settings)
    text = report(study, sweep)
    write_text(folder / "report.md", f"# Sweep of {options.recipe.name}\n\n{text}")
    write_text(folder / "best.yaml", best)
    print(text)
    print(f"the winner's recipe: {folder / 'best.yaml'}\n\n{best}")
    return 0
