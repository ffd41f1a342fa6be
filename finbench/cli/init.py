"""`finbench init [FOLDER]`: a recipe, a matrix and a task of one's own to begin with."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the folder."""
    parser.add_argument("folder", type=Path, nargs="?", default=Path("."), help="where (default: here)")


def run(options: argparse.Namespace) -> int:
    """Write the files and say what comes next."""
    from finbench.starter import make

    for path in make(options.folder):
        print(f"wrote {path}")
    print("edit them, then" if options.folder == Path(".") else f"edit them, then, in {options.folder}:")
    for step in ("finetune recipe.yaml", "run matrix.yaml", "leaderboard"):
        print(f"  finbench {step}")
    return 0
