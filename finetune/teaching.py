"""A teacher's answers: the log-likelihood of every label of every row, asked once and kept by who was asked what.

The teacher is scored by the engine of `finbench run`, with the prompts that its adapter was trained with. Answers are
kept under `FINBENCH_HOME` as they come, so a training that is stopped, or another one with the same teacher, asks only
for what is missing.
"""

import gc
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finbench.adapters.folder import Adapter, base_sha256, match_base, read_adapter, weights_sha256
from finbench.cells.key import ENGINE_VERSION
from finbench.cells.lock import held
from finbench.errors import FinbenchError
from finbench.paths import home
from finbench.runs.bases.loaded import load_base
from finbench.runs.matrix import Base, Matrix
from finbench.tasks.load import kind_of
from finbench.tasks.prompting import Chat, Prompting
from finetune.parts import Teacher
from finetune.recipe import Recipe

CHUNK = 256  # rows that are asked before their answers are kept

RowOf = tuple[str, str]  # of a task: its name and the row's id


@dataclass(frozen=True)
class Answers:
    """The labels' log-likelihoods of each row, in the order of its choices; of the rows it could not read, none."""

    scores: Mapping[RowOf, tuple[float, ...]]
    record: dict[str, Any]

    def label(self, task: str, doc: Mapping[str, Any]) -> str:
        """Return the label that the teacher gives a row."""
        scores = self.scores[task, doc["id"]]
        return str(doc["choices"][scores.index(max(scores))])


def check(teacher: Teacher, recipe: Recipe, tasks: Mapping[str, Any]) -> Adapter | None:
    """Return the teacher's adapter, None for a base alone.

    Raises:
        FinbenchError: a task is answered without choices, or the adapter is of another base or other texts.

    """
    for name, task in tasks.items():
        if kind_of(name, task).output_type != "multiple_choice":
            raise FinbenchError(
                f"task {name!r} has no labels to choose from, so a teacher has no shares of them to give."
            )
    if teacher.adapter is None:
        return None
    adapter = read_adapter(teacher.adapter)
    match_base(adapter, teacher.base, teacher.revision)
    learned = adapter.record.get("recipe") or {}
    if learned and bool(learned.get("clean")) != recipe.clean:
        said = json.dumps(bool(learned.get("clean")))
        raise FinbenchError(f"the teacher {teacher.name} was trained with clean: {said}; say the same in the recipe.")
    return adapter


def ask(recipe: Recipe, tasks: Mapping[str, Any], docs: Mapping[str, Sequence[Any]]) -> Answers:
    """Return the teacher's answers to these rows of each task, those of earlier trainings among them.

    Raises:
        FinbenchError: the teacher cannot be had, does not fit the tasks or cannot read a row, unless the recipe drops
            such; or several processes were started before it was asked.

    """
    teacher = recipe.teacher
    assert teacher is not None
    adapter = check(teacher, recipe, tasks)
    base = _base_of(teacher, adapter)
    asked = list(_asked(teacher, adapter, base, tasks, docs))
    who = _identity(teacher, adapter, base)
    file = home() / "teachers" / f"{hashlib.sha256(json.dumps(who, sort_keys=True).encode()).hexdigest()}.jsonl"
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
    with held(file.with_suffix(".lock")):  # who comes second finds the answers of the first
        kept = _read(file)
        missing = {key: requests for _, key, requests in asked if key not in kept}
        if missing:
            _ask_missing(teacher, adapter, base, missing, file)
            kept = _read(file)
    unread = [row for row, key, _ in asked if kept[key]["scores"] is None]
    if unread and recipe.truncate == "refuse":
        raise FinbenchError(
            f"{unread[0][0]}, row {unread[0][1]}: the teacher {teacher.name} cannot read so long a row. Choose one "
            "with a longer window, or truncate=drop to leave such rows out and count them."
        )
    scores = {row: tuple(kept[key]["scores"]) for row, key, _ in asked if kept[key]["scores"] is not None}
    seconds = sum(kept[key]["seconds"] for key in {key for _, key, _ in asked})
    counts = {"rows": len(asked), "unread": len(unread), "asked_now": len(missing), "seconds": round(seconds, 3)}
    return Answers(scores, {**who, **counts})


def _base_of(teacher: Teacher, adapter: Adapter | None) -> Base:
    from finbench.hf.classes import own_classes
    from finbench.hf.load import load_config

    if adapter is not None:
        classifies = adapter.task_type == "SEQ_CLS"
    else:
        classifies = bool(own_classes(load_config(teacher.base, teacher.revision, teacher.trust_remote_code)))
    return Base(
        teacher.base,
        model="hf-classifier" if classifies else "hf-fast",
        revision=teacher.revision,
        trust_remote_code=teacher.trust_remote_code,
        dtype=teacher.precision,
        bits=teacher.bits,
    )


def _identity(teacher: Teacher, adapter: Adapter | None, base: Base) -> dict[str, Any]:
    """Return all of a teacher that its answers depend on, beside what it is asked."""
    return {
        "name": teacher.name,
        "base": {
            "id": teacher.base,
            "revision": teacher.revision or "",
            "sha256": weights_sha256(teacher.base, teacher.revision),
            "all_sha256": base_sha256(teacher.base, teacher.revision, teacher.trust_remote_code),
        },
        "adapter": {"name": adapter.name, "sha256": adapter.sha256} if adapter else None,
        "precision": base.precision,
        "engine": f"{base.model}/{ENGINE_VERSION}",
    }


def _asked(
    teacher: Teacher, adapter: Adapter | None, base: Base, tasks: Mapping[str, Any], docs: Mapping[str, Sequence[Any]]
) -> Iterator[tuple[RowOf, str, list[Any]]]:
    """Yield each row with a hash of what the teacher is asked about it, and the requests."""
    reads_prompts = base.model != "hf-classifier"
    learned = (adapter.record.get("recipe") if adapter and reads_prompts else None) or {}
    system = str(learned.get("system_instruction") or "")
    prompting = Prompting(learned.get("num_fewshot"), bool(learned.get("chat_template")), system)
    lm = None
    if prompting.chat_template:
        from finbench.hf.load import load_tokenizer

        lm = Chat(load_tokenizer(teacher.base, teacher.revision, teacher.trust_remote_code))
    for name, task in tasks.items():
        for number, doc in enumerate(docs[name]):
            requests = prompting.requests(task, doc, number, lm)
            said = [request.args for request in requests] if reads_prompts else [doc["classifier_text"], doc["choices"]]
            yield (name, doc["id"]), hashlib.sha256(json.dumps(said).encode()).hexdigest(), requests


def _ask_missing(
    teacher: Teacher, adapter: Adapter | None, base: Base, missing: Mapping[str, list[Any]], file: Path
) -> None:
    """Load the teacher, ask, and keep the answers chunk by chunk."""
    from tqdm import tqdm

    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise FinbenchError(
            f"the teacher {teacher.name} has {len(missing)} rows to answer, which one process does: run "
            "`finbench finetune RECIPE --label-only` first, then start the processes."
        )
    names = tuple({str(requests[0].task_name) for requests in missing.values()})
    loaded = load_base(base, Matrix("teacher", names, (base,), batch_size=teacher.batch_size))
    if adapter is not None and not loaded.put_on(adapter).changed:
        raise FinbenchError(f"the teacher's adapter {adapter.name} changed no logit of its base: it teaches nothing.")
    left = list(missing.items())
    with tqdm(total=len(left), desc=f"asking {teacher.name}", unit="row", file=sys.stderr) as progress:
        for start in range(0, len(left), CHUNK):
            chunk = left[start : start + CHUNK]
            _keep(file, _answered(loaded.lm, chunk))
            progress.update(len(chunk))
    del loaded
    gc.collect()  # the student needs the memory
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _answered(lm: Any, chunk: Sequence[tuple[str, list[Any]]]) -> list[dict[str, Any]]:
    """Return what is kept of some rows: their scores and their part of the seconds."""
    began = time.perf_counter()
    fit: dict[str, list[Any]] = {}
    for key, requests in chunk:
        with suppress(FinbenchError):  # it is too long
            lm.check(requests)
            fit[key] = requests
    found = iter(
        lm.loglikelihood([request for row in fit.values() for request in row], disable_tqdm=True) if fit else ()
    )
    scores = {key: [next(found)[0] for _ in row] for key, row in fit.items()}
    seconds = (time.perf_counter() - began) / len(chunk)
    return [{"row": key, "scores": scores.get(key), "seconds": round(seconds, 6)} for key, _ in chunk]


def _keep(file: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Add lines, on the disk when this returns; a line that a killed process left half stands alone."""
    try:
        with file.open("ab+") as sink:
            sink.write(b"\n" + b"\n".join(json.dumps(line).encode() for line in lines) + b"\n")
            sink.flush()
            os.fsync(sink.fileno())
    except OSError as error:
        raise FinbenchError(f"{file}: the teacher's answers cannot be kept ({error.strerror}).") from error


def _read(file: Path) -> dict[str, dict[str, Any]]:
    """Return what is kept, by the hash of what was asked; half a line is none."""
    found: dict[str, dict[str, Any]] = {}
    for line in file.read_bytes().splitlines() if file.is_file() else ():
        with suppress(ValueError, KeyError, TypeError):
            kept = json.loads(line)
            found[kept["row"]] = {"scores": kept["scores"], "seconds": float(kept["seconds"])}
    return found
