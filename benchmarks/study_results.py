"""How far the results of a study's two sides lie apart: losses, adapters, and every cell's rows and metrics."""

import json
from pathlib import Path
from typing import Any

from finbench.cells.store import read_cells, read_outcomes

LOSS = 1e-3  # relative, of any loss that both sides logged
# Of a log-likelihood: sums in another order; after training also what the optimizer makes of such differences, for
# AdamW divides a gradient near zero by its own size.
SCORE = {"base": 1e-3, "adapter": 0.1}
METRICS = {"accuracy": "acc", "f1_weighted": "f1_weighted", "f1_macro": "f1_macro", "mcc": "mcc"}  # ours: lm-eval's
EQUAL = 1e-6  # metrics of the same answers


def compared(study: dict[str, Any], where: Path) -> dict[str, Any]:
    """Return losses, adapters and cells beside each other, and whether all are equal as far as can be asked.

    A cell is equal if every score is within SCORE and every metric is the same, but for answers of which the two best
    lie no further apart than both sides' scores do: those are counted as ties.
    """
    settings = study["settings"]
    trained, cells = [], []
    for round_ in range(settings["rounds"]):
        trained += [_trained(where, round_, task) for task in settings["tasks"]]
        cells += _cells(where, round_, settings)
    equal = all(one["loss_difference"] <= LOSS for one in trained) and all(one["equal"] for one in cells)
    return {"equal": equal, "adapters": trained, "cells": cells}


def _trained(where: Path, round_: int, task: str) -> dict[str, Any]:
    """Return both sides' losses as logged (the first step's, then means of ten), and the adapters' distance."""
    from safetensors.torch import load_file

    ours, theirs = where / f"ours-{round_}" / task, where / f"stock-{round_}" / task
    history = json.loads((ours / "finbench.json").read_text(encoding="utf-8"))["history"]
    our_losses = {int(entry["step"]): entry["loss"] for entry in history if "loss" in entry}
    losses = {int(step): loss for step, loss in json.loads((theirs / "losses.json").read_text()).items()}
    assert our_losses.keys() == losses.keys(), "the two sides took other steps"
    ends = [load_file(folder / "adapter_model.safetensors") for folder in (ours, theirs, where / "start" / task)]
    assert ends[0].keys() == ends[1].keys() == ends[2].keys(), "the two sides trained other weights"
    apart = sum(float((ends[0][name] - ends[1][name]).square().sum()) for name in ends[0]) ** 0.5
    way = sum(float((ends[1][name] - ends[2][name]).square().sum()) for name in ends[0]) ** 0.5
    return {
        "round": round_,
        "task": task,
        "losses": {str(step): [our_losses[step], losses[step]] for step in losses},
        "loss_difference": max(abs(our_losses[step] - loss) / abs(loss) for step, loss in losses.items()),
        "adapter_distance": apart / way if way else float(apart > 0),
    }


def _cells(where: Path, round_: int, settings: dict[str, Any]) -> list[dict[str, Any]]:
    folder = where / f"cells-{round_}"
    cells = {(cell.key.task, cell.key.adapter): cell for cell in read_cells(folder).results}
    wanted = {(task, adapter) for task in settings["tasks"] for adapter in ("", *settings["tasks"])}
    assert cells.keys() == wanted, f"cells are missing: {sorted(wanted - cells.keys())}"
    found = []
    for (task, adapter), cell in sorted(cells.items()):
        place = where / f"stock-{round_}-scores" / (adapter or "base") / task
        [results] = place.rglob("results_*.json")
        [samples] = place.rglob("samples_*.jsonl")
        stock = json.loads(results.read_text(encoding="utf-8"))["results"][task]
        metrics = {name: [cell.metrics[name].value, stock[f"{theirs},none"]] for name, theirs in METRICS.items()}
        lines = [json.loads(line) for line in samples.read_text(encoding="utf-8").splitlines()]
        theirs = {str(line["doc"]["id"]): [float(one[0][0]) for one in line["resps"]] for line in lines}
        ours = {outcome.row_id: list(outcome.scores or ()) for outcome in read_outcomes(folder, cell.key)}
        found.append(
            {"round": round_, "task": task, "adapter": adapter} | agreement(ours, theirs, metrics, bool(adapter))
        )
    return found


def agreement(
    ours: dict[str, list[float]], theirs: dict[str, list[float]], metrics: dict[str, list[float]], trained: bool
) -> dict[str, Any]:
    """Return how far one cell's scores lie apart, how many answers differ, how many of those are ties, and metrics."""
    assert ours.keys() == theirs.keys(), "the two sides scored other rows"
    difference = max(abs(one - other) for row in ours for one, other in zip(ours[row], theirs[row], strict=True))
    unequal = [row for row in ours if _best(ours[row]) != _best(theirs[row])]
    ties = [row for row in unequal if _margin(theirs[row]) <= 2 * difference]
    apart = max(abs(one - other) for one, other in metrics.values())
    within = difference <= SCORE["adapter" if trained else "base"]
    explained = len(ties) == len(unequal) and (apart <= EQUAL or bool(ties))
    return {
        "rows": len(ours),
        "largest_score_difference": difference,
        "unequal_answers": len(unequal),
        "ties": len(ties),
        "metrics": metrics,
        "metrics_difference": apart,
        "equal": within and explained,
    }


def _best(scores: list[float]) -> int:
    return max(range(len(scores)), key=lambda place: scores[place])


def _margin(scores: list[float]) -> float:
    first, second = sorted(scores, reverse=True)[:2]
    return first - second
