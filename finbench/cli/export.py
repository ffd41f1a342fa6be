"""`finbench export FORMAT`: cells as other programs read them."""

import argparse
from pathlib import Path

FORMATS = ("csv", "lm-eval", "model-index", "every-eval-ever")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("format", choices=FORMATS, help="what to write")
    parser.add_argument("--cells", type=Path, help="folder of the results (default: leaderboards/cells)")
    parser.add_argument("--output", type=Path, default=Path("exported"), help="folder to write to (default: exported)")


def run(options: argparse.Namespace) -> int:
    """Write the files, and name what could not be read."""
    from finbench.cells.store import read_cells
    from finbench.errors import FinbenchError
    from finbench.interchange.exported import export
    from finbench.paths import leaderboards

    folder = options.cells or leaderboards() / "cells"
    cells = read_cells(folder)
    for broken in cells.unreadable:
        print(f"not a valid cell: {broken.path}: {broken.problem}")
    if not cells.results:
        raise FinbenchError(f"no cell lies in {folder}: name a folder of results with --cells.")
    files = export(cells.results, options.format, options.output)
    print(f"{len(cells.results)} cells in {len(files)} files in {options.output}")
    return 1 if cells.unreadable else 0
