"""Writes a task for a table of your own: `finbench new-task my_mood news.csv --text headline --label mood`."""

import argparse
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from finbench.records import RowSet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the task's name, its table and columns, and how answers are read."""
    from finbench.scoring.kinds import KINDS

    parser.add_argument("name", metavar="NAME", help="the task's name; it is written to ./tasks_yaml/NAME.yaml")
    parser.add_argument("file", metavar="FILE", help="the table of rows: CSV, JSON lines or parquet")
    parser.add_argument(
        "--text",
        nargs="+",
        default=["text"],
        metavar="COLUMN",
        help="columns of the text, one or several (default: text)",
    )
    parser.add_argument(
        "--label", default="label", metavar="COLUMN", help="column of the right answers (default: label)"
    )
    parser.add_argument(
        "--kind", choices=KINDS, help="how answers are read and counted (default: found from the column)"
    )
    parser.add_argument(
        "--options",
        nargs="+",
        default=[],
        metavar="COLUMN",
        help="columns of the options of a multiple-choice question",
    )
    parser.add_argument("--id", default="", metavar="COLUMN", help="column of row ids (default: the row's number)")
    parser.add_argument("--test", default="", metavar="FILE", help="a table of test rows (default: a share of FILE)")
    parser.add_argument(
        "--test-share",
        type=float,
        default=0.25,
        metavar="SHARE",
        help="share of FILE that becomes test rows (default: 0.25)",
    )
    parser.add_argument("--split-seed", type=int, default=42, metavar="SEED", help="seed of the split (default: 42)")
    parser.add_argument("--instruction", default="", help="what is asked about each text; the labels are added to it")
    parser.add_argument(
        "--prompt", default="", help="the whole prompt in your words, with {text} (and {options}) in it"
    )
    for name in ("relative", "absolute"):
        parser.add_argument(
            f"--{name}-tolerance", type=float, metavar="SHARE" if name == "relative" else "DIFFERENCE",
            help=f"kind number: how far off an answer may be ({name} to the right one)" if name == "relative"
            else "kind number: how far off an answer may be, as a difference",
        )  # fmt: skip
    parser.add_argument(
        "--point", choices=(".", ","), default=".", help="kind number: the decimal mark, point or comma (default: .)"
    )
    parser.add_argument(
        "--percent",
        choices=("points", "share"),
        default="points",
        help="kind number: whether 12%% is 12 (points, the default) or 0.12 (share)",
    )
    parser.add_argument(
        "--bertscore", default="", metavar="FOLDER", help="kind bertscore: folder of the model that compares texts"
    )


def run(options: argparse.Namespace) -> int:
    """Write the YAML; print what it holds and the command that scores it."""
    from finbench.data.file import FileOptions
    from finbench.tasks.new import NewTask, check_name, kind_of_column, write_task

    folder = Path("tasks_yaml")
    check_name(options.name, folder)
    rows = FileOptions(
        train=options.file,
        test=options.test,
        text=tuple(options.text),
        label=options.label,
        id=options.id,
        kind="multiple_choice" if options.options else "choice",
        options=tuple(options.options),
        test_share=options.test_share,
        split_seed=options.split_seed,
        relative_tolerance=options.relative_tolerance,
        absolute_tolerance=options.absolute_tolerance,
        point=options.point,
        percent=options.percent,
        bertscore=options.bertscore,
    )
    kind = options.kind or kind_of_column(rows)
    path, found = write_task(
        NewTask(options.name, replace(rows, kind=kind), options.instruction, options.prompt), folder
    )
    print(f"wrote {path}")
    print(f"kind: {kind}" + ("" if options.kind else f" (found from column {options.label!r}; --kind chooses another)"))
    _say_rows(found)
    print("score it:")
    print(f"  lm_eval --tasks {options.name} --model hf-fast --model_args pretrained=gpt2")
    return 0


def _say_rows(found: "RowSet") -> None:
    for split, part in found.splits.items():
        counts = Counter(row.label for row in part)
        classes = f" ({', '.join(f'{label} {counts[label]}' for label in found.labels)})" if part[0].label else ""
        print(f"{split}: {len(part)} rows{classes}")
    for reason, count in found.dropped.items():
        if count:
            print(f"left out, {reason}: {count}")
