"""Writes a task YAML for a table of the user's own: `finbench new-task my_mood news.csv --label mood`."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from finbench.data.file import FileOptions
from finbench.errors import FinbenchError
from finbench.paths import bundled_tasks
from finbench.records import RowSet
from finbench.scoring.kinds import KINDS, kind_called
from finbench.scoring.kinds.multiple_choice import LETTERS

# More classes than this are a column of something else, such as the text.
MOST_CLASSES = 50
CLASS_NUMBER = re.compile(r"[-+]?\d+(\.0+)?")  # 2, -1, and 1.0 as a table's writer may have made of it
SHARED = {"choice": ("_classify",), "label": ("_classify", "_generate_label")}  # beside _base; others have their own
LETTERED = f"{{% for option in options %}}{{{{ '{LETTERS}'[loop.index0] }}}}. {{{{ option }}}}\n{{% endfor %}}"
TEXT, OPTIONS = "{text}", "{options}"


@dataclass(frozen=True)
class NewTask:
    """What a user says of their table: its name, files and columns, and what is asked.

    `instruction` is worded from the kind if it is ""; `prompt` takes the place of the whole, with {text} in it.
    """

    name: str
    rows: FileOptions
    instruction: str = ""
    prompt: str = ""


def write_task(task: NewTask, folder: Path) -> tuple[Path, RowSet]:
    """Write `NAME.yaml` to the folder; return its path and the rows that it stands for.

    Raises:
        FinbenchError: the name cannot be used or is taken, or the table cannot be read or holds no such answers.

    """
    from finbench.data.load import load, pick_shot

    path = check_name(task.name, folder)
    rows = load("file", **_given(task.rows))
    if kind_called(task.rows.kind).classes and len(rows.labels) > MOST_CLASSES:
        raise FinbenchError(
            f"column {task.rows.label!r} of {task.rows.train!r} holds {len(rows.labels)} different values; name the "
            "column of classes with --label, or choose another --kind."
        )
    read = kind_called(task.rows.kind).settings
    for kind in KINDS.values():
        if unread := [name for name in kind.settings if name not in read and name in _given(task.rows)]:
            are = "is a setting" if len(unread) == 1 else "are settings"
            raise FinbenchError(
                f"{', '.join(unread)} {are} of kind {kind.name}, and these answers are {task.rows.kind}."
            )
    pick_shot(rows)  # refuses rows of which no shot can be taken
    text = render(task, rows.labels)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sink = path.open("x", encoding="utf-8")  # never over a file that came meanwhile
    except OSError as error:
        raise FinbenchError(f"{path} cannot be written ({error.strerror}).") from error
    try:
        with sink:
            sink.write(text)
    except OSError as error:
        path.unlink(missing_ok=True)  # half a task would be in the way of the next try
        raise FinbenchError(f"{path} cannot be written ({error.strerror}).") from error
    return path, rows


def _given(options: FileOptions) -> dict[str, Any]:
    """Return the options that are not the defaults, as a YAML has them."""
    found = {field.name: (getattr(options, field.name), field.default) for field in fields(options)}
    given = {name: value for name, (value, default) in found.items() if value != default}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}


def check_name(name: str, folder: Path) -> Path:
    """Return where a new task of that name is written.

    Raises:
        FinbenchError: the name cannot be used or is taken.

    """
    from finbench.tasks.load import task_names

    path = folder / f"{name}.yaml"
    if not re.fullmatch(r"[A-Za-z0-9]\w*", name, re.ASCII):
        raise FinbenchError(f"a task's name is made of letters, digits and _, not {name!r}.")
    if path.exists():
        raise FinbenchError(f"{path} is there already; choose another name or remove the file.")
    if name in task_names():
        raise FinbenchError(f"a task is called {name!r} already; choose another name.")
    return path


def render(task: NewTask, labels: tuple[str, ...]) -> str:
    """Return the YAML's text: the shared keys of the bundled tasks, so that it needs no other file, and its own."""
    given = _given(task.rows)
    if labels and not task.rows.options:
        given["labels"] = list(labels)
    return "\n".join(
        [
            "# Files are looked up where a command is run, then beside this file. `finbench validate` checks it.",
            f"task: {task.name}",
            "dataset_kwargs:",
            "  dataset: file",
            *(f"  {key}: {_quoted(value)}" for key, value in given.items()),
            f"doc_to_text: {_quoted(_prompt(task, labels))}",
            "metadata: {version: 1.0}",
            "",
            *_shared_keys(task.rows.kind),
            "",
        ]
    )


def _prompt(task: NewTask, labels: tuple[str, ...]) -> str:
    """Return the template of a prompt. To a user's own instruction only the labels are added."""
    options = LETTERED if task.rows.options else ""
    if task.prompt:
        return _placed(task.prompt, [(TEXT, "{{text}}"), *([(OPTIONS, options)] if options else [])])
    kind, own = kind_called(task.rows.kind), task.instruction.strip()
    instruction = own or kind.asks
    if (kind.classes or kind.by_label) and not options:
        among = f"{{{'/'.join(labels)}}}"
        choose = "" if kind.by_label else "Please choose an answer from "
        named = all(label.casefold() in own.casefold() for label in labels)
        instruction += "" if own and named else f" {among}" if own else f" {choose}{among}."
    return f"Instruction: {_literal(instruction)}\nInput: {{{{text}}}}\n{options}Answer:"


def _placed(prompt: str, wanted: Sequence[tuple[str, str]]) -> str:
    """Return a user's prompt as a template: what stands for text and options in its place, all else to the letter."""
    if not wanted:
        return _literal(prompt)
    (mark, template), *rest = wanted
    before, found, after = prompt.partition(mark)
    if not found or (rest and rest[0][0] in before):
        places = f"{mark} where it goes" + (f", and {rest[0][0]} behind it" if rest else "")
        raise FinbenchError(f"--prompt {prompt!r} does not say where the parts go: write {places}.")
    return f"{_literal(before)}{template}{_placed(after, rest)}"


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)  # JSON's strings and lists are YAML's: "No" stays a word


def _literal(text: str) -> str:
    """Keep braces of the user's own from being read as a template's."""
    return f"{{% raw %}}{text}{{% endraw %}}" if re.search(r"\{[{%#]", text) else text


def _shared_keys(kind: str) -> list[str]:
    """Return the lines of the keys that tasks of that kind share; a later file's keys win."""
    found: dict[str, list[str]] = {}
    for name in ("_base", *SHARED.get(kind, (f"_{kind}",))):
        key = ""
        for line in (bundled_tasks() / f"{name}.yaml").read_text(encoding="utf-8").splitlines():
            if line.startswith(("#", "include:", "metadata:")):
                continue
            if not line.startswith(" "):
                key = line.partition(":")[0]
                found[key] = []
            found[key].append(line)
    return [line for lines in found.values() for line in lines]


def kind_of_column(options: FileOptions) -> str:
    """Return the kind of the answers in a table's column, found from its cells.

    Raises:
        FinbenchError: the table cannot be read.

    """
    from finbench.data.file import find_file
    from finbench.data.tables import NO_VALUE, read_table

    if options.options:
        return "multiple_choice"
    records = read_table(find_file(options.train), (*options.text, options.label))
    cells = [record[options.label] for record in records]
    cells = [cell for cell in cells if cell and cell not in NO_VALUE]
    several = set(cells)
    few = len(several) <= min(MOST_CLASSES, max(2, len(cells) // 2))
    for name in ("tag", "spans"):
        if cells and all(not KINDS[name].gold(cell, {}) for cell in cells) and any(":" in cell for cell in cells):
            return name
    if set(KINDS["number"].settings) & _given(options).keys():
        return "number"  # nothing else has such settings
    # Numbers without a unit, sign or fraction that come again and again are classes. A comma's numbers are numbers too
    # where no --point says so: the reader then refuses them by name, instead of taking them for texts.
    for point in (".", ","):
        if cells and all(not KINDS["number"].gold(cell, {"point": point}) for cell in cells):
            if not few or not all(CLASS_NUMBER.fullmatch(cell) for cell in cells):
                return "number"
    parts = {part.strip() for cell in cells for part in re.split("[;|]", cell)}
    if any(re.search("[;|]", cell) for cell in cells) and len(parts) <= MOST_CLASSES:
        return "labels"
    return "choice" if few else "text"
