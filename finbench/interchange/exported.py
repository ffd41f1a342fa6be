"""Cells as other programs read them: one function a format, each from the cells of one model to a text."""

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from finbench.cells.key import Cell, CellKey, slug
from finbench.documents import read_json, read_text
from finbench.errors import FinbenchError
from finbench.interchange.spreadsheets import harmless
from finbench.scoring.for_lm_eval import name_in_lm_eval
from finbench.whole import refuse_foreign, write_text

LOWER_IS_BETTER = ("unparsed",)
FROM_MINUS_ONE = ("mcc",)


def by_model(cells: Iterable[Cell]) -> dict[str, list[Cell]]:
    """Return the cells by model, named as folders, each task once in a folder.

    What was scored otherwise (capped, cleaned, perturbed, on sample rows) is another model's, as is a second result of
    a task, such as with another shot: one must not pass for the other, nor overwrite it.
    """
    groups: dict[tuple[object, ...], list[Cell]] = {}
    seen: Counter[tuple[object, ...]] = Counter()
    for cell in cells:
        key = cell.key
        model = (key.base, key.base_revision, key.base_sha256, key.adapter, key.adapter_sha256, key.precision)
        sample = bool(cell.flags.get("sample_rows"))
        how = (key.engine, key.limit, key.clean, key.truncate, key.perturb, cell.title, sample)
        task = (*model, *how, key.task)
        groups.setdefault((*model, *how, seen[task]), []).append(cell)
        seen[task] += 1
    named: dict[str, list[Cell]] = {}
    for group in groups.values():
        key = group[0].key
        name = wanted = slug(model_name(key) + (f"-perturbed-{key.perturbation}" if key.perturbed else ""))
        number = 1
        while name in named:
            number += 1
            name = f"{wanted}-{number}"
        named[name] = group
    return named


def model_name(key: CellKey) -> str:
    """Return what the model is called outside: the base, with the adapter behind a plus."""
    return f"{key.base}+{key.adapter}" if key.adapter else key.base


def _task_name(key: CellKey) -> str:
    """Return what the task is called outside, so that nobody takes perturbed texts for the task's own."""
    return key.task + (f" (perturbed: {key.perturbation})" if key.perturbed else "")


def as_csv(cells: Sequence[Cell]) -> str:
    """Return a table of one line a cell and metric, with the key's fields, the costs and what is missing."""
    out = io.StringIO()
    costs = ("n_rows", "n_clusters", "seconds_per_row", "rows_per_second", "peak_bytes", "unparsed_share")
    keys = [name for name in CellKey.__dataclass_fields__]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*keys, "metric", "value", "stderr", *costs, "truncated_share", "created", "source", "missing"])
    for cell in cells:
        for name, metric in sorted(cell.metrics.items()):
            shown = [*vars(cell.key).values(), name, metric.value, metric.stderr]
            shown += [getattr(cell, cost) for cost in costs]
            shown += [cell.truncated_share, cell.created, cell.source, " ".join(cell.missing)]
            writer.writerow(map(harmless, shown))
    return out.getvalue()


def as_lm_eval(cells: Sequence[Cell]) -> str:
    """Return lm-eval's own results JSON, which its tools (`lm_eval.utils.make_table` and the like) read."""
    first = cells[0]
    key = first.key
    tasks = {cell.key.task: cell for cell in cells}
    arguments = {"pretrained": key.base, **({"peft": key.adapter} if key.adapter else {})}
    record = {
        "results": {task: _lm_eval_scores(cell) for task, cell in tasks.items()},
        "group_subtasks": {},
        "configs": {task: _lm_eval_config(cell) for task, cell in tasks.items()},
        "versions": {task: cell.key.task_version for task, cell in tasks.items()},
        "n-shot": {task: cell.key.num_fewshot for task, cell in tasks.items()},
        "higher_is_better": {
            task: {name_in_lm_eval(name): name not in LOWER_IS_BETTER for name in cell.metrics}
            for task, cell in tasks.items()
        },
        "n-samples": {task: {"original": cell.n_rows, "effective": cell.n_rows} for task, cell in tasks.items()},
        "config": {
            "model": key.engine.partition("/")[0],
            "model_args": arguments,
            "model_dtype": key.precision,
            "model_sha": key.base_revision,
            "limit": key.limit,
        },
        "git_hash": first.git["commit"] if first.git else None,
        "date": max(_timestamp(cell) for cell in cells),
        "transformers_version": first.versions.get("transformers"),
        "lm_eval_version": first.versions.get("lm-eval"),
        "task_hashes": {task: cell.key.prompt_sha256 for task, cell in tasks.items()},
        "model_source": key.engine.partition("/")[0],
        "model_name": model_name(key),
        "model_name_sanitized": slug(model_name(key)),
    }
    return _json(record)


def _lm_eval_scores(cell: Cell) -> dict[str, Any]:
    scores: dict[str, Any] = {"alias": cell.key.task, "sample_len": cell.n_rows}
    for name, metric in sorted(cell.metrics.items()):
        shown = name_in_lm_eval(name)
        scores[f"{shown},none"] = metric.value
        scores[f"{shown}_stderr,none"] = "N/A" if metric.stderr is None else metric.stderr
    return scores


def _lm_eval_config(cell: Cell) -> dict[str, Any]:
    metadata = {"version": cell.key.task_version, **({"clean": True} if cell.key.clean else {})}
    metadata |= {"perturb": cell.key.perturbation} if cell.key.perturbed else {}
    return {"task": cell.key.task, "num_fewshot": cell.key.num_fewshot, "metadata": metadata}


def as_model_index(cells: Sequence[Cell]) -> str:
    """Return the hub's `model-index` as YAML, for the head of a model card."""
    import yaml
    from huggingface_hub import EvalResult
    from huggingface_hub.repocard_data import eval_results_to_model_index

    results = [
        EvalResult(
            task_type="text-classification" if cell.confusion else "text-generation",
            dataset_type=_repository(cell) or cell.key.task,
            dataset_name=_task_name(cell.key),
            dataset_split="test",
            metric_type="f1" if name.startswith("f1") else name,
            metric_name=name,
            metric_value=metric.value,
        )
        for cell in cells
        for name, metric in sorted(cell.metrics.items())
    ]
    index = eval_results_to_model_index(model_name(cells[0].key), results)
    return str(yaml.safe_dump({"model-index": index}, sort_keys=False, allow_unicode=True))


def as_every_eval_ever(cells: Sequence[Cell]) -> str:
    """Return a record of Every Eval Ever, schema 0.3.0."""
    first = cells[0]
    key = first.key
    created = str(int(max(_timestamp(cell) for cell in cells)))
    record = {
        "schema_version": "0.3.0",
        "evaluation_id": f"finbench/{slug(model_name(key))}/{created}",
        "retrieved_timestamp": created,
        "evaluation_timestamp": created,
        "source_metadata": {
            "source_name": "finbench",
            "source_type": "evaluation_run",
            "source_organization_name": "unknown",
            "evaluator_relationship": "other",
        },
        "eval_library": {"name": "finbench", "version": first.versions.get("finbench", "unknown")},
        "model_info": {
            "name": model_name(key),
            "id": model_name(key),
            "additional_details": {
                "deployment_type": "self_deployed",
                "model_availability": "unknown",
                **{name: str(value) for name, value in vars(key).items() if name.startswith(("base", "adapter"))},
                "precision": key.precision,
                "engine": key.engine,
            },
        },
        "evaluation_results": [_eee_result(cell, name) for cell in cells for name in sorted(cell.metrics)],
    }
    return _json(record)


def _eee_result(cell: Cell, name: str) -> dict[str, Any]:
    metric = cell.metrics[name]
    details: dict[str, Any] = {"score": metric.value}
    if metric.stderr is not None:
        details["uncertainty"] = {"standard_error": {"value": metric.stderr}, "num_samples": cell.n_rows}
    repository = _repository(cell)
    where = {"source_type": "hf_dataset", "hf_repo": repository} if repository else {"source_type": "other"}
    facts = {"rows_sha256": cell.key.rows_sha256, "n_rows": cell.n_rows, "n_clusters": cell.n_clusters}
    facts |= {"limit": cell.key.limit, "missing": " ".join(cell.missing), "title": cell.title}
    return {
        "evaluation_result_id": f"{cell.key.digest()}/{name}",
        "evaluation_name": _task_name(cell.key),
        "source_data": {
            "dataset_name": _task_name(cell.key),
            **where,
            "additional_details": {fact: str(value) for fact, value in facts.items() if value not in (None, "")},
        },
        "metric_config": {
            "metric_id": name,
            "metric_name": name,
            "lower_is_better": name in LOWER_IS_BETTER,
            "score_type": "continuous",
            "min_score": -1.0 if name in FROM_MINUS_ONE else 0.0,
            "max_score": 1.0,
        },
        "score_details": details,
        "generation_config": {"generation_args": {"execution_command": cell.command}},
    }


def _repository(cell: Cell) -> str:
    """Return the hub's repository that the rows came from, "" where they did not."""
    kind, _, name = cell.source.partition(":")
    return name.partition("@")[0] if kind == "hub" else ""


def _timestamp(cell: Cell) -> float:
    return _date(cell).timestamp()


def _date(cell: Cell) -> datetime:
    """Return when a cell was made, which becomes part of file names.

    Raises:
        FinbenchError: its date is none, or so far off that it cannot be counted in seconds since 1970.

    """
    try:
        date = datetime.fromisoformat(cell.created)
        date = (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise FinbenchError(
            f"cells/{cell.key.stem()}.json: created is {cell.created[:60]!r}, no date as ISO 8601 has them. Score the "
            "cell again with --redo all, or remove it."
        ) from None
    return date


def _json(record: Mapping[str, Any]) -> str:
    return json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


FORMATS: Mapping[str, tuple[Callable[[Sequence[Cell]], str], str]] = {
    "lm-eval": (as_lm_eval, "results_{date}.json"),
    "model-index": (as_model_index, "model-index.yaml"),
    "every-eval-ever": (as_every_eval_ever, "every_eval_ever.json"),
}


def export(cells: Sequence[Cell], kind: str, output: Path) -> list[Path]:
    """Write the cells to the output in one of FORMATS, a folder a model, or as one "csv"; return the files.

    Raises:
        FinbenchError: a file of the same name is no earlier export; nothing was written then. Or it cannot be written.

    """
    texts = {"cells.csv": as_csv(cells)} if kind == "csv" else {}
    if kind != "csv":
        function, file = FORMATS[kind]
        for name, group in by_model(cells).items():
            date = max(map(_date, group)).isoformat(timespec="seconds").partition("+")[0].replace(":", "-")
            texts[f"{name}/{file.format(date=date)}"] = function(group)
    refuse_foreign(
        output / place
        for place, text in texts.items()
        if (output / place).exists() and not _is_export(output / place, text)
    )
    for place, text in texts.items():
        write_text(output / place, text)
    return [output / place for place in texts]


def _is_export(path: Path, text: str) -> bool:
    """Say whether a file is an earlier export in the shape of this one: the same columns, or the same keys."""
    try:
        if path.suffix == ".json":
            found, made = read_json(path), json.loads(text)
            return isinstance(found, dict) and isinstance(made, dict) and found.keys() == made.keys()
        old = read_text(path)
    except FinbenchError:
        return False
    return old.partition("\n")[0] == text.partition("\n")[0]
