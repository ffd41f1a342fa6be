"""The one door to rows: opens the chosen source, reads, drops what leaks, picks the shot, and hands splits to lm-eval."""

import hashlib
import importlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finbench.data.sources import Dataset, Splits, chosen_source, open_folder, open_hub
from finbench.errors import FinbenchError
from finbench.paths import PACKAGE
from finbench.records import Row, RowSet

if TYPE_CHECKING:
    import datasets

DATASETS = ("fpb", "fiqa", "tfns", "nwgi", "nwgi7", "headline", "ner", "xbrl_tags", "xbrl_values")


def find(name: str) -> Dataset:
    """Return the dataset of that name.

    Raises:
        FinbenchError: there is none.
    """
    if name not in DATASETS:
        raise FinbenchError(f"no dataset is called {name!r}; there are {', '.join(DATASETS)}, and `file` for your own.")
    module = {"nwgi7": "nwgi", "xbrl_tags": "xbrl", "xbrl_values": "xbrl"}.get(name, name)
    attribute = {"nwgi7": "DATASET7", "xbrl_tags": "TAGS", "xbrl_values": "VALUES"}.get(name, "DATASET")
    dataset: Dataset = getattr(importlib.import_module(f"finbench.data.{module}"), attribute)
    return dataset


def load(name: str) -> RowSet:
    """Return the rows of a dataset from the source that `FINBENCH_DATA` chooses, without train rows that leak."""
    return _load(name, *chosen_source())


@lru_cache(maxsize=32)
def _load(name: str, kind: str, place: str) -> RowSet:
    dataset = find(name)
    if kind == "sample":
        splits, dropped, source = _read_sample(dataset), {}, "sample"
    elif kind == "folder":
        splits, dropped = dataset.read(open_folder(dataset, Path(place)), "folder")
        source = "folder"
    else:
        splits, dropped = dataset.read(open_hub(dataset), "hub")
        source = f"hub:{dataset.repo}@{dataset.revision}"
    splits = {split: [_with_cluster(row) for row in rows] for split, rows in splits.items()}
    return drop_leaks(RowSet(name, source, dataset.labels, {s: tuple(r) for s, r in splits.items()}, dropped))


def _with_cluster(row: Row) -> Row:
    return row if row.cluster else replace(row, cluster=row.id)


def _read_sample(dataset: Dataset) -> Splits:
    path = PACKAGE / "data" / "sample" / f"{dataset.name.removesuffix('7')}.jsonl"
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


def drop_leaks(rows: RowSet) -> RowSet:
    """Drop from train (never from test) rows whose text stands exactly in test, and repeated rows whose labels conflict."""
    train, test = rows.splits["train"], rows.splits["test"]
    in_test = {(row.text, row.xml) for row in test}
    kept = [row for row in train if (row.text, row.xml) not in in_test]
    answers: dict[tuple[str, ...], set[str]] = {}
    for row in kept:
        answers.setdefault(_asked(row), set()).add(row.label or row.answer)
    clean = [row for row in kept if len(answers[_asked(row)]) == 1]
    dropped = dict(rows.dropped)
    dropped["train: text stands in test"] = len(train) - len(kept)
    dropped["train: repeated with another label"] = len(kept) - len(clean)
    return replace(rows, splits={**rows.splits, "train": tuple(clean)}, dropped=dropped)


def _asked(row: Row) -> tuple[str, ...]:
    return (row.text, row.question, row.entity, row.xml)


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


def rows_sha256(rows: Iterable[Row]) -> str:
    """Return a hash of the rows' contents, in order."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(asdict(row), sort_keys=True, ensure_ascii=True).encode())
        digest.update(b"\n")
    return digest.hexdigest()


def splits(dataset: str, clean: bool = False, **metadata: Any) -> "dict[str, datasets.Dataset]":
    """Return a dataset's splits as lm-eval reads them: what a task YAML names as `custom_dataset`.

    `shot` is a split of its own with the one pinned row. Keys of the task's `metadata` that are no option of rows are
    passed by lm-eval too, and ignored.
    """
    rows = load(dataset)
    shot = pick_shot(rows)
    tables = {"train": rows.splits["train"], "test": rows.splits["test"], "shot": (shot,)}
    if "validation" in rows.splits:
        tables["validation"] = rows.splits["validation"]
    return {name: as_table(_cleaned(part) if clean else part, rows.labels) for name, part in tables.items()}


def _cleaned(rows: Sequence[Row]) -> list[Row]:
    from finbench.data.clean import clean_row

    return [clean_row(row) for row in rows]


def as_table(rows: Sequence[Row], labels: Sequence[str]) -> "datasets.Dataset":
    """Return rows as a `datasets.Dataset`: one column a field, and `choices` with the task's labels."""
    import datasets

    return datasets.Dataset.from_list([{**row.as_doc(), "choices": list(labels)} for row in rows])
