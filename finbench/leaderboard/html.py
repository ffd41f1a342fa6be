"""The HTML page: every cell in one file that sorts, filters, compares and shows each number's proof; no network."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from finbench.cells.key import Cell
from finbench.leaderboard import compared, published
from finbench.leaderboard.conditions import Condition
from finbench.leaderboard.disturbed import mark
from finbench.leaderboard.pages import robustness
from finbench.leaderboard.paired import accuracy_interval
from finbench.leaderboard.primary import ACCURACY, name_of, title_of
from finbench.leaderboard.seeds import lines_of
from finbench.leaderboard.table import Entry, accuracy, short, task_order
from finbench.leaderboard.training import record_of
from finbench.leaderboard.view import View

PAGE = Path(__file__).with_name("page")
SCRIPTS = ("exact.js", "scores.js", "compare.js", "start.js")  # one after the other, in one element


class Numbered(dict[str, int]):
    """Texts by number, in the order of their first use: most of a page's texts stand in many of its lines."""

    def __missing__(self, text: str) -> int:
        self[text] = len(self)
        return self[text]


def html_page(view: View, files: Mapping[str, str]) -> dict[str, str]:
    """Return the page, and beside it the files of outcomes, whose names are given by task.

    The cells stand in the page as JSON, written so that no text can end the element.
    """
    sets = compared.sets_of(view)
    texts, conditions = Numbered(), Numbered()
    groups = [(condition, line) for condition, found in view.found.items() for line in lines_of(found)]
    group_of = {(condition, one): n for n, (condition, line) in enumerate(groups) for one in line.entries}
    carried = {name for of_task in sets.values() for one in of_task for name in one.cells}
    lines = [
        _line(entry, cell, view.remarks(cell), texts, carried)
        | {"group": group_of[condition, entry], "condition": conditions[_heading(condition)]}
        for condition, found in view.found.items()
        for (entry, _), cell in sorted(found.items(), key=lambda item: (task_order(item[0][1]), item[0][0]))
    ]
    lost = [_loss(*found, texts, conditions) for found in robustness.flat(robustness.losses_of(view)[0])]
    data = {
        "lines": lines,
        "groups": [line.title for _, line in groups],
        "conditions": list(conditions),
        "texts": list(texts),
        "failed": [f"{one.key.title()}: {one.error}" for one in view.cells.failures],
        "unreadable": [f"{one.path.name}: {one.problem}" for one in view.cells.unreadable],
        "perturbed": lost,
        "reported": published.reported_lines(),
        "outcomes": {short(task): files[task] for task in sorted(sets, key=task_order) if sets[task]},
        "most": _most(len(carried), len(lines)),
    }
    scripts = {files[task]: compared.script(task, found) for task, found in sets.items() if found}
    return {"index.html": _filled(data)} | scripts


def _most(carried: int, lines: int) -> str:
    if carried == lines:
        return ""
    return (
        f" The rows of {carried} of {lines} scores come with this page, the most accurate of each task and bare bases; "
        "finbench.compare compares any two."
    )


def _filled(data: Mapping[str, Any]) -> str:
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    for character in "<>&":  # JSON's own escapes: a text cannot close the script element or open another
        text = text.replace(character, f"\\u{ord(character):04x}")
    page, style, *scripts = (
        (PAGE / name).read_text(encoding="utf-8") for name in ("board.html", "style.css", *SCRIPTS)
    )
    return page.replace("__STYLE__", style).replace("__SCRIPT__", "\n".join(scripts)).replace("__DATA__", text)


def _heading(condition: Condition) -> str:
    return condition.heading() or "whole test sets"


def _line(entry: Entry, cell: Cell, remarks: list[str], texts: Numbered, carried: Collection[str]) -> dict[str, Any]:
    interval, f1 = accuracy_interval(cell), cell.metrics.get("f1_weighted")
    size, name = cell.adapter["size_bytes"] if cell.adapter else None, cell.key.digest()
    return {
        "id": name,
        "task": short(cell.key.task),
        "entry": entry.title(),
        "method": cell.adapter["method"] if cell.adapter else "base",
        "accuracy": round(accuracy(cell), 4),
        "low": round(interval.low, 4),
        "high": round(interval.high, 4),
        "f1": round(f1.value, 4) if f1 else None,
        "seconds": round(cell.seconds_per_row, 5) if cell.seconds_per_row is not None else None,
        "memory": round(cell.peak_bytes / 2**30, 3) if cell.peak_bytes is not None else None,
        "adapter": round(size / 2**20, 3) if size is not None else None,
        "flags": [texts[one] for one in remarks],
        "proof": _proof(cell, texts),
        **({"compared": 1} if name in carried else {}),
        **({"disturbed": 1} if mark(cell.load) else {}),
    }


def _loss(
    condition: Condition, task: str, one: robustness.Loss, p_value: float | None, texts: Numbered, conditions: Numbered
) -> dict[str, Any]:
    return {
        "task": short(task),
        "entry": one.entry.title(),
        "kind": one.kind,
        "changed": one.cell.perturbed_share,
        "clean": round(accuracy(one.clean), 4),
        "accuracy": round(accuracy(one.cell), 4),
        "lost": robustness.lost(one),
        "verdict": robustness.verdict(one, p_value),
        "condition": conditions[_heading(condition)],
        "proof": _proof(one.cell, texts),
    }


def _seal(cell: Cell) -> str:
    if not cell.seal:
        return "none: written before cells were sealed"
    record, outcomes = cell.seal["record_sha256"], cell.seal["outcomes_sha256"]
    return f"record {str(record)[:16]}, outcomes {outcomes[:16] if outcomes else 'none'}"


def _load(cell: Cell) -> str:
    if not cell.load:
        return "not recorded"
    share, mean = cell.load["others_share"], cell.load["mean"]
    others = f"others had {share:.1%}" if share is not None else "nobody knows what others had"
    return f"{others} of the {cell.load['cores']} processors" + (f"; mean load {mean:.1f}" if mean is not None else "")


def _proof(cell: Cell, texts: Numbered) -> dict[str, int]:
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
        "beside it": _load(cell),
        "seal": _seal(cell),
    }
    if name_of(cell) != ACCURACY:
        proof["ranked by"] = f"{title_of(cell)}, which stands where others have their accuracy"
    if key.perturbed:
        proof["texts perturbed"] = key.perturb
    if cell.adapter:
        sha256 = f", sha256 {key.adapter_sha256[:16]}" if key.adapter_sha256 else ""  # none for a whole model
        proof["adapter"] = f"{cell.adapter['name']}, {cell.adapter['method']}{sha256}"
        proof["trained"] = str(record_of(cell).get("command", "no record"))
    if cell.adapter_proof:
        moved = cell.adapter_proof["max_abs_logit_difference"]
        proof["adapter in effect"] = f"largest change of a logit {moved:.4g}" if cell.adapter_proof["changed"] else "NO"
    return {name: texts[value] for name, value in proof.items()}
