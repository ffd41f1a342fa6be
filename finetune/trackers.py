"""Trackers that a training can report to while it runs: TensorBoard and Trackio, both on this machine alone."""

import os
from importlib.util import find_spec
from pathlib import Path

from finbench.errors import FinbenchError
from finetune.recipe import Recipe


def prepare(recipe: Recipe, folder: Path) -> None:
    """Have the recipe's trackers write below the adapter's folder.

    Raises:
        FinbenchError: the package of a tracker is not installed.

    """
    for name in recipe.report_to:
        if find_spec(name) is None:
            raise FinbenchError(
                f"report_to: {name} is not installed: pip install {name}, or leave it out of report_to."
            )
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(folder / "runs")
    os.environ["TRACKIO_DIR"] = str(folder / "runs")
