"""Generated answers as texts, for `finbench compat`: made on the spot, or read from lm-eval's `--log_samples`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from finbench.documents import parse_json, read_text
from finbench.errors import FinbenchError
from finbench.runs.matrix import Base, Matrix
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
        answers[name] = [_answer(request.doc, request.resps[0]) for request in task.requests]
    return answers


def logged_answers(paths: Sequence[Path]) -> Answers:
    """Return the answers in files that `lm_eval --log_samples` wrote, by task.

    Raises:
        FinbenchError: a file is none of those, or of a task that does not generate.

    """
    answers: Answers = {}
    for path in paths:
        name, records = read_samples(path)
        if not all(isinstance(record["filtered_resps"][0], str) for record in records):
            raise FinbenchError(f"{path}: {name} chose between labels, so no rule reads a text: score {name}_gen.")
        answers.setdefault(name, []).extend(_answer(one["doc"], one["filtered_resps"][0]) for one in records)
    return answers


def read_samples(path: Path) -> tuple[str, list[dict[str, Any]]]:
    """Return the task and the records of one file of lm-eval's `--log_samples`, in the order of the rows.

    Raises:
        FinbenchError: it is no such file, or of a task that is not ours.

    """
    try:
        lines = enumerate(read_text(path).split("\n"), start=1)
        records = [parse_json(line, str(path), line=number, constants=True) for number, line in lines if line.strip()]
        records.sort(key=lambda record: record["doc_id"])
        known = [record["doc"]["cluster"] and record["filtered_resps"][0] is not None for record in records]
    except (FinbenchError, LookupError, TypeError) as error:
        raise FinbenchError(
            f"{path} is no file of answers to our tasks ({type(error).__name__}: {error}). Give a samples_*.jsonl that "
            "lm_eval --log_samples wrote for a fin_ task."
        ) from None
    if not known:
        raise FinbenchError(f"{path} holds no answer.")
    return path.name.removeprefix("samples_").rpartition("_")[0], records


def _answer(doc: Mapping[str, Any], text: str) -> Answer:
    return Answer(doc["label"] or doc["answer"], tuple(doc.get("choices") or ()) if doc["label"] else (), text)
