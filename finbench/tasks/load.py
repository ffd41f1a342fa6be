"""Our tasks as lm-eval objects, without the scan of lm-eval's own 16,000 task files, which takes seconds."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from finbench.errors import FinbenchError
from finbench.paths import task_folders
from finbench.settings import suggestion
from finbench.tasks.named import check_named
from finbench.tasks.prompting import PLAIN, Prompting

if TYPE_CHECKING:
    from finbench.scoring.kinds.kind import Kind

# lm-eval's own default, for tasks whose shot is not pinned: every run draws the same ones.
SHOT_SEED = 1234
TEMPLATES = (
    "description",
    "doc_to_text",
    "doc_to_choice",
    "doc_to_target",
    "target_delimiter",
    "fewshot_delimiter",
    "gen_prefix",
    "num_fewshot",
    "output_type",
    "generation_kwargs",
    "process_results",
)
# Functions of either module read answers alike and only name metrics otherwise, which is no other prompt.
SAME_READING = {"finbench.scoring.for_lm_eval": "finbench.scoring.answers"}


def _manager(metadata: Mapping[str, Any] | None = None) -> Any:
    from lm_eval.tasks import TaskManager

    return TaskManager(include_path=task_folders(), include_defaults=False, metadata=dict(metadata or {}) or None)


def task_names() -> list[str]:
    """Return the names of all tasks and groups in the task folders."""
    return sorted(_manager().all_tasks)


def load_tasks(names: Sequence[str], metadata: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return lm-eval tasks by name, groups expanded to their tasks; `metadata` is what changes rows, such as `clean`.

    Raises:
        FinbenchError: a name is unknown, or the rows of a task cannot be had.

    """
    check_named(names)
    manager = _manager(metadata)
    for name in names:
        if name not in manager.all_tasks:
            hint = suggestion(name, manager.all_tasks)
            raise FinbenchError(f"no task or group is called {name!r}: {hint} FINBENCH_TASKS names more folders.")
    tasks: dict[str, Any] = {}
    for name in names:  # one by one: lm-eval refuses a task that is named beside a group that holds it
        for found, task in manager.load([name])["tasks"].items():
            task.set_fewshot_seed(SHOT_SEED)
            tasks.setdefault(found, task)
    return tasks


def kind_of(name: str, task: Any) -> "Kind":
    """Return the kind of a task's answers.

    Raises:
        FinbenchError: finbench has no rule for reading them.

    """
    from finbench.scoring.for_lm_eval import KIND_OF
    from finbench.scoring.kinds import KINDS

    config = task.config
    if config.process_results not in KIND_OF or "dataset" not in (config.dataset_kwargs or {}):
        raise FinbenchError(
            f"task {name!r} is not scored by finbench's rules: its YAML names another `process_results`, or no "
            f"`dataset_kwargs.dataset`. There are rules for the kinds {', '.join(KINDS)}; `finbench new-task --kind` "
            "writes a task of one of them, and lm_eval scores the others."
        )
    kind, rows = KIND_OF[config.process_results], config.dataset_kwargs
    said = str(rows.get("kind", "choice")) if rows["dataset"] == "file" else kind.name
    if said != kind.name and {said, kind.name} != {"choice", "label"}:  # which have the same rows
        raise FinbenchError(
            f"task {name!r} has rows of kind {said!r} among its dataset_kwargs, and process_results that reads kind "
            f"{kind.name!r}: `finbench new-task --kind` writes both alike."
        )
    return kind


def prompt_sha256(task: Any, prompting: Prompting = PLAIN) -> str:
    """Return a hash of all that shapes a task's prompts beside the rows: its templates, and its first row rendered.

    The rendered prompt holds description, delimiters and the shot's text; the templates tell what other rows meet. A
    chat template is the base's, and in its hash.
    """
    task.set_fewshot_seed(SHOT_SEED)
    config, first = task.config, task.eval_docs[0]
    parts = {key: _plain(config[key]) for key in TEMPLATES}
    parts["clean"] = bool((config.metadata or {}).get("clean"))
    parts["prompt"] = task.fewshot_context(first, prompting.shots(task))
    if words := prompting.words(task):
        parts["prompting"] = words
    parts["choices"] = task.doc_to_choice(first) if config.doc_to_choice else None
    if first.get("settings"):
        parts["settings"] = first["settings"]
    task.set_fewshot_seed(SHOT_SEED)  # rendering may have drawn a shot: scoring draws the same one
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if not callable(value):
        return value
    return f"{SAME_READING.get(value.__module__, value.__module__)}.{value.__qualname__}"
