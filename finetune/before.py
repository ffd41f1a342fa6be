"""What would end a training later ends it before its first step: a metric, a class, a disk that is not there."""

import logging
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finbench.errors import FinbenchError
from finbench.scoring.metrics import METRICS
from finbench.settings import suggestion
from finbench.tasks.load import kind_of
from finetune.checkpoints import KEPT
from finetune.planned import KEPT_NUMBERS
from finetune.recipe import Recipe

if TYPE_CHECKING:
    from finbench.hf.padding import Side
    from finetune.examples import Examples

logger = logging.getLogger(__name__)

LOWER_IS_BETTER = ("loss", "unparsed")


def check_metric(wanted: str | None, key: str, tasks: Mapping[str, Any]) -> None:
    """Refuse a metric, such as `best_by` names, that validation of these tasks will not measure.

    Raises:
        FinbenchError: no metric is called so; the message names those that there are.

    """
    if wanted is None:
        return
    known = set.intersection(*(_metrics_of(name, task) for name, task in tasks.items()))
    if wanted not in known:
        raise FinbenchError(
            f"{key} names no metric of {', '.join(tasks)} (given: {wanted!r}): {suggestion(wanted, known)}"
        )


def _metrics_of(name: str, task: Any) -> set[str]:
    kind = kind_of(name, task)
    scored = {"loss"} if kind.output_type == "multiple_choice" else set()
    return {*kind.metrics} | scored | (set(METRICS) if kind.classes else set())


def check_examples(recipe: Recipe, found: "Examples", labels: Sequence[str]) -> None:
    """Refuse a class that no train row has, and stopping by validation rows that there are none of.

    Raises:
        FinbenchError: a classifier's class has no train row, or `early_stopping` has nothing to look at.

    """
    seen = {example.label for example in found.train}
    if missing := [label for label in labels if label not in seen]:
        raise FinbenchError(
            f"no train row has the class {', '.join(map(repr, missing))}, so a head for it would learn nothing. Raise "
            "limit, lower validation_share, or leave the class out of the task's labels."
        )
    if recipe.early_stopping is not None and not found.validation:
        raise FinbenchError(
            f"recipe: early_stopping looks at validation rows, and of these {len(found.train)} rows a validation_share "
            f"of {recipe.validation_share} leaves none: raise it, or set early_stopping to null."
        )
    if recipe.best_by and recipe.validation_share and not found.validation:
        logger.warning("no class has rows enough to validate by: the last weights are kept, not the best")


def check_padding(recipe: Recipe, side: "Side") -> "Side":
    """Return the side on which rows are filled up; refuse batches of a model to which no side is alike.

    Raises:
        FinbenchError: rows would be trained otherwise than they are scored.

    """
    if not side and recipe.batch_size > 1:
        raise FinbenchError(
            f"recipe: batch_size {recipe.batch_size}: with method {recipe.method} this base's head sees what fills up "
            "the shorter rows of a batch, on whichever side it stands. Set batch_size: 1 (gradient_accumulation makes "
            "up for it), or choose another method."
        )
    return side


def check_disk(recipe: Recipe, folder: Path, counts: Mapping[str, int], rows: int) -> None:
    """Refuse a disk without room for the checkpoints that lie there at once, and for the result.

    Raises:
        FinbenchError: there is less room than they take.

    """
    if not folder.is_dir():
        return  # another process makes it, and looks
    needed = disk_bytes(recipe, counts, rows)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise FinbenchError(
            f"{folder}: {free / 2**30:.1f} GiB are free, and the checkpoints of this training take up to "
            f"{needed / 2**30:.1f} GiB. Make room, give another --output, or set eval_steps so high that one is kept."
        )


def disk_bytes(recipe: Recipe, counts: Mapping[str, int], rows: int) -> int:
    """Return the bytes of weights and of the optimizer's numbers in all checkpoints that exist at one moment."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    moments = KEPT_NUMBERS * world if recipe.optimizer == "zero_one_adam" else 2
    saves = recipe.epochs
    if recipe.max_steps or recipe.eval_steps:
        saves = recipe.steps(rows, world) / (recipe.eval_steps or recipe.steps_an_epoch(rows, world))
    at_once = min(math.ceil(saves), KEPT + 1)  # one is written while the others lie there
    weights = 4 * (counts["total"] if recipe.method == "full" else counts["trainable"])
    return at_once * (weights + 4 * moments * counts["trainable"]) + weights
