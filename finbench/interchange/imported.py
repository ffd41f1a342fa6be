"""Cells from what plain `lm_eval --output_path OUT [--log_samples]` wrote, marked with what it cannot prove."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finbench.cells.key import Cell, CellKey
from finbench.cells.store import path_of, read_cells, write_cell
from finbench.data.perturb import NONE, key_of
from finbench.errors import FinbenchError
from finbench.interchange.results import Result, Results, limit_of, read_results
from finbench.records import Outcome, Row
from finbench.runs.samples import Samples, read_samples

TITLE = "Imported from lm-eval, without proof"  # a table of their own on the boards: never ranked with proven cells
NEVER = ("source", "base_sha256", "adapter_proof", "truncated_share", "seconds_per_row", "peak_bytes", "machine", "git")
UNKNOWN_MACHINE = {"cpu": "unknown", "cores": 0, "memory_bytes": 0, "gpus": [], "system": "unknown"}


@dataclass(frozen=True)
class Logged:
    """The rows' outcomes of one task, with the hash of the rows; made from lm-eval's samples."""

    outcomes: tuple[Outcome, ...]
    labels: tuple[str, ...]
    rows_sha256: str


def import_results(path: Path, folder: Path) -> list[Cell]:
    """Write a cell for each of our tasks in a results file of lm-eval, and return them.

    Where `samples_TASK_*.jsonl` lie beside it, scores are computed from them by our rules, and rows' outcomes kept.

    Raises:
        FinbenchError: the file or its samples are no such results, hold none of our tasks, or another run's cell would
            be lost; no cell has been written then.

    """
    results = read_results(path)
    stamp = path.stem.removeprefix("results_")
    found = []
    for task in results.tasks:
        samples = path.with_name(f"samples_{task.name}_{stamp}.jsonl")
        logged = _logged(samples, task) if samples.is_file() else None
        found.append((_cell(results, task, logged), logged))
    for cell, _ in found:
        _keep_others(folder, cell)
    for cell, logged in found:
        write_cell(folder, cell, logged.outcomes if logged else ())
    return [cell for cell, _ in found]


def _logged(path: Path, task: Result) -> Logged:
    from finbench.data.load import rows_sha256

    samples = read_samples(path)
    if len(samples.records) != task.n_rows:
        raise FinbenchError(
            f"{path} holds {len(samples.records)} answers, and the results beside it speak of {task.n_rows}: it was "
            "cut, or is of another run."
        )
    outcomes = tuple(_outcome(samples, place, task) for place in range(len(samples.records)))
    docs = [
        {name: value for name, value in one["doc"].items() if name not in ("choices", "settings")}
        for one in samples.records
    ]
    rows = [
        Row(**{"text": "", **doc, **{name: tuple(doc.get(name, ())) for name in ("classifier_text", "options")}})
        for doc in docs
    ]
    return Logged(outcomes, samples.labels, rows_sha256(rows))


def _outcome(samples: Samples, place: int, task: Result) -> Outcome:
    """Return what became of a row, by our reader of its answer."""
    record = samples.records[place]
    doc, answers = record["doc"], record["filtered_resps"]
    if task.kind.output_type == "multiple_choice":
        answers = [_log_likelihood(answer) for answer in answers]
        fits = len(answers) == len(doc.get("choices") or samples.labels) > 0 and None not in answers
    else:
        fits = len(answers) > 0 and isinstance(answers[0], str)
    if not fits:
        samples.refuse(place, f"filtered_resps are no answers to {task.name}")
    try:
        outcome: Outcome = task.kind.read({"choices": list(samples.labels), **doc}, answers)
    except FinbenchError as error:
        samples.refuse(place, str(error))
    return outcome


def _log_likelihood(answer: object) -> tuple[float, bool] | None:
    """Return a label's log-likelihood as lm-eval logs it (as numbers, or as texts), None where it is none."""
    if not isinstance(answer, list) or len(answer) != 2 or isinstance(answer[0], bool):
        return None
    try:
        return float(answer[0]), str(answer[1]) == "True"
    except (TypeError, ValueError, OverflowError):
        return None


def _keep_others(folder: Path, cell: Cell) -> None:
    """Refuse to replace the result of another run: without hashes two runs may share a key."""
    place = path_of(folder, cell.key)
    for found in read_cells(place.parent).results if place.is_file() else ():
        if found.key == cell.key and (found.created, found.metrics) != (cell.created, cell.metrics):
            raise FinbenchError(
                f"{place} holds another run of {cell.key.title()}, of {found.created}. Remove it, or use other --cells."
            )


def _cell(results: Results, task: Result, logged: Logged | None) -> Cell:
    from finbench.runs.result import confusion_of, per_class_of
    from finbench.scoring.kinds.summary import summarise

    key = _key(results, task, logged)
    outcomes, labels = (logged.outcomes, logged.labels) if logged else ((), ())
    classes = labels if task.kind.classes else ()
    metrics = summarise(outcomes, labels, task.kind.name) if logged else dict(task.metrics)
    n_rows = len(outcomes) if logged else task.n_rows
    missing = [*NEVER, *(["adapter_sha256", "adapter.record"] if key.adapter else [])]
    missing += [] if logged else ["rows_sha256", "n_clusters", "per_class", "confusion"]
    method: dict[str, Any] = {"name": key.adapter, "method": "unknown", "size_bytes": None, "record": {}}
    return Cell(
        key=key,
        created=results.created,
        title=TITLE,
        note="",
        source="imported",
        kind=task.kind.name,
        labels=labels,
        n_rows=n_rows,
        n_clusters=len({one.cluster for one in outcomes}) if logged else n_rows,
        metrics=metrics,
        per_class=per_class_of(outcomes, classes),
        confusion=confusion_of(outcomes, classes),
        unparsed_share=metrics["unparsed"].value,
        truncated_share=None,
        elapsed_seconds=None,
        seconds_per_row=None,
        peak_bytes=None,
        resources={},
        machine=UNKNOWN_MACHINE,
        versions={name: _version(results, name) for name in ("lm-eval", "transformers")},
        git=None,
        command=_command(results, task.name),
        flags={"sample_rows": False, "base_without_head": False, "trained_precision": None},
        adapter=method if key.adapter else None,
        adapter_proof=None,
        missing=tuple(missing),
    )


def _key(results: Results, task: Result, logged: Logged | None) -> CellKey:
    record, arguments = results.record, results.arguments
    config, metadata = record["config"], task.config.get("metadata") or {}
    bits = next((n for n in ("8", "4") if str(arguments.get(f"load_in_{n}bit")) == "True"), None)
    dtype = str(config.get("model_dtype") or "unknown").removeprefix("torch.")
    return CellKey(
        base=Path(arguments["pretrained"]).name,
        base_revision=str(config.get("model_sha") or arguments.get("revision") or ""),
        base_sha256="",
        adapter=Path(arguments.get("peft") or "").name,
        adapter_sha256=str(config.get("peft_sha") or ""),
        precision=f"{bits}bit" if bits else dtype,
        task=task.name,
        task_version=str(record["versions"].get(task.name) or ""),
        rows_sha256=logged.rows_sha256 if logged else "",
        prompt_sha256=(record.get("task_hashes") or {}).get(task.name, ""),
        engine=f"{config['model']}/lm-eval {record.get('lm_eval_version') or ''}",
        limit=limit_of(results, task),
        clean=bool(metadata.get("clean")),
        truncate="report" if arguments.get("truncate") == "report" or config["model"] == "hf" else "refuse",
        num_fewshot=task.num_fewshot,
        perturb=key_of(metadata.get("perturb") or NONE),
    )


def _version(results: Results, package: str) -> str:
    return results.record.get(f"{package.replace('-', '_')}_version") or "unknown"


def _command(results: Results, task: str) -> str:
    """Return the command as far as the results tell it, without folders of the machine."""
    pairs = [f"{name}={_without_folder(value)}" for name, value in results.arguments.items()]
    return f"lm_eval --model {results.record['config']['model']} --model_args {','.join(pairs)} --tasks {task}"


def _without_folder(value: object) -> object:
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value
