"""Checks task YAMLs: `finbench validate tasks_yaml/my_mood.yaml`; without a path those of every task folder."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the paths to check."""
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="a YAML or a folder of them")


def run(options: argparse.Namespace) -> int:
    """Print each problem as `file:line: message`; return 1 if there is one."""
    from finbench.tasks.check import check

    problems, count = check(options.paths)
    for problem in problems:
        print(f"{problem.file}:{problem.line}: {problem.message}")
    files = f"{count} file{'' if count == 1 else 's'}"
    print(f"{files} checked, {len(problems)} problem{'' if len(problems) == 1 else 's'} found")
    return 1 if problems else 0
