"""`finbench completion bash|zsh|tcsh`: the script that completes commands, flags and files in a shell."""

import argparse
from collections.abc import Iterator
from pathlib import Path

# arguments that are no paths by type, and yet may be files: ids or folders, recipes among settings
FILES = {"--base", "--adapter", "FILE", "FOLDER_OR_ID", "COMMIT_OR_FOLDER", "RECIPE|key=value"}

MENDED = {  # what shtab (to 1.13) writes, and what does here what a user expects
    # zsh: a script that is sourced registers its function, as one that is evaluated; it does not run it
    "[[ $zsh_eval_context[-1] == eval ]]": "[[ $zsh_eval_context[-1] != loadautofunc ]]",
    # tcsh: a word that nothing is known of, such as the second of two YAMLs, may be a file
    "'p/*/()/'": "'p/*/f/'",
}


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

    parser = build_parser(None, every=True)
    for argument in _arguments(parser):
        if argument.type is Path or FILES.intersection([str(argument.metavar), *argument.option_strings]):
            argument.complete = shtab.FILE  # type: ignore[attr-defined]
    script = shtab.complete(parser, shell=options.shell)
    for theirs, ours in MENDED.items():
        script = script.replace(theirs, ours)
    print(script)
    return 0


def _arguments(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _arguments(command)
        else:
            yield action
