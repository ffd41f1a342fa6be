"""`finbench run MATRIX.yaml`: score every base and adapter on every task; what is done stays."""

import argparse
from dataclasses import replace
from pathlib import Path

from finbench.cli.executing import add_executor, executor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("matrix", type=Path, help="a matrix's YAML: tasks, bases and their adapters")
    parser.add_argument(
        "--redo",
        choices=("missing", "failed", "all"),
        default="missing",
        help="which cells to score: those with neither result nor failure (default), these and the failed ones, or all",
    )
    parser.add_argument("--cells", type=Path, help="folder of the results (default: leaderboards/cells)")
    add_executor(parser, "a base with its adapters")
    parser.add_argument(
        "--parts",
        type=int,
        default=1,
        help="with Ray: split a base with its adapters into up to so many tasks (default: 1)",
    )
    parser.add_argument(
        "--strict", action="store_true", help="fail cells that hf-fast cannot score with shared prefixes"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be scored: no model is loaded")


def run(options: argparse.Namespace) -> int:
    """Plan, say the plan, score, and list what failed."""
    from finbench.cells.store import has_failed
    from finbench.paths import leaderboards
    from finbench.runs.layout import plan_matrix
    from finbench.runs.matrix import read_matrix

    folder = options.cells or leaderboards() / "cells"
    matrix = read_matrix(options.matrix)
    matrix = replace(matrix, strict=matrix.strict or options.strict)
    plan = plan_matrix(matrix, folder, options.redo)
    planned = {cell.key for cell in plan.todo}
    failed = [cell for cell in plan.cells if cell.key not in planned and has_failed(folder, cell.key)]
    done = len(plan.cells) - len(plan.todo) - len(failed)
    print(f"{matrix.name}, --redo {options.redo}: {len(plan.cells)} cells, ", end="")
    print(f"{done} done, {len(plan.todo)} to score", end="")
    print(_about(plan.expected_seconds) if plan.todo else "", flush=True)
    if failed:
        print(
            f"  {len(failed)} failed before and are left alone, so this run will end with 1; --redo failed tries them"
        )
    for line in plan.left_out:
        print(f"  no cell: {line}")
    for line in plan.broken:
        print(f"  not a valid cell: {line}")
    for line in plan.problems:
        print(f"  cannot be planned: {line}")
    if options.dry_run or not plan.todo:
        return 1 if plan.problems or (failed and not options.dry_run) else 0
    from finbench.jobs.executor import Needs
    from finbench.runs.execute import execute

    with executor(options) as cluster:
        asked = Needs(options.cpus, options.gpus or 0) if cluster else None
        failures = execute(plan, matrix, folder, cluster, asked, options.parts if cluster else 1)
    for failure in failures:
        print(f"failed: {failure.key.title()}: {failure.error}")
    if failures:
        print(f"{len(failures)} cells failed; mend the cause and run again with --redo failed.")
    return 1 if failures or failed or plan.problems else 0  # what failed before is still no result


def _about(seconds: float | None) -> str:
    if seconds is None:
        return ", nothing like them has been scored before"
    return f", about {seconds / 60:.0f} min by earlier cells" if seconds >= 90 else f", about {seconds:.0f} s"
