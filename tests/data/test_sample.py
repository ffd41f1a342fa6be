"""The bundled sample rows keep the shape, balance and separation that the loaders and the demo rely on."""

import json
import re
from collections import Counter
from dataclasses import fields
from importlib.resources import files
from typing import Any

import pytest

from finbench.data.load import find
from finbench.records import Row

SENTIMENT = ("negative", "neutral", "positive")
LABELS = {
    "fpb": SENTIMENT,
    "fiqa": SENTIMENT,
    "tfns": SENTIMENT,
    "nwgi": SENTIMENT,
    "headline": ("No", "Yes"),
    "ner": ("location", "organization", "person"),
    "fomc": ("dovish", "hawkish", "neutral"),
    "numclaim": ("INCLAIM", "OUTOFCLAIM"),
}
XBRL = ("xbrl_tags", "xbrl_values")
FREE = (
    "xbrl_term",
    "formula",
    "financebench",
    "finer",
    "fnxl",
    "xbrl_formulas",
    "xbrl_calculations",
    "finqa",
    "convfinqa",
    "edtsum",
    "finentity",
    "tatqa",
    "finred",
)
MANY = ("banking77",)  # more classes than the sample has of each
WITH_INSTRUCTION = {"german": ("bad", "good"), "australian": ("bad", "good"), "ma": ("complete", "rumour")}
ALL = (*LABELS, *WITH_INSTRUCTION, *XBRL, *FREE, *MANY)
THREE_OF_SEVEN = {
    "strong negative": "negative",
    "moderately negative": "negative",
    "mildly negative": "neutral",
    "neutral": "neutral",
    "mildly positive": "neutral",
    "moderately positive": "positive",
    "strong positive": "positive",
}
FACT = re.compile(r"<(us-gaap:\w+) >(-?\d+(?:\.\d+)?)</>")
# Beside a Row's fields a record names its split, and NWGI its seven-class label.
EXTRA_KEYS = {"split", "label7"}


def read_records(task: str) -> list[dict[str, Any]]:
    text = files("finbench.data").joinpath("sample", f"{task}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def as_row(record: dict[str, Any]) -> Row:
    values = {key: value for key, value in record.items() if key not in EXTRA_KEYS}
    return Row(**values | {"classifier_text": tuple(record.get("classifier_text", ()))})


def rows_of(task: str, split: str) -> list[Row]:
    return [as_row(record) for record in read_records(task) if record["split"] == split]


@pytest.mark.parametrize("task", ALL)
def test_records_are_rows_without_empty_fields(task: str) -> None:
    records = read_records(task)
    known = {field.name for field in fields(Row)} | EXTRA_KEYS
    for record in records:
        assert set(record) <= known
        assert all(record.values()), f"{record['id']}: an empty field is to be left out"
        assert record["split"] in ("train", "test")
        row = as_row(record)
        assert row.text == row.text.strip() and row.cluster
        assert bool(row.label) != bool(row.answer)
    ids = [record["id"] for record in records]
    assert len(set(ids)) == len(ids)
    assert len(rows_of(task, "train")) >= 24 and len(rows_of(task, "test")) >= 16


@pytest.mark.parametrize("task", ALL)
def test_train_and_test_share_no_row_and_no_cluster(task: str) -> None:
    train, test = rows_of(task, "train"), rows_of(task, "test")
    pairs = [(row.text, row.question) for row in train + test]
    assert len(set(pairs)) == len(pairs)
    assert not {row.text for row in train} & {row.text for row in test}
    assert not {row.cluster for row in train} & {row.cluster for row in test}
    assert not {row.xml for row in train if row.xml} & {row.xml for row in test}


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("task", [*LABELS, *WITH_INSTRUCTION])
def test_labels_are_known_and_balanced(task: str, split: str) -> None:
    counts = Counter(row.label for row in rows_of(task, split))
    assert set(counts) == set((LABELS | WITH_INSTRUCTION)[task])
    total = sum(counts.values())
    # Nine questions a headline exclude one another, so No outweighs Yes there; the others are even.
    least = 0.33 if task == "headline" else 0.9 / len(counts)
    assert min(counts.values()) / total >= least


@pytest.mark.parametrize("task", MANY)
def test_of_many_labels_some_are_there_and_in_both_splits(task: str) -> None:
    train, test = ({row.label for row in rows_of(task, split)} for split in ("train", "test"))
    assert train == test < set(find(task).labels) and len(train) > 5


@pytest.mark.parametrize("task", [*LABELS, *MANY])
def test_classifiers_read_the_text_or_the_question_and_the_text(task: str) -> None:
    for row in map(as_row, read_records(task)):
        # FiQA's question only says whether a tweet or news is asked about.
        pair = row.question and task != "fiqa"
        assert row.classifier_text == ((row.question, row.text) if pair else (row.text,))


@pytest.mark.parametrize("task", WITH_INSTRUCTION)
def test_where_the_text_holds_the_instruction_classifiers_read_what_it_is_about(task: str) -> None:
    for row in map(as_row, read_records(task)):
        assert (
            len(row.classifier_text) == 1 and row.classifier_text[0] in row.text and row.classifier_text[0] != row.text
        )


@pytest.mark.parametrize("task", ["fpb", "fiqa", "tfns", "nwgi", "fomc", "numclaim", "banking77"])
def test_each_sentiment_row_is_its_own_cluster(task: str) -> None:
    assert all(row.cluster == row.id for row in map(as_row, read_records(task)))


def test_seven_nwgi_labels_agree_with_the_three() -> None:
    for split in ("train", "test"):
        records = [record for record in read_records("nwgi") if record["split"] == split]
        assert {record["label7"] for record in records} == set(THREE_OF_SEVEN)
        assert all(record["label"] == THREE_OF_SEVEN[record["label7"]] for record in records)


def test_every_headline_is_asked_the_same_nine_questions() -> None:
    asked: dict[str, list[str]] = {}
    for row in map(as_row, read_records("headline")):
        asked.setdefault(row.cluster, []).append(row.question)
    first = next(iter(asked.values()))
    assert len(set(first)) == 9
    assert all(questions == first for questions in asked.values())


def test_entities_stand_in_their_text_and_question() -> None:
    rows = [as_row(record) for record in read_records("ner")]
    for row in rows:
        assert row.entity in row.text and f"'{row.entity}'" in row.question
        assert row.cluster.startswith(f"{row.entity}|")
    # Wordings of one entity share a cluster and a label.
    assert len({(row.cluster, row.text, row.label) for row in rows}) == len({row.cluster for row in rows}) < len(rows)


@pytest.mark.parametrize("task", XBRL)
def test_xbrl_answers_stand_once_in_their_xml(task: str) -> None:
    answers: dict[str, set[str]] = {}
    for row in map(as_row, read_records(task)):
        facts = FACT.findall(row.xml)
        assert len(facts) == len(row.xml.splitlines()) and 8 <= len(facts) <= 15
        tags = [tag for tag, _ in facts]
        assert len(set(tags)) == len(tags)
        asked = dict(facts)[f"us-gaap:{row.cluster.split('|')[1]}"]
        assert row.answer == (f"us-gaap:{row.cluster.split('|')[1]}" if task == "xbrl_tags" else asked)
        assert row.text == row.question and not row.classifier_text
        answers.setdefault(row.cluster, set()).add(row.answer)
    assert all(len(given) == 1 for given in answers.values())


def test_a_tag_that_begins_another_is_asked_for() -> None:
    rows = [as_row(record) for record in read_records("xbrl_tags")]
    assert any(tag != row.answer and tag.startswith(row.answer) for row in rows for tag, _ in FACT.findall(row.xml))
