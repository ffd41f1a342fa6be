"""`finbench leaderboard`: render the boards from the cells, check that they are up to date, or say what changed."""

import argparse
import gc
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("--cells", type=Path, help="folder of the results (default: leaderboards/cells)")
    parser.add_argument("--output", type=Path, help="folder of the boards (default: leaderboards)")
    parser.add_argument(
        "--since", metavar="COMMIT_OR_FOLDER", help="write nothing; say which cells are new, gone or changed since then"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; fail if a board differs from its cells, or a cell from its rows' outcomes",
    )


def run(options: argparse.Namespace) -> int:
    """Write the pages, or name those that differ."""
    from finbench.cells.store import read_cells
    from finbench.leaderboard.render import differing, render, write
    from finbench.leaderboard.since import changes
    from finbench.paths import leaderboards, shown

    gc.disable()  # a short command that makes many small objects and no cycles: a sixth of its time
    output = options.output or leaderboards()
    folder = options.cells or output / "cells"
    if options.since:
        found = changes(options.since, folder)
        print("\n".join(found) if found else f"no cell has changed since {options.since}")
        return 0
    cells = read_cells(folder, thorough=options.check)
    pages = render(cells, folder)
    for broken in (*cells.unreadable, *cells.unproven):
        print(f"not a valid cell: {broken.path}: {broken.problem}")
    if options.check:
        stale = differing(pages, output)
        for name, lines in stale.items():
            print(f"{output / name} differs from its cells:\n{lines}")
        print(f"{len(pages)} pages, {len(stale)} out of date" + ("; run `finbench leaderboard`" if stale else ""))
        return 1 if stale or cells.unreadable or cells.unproven else 0
    write(pages, output)
    print(f"{len(cells.results)} cells, {len(pages)} pages in {shown(output)}")
    return 1 if cells.unreadable else 0
