"""A task manager that reads lm-eval's own YAMLs late answers every question as one that read them at the start."""

import copy
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lm_eval.tasks import TaskManager

from finbench.paths import task_folders
from finbench.tasks.lazy_index import LateIndex

TASK = """task: {name}
tag: {tag}
custom_dataset: !function finbench.data.load.splits
dataset_kwargs: {{dataset: fpb}}
test_split: test
output_type: multiple_choice
doc_to_text: "{text}"
doc_to_target: label
doc_to_choice: choices
metadata: {{version: 1.0}}
"""


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Return a folder that stands in for lm-eval's own tasks, which are 16,000, and a user's folder."""
    defaults, mine = tmp_path / "defaults", tmp_path / "mine"
    for folder in (defaults, mine):
        folder.mkdir()
    for name, tag in (("arc_toy", "arc_all"), ("shared_name", "arc_all"), ("third", "both")):
        (defaults / f"{name}.yaml").write_text(TASK.format(name=name, tag=tag, text="theirs"))
    (defaults / "group.yaml").write_text("group: arcs\ntask: [arc_toy, third]\n")
    (mine / "shared_name.yaml").write_text(TASK.format(name="shared_name", tag="both", text="mine"))
    (mine / "group.yaml").write_text("group: mixed\ntask: [shared_name, arc_toy]\n")
    monkeypatch.setattr(sys.modules[TaskManager.__module__], "__file__", str(defaults / "manager.py"))
    return defaults, mine


def managers(mine: Path, **more: Any) -> tuple[Any, Any]:
    """Return a late one, made as any program makes it, and one by lm-eval's own code."""
    whole = object.__new__(TaskManager)
    TaskManager.__init__.__wrapped__(whole, include_path=[*task_folders(), str(mine)], **more)
    return TaskManager(include_path=str(mine), **more), whole


def waits(manager: Any) -> bool:
    index = manager.task_index
    return isinstance(index, LateIndex) and index.read_all is not None


def configs(manager: Any, names: list[str]) -> dict[str, Any]:
    load = getattr(manager, "load", None) or (lambda names: {"tasks": manager.load_task_or_group(names)})
    found = load(names)
    shown = {name: task.config.doc_to_text for name, task in found["tasks"].items()}
    return {"tasks": shown, "groups": found.get("group_map")}


QUICK: dict[str, Callable[[Any], Any]] = {
    "match ours": lambda m: m.match_tasks(["fin_fpb", "finbench"]),
    "match one word": lambda m: m.match_tasks("fin_fpb"),
    "match the user's": lambda m: m.match_tasks(["shared_name", "mixed"]),
    "load ours": lambda m: configs(m, ["fin_fpb", "fin_xbrl"]),
    "load the user's that overrides": lambda m: configs(m, ["shared_name"]),
    "look up": lambda m: ("fin_fpb" in m.task_index, m.task_index["fin_fpb"], m.task_index.get("mixed")),
    "is it one": lambda m: "fin_sentiment" in m.all_groups and "fin_fpb" in m.all_subtasks,
    "paths": lambda m: (m.include_path[-1], m.metadata, sorted(vars(m))),
    "a tag of the user's over theirs": lambda m: configs(m, ["both"]),
}
WHOLE: dict[str, Callable[[Any], Any]] = {
    "all": lambda m: (list(m.all_tasks), list(m.all_groups), list(m.all_subtasks), list(m.all_tags)),
    "lists are lists": lambda m: (m.all_tags + ["x"], ["x"] + m.all_tags, m.all_tags == [], len(m.all_tasks)),
    "more of lists": lambda m: (
        m.all_tasks[0],
        m.all_tasks[-2:],
        set(m.all_tasks),
        "|".join(m.all_tasks),
        m.all_tags * 2,
    ),
    "a pattern": lambda m: m.match_tasks(["fin_*", "arc*"]),
    "theirs": lambda m: m.match_tasks(["arc_toy", "fin_fpb"]),
    "nothing": lambda m: m.match_tasks(["no_such_task"]),
    "load theirs": lambda m: configs(m, ["arcs"]),
    "load a mixed group": lambda m: configs(m, ["mixed"]),
    "items": lambda m: (list(m.task_index.items()), dict(m.task_index), {**m.task_index}, {} | m.task_index),
    "count": lambda m: (len(m.task_index), bool(m.task_index), sorted(m.task_index), repr(m.task_index)),
    "missing": lambda m: (m.task_index.get("no"), "no" in m.task_index, "no" in m.all_tasks),
    "pickle": lambda m: (lambda again: (again.all_tasks, again.task_index))(pickle.loads(pickle.dumps(m))),
    "deep copy": lambda m: (copy.deepcopy(m).all_tags, copy.deepcopy(m.task_index), copy.copy(m).all_groups),
    "set": lambda m: (m.task_index.update(x=1), m.task_index.pop("third", None), sorted(m.task_index))[2],
    "table": lambda m: m.list_all_tasks(),
}


@pytest.mark.parametrize("question", [*QUICK, *WHOLE])
def test_every_answer_is_that_of_a_manager_that_read_everything(question: str, folders: tuple[Path, Path]) -> None:
    late, whole = managers(folders[1], metadata={"clean": False})
    ask = (QUICK | WHOLE)[question]
    assert waits(late)
    assert ask(late) == ask(whole)
    assert waits(late) == (question in QUICK)
    assert ask(late) == ask(whole)


def test_unknown_names_fail_as_they_do_in_lm_eval(folders: tuple[Path, Path]) -> None:
    for manager in managers(folders[1]):
        with pytest.raises(KeyError, match="no_such_task"):
            manager.task_index["no_such_task"]
        with pytest.raises((KeyError, ValueError)):
            configs(manager, ["no_such_task"])


def test_nothing_is_kept_between_managers(folders: tuple[Path, Path]) -> None:
    defaults, mine = folders
    assert managers(mine)[0].match_tasks(["fresh"]) == []
    (defaults / "fresh.yaml").write_text(TASK.format(name="fresh", tag="new", text="theirs"))
    late, _ = managers(mine)
    (defaults / "arc_toy.yaml").unlink()  # after the start, before the reading
    assert late.match_tasks(["fresh", "arc_toy"]) == ["fresh"]


def test_what_differs_from_lm_evals_own_class_reads_at_the_start(folders: tuple[Path, Path]) -> None:
    class Mine(TaskManager):
        def __init__(self, extra: int) -> None:
            self.extra = extra
            super().__init__(None, str(folders[1]))

    mine = Mine(3)
    assert not waits(mine) and mine.extra == 3 and {"fin_fpb", "arc_toy", "mixed"} <= set(mine.all_tasks)
    few = TaskManager(include_path=str(folders[1]), include_defaults=False)
    assert not waits(few) and "fin_fpb" not in few.all_tasks and "arc_toy" not in few.all_tasks
