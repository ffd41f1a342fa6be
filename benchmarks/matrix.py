"""One base, five adapters, six tasks: one `finbench run` against one `lm_eval` process a cell.

`python -m benchmarks matrix --rows 100`

The stock side runs the base and one adapter on one task each and is extrapolated to all 36 cells. Both sides are timed
from the command to its end, loading and start-up included; every score of the stock cells is compared with ours.
"""

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model

from benchmarks.invented import gpt2_small, one_shot, sentence_rows, tokenizer_for
from benchmarks.report import Comparison

TASKS = tuple(f"bench_{number}" for number in range(6))
ADAPTERS = tuple(f"adapter_{number}" for number in range(5))
CELLS = len(TASKS) * (1 + len(ADAPTERS))
BATCH = 16  # what `hf` is fastest with on a processor, see the scoring benchmark
TOLERANCE = {"float32": 1e-4, "bfloat16": 0.1, "float16": 0.02}


def measure(rows: int, dtype: str, device: str) -> list[Comparison]:
    """Return one comparison; raises AssertionError where a score differs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _prepare(folder, rows)
        stock = {adapter: _stock(folder, adapter, dtype, device) for adapter in (None, ADAPTERS[0])}
        seconds = {adapter: found[0] for adapter, found in stock.items()}
        per_cell = (seconds[None] + len(ADAPTERS) * seconds[ADAPTERS[0]]) / (1 + len(ADAPTERS))
        our_seconds = _ours(folder, dtype)
        difference = max(_difference(folder, adapter, found[1]) for adapter, found in stock.items())
    assert difference <= TOLERANCE[dtype], f"log-likelihoods differ by {difference}"
    details: dict[str, float | str] = {
        "cells": str(CELLS),
        "stock cells run": "2, the rest extrapolated",
        "stock seconds a cell": per_cell,
        "our seconds a cell": our_seconds / CELLS,
        "rows a cell": str(rows),
    }
    title = "matrix: 5 adapters and their base on 6 tasks, GPT-2 small"
    return [Comparison(title, rows * CELLS, dtype, per_cell * CELLS, our_seconds, difference, details)]


def _prepare(folder: Path, rows: int) -> None:
    """Write six tasks on invented rows, a base and five adapters of rank 8."""
    texts = []
    for number, task in enumerate(TASKS):
        made = sentence_rows(rows + 6, seed=number)
        texts += [text for text, _ in made]
        for split, part in (("train", made[:6]), ("test", made[6:])):
            with (folder / f"{task}_{split}.csv").open("w", newline="") as sink:
                csv.writer(sink).writerows([("text", "label"), *part])
        files = [f"{task}_train.csv", "--test", f"{task}_test.csv"]
        _finbench(folder, "new-task", task, *files, "--instruction", "What is the sentiment of this news?")
    base = gpt2_small(torch.float32, "cpu")
    # of whole prompts, or their instruction would be written in many more tokens than a real one
    tokenizer_for([*texts, *one_shot(50)], 2000, base.config.vocab_size).save_pretrained(folder / "base")
    base.save_pretrained(folder / "base")
    for number, adapter in enumerate(ADAPTERS):
        torch.manual_seed(number + 1)
        settings = LoraConfig(r=8, target_modules=["c_attn"], fan_in_fan_out=True, task_type="CAUSAL_LM")
        model = get_peft_model(gpt2_small(torch.float32, "cpu"), settings)
        for weight in model.parameters():
            if weight.requires_grad:
                weight.data = 0.05 * torch.randn_like(weight)
        model.save_pretrained(folder / "adapters" / adapter)


def _finbench(folder: Path, *words: str) -> None:
    command = [sys.executable, "-m", "finbench", *words]
    subprocess.run(command, cwd=folder, env=_environment(folder), check=True, stdout=subprocess.DEVNULL)


def _environment(folder: Path) -> dict[str, str]:
    root = str(Path(__file__).parents[1])
    return {**os.environ, "HF_HUB_OFFLINE": "1", "FINBENCH_HOME": str(folder / "home"), "PYTHONPATH": root}


def _stock(folder: Path, adapter: str | None, dtype: str, device: str) -> tuple[float, list[dict[str, object]]]:
    """Run one cell as `lm_eval` does; return its seconds and its samples."""
    peft = f",peft=adapters/{adapter}" if adapter else ""
    output = folder / "stock" / (adapter or "base")
    command = [sys.executable, "-m", "lm_eval", "run", "--model", "hf", "--tasks", TASKS[0], "--device", device]
    command += ["--model_args", f"pretrained=base,dtype={dtype}{peft}", "--batch_size", str(BATCH)]
    began = time.perf_counter()
    subprocess.run(
        [*command, "--output_path", str(output), "--log_samples"],
        cwd=folder, env=_environment(folder), check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    (samples,) = output.rglob("samples_*.jsonl")
    return seconds, [json.loads(line) for line in samples.read_text().splitlines()]


def _ours(folder: Path, dtype: str) -> float:
    adapters = ", ".join(f"adapters/{name}" for name in ADAPTERS)
    (folder / "matrix.yaml").write_text(
        f"name: bench\ntasks: [{', '.join(TASKS)}]\nbatch_size: {BATCH}\n"
        f"bases:\n  - {{base: base, model: hf-fast, dtype: {dtype}, adapters: [{adapters}]}}\n"
    )
    began = time.perf_counter()
    _finbench(folder, "run", "matrix.yaml")
    return time.perf_counter() - began


def _difference(folder: Path, adapter: str | None, samples: list[dict[str, object]]) -> float:
    """Return the largest difference of a log-likelihood between a stock cell's samples and our rows' outcomes."""
    import pandas as pd

    (path,) = (folder / "leaderboards" / "cells" / TASKS[0]).rglob(f"{adapter or 'base-'}*.parquet")
    ours = pd.read_parquet(path)
    theirs = {sample["doc"]["id"]: [float(one[0][0]) for one in sample["resps"]] for sample in samples}  # type: ignore[index]
    assert set(theirs) == set(ours["row_id"]), "the two sides scored other rows"
    return max(
        abs(one - other)
        for row, scores in zip(ours["row_id"], ours["scores"], strict=True)
        for one, other in zip(scores, theirs[row], strict=True)
    )
