"""The one door to rows: opens the chosen source, drops what leaks, picks the shot, hands splits to lm-eval."""

import hashlib
import importlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finbench.data.perturb import NONE, perturbed
from finbench.data.sources import Dataset, Splits, chosen_source, open_folder, open_hub
from finbench.errors import FinbenchError
from finbench.paths import PACKAGE
from finbench.records import Row, RowSet

if TYPE_CHECKING:
    import datasets

DATASETS = (
    *("fpb", "fiqa", "tfns", "nwgi", "nwgi7", "headline", "ner", "xbrl_tags", "xbrl_values"),
    *(
        "xbrl_term",
        "formula",
        "financebench",
        "xbrl_formulas",
        "xbrl_calculations",
        "finer",
        "fnxl",
        "finqa",
        "convfinqa",
    ),
    *("fomc", "german", "australian", "ma", "edtsum", "finentity", "banking77", "numclaim", "tatqa", "finred"),
)
MOST_SHOTS = 5
PLACES = {  # of datasets that share a file
    "nwgi7": ("nwgi", "DATASET7"),
    "xbrl_tags": ("xbrl", "TAGS"),
    "xbrl_values": ("xbrl", "VALUES"),
    "xbrl_formulas": ("xbrl", "FORMULAS"),
    "xbrl_calculations": ("xbrl", "CALCULATIONS"),
    "xbrl_term": ("finlora", "XBRL_TERM"),
    "formula": ("finlora", "FORMULA"),
    "financebench": ("finlora", "FINANCEBENCH"),
    "finer": ("tagging", "FINER"),
    "fnxl": ("tagging", "FNXL"),
    "finqa": ("finqa", "FINQA"),
    "convfinqa": ("finqa", "CONVFINQA"),
    **{name: ("flare", name.upper()) for name in ("german", "australian", "ma", "edtsum")},
}


def find(name: str) -> Dataset:
    """Return the dataset of that name.

    Raises:
        FinbenchError: there is none.

    """
    if name not in DATASETS:
        raise FinbenchError(f"no dataset is called {name!r}; there are {', '.join(DATASETS)}, and `file` for your own.")
    module, attribute = PLACES.get(name, (name, "DATASET"))
    dataset: Dataset = getattr(importlib.import_module(f"finbench.data.{module}"), attribute)
    return dataset


def load(dataset: str, **options: Any) -> RowSet:
    """Return a dataset's rows without the train rows that leak, from the source that `FINBENCH_DATA` chooses.

    `options` are those of `finbench.data.file.FileOptions` and go with the dataset `file` alone, so that a task's rows
    are `load(**dataset_kwargs)` of its YAML.

    Raises:
        FinbenchError: there is no such dataset, or its rows cannot be had; the message says what to do.

    """
    if dataset == "file":
        return drop_leaks(read(dataset, **options))
    return _load(dataset, *chosen_source())


def read(dataset: str, **options: Any) -> RowSet:
    """Return a dataset's rows as published, rows that leak included; arguments and errors are those of `load`."""
    if dataset == "file":
        from finbench.data.file import read as read_file

        return _with_clusters(read_file(**options))
    return _read(dataset, *chosen_source())


@lru_cache(maxsize=32)
def _load(name: str, kind: str, place: str) -> RowSet:
    return drop_leaks(_read(name, kind, place))


def _read(name: str, kind: str, place: str) -> RowSet:
    dataset = find(name)
    dropped: dict[str, int] = {}
    if kind == "sample":
        splits, source = _read_sample(dataset), "sample"
    elif kind == "folder":
        files = open_folder(dataset, Path(place))
        splits, dropped = dataset.read(files, "folder")
        drawn = "test" in dataset.optional and "test" not in files
        source = "folder: a quarter of train is test" if drawn else "folder"
    else:
        files, commit = open_hub(dataset)
        splits, dropped = dataset.read(files, "hub")
        source = f"hub:{dataset.repo}@{commit}"
    if kind != "sample" and "test" in dataset.folder_files and "train" not in dataset.folder_files:
        source += ": a few rows of test are train, for shots"
    of_split = {split: tuple(rows) for split, rows in splits.items()}
    return _with_clusters(RowSet(name, source, dataset.labels, of_split, dropped, dataset.settings))


def _with_clusters(rows: RowSet) -> RowSet:
    for split, part in rows.splits.items():
        if not part:
            raise FinbenchError(f"dataset {rows.dataset!r} ({rows.source}) has no usable row in split {split!r}.")
    named = {split: tuple(_with_cluster(row) for row in part) for split, part in rows.splits.items()}
    return replace(rows, splits=named)


def _with_cluster(row: Row) -> Row:
    return row if row.cluster else replace(row, cluster=row.id)


def _read_sample(dataset: Dataset) -> Splits:
    path = PACKAGE / "data" / "sample" / f"{'nwgi' if dataset.name == 'nwgi7' else dataset.name}.jsonl"
    splits: Splits = {"train": [], "test": []}
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        split = record.pop("split")
        fine = record.pop("label7", "")
        if dataset.name == "nwgi7":
            record["label"] = fine
        record["classifier_text"] = tuple(record.get("classifier_text", ()))
        splits[split].append(Row(**record))
    return splits


def bundled(dataset: str) -> Row:
    """Return a dataset's first bundled row, which shows what its rows consist of without fetching any."""
    return _read_sample(find(dataset))["test"][0]


def drop_leaks(rows: RowSet) -> RowSet:
    """Drop from train, never from test, rows whose text stands exactly in test and repeats with other labels."""
    train, test = rows.splits["train"], rows.splits["test"]
    in_test = {(row.text, row.xml) for row in test}
    kept = [row for row in train if (row.text, row.xml) not in in_test]
    answers: dict[tuple[str, ...], set[str]] = {}
    for row in kept:
        answers.setdefault(asked(row), set()).add(row.label or row.answer)
    clean = [row for row in kept if len(answers[asked(row)]) == 1]
    dropped = dict(rows.dropped)
    dropped["train: text stands in test"] = len(train) - len(kept)
    dropped["train: repeated with another label"] = len(kept) - len(clean)
    return replace(rows, splits={**rows.splits, "train": tuple(clean)}, dropped=dropped)


def asked(row: Row) -> tuple[str, ...]:
    """Return what a row asks, whatever the wording: rows with equal ones should have equal answers."""
    # A question about an entity has many wordings, the order of its options among them, and one answer.
    return (row.text, row.entity or row.question, row.xml, *row.options)


def normalised(text: str) -> str:
    """Return the text without links, case and spacing, as near-duplicates are compared."""
    words = (word for word in text.lower().split() if not word.startswith(("http://", "https://", "www.")))
    return " ".join(words)


def pick_shot(rows: RowSet) -> Row:
    """Return the train row that serves as the one shot: of middling length, and no near-duplicate of a test row.

    The choice depends on the train rows' lengths alone, so it is the same for every model and run.
    """
    in_test = {normalised(row.text) for row in rows.splits["test"]}
    candidates = [row for row in rows.splits["train"] if normalised(row.text) not in in_test]
    if not candidates:
        raise FinbenchError(f"dataset {rows.dataset!r}: every train row stands in test, so no shot can be taken.")
    by_length = sorted(range(len(candidates)), key=lambda n: (len(candidates[n].text), n))
    return candidates[by_length[len(by_length) // 2]]


def pick_shots(rows: RowSet) -> tuple[Row, ...]:
    """Return the train rows that serve as shots, `pick_shot`'s first: balanced over classes, none twice asked.

    After the first come rows of the classes that have been shown least, in the order of the labels, each of middling
    length among its class; without classes, the rows next to the middle.
    """
    first = pick_shot(rows)
    in_test = {normalised(row.text) for row in rows.splits["test"]}
    left = [row for row in rows.splits["train"] if normalised(row.text) not in in_test and row.cluster != first.cluster]
    left.sort(key=lambda row: len(row.text))  # stable: of equal ones the first in the file
    found = [first]
    while left and len(found) < MOST_SHOTS:
        shown = Counter(row.label for row in found)
        classes = dict.fromkeys([*rows.labels, *(row.label for row in left)])
        offered = {label: [row for row in left if row.label == label] for label in classes}
        label = min((label for label in classes if offered[label]), key=lambda label: shown[label])
        of_class = offered[label]
        found.append(of_class[len(of_class) // 2])
        left = [row for row in left if row.cluster != found[-1].cluster]
    return tuple(found)


def rows_sha256(rows: Iterable[Row]) -> str:
    """Return a hash of the rows' contents, in order."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row.values(), sort_keys=True, ensure_ascii=True).encode())
        digest.update(b"\n")
    return digest.hexdigest()


def splits(
    dataset: str,
    clean: bool = False,
    perturb: str = NONE,
    **given: Any,
) -> "dict[str, datasets.Dataset]":
    """Return a dataset's splits as lm-eval reads them: what a task YAML names as `custom_dataset`.

    `shot` is a split of its own with the pinned rows, of which a prompt takes the first. What is `given` beside are the
    options of the dataset `file`, and keys of the task's `metadata`, which lm-eval passes too and which are
    ignored. `perturb` changes the texts of test alone (`finbench.data.perturb`), before any cleaning, as a user's text
    would come.
    """
    rows = load(dataset, **_options_of_file(given) if dataset == "file" else {})
    tested = perturbed(dataset, rows.splits["test"], perturb)
    tables = {"train": rows.splits["train"], "test": tested, "shot": pick_shots(rows)}
    return {
        name: as_table(cleaned(part) if clean else part, rows.labels, rows.settings) for name, part in tables.items()
    }


def _options_of_file(given: Mapping[str, Any]) -> dict[str, Any]:
    from finbench.data.file import FileOptions

    names = {field.name for field in fields(FileOptions)}
    return {name: value for name, value in given.items() if name in names}


def cleaned(rows: Sequence[Row]) -> list[Row]:
    """Return rows with their texts cleaned."""
    from finbench.data.clean import clean_row

    return [clean_row(row) for row in rows]


def as_table(rows: Sequence[Row], labels: Sequence[str], settings: str = "") -> "datasets.Dataset":
    """Return rows as a `datasets.Dataset`: one column a field, and `choices` with the task's labels.

    A row with options has as many of the labels as it has options.
    """
    import datasets

    more = {"settings": settings} if settings else {}
    docs = [{**row.as_doc(), "choices": list(labels[: len(row.options) or None]), **more} for row in rows]
    return datasets.Dataset.from_list(docs)
