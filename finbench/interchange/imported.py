"""Cells from what plain `lm_eval --output_path OUT [--log_samples]` wrote, marked with what it cannot prove."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from finbench.cells.key import Cell, CellKey
from finbench.cells.store import path_of, read_cells, write_cell
from finbench.data.perturb import NONE, key_of
from finbench.documents import parse_json, read_text
from finbench.errors import FinbenchError
from finbench.records import Metric, Outcome, Row
from finbench.runs.generated import read_samples

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
        FinbenchError: the file is no such results, holds none of our tasks, or another run's cell would be lost.

    """
    record = _read(path)
    ours = [task for task, config in record["configs"].items() if _reader(config)]
    if not ours:
        raise FinbenchError(f"{path} holds none of finbench's tasks, only {', '.join(record['configs']) or 'nothing'}.")
    stamp = path.stem.removeprefix("results_")
    cells = []
    for task in ours:
        samples = path.with_name(f"samples_{task}_{stamp}.jsonl")
        logged = _logged(samples, record["configs"][task]) if samples.is_file() else None
        cell = _cell(record, task, logged)
        _keep_others(folder, cell)
        write_cell(folder, cell, logged.outcomes if logged else ())
        cells.append(cell)
    return cells


def _read(path: Path) -> dict[str, Any]:
    try:
        record = parse_json(read_text(path), str(path), constants=True)
        [record[name] for name in ("results", "configs", "versions", "n-shot", "n-samples", "config", "date")]
    except (FinbenchError, LookupError, TypeError) as error:
        raise FinbenchError(
            f"{path} cannot be read as results of lm-eval ({type(error).__name__}: {error}). Give the results_*.json "
            "that `lm_eval --output_path` wrote."
        ) from None
    return dict(record)


def _reader(config: Mapping[str, Any]) -> Any:
    """Return our reader of a task's answers; lm-eval stores the source of the function that the YAML names."""
    from finbench.scoring.answers import READERS

    named = re.match(r"def (\w+)\(", str(config.get("process_results")))
    readers = {function.__name__: reader for function, reader in READERS.items()}
    return readers.get(named[1]) if named and "dataset" in (config.get("dataset_kwargs") or {}) else None


def _logged(path: Path, config: Mapping[str, Any]) -> Logged:
    from finbench.data.load import rows_sha256

    _, records = read_samples(path)
    reader = _reader(config)
    outcomes = tuple(reader(record["doc"], record["filtered_resps"]) for record in records)
    docs = [{name: value for name, value in one["doc"].items() if name != "choices"} for one in records]
    rows = [Row(**{**doc, "classifier_text": tuple(doc["classifier_text"])}) for doc in docs]
    labels = records[0]["doc"]["choices"] if rows[0].label else ()
    return Logged(outcomes, tuple(labels), rows_sha256(rows))


def _keep_others(folder: Path, cell: Cell) -> None:
    """Refuse to replace the result of another run: without hashes two runs may share a key."""
    place = path_of(folder, cell.key)
    for found in read_cells(place.parent).results if place.is_file() else ():
        if found.key == cell.key and (found.created, found.metrics) != (cell.created, cell.metrics):
            raise FinbenchError(
                f"{place} holds another run of {cell.key.title()}, of {found.created}. Remove it, or use other --cells."
            )


def _cell(record: Mapping[str, Any], task: str, logged: Logged | None) -> Cell:
    from finbench.runs.result import confusion_of, per_class_of
    from finbench.scoring.metrics import summarise

    key = _key(record, task, logged)
    outcomes, labels = (logged.outcomes, logged.labels) if logged else ((), ())
    metrics = summarise(outcomes, labels) if logged else _metrics(record["results"][task])
    n_rows = len(outcomes) if logged else int(record["n-samples"][task]["effective"])
    missing = [*NEVER, *(["adapter_sha256", "adapter.record"] if key.adapter else [])]
    missing += [] if logged else ["rows_sha256", "n_clusters", "per_class", "confusion"]
    method: dict[str, Any] = {"name": key.adapter, "method": "unknown", "size_bytes": None, "record": {}}
    return Cell(
        key=key,
        created=datetime.fromtimestamp(float(record["date"]), UTC).isoformat(timespec="seconds"),
        title=TITLE,
        note="",
        source="imported",
        n_rows=n_rows,
        n_clusters=len({one.cluster for one in outcomes}) if logged else n_rows,
        metrics=metrics,
        per_class=per_class_of(outcomes, labels),
        confusion=confusion_of(outcomes, labels),
        unparsed_share=metrics["unparsed"].value,
        truncated_share=None,
        elapsed_seconds=None,
        seconds_per_row=None,
        peak_bytes=None,
        resources={},
        machine=UNKNOWN_MACHINE,
        versions={name: str(record[f"{name.replace('-', '_')}_version"]) for name in ("lm-eval", "transformers")},
        git=None,
        command=_command(record, task),
        flags={"sample_rows": False, "base_without_head": False, "trained_precision": None},
        adapter=method if key.adapter else None,
        adapter_proof=None,
        missing=tuple(missing),
    )


def _key(record: Mapping[str, Any], task: str, logged: Logged | None) -> CellKey:
    config, arguments = record["config"], _arguments(record)
    bits = next((n for n in ("8", "4") if str(arguments.get(f"load_in_{n}bit")) == "True"), None)
    dtype = str(config.get("model_dtype") or "unknown").removeprefix("torch.")
    return CellKey(
        base=Path(arguments["pretrained"]).name,
        base_revision=str(config.get("model_sha") or arguments.get("revision") or ""),
        base_sha256="",
        adapter=Path(arguments.get("peft") or "").name,
        adapter_sha256=str(config.get("peft_sha") or ""),
        precision=f"{bits}bit" if bits else dtype,
        task=task,
        task_version=str(record["versions"].get(task) or ""),
        rows_sha256=logged.rows_sha256 if logged else "",
        prompt_sha256=str((record.get("task_hashes") or {}).get(task, "")),
        engine=f"{config['model']}/lm-eval {record.get('lm_eval_version', '')}",
        limit=int(config["limit"]) if config.get("limit") else None,
        clean=bool((record["configs"][task].get("metadata") or {}).get("clean")),
        truncate="report" if arguments.get("truncate") == "report" or config["model"] == "hf" else "refuse",
        num_fewshot=int(record["n-shot"].get(task) or 0),
        perturb=key_of(str((record["configs"][task].get("metadata") or {}).get("perturb", NONE))),
    )


def _arguments(record: Mapping[str, Any]) -> dict[str, Any]:
    given = record["config"].get("model_args") or {}
    if isinstance(given, str):
        given = dict(pair.partition("=")[::2] for pair in given.split(","))
    if "pretrained" not in given:
        raise FinbenchError("the results name no model (`pretrained` in model_args), so they cannot become cells.")
    return dict(given)


def _metrics(results: Mapping[str, Any]) -> dict[str, Metric]:
    from finbench.scoring.for_lm_eval import name_in_cell

    found = {}
    for name, value in results.items():
        metric, _, kind = name.partition(",")
        if kind and isinstance(value, int | float) and not metric.endswith("_stderr"):
            error = results.get(f"{metric}_stderr,{kind}")
            found[name_in_cell(metric)] = Metric(float(value), float(error) if isinstance(error, int | float) else None)
    return found


def _command(record: Mapping[str, Any], task: str) -> str:
    """Return the command as far as the results tell it, without folders of the machine."""
    shown = ((name, value) for name, value in _arguments(record).items())
    pairs: Sequence[str] = [
        f"{a}={Path(v).name if isinstance(v, str) and Path(v).is_absolute() else v}" for a, v in shown
    ]
    return f"lm_eval --model {record['config']['model']} --model_args {','.join(pairs)} --tasks {task}"
