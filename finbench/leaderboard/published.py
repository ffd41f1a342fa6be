"""The numbers that others published, as they reported them: a block of their own in our tables, never ranked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from finbench.documents import read_yaml
from finbench.leaderboard import published_finlora
from finbench.leaderboard.names import method_in_words

FOLDER = Path(__file__).parent / "reported"
PAPER, REPORT = "qlora_paper", "student_report"
MARK = "(reported)"
HEADING = "as published, not ranked"
SMALL = "Llama-3.1-8B-Instruct"
PAPER_METHODS = {"4bits-r4": "LoRA, 4 bits, rank 4", "8bits-r8": "LoRA, 8 bits, rank 8"}
EFFICIENCY_OF = {"ner": "ner", "xbrl_tags": "xbrl", "xbrl_values": "xbrl"}


@dataclass(frozen=True)
class Reported:
    """One published line on one task; None for what was not published.

    `hours` are "hours a GPU x GPUs" of the training, `gibibytes` the memory of all its GPUs as printed (GB).
    """

    name: str
    method: str
    accuracy: float
    f1: float | None = None
    hours: str | None = None
    mebibytes: float | None = None
    gibibytes: float | None = None
    seconds: float | None = None


@lru_cache(maxsize=1)
def _documents() -> dict[str, dict[str, Any]]:
    return {path.stem: read_yaml(path) for path in sorted(FOLDER.glob("*.yaml"))}


@lru_cache(maxsize=64)
def lines_of(task: str) -> tuple[Reported, ...]:
    """Return what was published on a task (by its short name): Llama 3.1, then GPT-2 and FinBERT; () for nothing."""
    paper = _documents()[PAPER]
    found = []
    for name, values in _by_model("accuracy"):
        value = values.get(task)
        if value is not None:
            found.append(_of_llama(paper, name, task, value))
    report = _documents()[REPORT]
    places = [report["metrics"].index(metric) for metric in ("accuracy", "f1")]
    for model in ("gpt2", "finbert"):
        for method, values in report[model].get(task, {}).items():
            words = method_in_words(method, {})
            found.append(Reported(f"{model} + {method} {MARK}", words, *(values[place] for place in places)))
    f1 = dict(published_finlora.lines_of(task, "f1_weighted"))
    for model, value in published_finlora.lines_of(task):
        found.append(Reported(f"{model} {MARK}", "", value, f1.get(model)))
    return tuple(found)


def _of_llama(paper: dict[str, Any], name: str, task: str, accuracy: float) -> Reported:
    f1 = dict(_by_model("weighted_f1"))[name].get(task)
    costs = paper["efficiency"].get(EFFICIENCY_OF.get(task, ""), {}).get(name)
    method = next((words for end, words in PAPER_METHODS.items() if name.endswith(end)), "")
    if not costs:
        return Reported(f"{name} {MARK}", method, accuracy, f1)
    hours = " x ".join(str(part) for part in costs["gpu_hours"])
    memory = costs["gpu_memory_gb"]
    return Reported(
        f"{name} {MARK}", method, accuracy, f1, hours, costs["adapter_mb"], memory, costs["seconds_per_example"]
    )


def _by_model(table: str) -> list[tuple[str, dict[str, float | None]]]:
    found = _documents()[PAPER][table]
    columns = found["columns"]
    return [(name, dict(zip(columns, values, strict=True))) for name, values in found.items() if name != "columns"]


def by_model(tasks: Sequence[str], of: Callable[[Reported], float | None]) -> list[tuple[str, str, list[float | None]]]:
    """Return (model, method, one number a task) for every published line that has a number on any of the tasks."""
    names = dict.fromkeys((one.name, one.method) for task in tasks for one in lines_of(task))
    known = {(one.name, task): of(one) for task in tasks for one in lines_of(task)}
    rows = [(name, method, [known.get((name, task)) for task in tasks]) for name, method in names]
    return [row for row in rows if any(value is not None for value in row[2])]


def sources(tasks: Sequence[str]) -> str:
    """Return where the published numbers on some tasks come from and on how many rows, "" where there are none."""
    names = [one.name for task in tasks for one in lines_of(task)]
    paper, report = _documents()[PAPER], _documents()[REPORT]
    parts = []
    if any(name.startswith("Llama") for name in names):
        sizes = {task: paper["split_sizes"][task] for task in tasks if task in paper["split_sizes"]}
        rows = ", ".join(f"{task} {train} / {test}" for task, (train, test) in sizes.items())
        parts.append(
            f"Llama 3.1 as reported in *{paper['source']}*, {paper['inference_precision']} inference, on {rows} "
            f"train / test rows; costs on {paper['hardware']}, GPU memory of all of them in GB as printed"
        )
    if any(name.startswith(("gpt2", "finbert")) for name in names):
        parts.append(f"GPT-2 and FinBERT as reported in *{report['source']}*, weighted averages")
    if any(published_finlora.lines_of(task) for task in tasks):
        parts.append(f"others as reported in *{published_finlora.source()}*")
    return f"{'; '.join(parts)}. Where rows are not ours, scores do not compare." if parts else ""


def eight_b(task: str) -> str:
    """Return the published accuracy of Llama 3.1 8B alone and with its better adapter, a dash for nothing."""
    found = [one for one in lines_of(task) if one.name.startswith(SMALL)]
    bases, adapters = [one.accuracy for one in found if not one.method], [one.accuracy for one in found if one.method]
    return f"{bases[0]:.3f} → {max(adapters):.3f}" if bases and adapters else "–"


def averages() -> list[tuple[str, int, float, float | None]]:
    """Return (model, tasks, average accuracy, its base's) of models that were reported on every task."""
    means = {
        name: sum(numbers) / len(numbers)
        for name, values in _by_model("accuracy")
        if len(numbers := [value for value in values.values() if value is not None]) == len(values)
    }
    bases = {name.removesuffix(" (base)"): mean for name, mean in means.items() if name.endswith(" (base)")}
    tasks = len(_documents()[PAPER]["accuracy"]["columns"])
    return [
        (
            f"{name} {MARK}",
            tasks,
            mean,
            next((base for stem, base in bases.items() if name.startswith(f"{stem}-")), None),
        )
        for name, mean in means.items()
    ]


@dataclass(frozen=True)
class Training:
    """What a published training cost: batch and hours a GPU x GPUs, memory of all GPUs (GB), adapter (MB)."""

    name: str
    method: str
    task: str
    batch: str
    gigabytes: float
    hours: str
    megabytes: float
    seconds: float


def trainings() -> list[Training]:
    """Return the published costs of training."""
    found = []
    for task, entries in _documents()[PAPER]["efficiency"].items():
        for name, cost in entries.items():
            batch, hours = (" x ".join(str(part) for part in cost[key]) for key in ("batch", "gpu_hours"))
            method = next((words for end, words in PAPER_METHODS.items() if name.endswith(end)), "")
            found.append(
                Training(
                    f"{name} {MARK}", method, task, batch, cost["gpu_memory_gb"], hours, cost["adapter_mb"],
                    cost["seconds_per_example"],
                )
            )  # fmt: skip
    return found


def methods_of(task: str) -> list[tuple[str, str, list[float]]]:
    """Return (model, method, [accuracy, precision, recall, F1]) of the published comparison of methods on a task."""
    report = _documents()[REPORT]
    return [
        (f"{model} {MARK}", method_in_words(method, {}), list(values))
        for model in ("gpt2", "finbert")
        for method, values in report[model].get(task, {}).items()
    ]


def reported_lines() -> list[dict[str, Any]]:
    """Return the published accuracies and F1s, one object a model and task, for the HTML page."""
    source = _documents()[PAPER]["source"]
    f1 = dict(_by_model("weighted_f1"))
    return [
        {"task": task, "entry": f"{name} (as reported)", "method": "as reported", "reported": True,
         "accuracy": value, "f1": f1[name].get(task), "flags": [source]}
        for name, values in _by_model("accuracy")
        for task, value in values.items()
        if value is not None
    ]  # fmt: skip
