"""Writes a task YAML for a table of the user's own: `finbench new-task my_mood news.csv --label mood`."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from finbench.errors import FinbenchError
from finbench.paths import bundled_tasks
from finbench.records import RowSet

# More classes than this are a column of something else, such as the text.
MOST_CLASSES = 50


@dataclass(frozen=True)
class NewTask:
    """What a user says of their table: its files, its columns, and what is asked (worded from the classes if "")."""

    name: str
    train: str
    test: str = ""
    text: str = "text"
    label: str = "label"
    instruction: str = ""


def write_task(task: NewTask, folder: Path) -> tuple[Path, RowSet]:
    """Write `NAME.yaml` to the folder; return its path and the rows that it stands for.

    Raises:
        FinbenchError: the name cannot be used or is taken, or the table cannot be read or holds no classes.

    """
    from finbench.data.load import load, pick_shot

    path = folder / f"{task.name}.yaml"
    _check_name(task.name, path)
    rows = load("file", train=task.train, test=task.test, text=task.text, label=task.label)
    if len(rows.labels) > MOST_CLASSES:
        raise FinbenchError(
            f"column {task.label!r} of {task.train!r} holds {len(rows.labels)} different values; "
            "name the column of classes with --label."
        )
    pick_shot(rows)  # refuses rows of which no shot can be taken
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sink = path.open("x", encoding="utf-8")  # never over a file that came meanwhile
    except OSError as error:
        raise FinbenchError(f"{path} cannot be written ({error.strerror}).") from error
    try:
        with sink:
            sink.write(render(task, rows.labels))
    except OSError as error:
        path.unlink(missing_ok=True)  # half a task would be in the way of the next try
        raise FinbenchError(f"{path} cannot be written ({error.strerror}).") from error
    return path, rows


def _check_name(name: str, path: Path) -> None:
    from finbench.tasks.load import task_names

    if not re.fullmatch(r"[A-Za-z0-9]\w*", name, re.ASCII):
        raise FinbenchError(f"a task's name is made of letters, digits and _, not {name!r}.")
    if path.exists():
        raise FinbenchError(f"{path} is there already; choose another name or remove the file.")
    if name in task_names():
        raise FinbenchError(f"a task is called {name!r} already; choose another name.")


def render(task: NewTask, labels: tuple[str, ...]) -> str:
    """Return the YAML's text: the shared keys of the bundled tasks, so that it needs no other file, and its own."""
    instruction = task.instruction or "Which class does this text belong to?"
    choices = f" Please choose an answer from {{{'/'.join(labels)}}}."
    prompt = f"Instruction: {_literal(instruction.strip() + choices)}\nInput: {{{{text}}}}\nAnswer:"
    rows = {"dataset": "file", "train": task.train, "test": task.test, "text": task.text, "label": task.label}
    given = {key: value for key, value in rows.items() if value} | {"labels": list(labels)}
    return "\n".join(
        [
            "# Files are looked up where a command is run, then beside this file. `finbench validate` checks it.",
            f"task: {task.name}",
            "dataset_kwargs:",
            *(f"  {key}: {_quoted(value)}" for key, value in given.items()),
            f"doc_to_text: {_quoted(prompt)}",
            "metadata: {version: 1.0}",
            "",
            *_shared_keys(),
            "",
        ]
    )


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)  # JSON's strings and lists are YAML's: "No" stays a word


def _literal(text: str) -> str:
    """Keep braces of the user's own from being read as a template's."""
    return f"{{% raw %}}{text}{{% endraw %}}" if re.search(r"\{[{%#]", text) else text


def _shared_keys() -> list[str]:
    lines = []
    for name in ("_base.yaml", "_classify.yaml"):
        for line in (bundled_tasks() / name).read_text(encoding="utf-8").splitlines():
            if not line.startswith(("#", "include:")):
                lines.append(line)
    return lines
