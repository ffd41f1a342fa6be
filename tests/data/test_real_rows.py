"""The publishers' files give the published counts: set FINBENCH_REAL_DATA to a folder that holds them."""

import os
from collections import Counter
from pathlib import Path

import pytest

from finbench.data.audit import audit
from finbench.data.load import load, pick_shot, read
from finbench.data.tables import read_table
from finbench.data.xbrl import split_context

FOLDER = os.environ.get("FINBENCH_REAL_DATA", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER, reason="FINBENCH_REAL_DATA names no folder with the publishers' files"),
]


@pytest.fixture(autouse=True)
def _real(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINBENCH_DATA", FOLDER)


def sizes(name: str) -> tuple[int, int]:
    rows = load(name)
    return len(rows.splits["train"]), len(rows.splits["test"])


def test_fpb() -> None:
    assert sizes("fpb") == (3629, 1212)
    found = audit(read("fpb"))
    assert found.splits["test"].classes == {"negative": 145, "neutral": 729, "positive": 338}
    assert (found.exact.train_rows_in_test, found.both.duplicates, found.both.conflicts) == (5, 8, 2)
    assert sum("\ufffd" in row.text for rows in load("fpb").splits.values() for row in rows) == 0


def test_fiqa() -> None:
    assert sizes("fiqa") == (961, 150)
    assert set(Counter(row.label for row in load("fiqa").splits["test"]).values()) == {50}
    questions = Counter(row.question.split()[6] for rows in load("fiqa").splits.values() for row in rows)
    assert set(questions) == {"tweet?", "news?"}


def test_tfns() -> None:
    assert sizes("tfns") == (9543, 2388)
    found = audit(read("tfns"))
    assert found.near.test_rows_in_train == 39 and found.splits["test"].classes["neutral"] == 1566


def test_headline_and_ner() -> None:
    headline, ner = audit(read("headline")), audit(read("ner"))
    assert (headline.splits["train"].rows, headline.splits["test"].rows, headline.exact.texts) == (18000, 6003, 15)
    assert (ner.splits["test"].rows, ner.splits["test"].effective_rows) == (1819, 43)
    assert round(ner.splits["test"].largest_share, 3) == 0.720


def test_xbrl() -> None:
    tags = load("xbrl_tags")
    assert sum(count for reason, count in tags.dropped.items() if reason.endswith("answer is no tag")) == 125
    assert sum(sizes("xbrl_tags")) == 1565 - 125 and sum(sizes("xbrl_values")) == 1315
    for name in ("xbrl_tags", "xbrl_values"):
        rows = load(name).splits
        assert not {row.xml for row in rows["train"]} & {row.xml for row in rows["test"]}


@pytest.mark.parametrize("name", ["tags", "values"])
def test_the_published_form_gives_the_same_xml_and_questions(name: str) -> None:
    folder = Path(FOLDER) / "xbrl"
    known = {record["xml"] for record in read_table(folder / "contexts.jsonl", ["xml"])}
    records = read_table(folder / f"context_target_{name}.jsonl", ["context", "target"])
    parts = [split_context(record["context"]) for record in records]
    assert len(parts) > 100 and all("Example" not in question and len(question) > 20 for question, _ in parts)
    assert all(xml.startswith("<us-gaap:") and xml.endswith("</>") for _, xml in parts)
    assert known & {xml for _, xml in parts}


@pytest.mark.parametrize("name", ["fpb", "fiqa", "tfns", "nwgi", "headline", "ner"])
def test_every_shot_is_short(name: str) -> None:
    assert 20 < len(pick_shot(load(name)).text) < 400
