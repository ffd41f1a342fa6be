"""The rows of a training: those of train, copies that were changed, texts that a teacher labels, and its answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from finbench.errors import FinbenchError
from finbench.predict.calibration import softmax
from finetune.augment import augmented
from finetune.examples import shots_of, split_rows
from finetune.recipe import Recipe
from finetune.teaching import Answers, ask, check
from finetune.unlabelled import read_unlabelled


@dataclass(frozen=True)
class Gathered:
    """The docs to train on and to validate by, by task; a teacher's answers, and what the record says of all that.

    `unread` counts rows that the teacher could not read and that were left out for that.
    """

    train: dict[str, list[Any]]
    validation: dict[str, list[Any]]
    answers: Answers | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    unread: int = 0


def gather(tasks: dict[str, Any], recipe: Recipe) -> Gathered:
    """Return the rows of a training; a teacher is asked for what nobody asked it before.

    Raises:
        FinbenchError: rows or teacher cannot be had, or do not go together.

    """
    train, validation = split_rows(tasks, recipe)
    notes: dict[str, Any] = {}
    shots = {name: shots_of(task, recipe) for name, task in tasks.items()}
    new: dict[str, list[Any]] = {name: [] for name in tasks}
    if recipe.augment:
        new, notes["augmented"] = augmented(tasks, recipe, train, (validation, shots))
    labelled = {name: [*train[name], *new[name]] for name in tasks}
    if recipe.teacher is None:
        return Gathered(labelled, validation, notes=notes)
    check(recipe.teacher, recipe, tasks)
    extra: dict[str, list[Any]] = {name: [] for name in tasks}
    if recipe.unlabelled:
        known = {"train": train, "validation": validation, "the prompt's shot": shots}
        extra, notes["unlabelled"] = read_unlabelled(tasks, recipe, known)
    answers = ask(recipe, tasks, {name: [*labelled[name], *extra[name]] for name in tasks})
    notes["teacher"] = {**answers.record, "agreement": _agreement(train, answers)}
    unread = answers.record["unread"]
    read = {name: [doc for doc in docs if (name, doc["id"]) in answers.scores] for name, docs in labelled.items()}
    for name, docs in extra.items():
        kept, counts = _labelled(name, docs, answers, recipe.teacher_confidence)
        read[name] += kept
        if recipe.unlabelled:
            notes["unlabelled"]["rows"][name] |= counts
            if not kept:
                raise FinbenchError(
                    f"teacher_confidence {recipe.teacher_confidence} leaves no unlabelled row of {name}."
                )
    return Gathered(read, validation, answers, notes, unread)


def _agreement(train: Mapping[str, Sequence[Any]], answers: Answers) -> dict[str, float]:
    """Return the share of labelled train rows that the teacher gives their own label, by task."""
    found = {}
    for name, docs in train.items():
        read = [doc for doc in docs if (name, doc["id"]) in answers.scores]
        found[name] = sum(answers.label(name, doc) == doc["label"] for doc in read) / max(len(read), 1)
    return found


def _labelled(name: str, docs: Sequence[Any], answers: Answers, confidence: float) -> tuple[list[Any], dict[str, Any]]:
    """Return the unlabelled rows that the teacher is sure enough of, with its labels, and their counts."""
    kept: list[Any] = []
    unsure = 0
    labels: dict[str, int] = {}
    for doc in docs:
        scores = answers.scores.get((name, doc["id"]))
        if scores is None:
            continue
        if softmax(np.array([scores]), 1.0).max() < confidence:
            unsure += 1
            continue
        label = answers.label(name, doc)
        labels[label] = labels.get(label, 0) + 1
        kept.append({**doc, "label": label})
    return kept, {"unsure": unsure, "trained_on": len(kept), "labels": dict(sorted(labels.items()))}
