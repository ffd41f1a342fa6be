"""What FinLoRA published on the tasks that it has beside the eight: shown beside ours, never ranked with them."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from finbench.documents import read_yaml
from finbench.leaderboard.markdown import markdown

FILE = Path(__file__).parent / "reported" / "finlora_2025.yaml"
TABLES = {"accuracy": ("accuracy", "bertscore"), "f1_weighted": ("f1",)}  # of a metric of ours


@lru_cache(maxsize=1)
def _document() -> dict[str, Any]:
    found: dict[str, Any] = read_yaml(FILE)
    return found


def lines_of(task: str, metric: str = "accuracy") -> tuple[tuple[str, float], ...]:
    """Return (model, number) as published for a task by its short name, () where FinLoRA has no such number."""
    found = _document()
    for table in TABLES[metric]:
        if task in found[table]:
            return tuple(zip(found["columns"], found[table][task], strict=True))
    return ()


def source() -> str:
    """Return where the numbers come from."""
    return str(_document()["source"])


def reported(metric: str) -> str:
    """Return markdown of FinLoRA's numbers for the page of accuracies or of weighted F1s."""
    found = _document()
    tasks = [task for table in TABLES[metric] for task in found[table]]
    by_model = {task: dict(lines_of(task, metric)) for task in tasks}
    rows = [[model, *(f"{by_model[task][model]:.4f}" for task in tasks)] for model in found["columns"]]
    rows.append(["their test rows", *(str(found["test_rows"][task]) for task in tasks)])
    scores = [task for task in tasks if task in found["bertscore"]]
    known = f" Of {' and '.join(scores)} it is BERTScore, which is no accuracy." if scores else ""
    return (
        f"{markdown(['model (as reported)', *tasks], rows)}\n\nReported in *{found['source']}*. A number is right "
        f"there wherever it stands in an answer; of finer and fnxl each of a row's four answers counts.{known}\n"
    )
