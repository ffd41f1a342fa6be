"""The picture in docs/architecture.md is the disk, and imports run one way."""

import ast
import importlib.util
from functools import cache
from graphlib import TopologicalSorter
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
    "starter": {"data", "tasks"},
    "doctor": {"data", "hf", "engine", "adapters"},
}
# What other libraries do not promise stands in these places alone, each with what is used and from which release.
KNOWS_INSIDES = ("finbench/hf/", "finbench/models/", "finbench/tasks/", "finbench/autoload.py")
PLUMBING = {"peft", "transformers", "lm_eval", "accelerate"}
PROMISED = {"transformers.activations", "transformers.pytorch_utils", "transformers.utils.logging", "accelerate.utils"}
PROMISED |= {"lm_eval.api.instance", "lm_eval.api.registry", "lm_eval.tasks", "lm_eval.models"}
# The shuffle of transformers' own Trainer; the planner reads torch's storages, which torch alone can break.
EXCUSED = {("finetune/batches.py", "transformers.trainer_pt_utils"), ("finbench/planner", "_cdata")}
EXCUSED |= {("finbench/planner", "_parameters"), ("finbench/planner", "_buffers"), ("finbench/planner", "_pytree")}
# argparse shows nobody which arguments a parser has
EXCUSED |= {("finbench/cli/completion.py", "_actions"), ("finbench/cli/completion.py", "_SubParsersAction")}
# bert-score offers no other way to the length that its tokenizer cuts at
EXCUSED |= {("finbench/scoring/bertscore.py", "_tokenizer")}
# PEFT's tuners are made by filling in these
EXCUSED |= {("finbench/adapters/bottleneck/model.py", "_create_and_replace")}
EXCUSED |= {("finbench/adapters/bottleneck/model.py", "_prepare_adapter_config")}
EXCUSED |= {("finbench/adapters/", "_check_merge_allowed")}
PYTHON = {"_exit", "_replace"}  # private in spelling only
FREE = {"paths", "errors", "records", "documents", "settings", "whole", "__init__"}


@cache
def parsed(path: Path) -> list[ast.AST]:
    """Return every node of a file, the module first."""
    return list(ast.walk(ast.parse(path.read_text())))


def imported(path: Path) -> set[str]:
    """Return the dotted names of our packages that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in parsed(path):
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
        assert path.parent.name == "cli" or path.name == "api.py", f"{path} imports finetune"


def module(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")


def test_imports_show_no_circle() -> None:
    """Imports within functions count too: what is imported late to break a circle is still a circle."""
    files = {module(path): path for room in ("finbench", "finetune") for path in (ROOT / room).rglob("*.py")}
    files.pop("finbench")  # it hands the Python face on when asked, and has the version
    graph = {name: imported(path) & set(files) - {name} for name, path in files.items()}
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle
    assert set(order) == set(files) and len(order) > 150


def test_every_room_has_its_rule() -> None:
    rooms = {path.parent.name for path in (ROOT / "finbench").glob("*/__init__.py")} - {"cli"}
    assert rooms == set(MAY_IMPORT)


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_a_room_says_what_it_is_for(room: str) -> None:
    said = ast.get_docstring(ast.parse((ROOT / "finbench" / room / "__init__.py").read_text())) or ""
    for part in ("What comes in: ", "what goes out: ", " A newcomer adds "):
        assert part in said.replace("\n", " "), f"{room}: its docstring has no {part.strip()!r}"


def sources() -> list[Path]:
    return [path for room in ("finbench", "finetune") for path in (ROOT / room).rglob("*.py")]


def defined_in(path: Path) -> set[str]:
    """Return every name that a file defines."""
    names: set[str] = set()
    for node in parsed(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.attr)
    return names


def private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def overridden(path: Path, called: set[str]) -> set[str]:
    """Return the private methods and settings of subclasses that no code of ours asks for: a class of others does."""
    bodies = [node.body for node in parsed(path) if isinstance(node, ast.ClassDef) and node.bases]
    parts = [part for body in bodies for part in body]
    names = {part.name for part in parts if isinstance(part, ast.FunctionDef) and not part.decorator_list}
    names |= {ast.unparse(target) for part in parts if isinstance(part, ast.Assign) for target in part.targets}
    return {name for name in names if private(name)} - called


def insides(path: Path, ours: set[str], called: set[str]) -> set[str]:
    """Return what a file uses of other libraries that they do not promise: private names, deep modules.

    A private name of `self` is ours if any file of ours defines it; of another object, if this file does.
    """
    here = defined_in(path)
    found: set[str] = overridden(path, called)
    for node in parsed(path):
        if isinstance(node, ast.Attribute) and private(node.attr):
            own = isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}
            found |= {node.attr} - (ours if own else here) - PYTHON
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in PLUMBING:
            deep = "." in node.module and node.module not in PROMISED
            found |= {node.module} if deep else {one.name for one in node.names if one.name.startswith("_")}
        elif isinstance(node, ast.Import):
            names = {one.name for one in node.names if one.name.split(".")[0] in PLUMBING and "." in one.name}
            found |= names - PROMISED
    return found


def test_what_other_libraries_do_not_promise_stands_in_few_places() -> None:
    ours = {name for path in sources() for name in defined_in(path)}
    called = {node.attr for path in sources() for node in parsed(path) if isinstance(node, ast.Attribute)}
    found = set()
    for path in sources():
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(KNOWS_INSIDES):
            found |= {(name, one) for one in insides(path, ours, called)}
    excused = {(name, one) for name, one in found if any(name.startswith(at) and one == it for at, it in EXCUSED)}
    assert found == excused, f"move behind a function of finbench/hf: {sorted(found - excused)}"
    assert {it for _, it in EXCUSED} == {one for _, one in excused}, "an excuse that nobody needs any more"


def test_the_test_of_insides_sees_them(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text(
        "from peft.tuners.lora import Linear\nfrom peft import _x\nimport transformers.cache_utils\nm._cache\n"
        "class A(Trainer):\n    _kept = 1\n    def _save(self): self._ours\n    def _run(self): self._theirs\n"
    )
    found = {"peft.tuners.lora", "_x", "transformers.cache_utils", "_cache", "_kept", "_save", "_theirs"}
    assert insides(path, {"_ours", "_cache"}, {"_run"}) == found


def test_the_tree_in_the_architecture_page_is_the_disk() -> None:
    spec = importlib.util.spec_from_file_location("make_tree", ROOT / "docs" / "make_tree.py")
    assert spec is not None and spec.loader is not None
    make_tree = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_tree)
    assert make_tree.PAGE.read_text(encoding="utf-8") == make_tree.page(), "run `python docs/make_tree.py`"
