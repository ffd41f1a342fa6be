"""`finbench predict --base B [--adapter A] "text" ...`: label texts, lines of standard input, or a CSV's column."""

import argparse
import csv
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

CHUNK = 256  # texts that are answered before the next are read; a causal model's prompt runs once for each chunk


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's flags."""
    from finbench.cli.model import add_model_arguments

    parser.add_argument("texts", nargs="*", metavar="TEXT", help="what to label (default: the lines of standard input)")
    add_model_arguments(parser)
    parser.add_argument("--input", type=Path, help="a CSV whose column is labelled instead")
    parser.add_argument("--column", help="the column of its texts")
    parser.add_argument(
        "--output", type=Path, help="the CSV with label and confidence added (default: standard output)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a text, every label's score in it")
    parser.add_argument("--uncalibrated", action="store_true", help="leave the adapter's fitted temperature aside")


def run(options: argparse.Namespace) -> int:
    """Label everything; the status is 1 if a text could not be read."""
    from finbench.cli.model import model_options
    from finbench.errors import FinbenchError

    if (options.input is None) != (options.column is None):
        raise FinbenchError("--input names a CSV and --column the column of its texts: give both, or neither.")
    if options.input is not None:
        columns = _columns(options.input)
        if options.column not in columns:
            raise FinbenchError(f"{options.input} has no column {options.column!r}; it has {', '.join(columns)}.")
    from finbench.predict.predictor import Predictor

    predictor = Predictor(options.base, options.adapter, calibrated=not options.uncalibrated, **model_options(options))
    if options.input is not None:
        return _table(predictor, options)
    texts: Iterable[str] = options.texts or (line.rstrip("\n") for line in sys.stdin)
    failed = 0
    for chunk in _chunks(text for text in texts if text.strip()):
        for text, answer in zip(chunk, predictor.predict_each(chunk), strict=True):
            failed += isinstance(answer, FinbenchError)
            if isinstance(answer, FinbenchError):
                print(f"finbench predict: {text[:60]!r}: {answer}", file=sys.stderr)
            elif options.json:
                found = {"text": text, "label": answer.label, "confidence": answer.confidence, "scores": answer.scores}
                print(json.dumps(found, ensure_ascii=False), flush=True)
            else:
                print(f"{answer.label}\t{answer.confidence:.4f}\t{text}", flush=True)
    return 1 if failed else 0


def _chunks(items: Iterable[Any]) -> Iterator[list[Any]]:
    rest = iter(items)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def _columns(path: Path) -> list[str]:
    from finbench.errors import FinbenchError

    if not path.is_file():
        raise FinbenchError(f"there is no file {str(path)!r}.")
    with path.open(newline="", encoding="utf-8-sig") as source:
        return next(csv.reader(source), [])


def _table(predictor: Any, options: argparse.Namespace) -> int:
    """Write the table again with the label, its confidence and what could not be read; rows appear as they are done."""
    from tqdm import tqdm

    from finbench.errors import FinbenchError

    with options.input.open(newline="", encoding="utf-8-sig") as source:
        total = sum(1 for _ in csv.DictReader(source))
    failed = 0
    sink: Any = nullcontext(sys.stdout)
    if options.output:
        sink = options.output.open("w", newline="", encoding="utf-8")
    with options.input.open(newline="", encoding="utf-8-sig") as source, sink as target:
        reader = csv.DictReader(source)
        writer = _writer(target, [*(reader.fieldnames or []), "label", "confidence", "problem"])
        with tqdm(total=total, desc=options.input.name, unit="row", file=sys.stderr) as progress:
            for rows in _chunks(reader):
                answers = _answers(predictor, [row[options.column] or "" for row in rows])
                for row, answer in zip(rows, answers, strict=True):
                    if isinstance(answer, FinbenchError):
                        failed += 1
                        writer.writerow({**row, "problem": str(answer)})
                    else:
                        writer.writerow({**row, "label": answer.label, "confidence": f"{answer.confidence:.4f}"})
                target.flush()
                progress.update(len(rows))
    if failed:
        print(
            f"finbench predict: {failed} of {total} rows could not be read; column `problem` says why", file=sys.stderr
        )
    return 1 if failed else 0


def _writer(target: TextIO, names: list[str]) -> "csv.DictWriter[str]":
    writer = csv.DictWriter(target, names, extrasaction="ignore")
    writer.writeheader()
    return writer


def _answers(predictor: Any, texts: list[str]) -> list[Any]:
    from finbench.errors import FinbenchError

    full = [text for text in texts if text.strip()]
    found = iter(predictor.predict_each(full))
    return [next(found) if text.strip() else FinbenchError("the text is empty") for text in texts]
