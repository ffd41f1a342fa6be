"""`finbench import-results RESULTS.json ...`: what plain lm_eval wrote becomes cells."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("results", type=Path, nargs="+", help="results_*.json; samples_*.jsonl beside them are used")
    parser.add_argument("--cells", type=Path, help="folder of the results (default: leaderboards/cells)")


def run(options: argparse.Namespace) -> int:
    """Write the cells and say what each cannot prove."""
    from finbench.interchange.imported import import_results
    from finbench.paths import leaderboards

    for path in options.results:
        for cell in import_results(path, options.cells or leaderboards() / "cells"):
            print(f"{cell.key.title()}: accuracy {cell.metrics['accuracy'].value:.4f} of {cell.n_rows} rows")
            print(f"  without proof of {', '.join(cell.missing)}")
    return 0
