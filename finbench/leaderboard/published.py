"""The numbers that others published, as they reported them: shown beside ours, never ranked with them."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from finbench.documents import read_yaml
from finbench.leaderboard.markdown import markdown

FOLDER = Path(__file__).parent / "reported"


@lru_cache(maxsize=1)
def _documents() -> dict[str, dict[str, Any]]:
    return {path.stem: read_yaml(path) for path in sorted(FOLDER.glob("*.yaml"))}


def reported_scores(metric: str) -> str:
    """Return markdown of the published accuracies or weighted F1s of Llama 3.1 models."""
    paper = _documents()["qlora_paper"]
    found = paper[{"accuracy": "accuracy", "f1_weighted": "weighted_f1"}[metric]]
    rows = [[name, *(_shown(value) for value in values)] for name, values in found.items() if name != "columns"]
    sizes = [paper["split_sizes"][task] for task in found["columns"]]
    rows.append(["their train / test rows", *(f"{train} / {test}" for train, test in sizes)])
    table = markdown(["model (as reported)", *found["columns"]], rows)
    return (
        f"{table}\n\nReported in *{paper['source']}*, {paper['inference_precision']} inference. "
        "Where their numbers of rows are not ours, the test sets differ and the scores do not compare.\n"
    )


def reported_methods() -> str:
    """Return markdown of the published comparison of methods on GPT-2 and FinBERT."""
    report = _documents()["student_report"]
    rows = [
        [model, task, method, *(_shown(value) for value in values)]
        for model in ("gpt2", "finbert")
        for task, methods in report[model].items()
        for method, values in methods.items()
    ]
    table = markdown(["model (as reported)", "task", "method", *report["metrics"]], rows)
    return f"{table}\n\nReported in *{report['source']}*, weighted averages.\n"


def accuracies_of_methods(task: str) -> list[tuple[str, str, float]]:
    """Return (model, method, accuracy) as published for a task, none where nobody reported it."""
    report = _documents()["student_report"]
    place = report["metrics"].index("accuracy")
    return [
        (model, method, values[place])
        for model in ("gpt2", "finbert")
        for method, values in report[model].get(task, {}).items()
    ]


def reported_averages() -> str:
    """Return markdown of the published accuracies averaged over the eight tasks, and their gain over the base."""
    paper = _documents()["qlora_paper"]
    scores = {name: values for name, values in paper["accuracy"].items() if name != "columns" and None not in values}
    means = {name: sum(values) / len(values) for name, values in scores.items()}
    bases = {name.removesuffix(" (base)"): mean for name, mean in means.items() if name.endswith(" (base)")}
    rows = []
    for name, mean in means.items():
        gains = [mean - base for stem, base in bases.items() if name.startswith(f"{stem}-")]
        rows.append([name, _shown(mean), f"{gains[0]:+.4f}" if gains else "–"])
    table = markdown(["model (as reported)", "average accuracy", "gain over its base"], rows)
    return f"{table}\n\nAveraged here from the table in *{paper['source']}*.\n"


def reported_efficiency() -> str:
    """Return markdown of the published costs of training and inference."""
    paper = _documents()["qlora_paper"]
    rows = []
    for task, entries in paper["efficiency"].items():
        for name, cost in entries.items():
            hours = " x ".join(str(part) for part in cost["gpu_hours"])
            batch = " x ".join(str(part) for part in cost["batch"])
            rows.append(
                [name, task, batch, cost["gpu_memory_gb"], hours, cost["adapter_mb"], cost["seconds_per_example"]]
            )
    columns = ["model (as reported)", "task", "batch", "GPU memory (GB)", "GPU hours", "adapter (MB)", "s/example"]
    return f"{markdown(columns, rows)}\n\nReported in *{paper['source']}*, {paper['hardware']}.\n"


def reported_lines() -> list[dict[str, Any]]:
    """Return the published accuracies and F1s, one object a model and task, for the HTML page."""
    paper = _documents()["qlora_paper"]
    f1 = paper["weighted_f1"]
    lines = []
    for name, values in paper["accuracy"].items():
        if name == "columns":
            continue
        for task, value in zip(paper["accuracy"]["columns"], values, strict=True):
            own = f1[name][f1["columns"].index(task)] if task in f1["columns"] else None
            if value is not None:
                lines.append({"task": task, "entry": f"{name} (as reported)", "method": "as reported", "reported": True,
                              "accuracy": value, "f1": own, "flags": [paper["source"]]})  # fmt: skip
    return lines


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
