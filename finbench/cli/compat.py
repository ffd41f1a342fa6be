"""`finbench compat`: the same answers scored by the rules of FinGPT, FinLoRA, PIXIU and FLaME beside the right ones."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("samples", type=Path, nargs="*", help="samples_*.jsonl that `lm_eval --log_samples` wrote")
    parser.add_argument("--base", help="instead of samples: a causal model that answers now")
    parser.add_argument("--adapter", default="", help="an adapter's folder (default: the base alone)")
    parser.add_argument("--tasks", nargs="+", default=["fin_fpb_gen"], help="generating tasks (default: fin_fpb_gen)")
    parser.add_argument("--limit", type=int, help="the first so many rows of each task (default: all)")


def run(options: argparse.Namespace) -> int:
    """Print a table for each task: every rule's scores, and how far they are from ours."""
    from finbench.errors import FinbenchError
    from finbench.runs.generated import generate_answers, logged_answers
    from finbench.scoring.compat import defective_rows, verdicts

    if bool(options.base) == bool(options.samples):
        raise FinbenchError(
            "give either files of answers or --base: `finbench compat --base gpt2 --tasks fin_fpb_gen`."
        )
    if options.base:
        answers = generate_answers(options.base, options.adapter, options.tasks, options.limit)
    else:
        answers = logged_answers(options.samples)
    for task, given in answers.items():
        right = verdicts(given)[0]
        for name, rows in {task: given, **defective_rows(task, given)}.items():
            print(f"\n{name}, {len(rows)} answers\n  {'rule':10}{'accuracy':>9}{'gap':>8}{'F1':>8}{'gap':>8}")
            for one in verdicts(rows):
                gaps = one.accuracy - right.accuracy, one.f1_weighted - right.f1_weighted
                scores = f"{one.accuracy:9.4f}{gaps[0]:+8.4f}{one.f1_weighted:8.4f}{gaps[1]:+8.4f}"
                print(f"  {one.rule:10}{scores}  {one.defect}".rstrip())
    return 0
