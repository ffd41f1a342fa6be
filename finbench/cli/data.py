"""`finbench data audit`: what the rows of tasks can tell, printed and saved without any row.

For example `FINBENCH_DATA=sample finbench data audit fin_fpb --tokenizer adapters/base`.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

MOST_NAMED = 12  # classes that a line of the table has room for


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `finbench data`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    audit = actions.add_parser("audit", help="classes, repeats, leaks, effective number of rows, token lengths")
    audit.add_argument("tasks", nargs="*", metavar="TASK", help="tasks or groups (default: all of finbench's own)")
    audit.add_argument(
        "--tokenizer", metavar="FOLDER_OR_ID", help="count the tokens of whole prompts with this tokenizer"
    )
    audit.add_argument(
        "--clean-examples", type=int, default=0, metavar="N", help="show N texts before and after cleaning"
    )
    audit.add_argument(
        "--output", type=Path, metavar="FILE", help="where the numbers go (default: ./leaderboards/audit.json)"
    )


def run(options: argparse.Namespace) -> int:
    """Audit the rows of the tasks, print two tables and save the numbers as JSON."""
    from finbench.data.audit import audit
    from finbench.data.load import read
    from finbench.paths import leaderboards
    from finbench.whole import refuse_foreign, write_text

    output = options.output or leaderboards() / "audit.json"
    refuse_foreign([output] if output.exists() and not _is_audit(output) else [])
    entries: dict[str, dict[str, Any]] = {}
    for task, rows in _datasets(options.tasks).items():
        published = read(**rows)
        entries[task] = asdict(audit(published))
        if options.clean_examples:
            texts = dict.fromkeys(row.text for row in published.splits["train"])
            _print_cleaned(task, list(texts)[: options.clean_examples])
    if options.tokenizer:
        for task, lengths in _lengths(list(entries), options.tokenizer).items():
            entries[task]["tokens"] = lengths
    _print_rows(entries)
    if options.tokenizer:
        _print_tokens(entries)
    write_text(output, json.dumps(entries, indent=2, sort_keys=True) + "\n")
    print(f"\nSaved to {output} (counts only, no row).")
    return 0


def _is_audit(path: Path) -> bool:
    """Say whether a file is an earlier audit, by its shape."""
    from finbench.documents import read_json
    from finbench.errors import FinbenchError

    try:
        found = read_json(path)
    except FinbenchError:
        return False
    entries = found.values() if isinstance(found, dict) else ()
    return bool(entries) and all(isinstance(one, dict) and {"splits", "both", "used"} <= set(one) for one in entries)


def _datasets(names: list[str]) -> dict[str, Mapping[str, Any]]:
    """Return the arguments of `finbench.data.load.load` by task; lm-eval is loaded for groups and users' tasks."""
    from finbench.data.load import DATASETS

    bundled = {f"fin_{name}": {"dataset": name} for name in DATASETS}
    if set(names) <= set(bundled):
        return {name: bundled[name] for name in names or bundled}
    from finbench.tasks.load import load_tasks

    return {name: dict(task.config.dataset_kwargs) for name, task in load_tasks(names).items()}


def _lengths(names: list[str], tokenizer_name: str) -> dict[str, dict[str, Any]]:
    """Return the token lengths of every task's prompts by split, each with the longest answer that it may get."""
    from finbench.data.audit import token_lengths
    from finbench.hf.load import tokenizer_and_window
    from finbench.tasks.load import load_tasks

    tokenizer, window = tokenizer_and_window(tokenizer_name)
    found: dict[str, dict[str, Any]] = {}
    for name, task in load_tasks(names).items():
        found[name] = {}
        for split, docs in (("train", task.training_docs()), ("test", task.test_docs())):
            prompts = [
                task.fewshot_context(doc, task.config.num_fewshot)
                + task.config.target_delimiter
                + max(doc["choices"] or [doc["answer"]], key=len)
                for doc in docs
            ]
            found[name][split] = asdict(token_lengths(prompts, tokenizer_name, tokenizer, window))
    return found


def _print_rows(entries: Mapping[str, Mapping[str, Any]]) -> None:
    from tabulate import tabulate

    headers = [
        "task", "train", "used", "test", "classes in test", "largest", "repeated", "conflicts",
        "train in test", "near", "effective test",
    ]  # fmt: skip
    table = []
    for task, entry in entries.items():
        train, test = entry["splits"]["train"], entry["splits"]["test"]
        table.append([
            task, train["rows"], entry["used"]["train"], test["rows"],
            _classes(test["shares"]), f"{test['largest_share']:.1%}",
            entry["both"]["duplicates"], entry["both"]["conflicts"], entry["exact"]["train_rows_in_test"],
            entry["near"]["train_rows_in_test"], test["effective_rows"],
        ])  # fmt: skip
    print(tabulate(table, headers, tablefmt="github"))
    print(f"\nSource of rows: {', '.join(sorted({entry['source'] for entry in entries.values()}))}.")
    for task, entry in entries.items():
        left_out = [f"{count} ({reason})" for reason, count in entry["dropped"].items() if count]
        if left_out:
            print(f"{task}: left out {', '.join(left_out)}.")


def _classes(shares: Mapping[str, float]) -> str:
    """Return the classes with their shares, or of many only how many there are and how far they lie apart."""
    if len(shares) > MOST_NAMED:
        return f"{len(shares)} classes, {min(shares.values()):.1%} to {max(shares.values()):.1%}"
    return ", ".join(f"{label} {share:.1%}" for label, share in shares.items()) or "free answer"


def _print_tokens(entries: Mapping[str, Mapping[str, Any]]) -> None:
    from tabulate import tabulate

    table = []
    for task, entry in entries.items():
        for split, tokens in entry["tokens"].items():
            over = "" if tokens["share_over_window"] is None else f"{tokens['share_over_window']:.1%}"
            table.append([task, split, tokens["median"], tokens["max"], tokens["window"] or "not stated", over])
    print("\nTokens of a whole prompt with its answer:\n")
    print(tabulate(table, ["task", "split", "median", "max", "window", "over window"], tablefmt="github"))


def _print_cleaned(task: str, texts: list[str]) -> None:
    from finbench.data.clean import clean_text

    for text in texts:
        print(f"{task}\n  before: {text}\n  after:  {clean_text(text)}")
