"""The numbers that others published, as they reported them: shown beside ours, never ranked with them."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from finbench.leaderboard.table import markdown

FOLDER = Path(__file__).parent / "reported"


@lru_cache(maxsize=1)
def _documents() -> dict[str, dict[str, Any]]:
    import yaml

    return {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.yaml"))}


def reported_scores(metric: str) -> str:
    """Return markdown of the published accuracies or weighted F1s of Llama 3.1 models."""
    import pandas as pd

    paper = _documents()["qlora_paper"]
    found = paper[{"accuracy": "accuracy", "f1_weighted": "weighted_f1"}[metric]]
    rows = [[name, *(_shown(value) for value in values)] for name, values in found.items() if name != "columns"]
    sizes = [paper["split_sizes"][task] for task in found["columns"]]
    rows.append(["their train / test rows", *(f"{train} / {test}" for train, test in sizes)])
    table = pd.DataFrame(rows, columns=["model (as reported)", *found["columns"]])
    return (
        f"{markdown(table)}\n\nReported in *{paper['source']}*, {paper['inference_precision']} inference. "
        "Where their numbers of rows are not ours, the test sets differ and the scores do not compare.\n"
    )


def reported_methods() -> str:
    """Return markdown of the published comparison of methods on GPT-2 and FinBERT."""
    import pandas as pd

    report = _documents()["student_report"]
    rows = [
        [model, task, method, *(_shown(value) for value in values)]
        for model in ("gpt2", "finbert")
        for task, methods in report[model].items()
        for method, values in methods.items()
    ]
    table = pd.DataFrame(rows, columns=["model (as reported)", "task", "method", *report["metrics"]])
    return f"{markdown(table)}\n\nReported in *{report['source']}*, weighted averages.\n"


def reported_efficiency() -> str:
    """Return markdown of the published costs of training and inference."""
    import pandas as pd

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
    return f"{markdown(pd.DataFrame(rows, columns=columns))}\n\nReported in *{paper['source']}*, {paper['hardware']}.\n"


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
