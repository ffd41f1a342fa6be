"""Writes the file tree of `docs/architecture.md` from each module's first sentence: `python docs/make_tree.py`."""

import ast
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
START, END = "<!-- tree -->\n```\n", "```\n<!-- /tree -->"
COLUMN, WIDTH = 30, 200
OTHERS = """finetune/recipes/             one YAML a training; _default.yaml names every key
finbench/cells/cell.schema.json, finbench/server/page/, finbench/starter/, finbench/data/sample/: data beside the code
tasks_yaml/                   one YAML a task, shared keys in the included _*.yaml, groups
leaderboards/                 generated pages; cells/ is what they are generated from
tests/                        mirrors the above
"""


def first_sentence(path: Path) -> str:
    """Return the first sentence of a module's docstring; the full stop of "et al." ends none."""
    text = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n\n")[0]
    return re.split(r"(?<!\bal)\.(?: |$)", " ".join(text.split()))[0]


def line(depth: int, name: str, text: str) -> str:
    """Return one line of the tree, cut at a word where it is too long."""
    start = f"{'  ' * depth}{name}".ljust(COLUMN - 1) + " "
    room = WIDTH - len(start)
    return start + (text if len(text) <= room else text[: room - 1].rsplit(" ", 1)[0].rstrip(",:;") + " …")


def tree() -> str:
    """Return the tree of the tracked modules: folders by their package's sentence, files by their own."""
    listed = subprocess.check_output(
        ["git", "ls-files", "-co", "--exclude-standard", "finbench", "finetune", "benchmarks"], cwd=ROOT, text=True
    )
    files = sorted({path for path in map(Path, listed.splitlines()) if path.suffix == ".py" and (ROOT / path).exists()})
    lines: list[str] = []

    def walk(folder: Path, depth: int) -> None:
        here = ROOT / folder / "__init__.py"
        lines.append(line(depth, f"{folder.name}/", first_sentence(here)))
        for path in files:
            if path.parent == folder and path.name != "__init__.py":
                lines.append(line(depth + 1, path.name, first_sentence(ROOT / path)))
        for child in sorted({path.parent for path in files if path.parent.parent == folder}):
            walk(child, depth + 1)

    for top in ("finbench", "finetune", "benchmarks"):
        walk(Path(top), 0)
    return "\n".join(lines) + "\n" + OTHERS


def page() -> str:
    """Return the page with its tree as the disk has it now."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(START)
    return f"{before}{START}{tree()}{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
