"""The command line: `finbench COMMAND ...`. One file a command; only the chosen one is imported, so help is instant."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from finbench import __version__
from finbench.errors import FinbenchError
from finbench.quiet import quiet

COMMANDS = {
    "init": "make a working folder to begin with: a recipe, a matrix and a task of your own",
    "data": "audit the rows: classes, duplicates, leaks, effective number, token lengths",
    "new-task": "write a task YAML for a CSV or JSONL file of your own",
    "validate": "check task YAMLs, naming what is wrong and where",
    "finetune": "train an adapter (or a whole model) from a recipe",
    "sweep": "search values of a recipe's keys on validation rows, cut from train",
    "merge": "merge LoRA adapters of one base into one adapter: linear, cat, TIES or DARE",
    "plan": "estimate the memory, time and money that a recipe or a matrix will take",
    "run": "score every base and adapter of a matrix on every task",
    "compat": "score the same answers by the rules of other harnesses, to explain a published number",
    "leaderboard": "render the boards from the cells, or check that they are up to date",
    "export": "write cells as CSV, lm-eval results, model index or Every Eval Ever records; a classifier as ONNX",
    "import-results": "turn results of plain lm_eval into cells that say what they cannot prove",
    "predict": "label texts, lines of standard input or a CSV's column, with confidences",
    "calibrate": "calibrate an adapter's confidences by temperature scaling on its validation rows",
    "serve": "serve a web page and POST /analyze, which label texts",
    "doctor": "check whether finbench works here: releases, start-up hook, fast paths, devices, rows",
    "completion": "print the script that completes commands and flags in bash, zsh or tcsh",
    "demo": "run the main job on bundled rows: build toy models, train adapters, score, render boards",
}

EXAMPLES = {
    "init": "finbench init study",
    "data": "finbench data audit fin_fpb fin_headline",
    "new-task": 'finbench new-task my_mood news.csv --text headline --label mood --instruction "Good or bad news?"',
    "validate": "finbench validate tasks_yaml/my_mood.yaml",
    "finetune": "finbench finetune finetune/recipes/gpt2_fpb_lora.yaml epochs=1 --output adapters/first",
    "sweep": "finbench sweep recipe.yaml sweep.yaml limit=500 --output sweeps/rate",
    "merge": "finbench merge adapters/fpb adapters/tfns --weights 0.7,0.3 --how ties --output adapters/both",
    "plan": "finbench plan finetune/recipes/llama3_1_8b_4bit_r4_fpb.yaml --gpu 1x24GB",
    "run": "finbench run matrix.yaml --dry-run",
    "compat": "finbench compat --base gpt2 --tasks fin_fpb_gen --limit 100",
    "leaderboard": "finbench leaderboard --check",
    "export": "finbench export csv --output exported",
    "import-results": "finbench import-results results/gpt2/results_2026.json",
    "predict": "finbench predict --base gpt2 --adapter adapters/first --input news.csv --column text --output out.csv",
    "calibrate": "finbench calibrate --base gpt2 --adapter adapters/first",
    "serve": "finbench serve --base gpt2 --adapter adapters/first --port 5000",
    "doctor": "finbench doctor --json",
    "completion": "finbench completion bash >> ~/.bashrc",
    "demo": "finbench demo",
}


def build_parser(chosen: str | None, every: bool = False) -> argparse.ArgumentParser:
    """Return the parser, with the arguments of the chosen command only, or of `every` one."""
    parser = argparse.ArgumentParser(
        prog="finbench",
        description="Which base model with which adapter is best at your financial tasks, at what cost?",
    )
    parser.add_argument("--version", action="version", version=f"finbench {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text, epilog=f"example: {EXAMPLES[name]}")
        command.add_argument(
            "-v", "--verbose", action="store_true", help="show log lines and progress bars of all libraries"
        )
        if name == chosen or every:
            module = importlib.import_module(f"finbench.cli.{name.replace('-', '_')}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 a check found something, 2 wrong use."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = build_parser(next((word for word in arguments if word in COMMANDS), None))
    options, rest = parser.parse_known_args(arguments)
    if rest and hasattr(options, "settings") and not any(word.startswith("-") or "=" not in word for word in rest):
        options.settings += rest  # argparse takes key=value only before the flags
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        with quiet(options.verbose):
            return int(options.run(options))
    except FinbenchError as error:
        print(f"finbench {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"finbench {options.command}: stopped; run the same command again to go on.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
