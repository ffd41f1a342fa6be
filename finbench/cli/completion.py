"""`finbench completion bash|zsh|tcsh`: the script that completes commands and flags in a shell."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the shell."""
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="which shell's script to print")


def run(options: argparse.Namespace) -> int:
    """Print the script, made by shtab from every command's flags."""
    from importlib.util import find_spec

    from finbench.cli import build_parser
    from finbench.errors import FinbenchError

    if find_spec("shtab") is None:
        raise FinbenchError("the package shtab is not installed: pip install shtab")
    import shtab

    print(shtab.complete(build_parser(None, every=True), shell=options.shell))
    return 0
