"""Our tasks as lm-eval objects, without the scan of lm-eval's own 16,000 task files that costs plain `lm_eval` seconds."""

import difflib
import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from finbench.errors import FinbenchError
from finbench.paths import task_folders


def _manager(metadata: Mapping[str, Any] | None = None) -> Any:
    from lm_eval.tasks import TaskManager

    logging.getLogger("lm_eval").setLevel(logging.ERROR)  # it warns of every task that makes its own rows
    return TaskManager(include_path=task_folders(), include_defaults=False, metadata=dict(metadata or {}) or None)


def task_names() -> list[str]:
    """Return the names of all tasks and groups in the task folders."""
    return sorted(_manager().all_tasks)


def load_tasks(names: Sequence[str], metadata: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return lm-eval tasks by name, groups expanded to their tasks; `metadata` is what changes rows, such as `clean`.

    Raises:
        FinbenchError: a name is unknown, or the rows of a task cannot be had.

    """
    manager = _manager(metadata)
    for name in names:
        if name not in manager.all_tasks:
            near = difflib.get_close_matches(name, manager.all_tasks, n=3)
            hint = f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(manager.all_tasks)}."
            raise FinbenchError(f"no task or group is called {name!r}: {hint} FINBENCH_TASKS names more folders.")
    tasks: dict[str, Any] = {}
    for name in names:  # one by one: lm-eval refuses a task that is named beside a group that holds it
        for found, task in manager.load([name])["tasks"].items():
            tasks.setdefault(found, task)
    return tasks


def prompt_sha256(task: Any) -> str:
    """Return a hash of all that shapes a task's prompts beside the rows: templates, delimiters, choices and the shot."""
    config = task.config
    shot = [dict(doc) for doc in task.fewshot_docs() or []] if config.num_fewshot else []
    parts = {
        "description": config.description,
        "doc_to_text": str(config.doc_to_text),
        "doc_to_choice": str(config.doc_to_choice),
        "doc_to_target": str(config.doc_to_target),
        "target_delimiter": config.target_delimiter,
        "fewshot_delimiter": config.fewshot_delimiter,
        "num_fewshot": config.num_fewshot,
        "output_type": config.output_type,
        "generation_kwargs": config.generation_kwargs,
        "shot": shot,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
