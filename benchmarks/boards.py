"""Boards of many cells: `finbench leaderboard` in a process of its own, from files to pages.

`python -m benchmarks boards --rows 10000`: as many cells, with the outcomes of 1,200 rows beside each. The stock way
to check that many files is the package jsonschema, measured on some of them and scaled.
"""

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import jsonschema

from benchmarks.report import Comparison
from finbench.cells.key import SCHEMA_VERSION, Cell, CellKey, written
from finbench.cells.schema import cell_schema
from finbench.cells.seal import seal_of
from finbench.cells.store import OUTCOMES, path_of, read_cells, write_cell
from finbench.records import Outcome
from finbench.runs.result import confusion_of, per_class_of
from finbench.scoring.kinds.summary import summarise

TASKS = ("fpb", "fiqa", "tfns", "nwgi", "headline", "ner", "xbrl_tags", "xbrl_values")
LABELS = ("negative", "neutral", "positive")
ROWS = 1200
MODELS = 10  # different sets of answers; every cell has one of them
BY_LIBRARY = 200  # files that jsonschema checks


@dataclass(frozen=True)
class Answers:
    """The outcomes of one set of answers, as a cell without a name."""

    cell: Cell
    outcomes: list[Outcome]


def measure(rows: int, dtype: str, device: str) -> list[Comparison]:
    """Return what rendering `rows` cells takes; raises AssertionError if a page or a cell is missing."""
    with tempfile.TemporaryDirectory() as folder:
        cells, pages = Path(folder, "cells"), Path(folder, "pages")
        _write(cells, rows)
        stock = _by_library(cells) * rows / min(rows, BY_LIBRARY)
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "finbench", "leaderboard", "--cells", str(cells), "--output", str(pages)]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        assert f"{rows} cells" in said and (pages / "index.html").is_file(), said
        details: dict[str, float | str] = {
            "processor seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
            "seconds of reading alone": _reading(cells),
            "MB of cells": sum(path.stat().st_size for path in cells.rglob("*.json")) / 1e6,
            "stock": f"jsonschema on {min(rows, BY_LIBRARY)} files, scaled; it renders nothing",
        }
        return [Comparison("boards", rows, "none", stock, seconds, 0.0, details)]


def _reading(cells: Path) -> float:
    began = time.perf_counter()
    found = read_cells(cells)
    assert not found.unreadable
    return time.perf_counter() - began


def _by_library(cells: Path) -> float:
    paths = sorted(cells.rglob("*.json"))[:BY_LIBRARY]
    validator = jsonschema.Draft202012Validator(cell_schema())
    began = time.perf_counter()
    for path in paths:
        validator.validate(json.loads(path.read_text(encoding="utf-8")))
    return time.perf_counter() - began


def _write(folder: Path, count: int) -> None:
    """Write cells of bases with nine adapters each over all tasks; outcomes are links to those of MODELS files."""
    models = list(_models(folder.with_name("models")))
    for number in range(count):
        task, entry = TASKS[number % len(TASKS)], number // len(TASKS)
        base, adapter = divmod(entry, 10)
        answers, outcomes = models[(entry * 7 + number) % MODELS]
        named = replace(
            answers.key,
            task=f"fin_{task}",
            base=f"base-{base}",
            base_sha256=f"{base:064d}",
            adapter=f"adapter-{adapter}" if adapter else "",
            adapter_sha256=f"{entry:064d}" if adapter else "",
        )
        cell = replace(answers, key=named, seconds_per_row=0.001 + entry * 1e-6)
        made = {"name": f"adapter-{adapter}", "method": "lora", "size_bytes": 2**20, "record": _record(entry)}
        cell = replace(cell, adapter=made) if adapter else replace(cell, adapter=None, adapter_proof=None)
        path = path_of(folder, named)
        path.parent.mkdir(parents=True, exist_ok=True)
        record = asdict(replace(cell, sequence=1))
        seal = seal_of(record, outcomes.read_bytes())
        path.write_text(written({**record, "seal": seal}), encoding="utf-8")
        os.link(outcomes, path_of(folder, named, OUTCOMES))


def _models(folder: Path) -> Iterator[tuple[Cell, Path]]:
    for number in range(MODELS):
        answers = _answers(number)
        write_cell(folder, answers.cell, answers.outcomes)
        yield answers.cell, path_of(folder, answers.cell.key, OUTCOMES)


def _answers(number: int) -> Answers:
    """Return invented answers, the more of them right the higher the number."""
    draw = random.Random(number)
    golds = [random.Random(row).choice(LABELS) for row in range(ROWS)]
    said = [gold if draw.random() < 0.5 + number / 25 else draw.choice(LABELS) for gold in golds]
    outcomes = [
        Outcome(f"row-{row}", f"row-{row}", gold, answer, (-0.1, -1.0, -2.0))
        for row, (gold, answer) in enumerate(zip(golds, said, strict=True))
    ]
    metrics = summarise(outcomes, LABELS, "choice")
    key = CellKey(
        f"model-{number}",
        "",
        "b",
        "a",
        "a",
        "float32",
        "fin_fpb",
        "1.0",
        "r",
        "p",
        "hf-fast/1",
        None,
        False,
        "refuse",
        1,
    )
    cell = Cell(
        key=key, created="2026-01-01T00:00:00+00:00", title="", note="", source="folder", n_rows=ROWS, n_clusters=ROWS,
        labels=LABELS, metrics=metrics,
        per_class=per_class_of(outcomes, LABELS), confusion=confusion_of(outcomes, LABELS),
        unparsed_share=0.0, truncated_share=0.0, elapsed_seconds=12.0, seconds_per_row=0.01, rows_per_second=100.0,
        peak_bytes=2**30, resources={"elapsed_seconds": 12.0, "cpu_seconds": 20.0, "resident_peak_bytes": 2**30},
        machine={"cpu": "a processor", "cores": 2, "memory_bytes": 2**34, "gpus": [], "system": "a system"},
        versions=dict.fromkeys(("python", "finbench", "lm-eval", "torch", "transformers", "peft", "numpy"), "1.2.3"),
        git={"commit": "0" * 40, "dirty": False}, command="finbench run matrix.yaml",
        flags={"sample_rows": False, "base_without_head": False, "trained_precision": None},
        adapter={"name": "a", "method": "lora", "size_bytes": 2**20, "record": {}},
        adapter_proof={"changed": True, "max_abs_logit_difference": 1.5}, schema_version=SCHEMA_VERSION,
    )  # fmt: skip
    return Answers(cell, outcomes)


def _record(seed: int) -> dict[str, object]:
    """Return the record of a training of a usual size: some 40 steps of history and a recipe."""
    return {
        "tasks": ["fin_fpb"],
        "method": "lora",
        "task_type": "CAUSAL_LM",
        "recipe": {"base": "models/base", "seed": seed, "batch_size": 16, "r": 8, **{f"key_{n}": n for n in range(30)}},
        "resources": {"elapsed_seconds": 60.0, "resident_peak_bytes": 2**30},
        "parameters": {"trainable": 100_000, "all": 1_000_000},
        "history": [{"epoch": n / 10, "grad_norm": 0.5, "learning_rate": 1e-3, "loss": 1 / (n + 1)} for n in range(40)],
    }
