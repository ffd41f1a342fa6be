"""Cells with outcomes of invented rows, written as a run writes them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from finbench.cells.key import Cell, CellKey
from finbench.cells.store import write_cell
from finbench.records import Outcome
from finbench.scoring.kinds.summary import summarise
from finbench.scoring.metrics import by_class, confusion

LABELS = ("negative", "neutral", "positive")
GOLD = [LABELS[n % 3] for n in range(120)]


def answers(right: int) -> list[str]:
    """Return answers to the 120 invented rows of which the first so many are right."""
    return [gold if n < right else LABELS[(LABELS.index(gold) + 1) % 3] for n, gold in enumerate(GOLD)]


def outcomes_of(said: Sequence[str], repeats: int = 1) -> list[Outcome]:
    return [
        Outcome(f"row-{n}", str(n // repeats), gold, answer)
        for n, (gold, answer) in enumerate(zip(GOLD, said, strict=True))
    ]


Write = Callable[..., Cell]


@pytest.fixture
def scored(tmp_path: Path) -> Write:
    """Return a function that writes a cell of a base, perhaps with an adapter, and its outcomes to `tmp_path/cells`."""

    def write(base: str, adapter: str, right: int, task: str = "fin_fpb", repeats: int = 1, **changes: Any) -> Cell:
        outcomes = outcomes_of(changes.pop("said", None) or answers(right), repeats)
        record = changes.pop("record", {})
        matrix = confusion(GOLD, [one.prediction for one in outcomes], LABELS)
        columns = dict(zip(("precision", "recall", "f1", "support"), by_class(matrix), strict=True))
        sha256 = changes.pop("base_sha256", base)
        perturb = changes.pop("perturb", "none")
        key = CellKey(
            base, "", sha256, adapter, changes.pop("adapter_sha256", adapter), "float32", task, "1.0", "r", "p",
            "hf-fast/1", None, False, "refuse", 1, perturb,
        )  # fmt: skip
        made = {"name": adapter or base, "method": record.get("method", "lora"), "size_bytes": 2**20, "record": record}
        values: dict[str, Any] = {
            "key": key, "created": "2026-01-01T00:00:00+00:00", "title": "", "note": "", "source": "folder",
            "n_rows": 120, "n_clusters": 120 // repeats, "metrics": summarise(outcomes, LABELS, "choice"),
            "labels": LABELS,
            "per_class": {name: {one: float(columns[one][n]) for one in columns} for n, name in enumerate(LABELS)},
            "confusion": {"labels": list(LABELS), "matrix": matrix.astype(int).tolist()},
            "unparsed_share": 0.0, "truncated_share": 0.0, "elapsed_seconds": 1.2, "seconds_per_row": 0.01,
            "peak_bytes": 2**30, "resources": {}, "versions": {"finbench": "0"}, "git": None,
            "command": "finbench run m",
            "machine": {"cpu": "c", "cores": 2, "memory_bytes": 2**33, "gpus": [], "system": "s"},
            "flags": {"sample_rows": False, "base_without_head": False, "trained_precision": None},
            "adapter": made if adapter or record else None, "adapter_proof": None,
        }  # fmt: skip
        cell = Cell(**{**values, **changes})
        write_cell(tmp_path / "cells", cell, outcomes)
        return cell

    return write
