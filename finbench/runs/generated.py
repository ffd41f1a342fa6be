"""Generated answers as texts, for `finbench compat`: made on the spot, or read from lm-eval's `--log_samples`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from finbench.errors import FinbenchError
from finbench.runs.matrix import Base, Matrix
from finbench.runs.samples import read_samples
from finbench.scoring.compat import Answer

Answers = dict[str, list[Answer]]


def generate_answers(base: str, adapter: str, tasks: Sequence[str], limit: int | None) -> Answers:
    """Let a causal model answer the rows of generating tasks; return the answers by task.

    Raises:
        FinbenchError: a task does not generate, or base, adapter or rows cannot be had.

    """
    from finbench.adapters.folder import match_base, read_adapter
    from finbench.runs.bases.loaded import load_base
    from finbench.tasks.requests import scored_tasks

    scored = scored_tasks(tasks, limit, clean=False)
    for name, task in scored.items():
        if not task.generates:
            raise FinbenchError(f"{name} chooses between labels, so no rule reads a text: name {name}_gen.")
    one = Base(base, adapters=(adapter,) if adapter else ())
    loaded = load_base(one, Matrix("compat", tuple(tasks), (one,), limit=limit))
    if adapter:
        found = read_adapter(adapter)
        match_base(found, base, None)
        loaded.put_on(found)
    answers: Answers = {}
    for name, task in scored.items():
        task.score(loaded.lm)
        answers[name] = [_answer(request.doc, request.resps[0]) for request in task.requests(loaded.lm)]
    return answers


def logged_answers(paths: Sequence[Path]) -> Answers:
    """Return the answers in files that `lm_eval --log_samples` wrote, by task.

    Raises:
        FinbenchError: a file is none of those, or of a task that does not generate.

    """
    answers: Answers = {}
    for path in paths:
        samples = read_samples(path)
        name, found = samples.task, [record["filtered_resps"] for record in samples.records]
        if not all(len(one) and isinstance(one[0], str) for one in found):
            raise FinbenchError(f"{path}: {name} chose between labels, so no rule reads a text: score {name}_gen.")
        docs = [record["doc"] for record in samples.records]
        answers.setdefault(name, []).extend(_answer(doc, one[0]) for doc, one in zip(docs, found, strict=True))
    return answers


def _answer(doc: Mapping[str, Any], text: str) -> Answer:
    labels = tuple(doc.get("choices") or ()) if doc["label"] else ()
    return Answer(doc["label"] or doc["answer"], labels, text, doc.get("settings") or "")
