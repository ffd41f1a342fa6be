"""Rows from a folder and the sample; what is dropped, which shot is taken, what lm-eval gets."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from finbench.data.load import DATASETS, drop_leaks, load, normalised, pick_shot, rows_sha256, splits
from finbench.errors import FinbenchError
from finbench.records import Row, RowSet


def row_set(train: Sequence[Row], test: Sequence[Row]) -> RowSet:
    return RowSet("made", "test", ("a", "b"), {"train": tuple(train), "test": tuple(test)})


def test_leaks_are_dropped_from_train_alone_and_counted() -> None:
    train = [
        Row("1", "same", "a"),
        Row("2", "twice", "a"),
        Row("3", "twice", "b"),
        Row("4", "Same", "a"),
        Row("5", "kept", "b"),
    ]
    rows = drop_leaks(row_set(train, [Row("6", "same", "b"), Row("7", "same", "b")]))
    assert [row.id for row in rows.splits["train"]] == ["4", "5"]
    assert [row.id for row in rows.splits["test"]] == ["6", "7"]
    assert rows.dropped == {"train: text stands in test": 1, "train: repeated with another label": 2}


def test_wordings_of_one_entity_conflict_if_their_labels_do() -> None:
    train = [
        Row("1", "s", "a", question="q1", entity="E"),
        Row("2", "s", "b", question="q2", entity="E"),
        Row("3", "s", "b", question="q1", entity="F"),
    ]
    assert [row.id for row in drop_leaks(row_set(train, [])).splits["train"]] == ["3"]


def test_the_shot_is_no_near_duplicate_of_a_test_row() -> None:
    train = [Row("1", "Shares  FALL https://t.co/1"), Row("2", "short"), Row("3", "a rather long text of many words")]
    shot = pick_shot(row_set(train, [Row("4", "shares fall https://t.co/2"), Row("5", "Short")]))
    assert shot.id == "3"
    with pytest.raises(FinbenchError, match="no shot can be taken"):
        pick_shot(row_set(train[:1], [Row("4", "shares fall")]))


def test_normalising_takes_links_case_and_spaces() -> None:
    assert normalised("  Up\n 5% https://t.co/abc www.example.com NOW ") == "up 5% now"


def test_the_hash_depends_on_content_and_order() -> None:
    rows = [Row("1", "x", "a"), Row("2", "y", "a")]
    digests = {rows_sha256(rows), rows_sha256(rows[::-1]), rows_sha256([rows[0], replace(rows[1], label="b")])}
    assert len(digests) == 3 and rows_sha256(list(rows)) in digests


@pytest.mark.parametrize("name", DATASETS)
def test_lm_eval_gets_columns_choices_and_one_shot_of_train(name: str) -> None:
    tables = splits(name, version=1.0, pretrained="ignored")
    rows = load(name)
    assert set(tables) == {"train", "test", "shot"} and len(tables["shot"]) == 5
    assert {*tables["shot"]["id"]} < {row.id for row in rows.splits["train"]}
    assert tables["test"][0]["choices"] == list(rows.labels)
    assert {"id", "text", "label", "answer", "question", "entity", "xml", "cluster"} <= set(tables["test"].column_names)
    assert rows.source == "sample"


def test_cleaning_is_an_option_of_the_rows() -> None:
    plain, cleaned = splits("fpb")["test"], splits("fpb", clean=True)["test"]
    assert plain["label"] == cleaned["label"] and plain["text"] != cleaned["text"]


def write(path: Path, records: Sequence[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def test_a_folder_is_split_by_company_for_xbrl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = [{"company": c, "doc_path": f"{c}.xml", "context_id": "c-1"} for c in "ABCDEFG"]
    write(tmp_path / "xbrl/contexts.jsonl", [{**place, "xml": f"<a >{n}</>"} for n, place in enumerate(places)])
    asked = [
        {**place, "question": f"{wording} of {place['company']}?", "answer": "us-gaap:Assets"}
        for place in places
        for wording in ("What", "Which")
    ]
    value = {**places[0], "question": "How much?", "answer": "12.0"}
    elsewhere = {**asked[0], "context_id": "c-2"}
    write(tmp_path / "xbrl/tags.jsonl", [*asked, value, elsewhere])
    monkeypatch.setenv("FINBENCH_DATA", str(tmp_path))
    rows = load("xbrl_tags")
    assert {row.question[-2] for row in rows.splits["test"]} == {"C", "F"}
    assert len(rows.splits["train"]) == 10 and len({row.cluster for row in rows.splits["train"]}) == 5
    assert rows.dropped["train: answer is no tag"] == 1
    assert rows.dropped["train: without question, XML or answer"] == 1
    with pytest.raises(FinbenchError, match=r"values\.jsonl not found"):
        load("xbrl_values")


def test_a_wrong_folder_or_dataset_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FinbenchError, match="no dataset is called 'fbp'"):
        load("fbp")
    monkeypatch.setenv("FINBENCH_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(FinbenchError, match="which is no folder"):
        load("fpb")
    monkeypatch.setenv("FINBENCH_DATA", str(tmp_path))
    with pytest.raises(FinbenchError, match=r"Sentences_50Agree\.txt not found"):
        load("fpb")
