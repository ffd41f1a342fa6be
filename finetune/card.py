"""What lies beside the weights: finbench's record (`finbench.json`) and a model card for the hub (`README.md`)."""

import importlib.metadata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from finbench import __version__
from finbench.adapters.folder import WEIGHTS, weights_sha256, write_record
from finbench.leaderboard.markdown import escaped, on_one_line
from finetune import output, plots
from finetune.methods import PEFT_TASK
from finetune.recipe import Recipe
from finetune.train import Trained

PIPELINES = {"SEQ_CLS": "text-classification", "CAUSAL_LM": "text-generation", "SEQ_2_SEQ_LM": "text2text-generation"}
PACKAGES = ("torch", "transformers", "peft", "accelerate", "lm_eval", "datasets", "bitsandbytes")


def describe(trained: Trained, recipe: Recipe, command: str) -> dict[str, Any]:
    """Write pictures, card and last the record into the folder, remove the checkpoints, and return the record."""
    record = _record(trained, recipe, command)
    staged = output.stage(trained.folder)
    title = f"{recipe.method} on {_shown(recipe.base)} for {', '.join(recipe.tasks)}, seed {recipe.seed}"
    drawn = (
        plots.curves(trained.history, title, staged),
        plots.confusions(trained.confusions, f"{title}: validation rows", staged),
    )
    pictures = [path.name for path in drawn if path]
    (staged / "README.md").write_text(card(record, pictures), encoding="utf-8")
    output.place(trained.folder)
    record["files"] = output.files_of(trained.folder)
    write_record(trained.folder, record)
    output.finish(trained.folder)
    return record


def _shown(base: str) -> str:
    """Return the base's name without the folders of somebody's machine."""
    return Path(base).name if Path(base).is_dir() else base


def _record(trained: Trained, recipe: Recipe, command: str) -> dict[str, Any]:
    from finbench.tasks.load import load_tasks

    full = recipe.method == "full"
    tasks = load_tasks(recipe.tasks, metadata={"clean": True} if recipe.clean else None)
    weights = sorted(trained.folder.glob("*.safetensors")) if full else [trained.folder / WEIGHTS]
    return {
        "finbench_version": __version__,
        "method": recipe.method,
        "task_type": PEFT_TASK[recipe.task_type],
        "labels": list(trained.labels),
        "base": {
            "id": recipe.base,
            "revision": "" if Path(recipe.base).is_dir() else recipe.revision or "",
            "sha256": weights_sha256(recipe.base, recipe.revision),
        },
        "precision": f"{recipe.bits}bit" if recipe.bits else recipe.precision,
        "tasks": list(recipe.tasks),
        "rows": _rows(tasks),
        "prompts": _prompts(recipe, tasks),
        "examples": {"train": len(trained.examples.train), "too_long": trained.examples.too_long},
        **trained.examples.notes,
        "recipe": recipe.settings(),
        "recipe_sha256": recipe.sha256(),
        "resources": trained.resources,
        "not_shared": trained.not_shared,
        "not_packed": trained.not_packed,
        "metrics": trained.metrics,
        "confusions": trained.confusions,
        "history": trained.history,
        "parameters": trained.parameters,
        "adapter_bytes": sum(path.stat().st_size for path in weights),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES if _installed(name)},
        "command": command,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _prompts(recipe: Recipe, tasks: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the prompts that were trained on, so that the adapter can be used without the rows."""
    from finbench.hf.load import load_tokenizer
    from finbench.predict.prompt import prompts_of
    from finbench.tasks.prompting import Chat

    lm = Chat(load_tokenizer(recipe.base, recipe.revision, recipe.trust_remote_code)) if recipe.chat_template else None
    return prompts_of(tasks, recipe.prompting, recipe.clean, lm, classifier=recipe.task_type == "classifier")


def _rows(tasks: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return source, hash, count and licence of the train rows of each task."""
    from finbench.data.load import find, load, rows_sha256

    found = {}
    for name, task in tasks.items():
        settings = task.config.dataset_kwargs
        rows = load(**settings)
        train = rows.splits["train"]
        bundled = rows.source == "sample"  # written for this project
        licence = "" if settings["dataset"] == "file" else "MIT" if bundled else find(settings["dataset"]).licence
        found[name] = {
            "source": rows.source,
            "sha256": rows_sha256(train),
            "count": len(train),
            "licence": licence,
        }
    return found


def card(record: dict[str, Any], pictures: Sequence[str] = ()) -> str:
    """Return the hub's model card: a YAML header with results in model-index form, then prose and pictures."""
    base, tasks = _shown(record["base"]["id"]), ", ".join(record["tasks"])
    licences = sorted({rows["licence"] for rows in record["rows"].values() if rows["licence"]})
    resources = record["resources"]
    hours = resources["gpu_hours"]
    said = [
        f"# {record['method']} on {base} for {tasks}",
        "",
        f"Made by finbench {record['finbench_version']} on {record['created']} with",
        "",
        f"    {on_one_line(record['command'])}",  # a block of code, in which nothing is read as markdown
        "",
        f"- {record['parameters']['trainable']:,} of {record['parameters']['total']:,} parameters trained, "
        f"{record['adapter_bytes'] / 2**20:.2f} MiB of weights, precision {record['precision']}",
        f"- {record['examples']['train']:,} train rows, {record['examples']['too_long']:,} left out as too long",
        f"- {resources['steps']:,} steps in {resources['elapsed_seconds']:.0f} seconds, "
        + (f"{hours:.2f} GPU hours" if hours is not None else "no GPU")
        + f", {resources['resident_peak_bytes'] / 2**30:.2f} GiB resident at most",
        f"- every row ran whole: {record['not_shared']}"
        if record.get("not_shared")
        else "- rows shared their prefixes"
        + (f", padded beside one another: {record['not_packed']}" if record.get("not_packed") else ""),
        *(
            f"- rows of {name}: {rows['source']}, hash {rows['sha256'][:12]}, licence: {rows['licence'] or 'your own'}"
            for name, rows in record["rows"].items()
        ),
        *_of_teacher(record),
        *(
            f"- {one['made']:,} more rows of {task}: {one['kind']}"
            + "".join(f", {n:,} left out ({why})" for why, n in one["left_out"].items())
            for task, ways in (record.get("augmented") or {}).items()
            for one in ways
        ),
        "",
        f"The licence of the rows ({', '.join(licences) or 'your own'}) bears on what the weights may be used for. "
        "The results in the header are of rows held out of train, not of the test set. Everything else is in "
        "`finbench.json`.",
        "",
    ]
    lines = [
        "---",
        yaml.safe_dump(_header(record), sort_keys=False).strip(),
        "---",
        *(line if line.startswith("    ") else escaped(line) for line in said),
        *(line for picture in pictures for line in (f"![{Path(picture).stem}]({picture})", "")),
    ]
    return "\n".join(lines)


def _of_teacher(record: dict[str, Any]) -> list[str]:
    """Return whose student it is, and which rows that teacher labelled."""
    teacher, unlabelled = record.get("teacher"), record.get("unlabelled") or {"rows": {}}
    if not teacher:
        return []
    recipe, made = record["recipe"], teacher["adapter"]
    adapter = f", adapter {made['name']} {made['sha256'][:12]}" if made else ", no adapter"
    agrees = ", ".join(f"{share:.1%} of {task}'s" for task, share in teacher["agreement"].items())
    said = [
        f"- student of {teacher['name']} (base {_shown(teacher['base']['id'])} {teacher['base']['sha256'][:12]}"
        f"{adapter}, {teacher['precision']}), which gives {agrees} train rows their label; distil_weight "
        f"{recipe['distil_weight']:g}, temperature {recipe['temperature']:g}"
    ]
    for task, rows in unlabelled["rows"].items():
        said.append(
            f"- {rows['trained_on']:,} of {rows['read']:,} texts of {unlabelled['file']} labelled by the teacher for "
            f"{task}: {left_out(rows)}"
        )
    return said


def left_out(rows: dict[str, Any]) -> str:
    """Return why unlabelled rows were not trained on, with their numbers."""
    dropped = {**rows["dropped"], "the teacher is not sure enough": rows["unsure"]}
    counts = [f"{count:,} left out ({reason})" for reason, count in dropped.items() if count]
    return ", ".join(counts) or "none left out"


def _header(record: dict[str, Any]) -> dict[str, Any]:
    base = _shown(record["base"]["id"])
    name = f"{Path(base).name}-{'-'.join(record['tasks'])}-{record['method']}"
    return {
        # a folder of somebody's machine is no base on the hub
        **({} if Path(record["base"]["id"]).is_dir() else {"base_model": base}),
        "library_name": "transformers" if record["method"] == "full" else "peft",
        "pipeline_tag": PIPELINES[record["task_type"]],
        "tags": ["finance", "finbench", record["method"]],
        "model-index": [{"name": name, "results": _results(record)}],
    }


def _results(record: dict[str, Any]) -> list[dict[str, Any]]:
    metrics = [
        {"type": name, "value": round(value, 6), "name": f"{name} (validation)"}
        for name, value in record["metrics"].items()
        if name in ("accuracy", "f1_weighted")
    ]
    if not metrics:
        return []
    dataset = {"type": "+".join(record["tasks"]), "name": ", ".join(record["tasks"]), "split": "validation"}
    return [{"task": {"type": "text-classification"}, "dataset": dataset, "metrics": metrics}]
