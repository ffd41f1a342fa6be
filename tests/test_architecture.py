"""The picture in docs/architecture.md is the disk, and imports run one way."""

import ast
import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

MAY_IMPORT = {
    "data": {"scoring"},
    "scoring": set(),
    "tasks": {"data", "scoring"},
    "hf": set(),
    "engine": {"hf", "adapters"},  # a stage of a pipeline takes its part of an adapter
    "adapters": {"hf"},
    "models": {"engine", "adapters", "hf"},
    "cells": {"data", "scoring"},
    "jobs": set(),
    "planner": {"engine", "hf", "tasks"},
    "runs": {"models", "tasks", "cells", "jobs", "planner", "adapters", "engine", "hf", "scoring", "data"},
    "predict": {"hf", "models", "tasks", "adapters", "scoring", "data"},
    "server": {"predict"},
    "leaderboard": {"cells", "tasks", "scoring", "data"},
    "interchange": {"cells", "runs", "scoring", "data"},
    "demo": {"data"},
    "doctor": {"data", "hf", "engine", "adapters"},
}
FREE = {"paths", "errors", "records", "documents", "whole", "__init__"}


def imported(path: Path) -> set[str]:
    """Return the dotted names of our packages that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] in {"finbench", "finetune"}}


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_imports_run_one_way(room: str) -> None:
    for path in (ROOT / "finbench" / room).rglob("*.py"):
        for name in imported(path):
            parts = name.split(".")
            assert parts[0] == "finbench", f"{path} imports {name}"
            if len(parts) > 1 and parts[1] not in FREE | {room, "__version__"}:
                assert parts[1] in MAY_IMPORT[room], f"{path} imports {name}"


def test_only_the_command_line_imports_finetune() -> None:
    for path in (ROOT / "finbench").rglob("*.py"):
        if not any(name.startswith("finetune") for name in imported(path)):
            continue
        assert path.parent.name == "cli", f"{path} imports finetune"


def test_every_room_has_its_rule() -> None:
    rooms = {path.parent.name for path in (ROOT / "finbench").glob("*/__init__.py")} - {"cli"}
    assert rooms == set(MAY_IMPORT)


def test_the_tree_in_the_architecture_page_is_the_disk() -> None:
    spec = importlib.util.spec_from_file_location("make_tree", ROOT / "docs" / "make_tree.py")
    assert spec is not None and spec.loader is not None
    make_tree = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_tree)
    assert make_tree.PAGE.read_text(encoding="utf-8") == make_tree.page(), "run `python docs/make_tree.py`"
