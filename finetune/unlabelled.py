"""Texts without labels, for a teacher to label: read strictly, and without what stands in a test set or in train."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from finbench.adapters.base_hash import sha256_of_file
from finbench.data.file import FileOptions, classifier_text_of, text_of
from finbench.data.load import as_table, bundled, cleaned, load, normalised
from finbench.data.tables import NO_VALUE, read_table
from finbench.errors import FinbenchError
from finbench.paths import task_folders
from finbench.records import Row
from finbench.settings import filled
from finetune.recipe import Recipe

FIELDS = ("text", "question", "entity")  # of a row, in which a bundled task's texts lie


def read_unlabelled(
    tasks: Mapping[str, Any], recipe: Recipe, known: Mapping[str, Mapping[str, Sequence[Any]]]
) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    """Return the file's rows for each task, as its own rows are but for the label, and a record of what was left out.

    `known` holds the docs of the training by part and task, such as {"train": {"fin_fpb": [...]}}: what stands there
    is left out, as is what stands in the test rows of any task that can be found, and what the file repeats.

    Raises:
        FinbenchError: the file cannot be read, lacks a column of a task, or no row is left.

    """
    path = Path(str(recipe.unlabelled))
    tested, checked, unchecked = _test_texts()
    found: dict[str, list[Any]] = {}
    counts: dict[str, Any] = {}
    for name, task in tasks.items():
        seen = {part: {_key(doc) for doc in docs[name]} for part, docs in known.items()}
        rows, dropped = _kept(_rows(path, name, task), tested, seen, recipe.clean)
        counts[name] = {"read": len(rows) + sum(dropped.values()), "kept": len(rows), "dropped": dict(dropped)}
        if not rows:
            raise FinbenchError(f"{path}: no row is left for {name} ({dict(dropped)}).")
        like = task.eval_docs[0]
        rows = cleaned(rows) if recipe.clean else rows
        found[name] = list(as_table(rows, like["choices"], like.get("settings") or ""))
    record = {"file": path.name, "sha256": sha256_of_file(path), "rows": counts}
    return found, record | {"checked_against": checked, "not_checked": unchecked}


def _kept(
    rows: Sequence[Row], tested: Mapping[str, str], seen: Mapping[str, set[tuple[str, ...]]], clean: bool
) -> tuple[list[Row], Counter[str]]:
    dropped: Counter[str] = Counter()
    kept: dict[tuple[str, ...], Row] = {}
    for row in rows:
        key = _key(row.as_doc())
        shown = _key(cleaned([row])[0].as_doc()) if clean else key  # as the training's own rows are
        parts = [part for part, keys in seen.items() if shown in keys]
        if not key[0] or row.text in NO_VALUE:
            dropped["no text"] += 1
        elif task := tested.get(key[0]):
            dropped[f"stands in the test rows of {task}"] += 1
        elif parts:
            dropped[f"stands in {parts[0]}"] += 1
        elif key in kept:
            dropped["repeated"] += 1
        else:
            kept[key] = row
    return list(kept.values()), dropped


def _key(doc: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what two rows have alike that ask the same, whatever their case, spacing and links."""
    return tuple(normalised(str(doc.get(field) or "")) for field in FIELDS)


def _rows(path: Path, name: str, task: Any) -> list[Row]:
    """Return the file's rows as a task's own dataset would have them."""
    settings = task.config.dataset_kwargs
    if settings["dataset"] == "file":
        given = {key: value for key, value in settings.items() if key != "labels"}
        options = filled(FileOptions, given, f"task {name!r}: its dataset_kwargs")
        if options.kind != "choice":
            raise FinbenchError(f"task {name!r} is of kind {options.kind}; unlabelled rows are those of kind choice.")
        records = read_table(path, options.text)
        return [
            Row(
                f"unlabelled-{number}",
                text_of(texts, options.text),
                classifier_text=classifier_text_of(texts, options.text),
            )
            for number, texts in enumerate([record[column] for column in options.text] for record in records)
        ]
    return _rows_like(bundled(settings["dataset"]), path)


def _rows_like(like: Row, path: Path) -> list[Row]:
    """Return the file's rows in the shape of a bundled row: its columns are the fields that this one fills."""
    fields = [field for field in FIELDS if getattr(like, field)]
    read = [next(field for field in fields if getattr(like, field) == part) for part in like.classifier_text]
    return [
        Row(
            f"unlabelled-{number}",
            **{field: record[field] for field in fields},  # type: ignore[arg-type]
            classifier_text=tuple(record[field] for field in read),
        )
        for number, record in enumerate(read_table(path, fields))
    ]


def _test_texts() -> tuple[dict[str, str], dict[str, int], list[str]]:
    """Return the texts of all test rows with the task of each, rows by task, and the tasks that cannot be read."""
    texts: dict[str, str] = {}
    checked: dict[str, int] = {}
    unchecked: list[str] = []
    for name, settings in _datasets():
        try:
            test = load(**settings).splits["test"]
        except FinbenchError:  # whose message names folders of this machine, which no record should
            unchecked.append(name)
            continue
        checked[name] = len(test)
        for row in test:
            texts.setdefault(normalised(row.text), name)
    texts.pop("", None)
    return texts, checked, unchecked


def _datasets() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the datasets of all task YAMLs, finbench's and the user's, each once, by the first task that names it."""
    from finbench.tasks.file import merged, parse_all, yaml_files

    files, _ = parse_all(yaml_files(task_folders()))
    seen: list[dict[str, Any]] = []
    for file in files.values():
        settings = merged(file, files).get("dataset_kwargs")
        if file.name and isinstance(settings, dict) and settings.get("dataset") and settings not in seen:
            seen.append(settings)
            yield file.name, settings
