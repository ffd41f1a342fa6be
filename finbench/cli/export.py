"""`finbench export FORMAT`: cells as other programs read them, or with `onnx` a classifier as onnxruntime serves it."""

import argparse
from contextlib import suppress
from pathlib import Path
from typing import Any

FORMATS = ("csv", "lm-eval", "model-index", "every-eval-ever")
ONNX = "onnx"
MOST_ROWS = 1000  # that an export is compared on


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's flags."""
    from finbench.cli.model import add_model_arguments

    parser.add_argument("format", choices=(*FORMATS, ONNX), help="what to write; onnx: a classifier, by --base")
    parser.add_argument("--cells", type=Path, help="folder of the results (default: leaderboards/cells)")
    parser.add_argument("--output", type=Path, default=Path("exported"), help="folder to write to (default: exported)")
    add_model_arguments(parser, exports=True)


def run(options: argparse.Namespace) -> int:
    """Write the files, and name what could not be read."""
    from finbench.errors import FinbenchError

    if options.format == ONNX:
        return _onnx(options)
    if options.base or options.adapter:
        raise FinbenchError(
            f"{options.format} exports cells: --base and --adapter name a model for `finbench export onnx`."
        )
    from finbench.cells.store import read_cells
    from finbench.interchange.exported import export
    from finbench.paths import leaderboards

    folder = options.cells or leaderboards() / "cells"
    cells = read_cells(folder)
    for broken in cells.unreadable:
        print(f"not a valid cell: {broken.path}: {broken.problem}")
    if not cells.results:
        raise FinbenchError(f"no cell lies in {folder}: name a folder of results with --cells.")
    files = export(cells.results, options.format, options.output)
    print(f"{len(cells.results)} cells in {len(files)} files in {options.output}")
    return 1 if cells.unreadable else 0


def _onnx(options: argparse.Namespace) -> int:
    """Export a classifier, and say how it compares with the model."""
    from finbench.cli.model import model_options
    from finbench.errors import FinbenchError
    from finbench.models.onnx import check_installed
    from finbench.predict.exported import export
    from finbench.predict.predictor import Predictor

    if not options.base or options.cells:
        raise FinbenchError("`finbench export onnx` exports a model: give --base, and --adapter for one on it.")
    check_installed()
    chosen = {**model_options(options), "int8": False}  # weights are rounded as the file is written
    predictor = Predictor(options.base, options.adapter, merge=True, **chosen)
    texts, of = _rows(predictor, options.adapter)
    found = export(predictor, texts, of, options.output, options.int8)
    print(
        f"{options.output}: compared with the model on {found.rows} {of}: a share differs by up to "
        f"{found.largest_difference:.1e}, {found.changed_labels} labels changed"
    )
    print(f"serve it: finbench serve --base {options.output}")
    return 0


def _rows(predictor: Any, adapter: str | None) -> tuple[list[str], str]:
    """Return texts of the task that the model was not trained on, else of its train rows, and whose they are."""
    from finbench.adapters.folder import read_adapter
    from finbench.cli.calibrate import held_out
    from finbench.data.load import load
    from finbench.errors import FinbenchError
    from finbench.tasks.load import load_tasks

    name = predictor.task_name
    if adapter is not None:
        with suppress(FinbenchError):  # it was trained on other tasks, or with nothing held out
            docs = held_out(name, dict(read_adapter(adapter).record))
            return [doc["text"] for doc in docs][:MOST_ROWS], f"rows of {name} held out of its training"
    rows = load(**load_tasks([name])[name].config.dataset_kwargs).splits["train"]
    return [row.text for row in rows][:MOST_ROWS], f"train rows of {name}"
