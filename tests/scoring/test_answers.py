"""Answers are read as a careful reader would: whole words, one line, no default, no piece of a longer number."""

import math
import subprocess
import sys
from typing import Any

import pytest

from finbench.errors import FinbenchError
from finbench.scoring import answers, for_lm_eval
from finbench.scoring.answers import classify, classify_generated, match_tag
from finbench.scoring.for_lm_eval import KIND_OF
from finbench.scoring.kinds import KINDS
from finbench.scoring.kinds.choice import choose
from finbench.scoring.kinds.number import read_number
from finbench.scoring.kinds.tag import read_tag, tag_in
from finbench.scoring.labels import label_in
from finbench.scoring.numbers import number_in

SENTIMENT = ("negative", "neutral", "positive")
SEVEN = (
    "strong negative",
    "moderately negative",
    "mildly negative",
    "neutral",
    "mildly positive",
    "moderately positive",
    "strong positive",
)


def doc(**fields: Any) -> dict[str, Any]:
    return {"id": "row-1", "cluster": "c", "label": "", "answer": "", "choices": [], **fields}


@pytest.mark.parametrize(
    ("text", "labels", "read"),
    [
        (" positive", SENTIMENT, "positive"),
        ("Positive.", SENTIMENT, "positive"),
        ("The sentiment is **neutral**", SENTIMENT, "neutral"),
        ("\n\n negative\n", SENTIMENT, "negative"),
        ("No", ("No", "Yes"), "No"),
        ("yes, it does", ("No", "Yes"), "Yes"),
        ("I do not know", ("No", "Yes"), ""),
        ("Nothing of note", ("No", "Yes"), ""),
        ("non-negative", SENTIMENT, ""),
        ("positively charged", SENTIMENT, ""),
        ("not negative", SENTIMENT, ""),
        ("This is not a positive sign", SENTIMENT, ""),
        ("positive or neutral", SENTIMENT, ""),
        ("{negative/neutral/positive}", SENTIMENT, ""),
        ("", SENTIMENT, ""),
        ("gibberish", SENTIMENT, ""),
        ("strong negative", SEVEN, "strong negative"),
        ("negative", SEVEN, ""),
        ("It is strong negative", ("negative", "strong negative"), "strong negative"),
        ("strong negative, negative", ("negative", "strong negative"), ""),
        ("neutral\nInstruction: ...\nAnswer: positive", SENTIMENT, "neutral"),  # the question it invented is not read
        ("C++", ("C", "C++"), "C++"),
    ],
)
def test_label(text: str, labels: tuple[str, ...], read: str) -> None:
    assert label_in(text, labels) == read
    assert label_in(text, labels[::-1]) == read


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("us-gaap:Assets", "us-gaap:Assets"),
        (" The tag is us-gaap:AssetsCurrent.", "us-gaap:AssetsCurrent"),
        ("`us-gaap:Assets`", "us-gaap:Assets"),
        ("Answer:us-gaap:Assets", "us-gaap:Assets"),
        ("us-gaap:Assets us-gaap:Assets", "us-gaap:Assets"),
        ("us-gaap:Assets or us-gaap:AssetsCurrent", ""),
        ("Assets", ""),
        ("us-gaap:", ""),
        ("us-gaap:Assets\nQuestion: What is us-gaap:Revenues?", "us-gaap:Assets"),
    ],
)
def test_tag(text: str, read: str) -> None:
    assert tag_in(text) == read


def test_a_tag_is_a_whole_name() -> None:
    outcome = read_tag(doc(answer="us-gaap:Assets"), [" us-gaap:AssetsCurrent"])
    assert outcome.prediction == "us-gaap:AssetsCurrent" and outcome.gold == "us-gaap:Assets"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("3875393000000.0", "3875393000000"),
        ("3875393000000", "3875393000000"),
        (" $3,875,393,000,000.", "3875393000000"),
        ("3.875393e12", "3875393000000"),
        ("The value is 0.50", "0.5"),
        ("-22680000000.0", "-22680000000"),
        ("-$5", "-5"),
        ("\N{MINUS SIGN}5", "-5"),
        ("-0.0", "0"),
        ("2.5 million", "2500000"),
        ("12%", "12"),
        ("1200", "1200"),
        ("12 or 13", ""),
        ("1,2,3", ""),
        ("2023-12-31", ""),
        ("FY2023", ""),
        ("1.2.3", ""),
        ("1e999999999", ""),
        ("I do not know", ""),
        ("", ""),
        ("5\n7", "5"),
    ],
)
def test_number(text: str, read: str) -> None:
    assert number_in(text) == read


def test_1200_is_not_12() -> None:
    outcome = read_number(doc(answer="12.0"), ["1200"])
    assert (outcome.gold, outcome.prediction) == ("12", "1200")


def test_words_are_no_answer_where_a_number_is_asked() -> None:
    assert read_number(doc(answer="12"), ["twelve"]).prediction == ""


def test_an_answer_in_words_is_compared_as_it_stands() -> None:
    outcome = read_number(doc(answer="December 31, 2023"), [" december 31,  2023.\nmore"])
    assert outcome.prediction == outcome.gold


def test_an_answer_that_cannot_be_read_never_equals_one() -> None:
    for reader, row in ((read_tag, doc(answer="no tag at all")), (read_number, doc(answer="n/a"))):
        outcome = reader(row, [""])
        assert outcome.prediction == "" and outcome.gold != ""


def test_the_highest_log_likelihood_wins_and_the_first_of_equals() -> None:
    row = doc(label="neutral", choices=list(SENTIMENT))
    assert choose(row, [(-3.0, False), (-1.0, True), (-2.0, False)]).prediction == "neutral"
    assert choose(row, [(-2.0, False), (-1.0, True), (-1.0, False)]).prediction == "neutral"
    assert choose(row, [(-2.0, False), (-1.0, True), (-3.0, False)]).scores == (-2.0, -1.0, -3.0)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_nan_raises(place: int) -> None:
    results = [(-1.0, False)] * 3
    results[place] = (math.nan, False)
    with pytest.raises(FinbenchError, match="row-1.*NaN"):
        choose(doc(label="neutral", choices=list(SENTIMENT)), results)


def test_ties_do_not_depend_on_the_hash_seed() -> None:
    code = (
        "from finbench.scoring.kinds.tag import tag_in\nfrom finbench.scoring.labels import label_in\n"
        "print(label_in('up down', ['up', 'down']), label_in('up', ['up', 'UP', 'down']), tag_in('a:B c:D'))"
    )
    outputs = {
        subprocess.check_output([sys.executable, "-c", code], env={"PYTHONHASHSEED": str(seed)}) for seed in range(3)
    }
    assert len(outputs) == 1


def test_what_lm_eval_calls_and_what_runs_read_agree() -> None:
    row = doc(label="neutral", choices=list(SENTIMENT), answer="us-gaap:Assets")
    for module in (answers, for_lm_eval):  # task files of finbench 0.1.0 name the first
        named = {"classify": "choice", "classify_generated": "label", "match_tag": "tag", "match_value": "number"}
        assert {name: KIND_OF[getattr(module, name)].name for name in named} == named
    assert {kind.name for kind in KIND_OF.values()} == set(KINDS)
    items = classify(row, [(-3.0, False), (-1.0, True), (-2.0, False)])
    assert set(items.values()) == {("neutral", "neutral", SENTIMENT)}
    assert set(classify_generated(row, ["what?"]).values()) == {("neutral", "", SENTIMENT)}
    assert match_tag(row, ["x"]) == dict.fromkeys(("accuracy", "unparsed"), ("us-gaap:Assets", "", ()))


def test_scripts_of_the_first_release_find_its_readers() -> None:
    assert answers.read_value(doc(answer="(1,234)"), ["-1234"]).prediction == "-1234"
    assert (answers.label_in("up", ["up", "down"]), answers.tag_in("a:B"), answers.number_in("5")) == ("up", "a:B", "5")
    assert set(answers.__all__) <= set(dir(answers))
