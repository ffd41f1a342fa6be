"""Boards from cells alone: same cells, same bytes; what cannot be compared does not share a table."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from finbench.cells.key import Cell, CellKey
from finbench.cells.store import Cells, Unreadable
from finbench.leaderboard.render import differing, render, write
from finbench.records import Metric

ADAPTER = {"name": "a", "method": "lora", "size_bytes": 2**20, "record": {}}
FLAGS = {"sample_rows": False, "base_without_head": False, "trained_precision": None}


def cell(base: str, adapter: str, accuracy: float, task: str = "fin_fpb", **changes: Any) -> Cell:
    key = CellKey(
        base, "", "b", adapter, adapter, "float32", task, "1.0", "r", "p", "hf-fast/1", changes.pop("limit", None),
        False, "refuse", 1,
    )  # fmt: skip
    values: dict[str, Any] = {
        "key": key, "created": "2026-01-01T00:00:00+00:00", "title": "", "note": "", "source": "folder",
        "n_rows": 100, "n_clusters": 100, "kind": "number", "per_class": {}, "confusion": None, "unparsed_share": 0.0,
        "metrics": {"accuracy": Metric(accuracy, 0.01), "f1_weighted": Metric(accuracy - 0.01, 0.01)},
        "truncated_share": 0.0, "elapsed_seconds": 1.0, "seconds_per_row": 0.01, "peak_bytes": 2**30, "resources": {},
        "machine": {"cpu": "c", "cores": 2, "memory_bytes": 2**33, "gpus": [], "system": "s"}, "versions": {},
        "git": None, "command": "", "flags": FLAGS, "adapter": ADAPTER if adapter else None, "adapter_proof": None,
    }  # fmt: skip
    return Cell(**{**values, **changes})


def pages(*cells: Cell) -> dict[str, str]:
    found = render(Cells(cells, (), ()), Path("nowhere"))
    return {name: text.replace("\u00a0", " ") for name, text in found.items()}  # where no line of a table may end


def test_the_order_of_cells_does_not_show() -> None:
    cells = [cell("toy", "", 0.5), cell("toy", "a", 0.8), cell("other", "", 0.6, task="fin_ner")]
    assert pages(*cells) == pages(*reversed(cells))


def test_check_names_what_differs(tmp_path: Path) -> None:
    made = pages(cell("toy", "", 0.5))
    write(made, tmp_path)
    assert differing(made, tmp_path) == {}
    found = differing(pages(cell("toy", "", 0.7)), tmp_path)
    assert "0.7000 ± 0.0100 |" in found["accuracy.md"] and "methods.md" not in found


def test_pages_of_tasks_that_are_gone_go(tmp_path: Path) -> None:
    write(pages(cell("toy", "", 0.5), cell("toy", "", 0.5, task="fin_ner")), tmp_path)
    (tmp_path / "own.md").write_text("mine")
    fewer = pages(cell("toy", "", 0.5))
    assert differing(fewer, tmp_path)["task_ner.md"] == "no cell stands behind it"
    write(fewer, tmp_path)
    assert not (tmp_path / "task_ner.md").exists() and (tmp_path / "own.md").exists()
    assert differing(fewer, tmp_path) == {}


def test_a_copy_with_notes_is_no_page_of_ours(tmp_path: Path) -> None:
    write(pages(cell("toy", "", 0.5), cell("toy", "", 0.5, task="fin_../ner")), tmp_path)
    (odd,) = tmp_path.glob("task_*ner*.md")
    (picture,) = tmp_path.glob("cost_*ner*.svg")
    copies = [tmp_path / "task_ner_notes.md", tmp_path / "cost_mine.svg", tmp_path / "task_todo.md"]
    copies[0].write_text(odd.read_text() + "my notes")
    copies[1].write_text(picture.read_text())
    copies[2].write_text("# todo\n\n- as said in [← all boards](README.md)\n")
    fewer = pages(cell("toy", "", 0.5))
    write(fewer, tmp_path)
    assert not odd.exists() and not picture.exists() and all(path.exists() for path in copies)


def test_capped_rows_and_sample_rows_are_ranked_apart() -> None:
    real, capped = cell("toy", "", 0.5), cell("other", "", 0.9, limit=10, n_rows=10)
    sample = cell("third", "", 1.0, flags={**FLAGS, "sample_rows": True})
    found = pages(sample, capped, real)
    (best,) = [line for line in found["README.md"].splitlines() if line.startswith("| fpb")]
    front = found["README.md"]
    assert "toy" in best and "0.500" in best and "0.900" not in front and "1.000" not in front
    assert "ranked apart: first 10 rows only; bundled sample rows" in front
    task = found["task_fpb.md"]
    places = [
        task.index(text)
        for text in ("| 0.500", "Ranked apart: first 10 rows only", "| 0.900", "sample rows", "| 1.000")
    ]
    assert places == sorted(places) and task.count("| 1      |") == 3
    accuracy = found["accuracy.md"]
    assert "| other (base) ¹" in accuracy and "¹ first 10 rows only." in accuracy and "**" not in accuracy


def test_a_cap_that_leaves_no_row_out_is_none() -> None:
    whole, capped = cell("toy", "", 0.5), cell("other", "", 0.9, limit=300)
    task = pages(whole, capped)["task_fpb.md"]
    assert "Ranked apart" not in task and "first 300" not in task and "| other" in task and "| toy" in task


def test_what_holds_for_all_is_said_once_and_what_holds_for_some_is_numbered() -> None:
    one = cell("toy", "", 0.5, title="beside other work; a toy")
    other = cell("other", "", 0.6, title="beside other work", truncated_share=0.5)
    accuracy = pages(one, other)["accuracy.md"]
    assert "All of it: beside other work." in accuracy
    assert "| other (base) ¹" in accuracy and "| toy (base) ²" in accuracy
    assert "¹ some inputs were too long and cut." in accuracy and "² a toy." in accuracy


def test_an_adapter_trained_anew_replaces_its_old_result() -> None:
    old = cell("toy", "a", 0.8)
    new = replace(old, key=replace(old.key, adapter_sha256="other"), created="2026-01-02T00:00:00+00:00",
                  metrics={"accuracy": Metric(0.3, 0.01)})  # fmt: skip
    accuracy = pages(new, old)["accuracy.md"]
    assert "0.3000" in accuracy and "0.8000" not in accuracy


def test_what_a_reader_must_know_is_said() -> None:
    silent = cell(
        "bert",
        "a",
        0.8,
        flags={**FLAGS, "base_without_head": True, "trained_precision": "4bit"},
        adapter_proof={"changed": False, "max_abs_logit_difference": 0.0},
        note="has seen the test set",
        truncated_share=0.25,
        unparsed_share=0.5,
    )
    text = render(Cells((silent,), (), (Unreadable(Path("x.json"), "key is missing"),)), Path("nowhere"))
    assert "1 no valid cells" in text["README.md"]
    text = text["notes.md"] + text["accuracy.md"]
    for said in ("no head", "trained at 4bit", "CHANGED NO LOGIT", "has seen the test set", "25.0% of inputs cut",
                 "50.0% of answers could not be read", "x.json: key is missing"):  # fmt: skip
        assert said in text


def test_published_numbers_stand_apart_and_are_not_bold() -> None:
    for page, number in (("accuracy.md", "0.8630"), ("f1.md", "0.8600"), ("efficiency.md", "139.2")):
        measured, _, reported = pages(cell("toy", "a", 0.5))[page].partition("*as published, not ranked*")
        assert number in reported and number not in measured and "**" not in reported
        columns = [
            line.count("|") for line in (measured + reported.partition("\n\n")[0]).splitlines() if line.startswith("| ")
        ]
        assert "Llama" in reported and (page == "efficiency.md" or len(set(columns)) == 1), "in the same table"


def test_no_cells_is_no_error() -> None:
    assert "No cell has been scored yet" in pages()["README.md"]


def test_thousands_of_cells_render_in_seconds() -> None:
    cells = [cell(f"toy{n}", "", 0.5, task=f"fin_{task}") for n in range(500) for task in range(8)]
    start = time.process_time()  # not the clock's: other work may run beside
    pages(*cells)
    assert time.process_time() - start < 10
