"""What names, titles and notes say is text: no page links, fetches or runs it, and no spreadsheet either."""

import csv
import io
import re
from pathlib import Path

import pytest

from finbench.cells.store import Cells, read_cells
from finbench.interchange.exported import as_csv
from finbench.interchange.spreadsheets import RUN_BY_SPREADSHEETS
from finbench.leaderboard.markdown import escaped, markdown
from finbench.leaderboard.render import render, write
from finetune.card import card
from tests.leaderboard.conftest import Write
from tests.leaderboard.test_render import cell

HOSTILE = (
    "![x](https://evil.example/p.png) [here](https://evil.example) <img src=https://evil.example/i> "
    "[a]: https://evil.example\nhttps://evil.example/auto www.evil.example <script>alert(1)</script> [b][a] | x"
)


@pytest.mark.parametrize("field", ["note", "title", "source"])
def test_no_page_links_or_runs_a_text(field: str, scored: Write, tmp_path: Path) -> None:
    scored("base", "", 60, **{field: HOSTILE})
    scored(f"x {HOSTILE[:33]}", "ad [y](https://evil.example)", 80)
    for name, text in render(read_cells(tmp_path / "cells"), tmp_path / "cells").items():
        if name.endswith(".md"):
            assert "://evil" not in text and "www.evil" not in text, name
            assert not re.search(r"\]\s?\((?!\w+\.(?:md|html|svg)|cells)", text), name
            assert "<img" not in text and "<script>alert" not in text, name
        if name.endswith(".html"):
            assert "<script>alert" not in text and "<img src=https" not in text, name


@pytest.mark.parametrize("start", RUN_BY_SPREADSHEETS)
def test_no_cell_of_a_table_is_a_formula(start: str, scored: Write) -> None:
    formula = f"{start}HYPERLINK('https://evil.example')"
    cell = scored(formula, formula, 60, source=formula)
    rows = list(csv.DictReader(io.StringIO(as_csv([cell]))))
    expected = f"'{formula}".replace("\r", " ")
    assert rows[0]["base"] == expected and rows[0]["source"] == expected
    values = [row["value"] for row in rows]
    assert any(value.startswith("-") for value in values) or all(float(value) >= 0 for value in values)
    for row in rows:
        assert not any(text.startswith(RUN_BY_SPREADSHEETS) and not _is_number(text) for text in row.values())


def read(text: str) -> tuple[set[str], list[list[str]]]:
    """Return what kinds of things a reader of markdown finds in a text, and the cells of its tables, line by line."""
    module = pytest.importorskip("markdown_it", reason="markdown-it-py is not installed: pip install markdown-it-py")
    tokens = module.MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    kinds = {one.type for token in tokens for one in (token, *(token.children or ()))}
    lines: list[list[str]] = []
    for before, token in zip(tokens, tokens[1:], strict=False):
        if before.type == "tr_open":
            lines.append([])
        if before.type in ("th_open", "td_open"):
            lines[-1].append("".join(one.content for one in token.children))
    return kinds, lines


FORGED = (
    "a\\| 0.999 |", "\\[x](y)", "[x]\\(https://evil.example)", "![i][r]", "[r]: /x", "<a href=x>", "&lt;img>", "a|b",
    "\\\\![x](javascript:alert(1))", "`a` | `b`", "\u202egpj.exe\x00\x1b[31m", "HTTP://evil.example",
    "WWW.evil.example",
)  # fmt: skip


@pytest.mark.parametrize("text", FORGED)
def test_a_text_is_one_cell_that_says_the_text(text: str) -> None:
    kinds, lines = read(markdown([text, "score"], [[text, "0.5"], ["plain", "0.4"]]))
    assert not kinds & {"image", "link_open", "html_inline", "html_block"}
    shown = text.replace("\u202e", "\ufffd").replace("\x00", "\ufffd").replace("\x1b", "\ufffd")
    seen = [[value.replace("`", "") for value in line] for line in lines]
    assert seen[:2] == [[shown.replace("`", ""), "score"], [shown.replace("`", ""), "0.5"]]


def test_labels_machines_and_tasks_are_texts_too(tmp_path: Path) -> None:
    labels = [FORGED[0], HOSTILE, "plain"]
    matrix = {"labels": labels, "matrix": [[30, 2, 1, 0], [3, 30, 0, 0], [4, 0, 30, 0]]}
    values = {label: {"precision": 0.9, "recall": 0.9, "f1": 0.9, "support": 33.0} for label in labels}
    machine = {"cpu": HOSTILE, "cores": 2, "memory_bytes": 2**33, "gpus": [HOSTILE], "system": "s"}
    task = "fin_x](https://evil.example)"
    made = cell("toy", "", 0.5, task, confusion=matrix, per_class=values, machine=machine)
    pages = render(Cells((made,), (), ()), tmp_path / "none")
    for name, text in pages.items():
        if name.endswith(".md"):
            kinds, lines = read(text)
            assert not kinds & {"image", "html_inline", "html_block"} or name in ("pareto.md", "methods.md"), name
            assert "://evil" not in text and "www.evil" not in text, name
            heads = [line for line in lines if line[0] == "true class"]
            assert [line[4] for line in heads] == [f"said {FORGED[0]}"] * len(heads)
            assert all(len(line) == 8 for line in heads)


@pytest.mark.parametrize("task", ["fin_../../out", "/etc/x", "fin_a/b", "..", "fin_x y", "a" * 300, "\0", "CON?"])
def test_a_task_of_any_name_is_a_page_in_the_folder(task: str, tmp_path: Path) -> None:
    pages = render(Cells((cell("toy", "", 0.5, task), cell("toy", "", 0.5, "fin_a-b")), (), ()), tmp_path / "none")
    assert len([name for name in pages if name.startswith("task_")]) == 2
    write(pages, tmp_path / "boards")
    assert {path.name for path in (tmp_path / "boards").iterdir()} == set(pages)
    assert [path.name for path in tmp_path.iterdir()] == ["boards"]


def test_a_card_says_what_a_recipe_says() -> None:
    record = {
        "method": "lora", "task_type": "SEQ_CLS", "tasks": [HOSTILE], "labels": [], "finbench_version": "0",
        "base": {"id": f"a/b {HOSTILE}"}, "command": f"finbench finetune x.yaml 'base=\n\n{HOSTILE}'", "created": "x",
        "adapter_bytes": 1,
        "precision": "float32", "parameters": {"trainable": 1, "total": 2}, "examples": {"train": 1, "too_long": 0},
        "resources": {"gpu_hours": None, "steps": 1, "elapsed_seconds": 1.0, "resident_peak_bytes": 1}, "metrics": {},
        "rows": {HOSTILE: {"source": HOSTILE, "sha256": "0" * 64, "licence": HOSTILE}}, "not_shared": HOSTILE,
    }  # fmt: skip
    _, _, text = card(record)[4:].partition("\n---\n")
    kinds, _ = read(text)
    assert not kinds & {"image", "link_open", "html_inline", "html_block"}
    assert "://evil" not in "".join(line for line in text.splitlines() if not line.startswith("    "))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("name", ["x;=1+1;y", "  =1+1", "a\t@SUM(1)", "\ufe661+1"])
def test_no_part_of_a_cell_is_a_formula(name: str, scored: Write) -> None:
    (row, *_) = csv.DictReader(io.StringIO(as_csv([scored(name, "ad", 60)])))
    assert not re.search(r"(^|[;\t])\s*[=+@\ufe66-]", row["base"]) and "'" in row["base"]


@pytest.mark.parametrize("address", ["evil@example.com", "mailto:a@evil.example", "xmpp:a@evil.example"])
def test_an_address_of_mail_is_no_link(address: str) -> None:
    assert "@&#8288;" in escaped(address) and not re.search(r"@\w", escaped(address))
