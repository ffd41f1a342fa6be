"""The data audit: what the rows of each task can and cannot tell, from `audit.json` beside the cells' folder."""

from collections.abc import Mapping
from typing import Any

from finbench.cells.schema import problems
from finbench.documents import parse_json, read_text
from finbench.errors import FinbenchError
from finbench.leaderboard.markdown import escaped, markdown
from finbench.leaderboard.table import short, task_order
from finbench.leaderboard.view import View

AUDIT = "audit.json"
OBJECT: Mapping[str, Any] = {"type": "object"}
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "required": ["splits"],
        "properties": {
            "splits": {
                "type": "object",
                "additionalProperties": {
                    "type": "object",
                    "properties": {"largest_share": {"type": ["number", "null"]}, "classes": OBJECT},
                },
            },
            **dict.fromkeys(("used", "exact", "near", "dropped"), OBJECT),
        },
    },
}


def page(view: View) -> str:
    """Return the page of the audit, or how to make one."""
    path = view.folder.parent / AUDIT
    if not path.is_file():
        return f"# Data audit\n\nThere is none yet: `finbench data audit` writes `{AUDIT}`.\n"
    try:
        audit = parse_json(read_text(path), AUDIT)  # a page names no folder of this machine
    except FinbenchError as error:
        return _broken(str(error))
    if wrong := next(problems(audit, SCHEMA), ""):
        return _broken(f"{AUDIT}: {wrong}.")
    tasks = sorted(audit, key=task_order)
    columns = [
        "task",
        "rows from",
        "train / test",
        "effective test rows",
        "largest class in test",
        "repeated test rows",
    ]
    columns += ["labels in conflict", "test rows also in train", "nearly in train", "left out"]
    labels = ["task", "split", "classes"]
    return (
        f"# Data audit\n\n{markdown(columns, [_line(task, audit[task]) for task in tasks])}\n\n"
        "Effective rows count rows that repeat one another once. Rows of train that stand in test, or that repeat with "
        "another label, are left out of train; what stands in both is counted as published.\n\n"
        f"## Classes\n\n{markdown(labels, [line for task in tasks for line in _classes(task, audit[task])])}\n"
    )


def _broken(problem: str) -> str:
    """Return the page of a file that is no audit: the boards are about cells, and stand without it."""
    return f"# Data audit\n\n{escaped(problem)} `finbench data audit` writes it anew.\n"


def _line(task: str, found: dict[str, Any]) -> list[str]:
    test, used = found["splits"].get("test", {}), found.get("used", {})
    dropped = {why.removeprefix("train: "): count for why, count in found.get("dropped", {}).items() if count}
    largest = test.get("largest_share")
    return [
        short(task),
        str(found.get("source", "–")),
        f"{used.get('train', '–')} / {used.get('test', '–')}",
        str(test.get("effective_rows", "–")),
        f"{largest:.1%}" if largest is not None and test.get("classes") else "–",
        str(test.get("duplicates", "–")),
        str(test.get("conflicts", "–")),
        str(found.get("exact", {}).get("test_rows_in_train", "–")),
        str(found.get("near", {}).get("test_rows_in_train", "–")),
        "; ".join(f"{count} ({why})" for why, count in dropped.items()) or "none",
    ]


def _classes(task: str, found: dict[str, Any]) -> list[list[str]]:
    return [
        [short(task), split, ", ".join(f"{label} {count}" for label, count in values["classes"].items())]
        for split, values in sorted(found["splits"].items(), reverse=True)
        if values.get("classes")
    ]
