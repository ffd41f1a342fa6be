"""`finbench predict --base B [--adapter A] "text" ...`: label texts, lines of standard input, or a CSV's column.

With `--review to_label.csv` no answer is given: what adapters disagree on, or are not sure of, is written for people.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

CHUNK = 256  # texts that are answered before the next are read; a causal model's prompt runs once for each chunk


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's flags."""
    from finbench.cli.model import add_model_arguments

    parser.add_argument(
        "texts", nargs="*", metavar="TEXT", help="a text to label (default: the lines of standard input)"
    )
    add_model_arguments(parser, several=True)
    parser.add_argument("--input", type=Path, help="a CSV file: label one of its columns")
    parser.add_argument("--column", help="the column of --input that holds the texts")
    parser.add_argument(
        "--output",
        type=Path,
        help="where the table goes, with columns label, confidence and problem added (predicted_label and so on where "
        "it has such columns; default: standard output)",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace the file at --output, even if it is --input or was not written by predict",
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object per text, with the score of every label"
    )
    parser.add_argument(
        "--review",
        type=Path,
        metavar="OUT.csv",
        help="write the texts that people should label: those on which adapters disagree or are not sure",
    )
    parser.add_argument(
        "--review-below",
        type=float,
        default=0.7,
        metavar="SHARE",
        help="confidence below which a model is not sure (default: 0.7)",
    )
    parser.add_argument("--uncalibrated", action="store_true", help="ignore the adapter's fitted temperature")


def run(options: argparse.Namespace) -> int:
    """Label everything; the status is 1 if a text could not be read."""
    from finbench.cli.model import model_options
    from finbench.errors import FinbenchError
    from finbench.predict.table import State, Table, read_table

    if (options.input is None) != (options.column is None):
        raise FinbenchError("--input names a CSV and --column the column of its texts: give both, or neither.")
    if options.output is not None and options.input is None:
        raise FinbenchError("--output is the table of --input with labels added: give --input and --column with it.")
    _check_review(options)
    table: Table | None = None
    state: State = None
    if options.input is not None:
        table = read_table(options.input, options.column)
        if options.output is not None:
            state = table.check_output(options.output, options.overwrite)
    from finbench.predict.predictor import Predictor

    texts: Iterable[str] = options.texts or (line.rstrip("\n") for line in sys.stdin)
    settings = {"calibrated": not options.uncalibrated, **model_options(options)}
    if options.review is not None:
        return _review(options, settings, (row[table.place] for row in table.read()) if table is not None else texts)
    predictor = Predictor(options.base, next(iter(options.adapter), None), **settings)
    if predictor.rounded:
        said = f"weights are held as {predictor.precision}; some answers are not the float model's"
        print(f"finbench predict: {said}", file=sys.stderr)
    if table is not None:
        return _table(predictor, table, options.output, state)
    failed = 0
    for chunk in _chunks(text for text in texts if text.strip()):
        for text, answer in zip(chunk, predictor.predict_each(chunk), strict=True):
            failed += isinstance(answer, FinbenchError)
            if isinstance(answer, FinbenchError):
                print(f"finbench predict: {text[:60]!r}: {answer}", file=sys.stderr)
            elif options.json:
                found = {"text": text, "label": answer.label, "confidence": answer.confidence, "scores": answer.scores}
                found["precision"] = predictor.precision
                print(json.dumps(found, ensure_ascii=False), flush=True)
            else:
                print(f"{answer.label}\t{_shown(answer.confidence)}\t{text}", flush=True)
    return 1 if failed else 0


def _check_review(options: argparse.Namespace) -> None:
    from finbench.errors import FinbenchError

    if options.review is None:
        if len(options.adapter) > 1:
            raise FinbenchError("several adapters are compared with --review OUT.csv; give one --adapter without it.")
        return
    if options.output is not None or options.json:
        raise FinbenchError("--review writes a table of its own: leave --output and --json out.")
    if not 0 <= options.review_below <= 1:
        raise FinbenchError(f"--review-below {options.review_below}: a share from 0 to 1 is wanted.")
    if options.review.exists() and not options.overwrite:
        raise FinbenchError(f"{options.review} is there, perhaps with labels in it: name another, or say --overwrite.")


def _review(options: argparse.Namespace, settings: dict[str, Any], texts: Iterable[str]) -> int:
    """Write the texts that somebody should label; say how many and why."""
    from finbench.interchange.spreadsheets import harmless
    from finbench.predict import review
    from finbench.predict.predictor import load_several

    predictors = load_several(options.base, options.adapter, **settings)
    review.check_alike(predictors)
    found, asked = review.doubts(predictors, texts, options.review_below)
    review.write(found, list(predictors), options.review, harmless)
    apart = sum(review.DISAGREE in doubt.reasons for doubt in found)
    print(f"{options.review}: {len(found)} of {asked} texts to be labelled, {apart} of them since adapters disagree")
    print(f"  fill its column `label`, then: finbench new-task NAME {options.review}")
    print(f"  or let a teacher label them, in a recipe: unlabelled: {options.review}")
    return 0


def _shown(confidence: float | None) -> str:
    return "" if confidence is None else f"{confidence:.4f}"


def _chunks(items: Iterable[Any]) -> Iterator[list[Any]]:
    rest = iter(items)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def _table(predictor: Any, table: Any, output: Path | None, state: Any) -> int:
    """Write the table again with the label, its confidence and what could not be read; say how many rows failed."""
    from tqdm import tqdm

    from finbench.errors import FinbenchError
    from finbench.interchange.spreadsheets import harmless

    failed = 0
    label, confidence, problem = table.added
    with (
        table.writer(output, state) as write,
        tqdm(total=table.rows, desc=table.path.name, unit="row", file=sys.stderr) as progress,
    ):
        for rows in _chunks(table.read()):
            for row, answer in zip(rows, _answers(predictor, [row[table.place] for row in rows]), strict=True):
                if isinstance(answer, FinbenchError):
                    failed += 1
                    write([*row, "", "", str(harmless(str(answer)))])
                else:
                    write([*row, str(harmless(answer.label)), _shown(answer.confidence), ""])
            progress.update(len(rows))
    if table.renamed:
        print(f"finbench predict: answers stand in columns {label}, {confidence}, {problem}", file=sys.stderr)
    if failed:
        said = f"{failed} of {table.rows} rows could not be read; column `{problem}` says why"
        print(f"finbench predict: {said}", file=sys.stderr)
    return 1 if failed else 0


def _answers(predictor: Any, texts: list[str]) -> list[Any]:
    from finbench.errors import FinbenchError

    full = [text for text in texts if text.strip()]
    found = iter(predictor.predict_each(full))
    return [next(found) if text.strip() else FinbenchError("the text is empty") for text in texts]
