"""The picture in the README is the disk, and imports run one way."""

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

MAY_IMPORT = {
    "data": {"scoring"},
    "models": {"scoring", "adapters"},
    "scoring": set(),
    "adapters": set(),
    "resources": set(),
    "runs": {"models", "resources", "data", "scoring", "adapters", "tasks"},
    "leaderboard": {"runs"},
    "interchange": {"runs", "scoring", "data"},
    "server": {"models", "adapters", "scoring", "tasks", "data"},
}
FREE = {"paths", "errors", "records", "__init__"}


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


def tracked_python() -> set[str]:
    listed = subprocess.check_output(["git", "ls-files", "finbench", "finetune", "benchmarks"], cwd=ROOT, text=True)
    return {line for line in listed.splitlines() if line.endswith(".py") and not line.endswith("__init__.py")}


def pictured() -> set[str]:
    """Read the README's file tree: folders end in a slash, indentation is depth, files stand with a comment."""
    text = (ROOT / "README.md").read_text()
    block = text.split("<!-- tree -->")[1].split("```")[1]
    paths: set[str] = set()
    stack: list[tuple[int, str]] = []
    for line in block.strip("\n").splitlines():
        depth = len(line) - len(line.lstrip())
        name = line.split()[0]
        stack = [entry for entry in stack if entry[0] < depth]
        whole = "".join(part for _, part in stack) + name
        if name.endswith("/"):
            stack.append((depth, name))
        else:
            paths.add(whole)
    return paths


def test_the_tree_in_the_readme_is_the_disk() -> None:
    on_disk, in_readme = tracked_python(), {path for path in pictured() if path.endswith(".py")}
    assert on_disk - in_readme == set(), "not in the README's tree"
    assert in_readme - on_disk == set(), "in the README's tree, not on disk"
