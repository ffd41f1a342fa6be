"""Training examples: the prompts that scoring sends, token by token, from the same task YAMLs."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from finbench.errors import FinbenchError
from finbench.models.pair import check_has_tokens, encode_pair
from finbench.tasks.prompting import Prompting
from finetune.recipe import Recipe

SPLIT_SEED = 0  # the validation rows are the same for every seed of a recipe


@dataclass(frozen=True)
class Example:
    """One train row: its token ids and either the number of answer tokens at their end, or its class.

    A student's has its teacher's log-likelihoods of the labels, and where it answers in tokens for each label, the
    `rivals`, the ids of prompt and answer with the number of the answer's; `gold` is the place of the row's own.
    """

    row_id: str
    task: str
    input_ids: tuple[int, ...]
    label: str
    answer: int = 0
    token_type_ids: tuple[int, ...] = ()
    teacher: tuple[float, ...] = ()
    rivals: tuple[tuple[tuple[int, ...], int], ...] = ()
    gold: int = -1


@dataclass(frozen=True)
class Examples:
    """The train examples, the rows that validate by task, how many rows were too long, and what the record notes."""

    train: tuple[Example, ...]
    validation: dict[str, list[dict[str, Any]]]
    too_long: int
    notes: dict[str, Any] = field(default_factory=dict)


def split_rows(tasks: dict[str, Any], recipe: Recipe) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """Return train and validation docs by task; the shot is in neither, and no cluster is in both."""
    train: dict[str, list[Any]] = {}
    validation: dict[str, list[Any]] = {}
    for name, task in tasks.items():
        shots = {doc["id"] for doc in shots_of(task, recipe)}
        docs = [doc for doc in task.training_docs() if doc["id"] not in shots]
        if not docs:
            raise FinbenchError(f"task {name!r} has no train rows, so nothing can be learned from it.")
        docs.sort(key=lambda doc: str(doc["id"]))
        random.Random(SPLIT_SEED).shuffle(docs)
        if recipe.limit is not None:
            docs = docs[: recipe.limit]
        train[name], validation[name] = _cut(docs, recipe.validation_share)
    return train, validation


def shots_of(task: Any, recipe: Recipe) -> list[Any]:
    """Return the rows that are shown in prompts, the first of them even where a prompt has no shot.

    So shots do not change what is trained on.
    """
    return [*(task.fewshot_docs() or ())][: max(recipe.prompting.shots(task), 1)]


def _cut(docs: list[Any], share: float) -> tuple[list[Any], list[Any]]:
    """Cut off a share of each class, whole clusters at a time."""
    wanted: dict[str, float] = {}
    together: dict[str, list[Any]] = {}
    for doc in docs:
        wanted[doc["label"]] = wanted.get(doc["label"], 0.0) + share
        together.setdefault(doc["cluster"], []).append(doc)
    held: set[str] = set()
    for doc in docs:
        if wanted[doc["label"]] >= 1 and doc["cluster"] not in held:
            held.add(doc["cluster"])
            for same in together[doc["cluster"]]:
                wanted[same["label"]] -= 1
    return [d for d in docs if d["cluster"] not in held], [d for d in docs if d["cluster"] in held]


def check_labels(labels: Sequence[str], where: str) -> None:
    """Refuse labels that a record cannot keep apart.

    Raises:
        FinbenchError: two differ only by case, or one is empty.

    """
    seen: dict[str, str] = {}
    for label in labels:
        if (other := seen.setdefault(label.casefold(), label)) != label:
            raise FinbenchError(f"{where}: the labels {other!r} and {label!r} differ only by case: write them alike.")
    if not all(labels):
        raise FinbenchError(f"{where}: a label is empty; every class has a name.")


def head_labels(tasks: dict[str, Any]) -> tuple[str, ...]:
    """Return the labels of the one head that serves all the tasks.

    Raises:
        FinbenchError: a task generates its answers, its labels differ only by case, or two tasks have other labels.

    """
    found: dict[str, tuple[str, ...]] = {}
    for name, task in tasks.items():
        found[name] = tuple(task.eval_docs[0].get("choices") or ())
        if not found[name] or not task.eval_docs[0].get("classifier_text"):
            raise FinbenchError(
                f"task {name!r} has no labels that a classifier could choose from: use task_type causal."
            )
        check_labels(found[name], f"task {name!r}")
    first, labels = next(iter(found.items()))
    for name, others in found.items():
        if set(others) != set(labels):
            raise FinbenchError(
                f"one head cannot have the labels of {first} ({', '.join(labels)}) and {name} ({', '.join(others)}): "
                "train one adapter a task, or use task_type causal."
            )
    return labels


def prompt_examples(
    tasks: dict[str, Any], docs: dict[str, list[Any]], lm: Any, recipe: Recipe
) -> tuple[list[Example], int]:
    """Return examples of prompts and answers as `lm` (our model type around the base) encodes them for scoring.

    Raises:
        FinbenchError: a row is longer than the window and the recipe does not drop such rows.

    """
    examples, too_long = [], 0
    room = min(lm.longest_input, recipe.max_length or lm.longest_input)
    for name, task in tasks.items():
        for doc in docs[name]:
            context, answer = prompt_and_answer(task, doc, recipe.prompting, lm)
            before, after = encode_pair(lm, context, answer)
            check_has_tokens(after, answer, name, doc["id"])
            if recipe.task_type == "seq2seq" and task.config.output_type == "generate_until":
                after = [*after, lm.tokenizer.eos_token_id]  # such tokenizers know no line's end
            read = len(before) if recipe.task_type == "seq2seq" else len(before) + len(after) - 1
            if read > room:
                _refuse_or_count(name, doc, read, room, recipe)
                too_long += 1
                continue
            examples.append(Example(doc["id"], name, (*before, *after), doc["label"] or doc["answer"], len(after)))
    return examples, too_long


def prompt_and_answer(task: Any, doc: Any, prompting: Prompting, lm: Any) -> tuple[str, str]:
    """Return a row's prompt and its right answer, with the stop string where the task generates."""
    context = prompting.context(task, doc, lm)
    answer = f"{prompting.delimiter(task)}{task.doc_to_target(doc)}"
    if task.config.output_type == "generate_until":
        answer += task.config.generation_kwargs["until"][0]
    return context, answer


def classifier_examples(
    tasks: dict[str, Any], docs: dict[str, list[Any]], lm: Any, recipe: Recipe
) -> tuple[list[Example], int]:
    """Return examples of the rows' classifier texts as `lm` (our model type around the base) encodes them.

    Raises:
        FinbenchError: a row has no classifier text, or is too long and the recipe does not drop such rows.

    """
    examples, too_long = [], 0
    room = min(lm.longest_input, recipe.max_length or lm.longest_input)
    for name in tasks:
        for doc in docs[name]:
            if not doc["classifier_text"]:
                raise FinbenchError(f"task {name!r}: its rows have no text for a classifier. Use task_type: causal.")
            ids = lm.encode(doc["classifier_text"])
            if len(ids["input_ids"]) > room:
                _refuse_or_count(name, doc, len(ids["input_ids"]), room, recipe)
                too_long += 1
                continue
            types = tuple(ids.get("token_type_ids", ()))
            examples.append(Example(doc["id"], name, tuple(ids["input_ids"]), doc["label"], token_type_ids=types))
    return examples, too_long


def _refuse_or_count(task: str, doc: Any, length: int, room: int, recipe: Recipe) -> None:
    if recipe.truncate == "refuse":
        raise FinbenchError(
            f"{task}, row {doc['id']}: {length} tokens, the model reads {room}. Choose a base with a longer window, "
            "or truncate=drop to leave such rows out and count them."
        )


def balanced(examples: Sequence[Example], sampling: str, seed: int) -> list[Example]:
    """Return the examples with rows repeated ("over") or left out ("under") until every class has as many."""
    if sampling == "none":
        return list(examples)
    of_class: dict[str, list[Example]] = {}
    for example in examples:
        of_class.setdefault(example.label, []).append(example)
    sizes = [len(rows) for rows in of_class.values()]
    size = max(sizes) if sampling == "over" else min(sizes)
    draw = random.Random(seed)
    chosen: list[Example] = []
    for rows in of_class.values():
        extra = draw.choices(rows, k=size - len(rows)) if size > len(rows) else []
        chosen += [*rows, *extra] if size >= len(rows) else draw.sample(rows, size)
    return chosen


def class_weights(examples: Iterable[Example], labels: Sequence[str]) -> list[float]:
    """Return weights inverse to the classes' frequencies, with mean 1 over the examples."""
    counts = {label: 0 for label in labels}
    for example in examples:
        counts[example.label] += 1
    total = sum(counts.values())
    return [total / (len(labels) * counts[label]) if counts[label] else 0.0 for label in labels]
