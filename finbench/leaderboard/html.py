"""The HTML page: every cell in one file that sorts, filters and shows each number's proof, and needs no network."""

import json
from pathlib import Path
from typing import Any

from finbench.cells.key import Cell
from finbench.leaderboard import published
from finbench.leaderboard.pages import robustness
from finbench.leaderboard.paired import accuracy_interval
from finbench.leaderboard.table import Condition, Entry, accuracy, short, task_order
from finbench.leaderboard.training import record_of
from finbench.leaderboard.view import View

TEMPLATE = Path(__file__).with_name("page.html")
MARK = "__DATA__"


def html_page(view: View) -> str:
    """Return the page: the template with the cells as JSON in it, written so that no text can end the element."""
    lines = [
        _line(condition, entry, cell, view.remarks(cell))
        for condition, found in view.found.items()
        for (entry, _), cell in sorted(found.items(), key=lambda item: (task_order(item[0][1]), item[0][0]))
    ]
    data = {
        "lines": lines,
        "failed": [f"{one.key.title()}: {one.error}" for one in view.cells.failures],
        "unreadable": [f"{one.path.name}: {one.problem}" for one in view.cells.unreadable],
        "perturbed": [_loss(*found) for found in robustness.flat(robustness.losses_of(view)[0])],
        "reported": published.reported_lines(),
    }
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    for character in "<>&":  # JSON's own escapes: a text cannot close the script element or open another
        text = text.replace(character, f"\\u{ord(character):04x}")
    return TEMPLATE.read_text(encoding="utf-8").replace(MARK, text)


def _line(condition: Condition, entry: Entry, cell: Cell, remarks: list[str]) -> dict[str, Any]:
    interval, f1 = accuracy_interval(cell), cell.metrics.get("f1_weighted")
    size = cell.adapter["size_bytes"] if cell.adapter else None
    return {
        "task": short(cell.key.task),
        "entry": entry.title(),
        "method": cell.adapter["method"] if cell.adapter else "base",
        "accuracy": round(cell.metrics["accuracy"].value, 4),
        "low": round(interval.low, 4),
        "high": round(interval.high, 4),
        "f1": round(f1.value, 4) if f1 else None,
        "seconds": round(cell.seconds_per_row, 5) if cell.seconds_per_row is not None else None,
        "memory": round(cell.peak_bytes / 2**30, 3) if cell.peak_bytes is not None else None,
        "adapter": round(size / 2**20, 3) if size is not None else None,
        "condition": condition.heading() or "whole test sets",
        "flags": remarks,
        "proof": _proof(cell),
    }


def _loss(condition: Condition, task: str, one: robustness.Loss, p_value: float | None) -> dict[str, Any]:
    return {
        "task": short(task),
        "entry": one.entry.title(),
        "kind": one.kind,
        "changed": one.cell.perturbed_share,
        "clean": round(accuracy(one.clean), 4),
        "accuracy": round(accuracy(one.cell), 4),
        "lost": robustness.lost(one),
        "verdict": robustness.verdict(one, p_value),
        "condition": condition.heading() or "whole test sets",
        "proof": _proof(one.cell),
    }


def _seal(cell: Cell) -> str:
    if not cell.seal:
        return "none: written before cells were sealed"
    record, outcomes = cell.seal["record_sha256"], cell.seal["outcomes_sha256"]
    return f"record {str(record)[:16]}, outcomes {outcomes[:16] if outcomes else 'none'}"


def _proof(cell: Cell) -> dict[str, str]:
    """Return what makes a number checkable: hashes, rows, versions, command."""
    key = cell.key
    proof = {
        "cell": f"cells/{key.stem()}.json",
        "base": f"{key.base} {key.base_revision} sha256 {key.base_sha256[:16]}",
        "precision, engine": f"{key.precision}, {key.engine}",
        "rows": f"{cell.n_rows} ({cell.n_clusters} different) from {cell.source}, sha256 {key.rows_sha256[:16]}",
        "prompt": f"{key.num_fewshot} shot, sha256 {key.prompt_sha256[:16]}, task version {key.task_version}",
        "versions": ", ".join(f"{name} {version}" for name, version in sorted(cell.versions.items())),
        "commit": f"{cell.git['commit'][:12]}{' with changes' if cell.git['dirty'] else ''}" if cell.git else "none",
        "command": cell.command,
        "scored": cell.created,
        "seal": _seal(cell),
    }
    if key.perturbed:
        proof["texts perturbed"] = key.perturb
    if cell.adapter:
        proof["adapter"] = f"{cell.adapter['name']}, {cell.adapter['method']}, sha256 {key.adapter_sha256[:16]}"
        proof["trained"] = str(record_of(cell).get("command", "no record"))
    if cell.adapter_proof:
        moved = cell.adapter_proof["max_abs_logit_difference"]
        proof["adapter in effect"] = f"largest change of a logit {moved:.4g}" if cell.adapter_proof["changed"] else "NO"
    return proof
