"""Cells to pages: the same cells always give the same bytes."""

import difflib
import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from finbench.cells.key import slug
from finbench.cells.store import Cells
from finbench.leaderboard.compared import START
from finbench.leaderboard.html import html_page
from finbench.leaderboard.pages import (
    audit,
    average,
    efficiency,
    front,
    methods,
    notes,
    pareto,
    robustness,
    scores,
    task,
    transfer,
)
from finbench.leaderboard.pictures.svg import OPENING
from finbench.leaderboard.table import file_stem, short
from finbench.leaderboard.view import View, view_of
from finbench.whole import refuse_foreign, write_text

DIFFERENT_LINES = 12
WAY_BACK = "[← all boards](README.md)"
PICTURED = {  # pages that bring pictures
    "methods.md": "methods compared",
    "transfer.md": "transfer between tasks",
    "pareto.md": "quality against cost",
}
OLD_PICTURE = 'font-family="sans-serif" font-size="11">'  # what pictures of earlier versions open with
# Pages and pictures that are there only while there are cells for them; the last were those of earlier versions.
OF_CELLS = ("task_*.md", "outcomes_*.js", "cost_*.svg", "gains_*.svg", "methods_*.svg", "transfer.svg", "pareto_*.svg")

PAGES: Mapping[str, tuple[str, Callable[[View], str]]] = {
    "accuracy.md": ("accuracy", scores.accuracy_page),
    "f1.md": ("weighted F1", scores.f1_page),
    "average.md": ("average over tasks", average.page),
    "efficiency.md": ("what it costs", efficiency.page),
    "robustness.md": ("robustness", robustness.page),
    "audit.md": ("data audit", audit.page),
    "notes.md": ("notes", notes.page),
}


def render(cells: Cells, folder: Path) -> dict[str, str]:
    """Return the pages by file name; `folder` is where the cells lie, with the outcomes of their rows."""
    view = view_of(cells, folder)
    tasks = list(view.boards)
    titles = {name: title for name, (title, _) in PAGES.items()} | PICTURED
    titles |= {_task_file(name): short(name) for name in tasks}
    boards = {
        "README.md": front.page(view, titles),
        **{name: page(view) for name, (_, page) in PAGES.items()},
        **methods.page(view),
        **transfer.page(view),
        **pareto.page(view),
        **{name: text for one in tasks for name, text in task.page(view, one, _task_file(one)).items()},
        **html_page(view, {name: _outcomes_file(name) for name in tasks}),
    }
    return {name: _finished(name, text) for name, text in boards.items()}


def _finished(name: str, text: str) -> str:
    """Return a page with its way back, a picture with its own name in it, by which it is known again."""
    if name.endswith(".svg"):
        return text.replace(OPENING, f'{OPENING} id="{name.removesuffix(".svg")}"', 1)
    return _with_way_back(text) if name.endswith(".md") else text


def _with_way_back(text: str) -> str:
    """Return a page with a link to the front page below its title; the front page itself has nowhere to go back to."""
    title, _, rest = text.partition("\n\n")
    return text if title == front.TITLE else f"{title}\n\n{WAY_BACK}\n\n{rest}"


def _task_file(name: str) -> str:
    return f"task_{file_stem(name)}.md"


def _outcomes_file(name: str) -> str:
    return f"outcomes_{file_stem(name)}.js"


def write(pages: dict[str, str], output: Path) -> None:
    """Write the pages that differ, and remove those of tasks that have no cell any more.

    Raises:
        FinbenchError: a file of a page's name is none of ours, or the folder cannot be written; nothing was changed.

    """
    differ = [name for name, text in pages.items() if _text_of(output / name) != text]
    refuse_foreign(output / name for name in differ if (output / name).exists() and not _is_ours(output / name))
    for name in differ:
        write_text(output / name, pages[name])
    for path in left_over(pages, output):
        path.unlink()


def left_over(pages: dict[str, str], output: Path) -> list[Path]:
    """Return the pages of tasks and the pictures that were once written and that no cell stands behind any more."""
    written = [path for pattern in OF_CELLS for path in output.glob(pattern) if _is_ours(path)]
    return sorted(path for path in written if path.name not in pages and _has_own_name(path))


def _has_own_name(path: Path) -> bool:
    """Say whether a page or picture is called what we call it: somebody's copy of one, with notes in it, is not."""
    if path.suffix == ".svg":
        old = re.fullmatch(r"(pareto|methods)_[0-9]+", path.stem) is not None
        return old or (_text_of(path) or "").startswith(f'{OPENING} id="{path.stem}"')
    if path.suffix == ".js":
        with suppress(ValueError):
            return path.name == _outcomes_file(json.loads((_text_of(path) or "")[len(START) :].partition(",\n")[0]))
        return False
    title, name = (_text_of(path) or "").partition("\n")[0].removeprefix("# "), path.stem.removeprefix("task_")
    return name == title or re.fullmatch(rf"{re.escape(slug(title))}-[0-9a-f]{{8}}", name) is not None


def _text_of(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _is_ours(path: Path) -> bool:
    """Say whether a file is a page or picture of ours, by what each of them has, edited or not."""
    text = _text_of(path) or ""
    if path.suffix == ".svg":
        return text.startswith(OPENING) or (text.startswith("<svg ") and OLD_PICTURE in text.partition("\n")[0])
    if path.suffix == ".js":
        return text.startswith(START)
    if path.suffix == ".html":
        return "<title>finbench leaderboards</title>" in text
    return text.split("\n\n")[1:2] == [WAY_BACK] or (text.startswith(f"{front.TITLE}\n") and "(accuracy.md)" in text)


def differing(pages: dict[str, str], output: Path) -> dict[str, str]:
    """Return for each page that is missing, differs or is left over the first lines of the difference."""
    found = {path.name: "no cell stands behind it" for path in left_over(pages, output)}
    for name, text in pages.items():
        old = _text_of(output / name) or ""
        if old != text:
            lines = difflib.unified_diff(
                old.splitlines(), text.splitlines(), "as it is", "as it should be", lineterm="", n=0
            )
            found[name] = "\n".join(list(lines)[:DIFFERENT_LINES])
    return found
