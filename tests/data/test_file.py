"""A user's own table becomes rows, or an error that names what is wrong with it."""

import json
from pathlib import Path
from typing import Any

import pytest

from finbench.data.load import load, splits
from finbench.errors import FinbenchError

KWARGS: dict[str, Any] = {"dataset": "file", "train": "mine.csv", "text": "headline", "label": "mood"}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [f'"Sales, unit {n}",{"good" if n % 2 else "bad"}' for n in range(20)]
    Path("mine.csv").write_text("headline,mood\n" + "\n".join([*lines, ",good", "no mood,"]) + "\n", encoding="utf-8")


def test_one_file_is_split_once_and_for_all() -> None:
    rows = load(**KWARGS)
    assert {split: len(part) for split, part in rows.splits.items()} == {"train": 15, "test": 5}
    assert [row.id for row in rows.splits["test"]] == [row.id for row in load(**KWARGS).splits["test"]]
    assert rows.labels == ("bad", "good") and rows.source == "file:mine.csv"
    assert rows.dropped["file: without text or label"] == 2
    assert rows.splits["train"][0].classifier_text == (rows.splits["train"][0].text,)


def test_two_files_and_named_labels_keep_their_order() -> None:
    Path("held_out.jsonl").write_text(json.dumps({"headline": "New plant", "mood": "good", "n": 1}) + "\n\n")
    tables = splits(**KWARGS, test="held_out.jsonl", labels=["good", "bad"], version=1.0)
    assert len(tables["train"]) == 20 and tables["test"]["text"] == ["New plant"]
    assert tables["test"][0]["choices"] == ["good", "bad"]


def test_relative_paths_are_found_beside_the_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tasks").mkdir()
    Path("mine.csv").rename("tasks/mine.csv")
    with pytest.raises(FinbenchError, match=r"looked for .*mine\.csv"):
        load(**KWARGS)
    monkeypatch.setenv("FINBENCH_TASKS", str(tmp_path / "tasks"))
    assert len(load(**KWARGS).splits["train"]) == 15


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": "title"}, r"no column 'title'; its columns are 'headline', 'mood'"),
        ({"labels": ["good", "neutral"]}, r"unknown label 'bad'; known are 'good', 'neutral'"),
        ({"train": ""}, r"needs `train: PATH`"),
        ({"test": "empty.csv"}, r"no column 'headline', 'mood'; its columns are none"),
        ({"train": "mine.xlsx"}, r"ends in '\.xlsx'; tables are read from"),
        ({"train": "broken.jsonl"}, r"line 2, column 12: this is no JSON"),
        ({"train": "list.jsonl"}, r"line 1: each line must be an object"),
        ({"train": "latin.csv"}, r"latin.csv, line 2: the byte 0xe4 is no UTF-8"),
        ({"train": "few.csv"}, r"has 2 usable rows"),
        ({"train": "one.csv"}, r"needs two at least"),
    ],
)
def test_mistakes_are_named(change: dict[str, Any], message: str) -> None:
    Path("empty.csv").write_text("")
    Path("mine.xlsx").write_text("x")
    Path("broken.jsonl").write_text('{"headline": "a", "mood": "good"}\n{"headline"\n')
    Path("list.jsonl").write_text('["a"]\n')
    Path("latin.csv").write_bytes("headline,mood\nJyv\u00e4skyl\u00e4,good\n".encode("latin-1"))
    Path("few.csv").write_text("headline,mood\na,good\nb,bad\n")
    Path("one.csv").write_text("headline,mood\n" + "a,good\n" * 8)
    with pytest.raises(FinbenchError, match=message):
        load(**{**KWARGS, **change})


def test_a_line_separator_inside_json_is_no_end_of_line() -> None:
    records = [{"headline": f"one\u2028two {n}", "mood": "good" if n % 2 else "bad"} for n in range(8)]
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    Path("mine.jsonl").write_text(lines, encoding="utf-8")
    assert len(load(**{**KWARGS, "train": "mine.jsonl"}).splits["train"]) == 6
