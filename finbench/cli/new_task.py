"""Writes a task for a table of your own: `finbench new-task my_mood news.csv --text headline --label mood`."""

import argparse
from collections import Counter
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the task's name, its table and columns."""
    parser.add_argument("name", metavar="NAME", help="what the task is called; it is written to ./tasks_yaml/NAME.yaml")
    parser.add_argument("file", metavar="FILE", help="rows: CSV, JSON lines or parquet, with a column a field")
    parser.add_argument("--text", default="text", metavar="COLUMN", help="column of the texts (default: text)")
    parser.add_argument("--label", default="label", metavar="COLUMN", help="column of the classes (default: label)")
    parser.add_argument("--test", default="", metavar="FILE", help="test rows; without it a fixed quarter is held out")
    parser.add_argument("--instruction", default="", help="what is asked of each text; the classes are added to it")


def run(options: argparse.Namespace) -> int:
    """Write the YAML; print what it holds and the command that scores it."""
    from finbench.tasks.new import NewTask, write_task

    task = NewTask(options.name, options.file, options.test, options.text, options.label, options.instruction)
    path, rows = write_task(task, Path("tasks_yaml"))
    print(f"wrote {path}")
    for split, part in rows.splits.items():
        counts = Counter(row.label for row in part)
        print(f"{split}: {len(part)} rows ({', '.join(f'{label} {counts[label]}' for label in rows.labels)})")
    for reason, count in rows.dropped.items():
        if count:
            print(f"left out, {reason}: {count}")
    print("score it:")
    print(f"  lm_eval --tasks {task.name} --model hf-fast --model_args pretrained=gpt2")
    return 0
