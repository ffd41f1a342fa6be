"""`finbench calibrate --base B --adapter A`: fit the temperature that makes confidences mean something."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's flags."""
    from finbench.cli.model import add_model_arguments

    add_model_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Fit on the rows that the adapter's training held out, and store it beside the adapter."""
    import numpy as np

    from finbench.adapters.folder import read_adapter
    from finbench.cli.model import model_options
    from finbench.errors import FinbenchError
    from finbench.predict import calibration
    from finbench.predict.predictor import Predictor

    if not options.adapter:
        raise FinbenchError("a temperature is stored beside an adapter: name one with --adapter.")
    adapter = read_adapter(options.adapter)
    calibration.check_folder(adapter.path)
    predictor = Predictor(options.base, options.adapter, calibrated=False, **model_options(options))
    if predictor.kind != "choice":
        raise FinbenchError(
            f"task {predictor.task_name} is of kind {predictor.kind}; a temperature is fitted to shares of labels, "
            "which a choice between them alone has."
        )
    docs = held_out(predictor.task_name, dict(adapter.record))
    logits = predictor.logits([doc["text"] for doc in docs])
    golds = np.array([predictor.labels.index(doc["label"]) for doc in docs])
    found = calibration.calibrate(logits, golds, predictor.task_name, adapter.sha256)
    calibration.write(found, adapter.path)  # before the picture, which is known to be ours by it
    calibration.draw(logits, golds, found, Path(adapter.path, calibration.PICTURE))
    print(
        f"temperature {found.temperature:.3f} [{found.low:.3f}, {found.high:.3f}], fitted on {found.rows} rows "
        "held out of train"
    )
    print(f"expected calibration error {found.ece_before:.4f} -> {found.ece_after:.4f}")
    print(f"negative log-likelihood    {found.nll_before:.4f} -> {found.nll_after:.4f}")
    print(f"stored in {adapter.path / calibration.FILE}; diagram: {adapter.path / calibration.PICTURE}")
    return 0


def held_out(task_name: str, record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the validation rows of the adapter's own training, by the recipe in its record.

    Raises:
        FinbenchError: it held none out, or the rows here are others.

    """
    from finbench.errors import FinbenchError
    from finbench.tasks.load import load_tasks
    from finetune.examples import split_rows
    from finetune.recipe import Recipe, from_settings

    settings = record.get("recipe")
    if not settings or not settings.get("validation_share"):
        raise FinbenchError(
            "the adapter's record names no rows held out of its training, and on rows that it has seen every model is "
            "too sure. Train it with `finbench finetune` and a validation_share above 0."
        )
    recipe: Recipe = from_settings(settings)
    if task_name not in load_tasks(recipe.tasks):
        raise FinbenchError(f"the adapter was not trained on {task_name}, but on {', '.join(recipe.tasks)}.")
    _check_rows(task_name, recipe.tasks, record)
    metadata = {"clean": True} if recipe.clean else None
    _, validation = split_rows(load_tasks(recipe.tasks, metadata=metadata), recipe)
    return validation[task_name]


def _check_rows(task_name: str, tasks: Sequence[str], record: Mapping[str, Any]) -> None:
    """Refuse rows that are not those of the training: which ones were held out follows from all of them."""
    from finbench.data.load import load, rows_sha256
    from finbench.errors import FinbenchError
    from finbench.tasks.load import load_tasks

    then = (record.get("rows") or {}).get(task_name) or {}
    rows = load(**load_tasks(tasks)[task_name].config.dataset_kwargs)
    if rows_sha256(rows.splits["train"]) != then.get("sha256"):
        raise FinbenchError(
            f"the train rows of {task_name} (now {rows.source}, {len(rows.splits['train'])} rows) are not those that "
            f"the adapter was trained on ({then.get('source', 'unknown')}, {then.get('count', 'unknown')} rows), so "
            "nobody knows which of them it has not seen. Give it the same rows (FINBENCH_DATA), or train it again."
        )
