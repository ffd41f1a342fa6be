"""How many rows a task has and how long they are, for plans made before any row is read."""

from dataclasses import dataclass

from finbench.errors import FinbenchError


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


def sizes(names: tuple[str, ...]) -> dict[str, TaskSize]:
    """Return the sizes of tasks and groups by task.

    Raises:
        FinbenchError: a task is none of those known.

    """
    tasks = [task for name in names for task in GROUPS.get(name, (name,))]
    if unknown := [task for task in tasks if task not in SIZES]:
        raise FinbenchError(f"the size of {', '.join(unknown)} is not known. Known: {', '.join([*SIZES, *GROUPS])}.")
    return {task: SIZES[task] for task in tasks}
