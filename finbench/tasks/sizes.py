"""How many rows a task has and how long they are, for plans made before any row is read."""

from collections.abc import Sequence
from dataclasses import dataclass
from os.path import commonprefix
from typing import Any


@dataclass(frozen=True)
class TaskSize:
    """Rows as published; tokens of the longest one-shot prompt and of what all rows share, rounded up."""

    train: int
    test: int
    tokens: int
    shared: int


SIZES = {
    "fin_fpb": TaskSize(3629, 1212, 256, 64),
    "fin_fiqa": TaskSize(961, 150, 256, 64),
    "fin_tfns": TaskSize(9543, 2388, 256, 64),
    "fin_nwgi": TaskSize(16200, 4050, 512, 64),
    "fin_headline": TaskSize(82200, 20500, 128, 64),
    "fin_ner": TaskSize(13500, 3500, 256, 64),
    "fin_xbrl_tags": TaskSize(375, 164, 7300, 0),
    "fin_xbrl_values": TaskSize(846, 154, 7300, 0),
}
GROUPS = {
    "finbench": tuple(SIZES),
    "fin_sentiment": ("fin_fpb", "fin_fiqa", "fin_tfns", "fin_nwgi"),
    "fin_xbrl": ("fin_xbrl_tags", "fin_xbrl_values"),
}


CHARACTERS_A_TOKEN = 3  # fewer than tokenizers make of English, so that a prompt's tokens are guessed from above
LOOKED_AT = 200  # rows whose prompts are rendered for a task that is counted


def sizes(names: Sequence[str]) -> dict[str, TaskSize]:
    """Return the sizes of tasks and groups by task: the published ones, or counted from the rows where there are none.

    Raises:
        FinbenchError: no task is called so, or its rows cannot be had.

    """
    found: dict[str, TaskSize] = {}
    for task in (task for name in names for task in GROUPS.get(name, (name,))):
        # a task that generates its answers, or has finer classes, has the rows of the one it is made from
        known = SIZES.get(task.removesuffix("_gen")) or SIZES.get(task.removesuffix("7"))
        found |= {task: known} if known else _counted(task)
    return found


def _counted(name: str) -> dict[str, TaskSize]:
    """Return the sizes of a task, or of a group's tasks, by their rows and the prompts of some of them."""
    from finbench.tasks.load import load_tasks

    return {found: _size(task) for found, task in load_tasks([name]).items()}


def _size(task: Any) -> TaskSize:
    test = list(task.eval_docs)
    longest = sorted(test, key=lambda doc: -len(str(doc)))[:LOOKED_AT]
    prompts = [task.fewshot_context(doc, int(task.config.num_fewshot or 0)) for doc in longest]
    shared = len(commonprefix(prompts)) if len(prompts) > 1 else 0
    train = len(list(task.training_docs())) if task.has_training_docs() else 0
    tokens = max(map(len, prompts)) // CHARACTERS_A_TOKEN + 1
    return TaskSize(train, len(test), tokens, min(shared // (2 * CHARACTERS_A_TOKEN), tokens - 1))
