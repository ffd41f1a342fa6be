"""More train rows of train rows, with their labels: noise, other cases, other words; test, validation and shot stay.

A copy follows from the recipe's seed and the row alone. What comes out as the row was, or as a row of test, validation
or shot stands, is left out and counted.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from finbench.data.perturb import KINDS, check_dataset, perturb_text
from finetune.parts import CASING, MASKED, Augment
from finetune.recipe import Recipe

CASES: tuple[Callable[[str], str], ...] = (str.lower, str.upper, str.title)

Change = Callable[[Sequence[str], Sequence[str]], list[str]]  # texts and a name for each copy, to changed texts


def augmented(
    tasks: Mapping[str, Any], recipe: Recipe, train: Mapping[str, Sequence[Any]], others: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, list[Any]], dict[str, list[dict[str, Any]]]]:
    """Return the new rows of each task, and how many each way of making them made and why it left out others.

    `others` hold the validation rows and shots by task.

    Raises:
        FinbenchError: a task's texts lose their meaning when they are changed, or the masked model cannot be had.

    """
    made: dict[str, list[Any]] = {name: [] for name in tasks}
    counts: dict[str, list[dict[str, Any]]] = {name: [] for name in tasks}
    for way in recipe.augment:
        change = _change(way, recipe)
        for name, task in tasks.items():
            check_dataset(task.config.dataset_kwargs["dataset"])
            known = {doc["text"] for rows in (task.eval_docs, *(part[name] for part in others)) for doc in rows}
            rows, left_out = _copies(way, change, train[name], known | {doc["text"] for doc in made[name]})
            made[name] += rows
            counts[name].append({"kind": way.kind, "made": len(rows), "left_out": dict(left_out)})
    return made, counts


def _copies(way: Augment, change: Change, docs: Sequence[Any], known: set[str]) -> tuple[list[Any], Counter[str]]:
    chosen = [doc for doc in docs if not way.classes or doc["label"] in way.classes]
    asked = [(doc, f"{doc['id']}+{way.kind}{copy or ''}") for copy in range(way.copies) for doc in chosen]
    parts = [list(dict.fromkeys([doc["text"], *_own_parts(doc)])) for doc, _ in asked]
    flat = change(
        [part for row in parts for part in row],
        [name for row, (_, name) in zip(parts, asked, strict=True) for _ in row],
    )
    changed = iter(flat)
    rows: list[Any] = []
    left_out: Counter[str] = Counter()
    for (doc, name), row in zip(asked, parts, strict=True):
        new = {part: next(changed) for part in row}
        text = new[doc["text"]]
        if text == doc["text"]:
            left_out["nothing to change"] += 1
        elif text in known:
            left_out["stands in test, validation or shot, or was made before"] += 1
        else:
            known.add(text)
            read = [new.get(part, part) for part in doc["classifier_text"]]
            rows.append({**doc, "id": name, "text": text, "classifier_text": read})
    return rows, left_out


def _own_parts(doc: Mapping[str, Any]) -> list[str]:
    """Return what else a classifier reads of the row's own: its cells, where its text holds several of them."""
    parts = list(doc["classifier_text"])
    return [] if doc["text"] in parts else parts


def _change(way: Augment, recipe: Recipe) -> Change:
    if way.kind == MASKED:
        from finetune.masked import MaskedWords

        return MaskedWords(str(way.model), way.share, recipe.seed)
    if way.kind == CASING:
        return lambda texts, names: [
            random.Random(f"{recipe.seed}|{CASING}|{name}").choice(CASES)(text)
            for text, name in zip(texts, names, strict=True)
        ]
    assert way.kind in KINDS
    return lambda texts, names: [
        perturb_text(text, way.kind, name, recipe.seed) for text, name in zip(texts, names, strict=True)
    ]
