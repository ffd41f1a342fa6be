"""Metrics equal scikit-learn's with fixed labels; standard errors know which rows repeat."""

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef, precision_score, recall_score

from finbench.errors import FinbenchError
from finbench.records import Outcome
from finbench.scoring import metrics
from finbench.scoring.metrics import METRICS, clustered_stderr, confusion, items_of, shares, summarise

LABELS = ("negative", "neutral", "positive")
AVERAGED = {"f1": f1_score, "precision": precision_score, "recall": recall_score}


def draw(seed: int, n: int = 120, unread: float = 0.2, wrong: float = 0.3) -> list[Outcome]:
    random = np.random.default_rng(seed)
    outcomes = []
    for row in range(n):
        gold = str(random.choice(LABELS, p=[0.15, 0.6, 0.25]))
        prediction = str(random.choice(LABELS)) if random.random() < wrong else gold
        outcomes.append(Outcome(f"r{row}", f"r{row}", gold, "" if random.random() < unread else prediction))
    return outcomes


def by_sklearn(outcomes: list[Outcome]) -> dict[str, float]:
    golds, predictions = [o.gold for o in outcomes], [o.prediction for o in outcomes]
    scores = {"accuracy": accuracy_score(golds, predictions), "mcc": matthews_corrcoef(golds, predictions)}
    for name, function in AVERAGED.items():
        scores[f"{name}_weighted"] = function(golds, predictions, labels=LABELS, average="weighted", zero_division=0)
    scores["f1_macro"] = f1_score(golds, predictions, labels=LABELS, average="macro", zero_division=0)
    scores["unparsed"] = float(np.mean([prediction == "" for prediction in predictions]))
    return scores


CASES = {
    "mixed": draw(0),
    "all read": draw(1, unread=0),
    "none read": draw(2, unread=1),
    "all right": draw(3, unread=0, wrong=0),
    "one gold class": [dataclasses.replace(o, gold="neutral") for o in draw(4)],
    "one answer": [dataclasses.replace(o, prediction="neutral") for o in draw(5)],
    "one row": draw(6, n=1, unread=0),
}


@pytest.mark.filterwarnings("ignore")  # scikit-learn warns of single labels
@pytest.mark.parametrize("case", CASES)
def test_equal_to_scikit_learn(case: str) -> None:
    outcomes = CASES[case]
    expected = by_sklearn(outcomes)
    ours = summarise(outcomes, LABELS)
    assert set(ours) == set(expected) == set(METRICS)
    assert {name: metric.value for name, metric in ours.items()} == pytest.approx(expected)
    items = [items_of(outcome, LABELS) for outcome in outcomes]
    for name, value in expected.items():  # what lm-eval's aggregation computes
        assert getattr(metrics, name)([item[name] for item in items]) == pytest.approx(value), name


def test_a_wrong_answer_is_a_false_positive_of_the_class_it_names() -> None:
    outcomes = [Outcome("1", "1", "positive", "positive"), Outcome("2", "2", "negative", "positive")]
    # positive: precision 1/2, recall 1, F1 2/3; negative: 0; each has half of the rows
    assert summarise(outcomes, LABELS)["f1_weighted"].value == pytest.approx(1 / 3)


def test_gibberish_does_not_score() -> None:
    outcomes = [Outcome(str(n), str(n), "neutral", "") for n in range(10)]
    scores = summarise(outcomes, LABELS)
    assert scores["accuracy"].value == scores["f1_weighted"].value == scores["mcc"].value == 0
    assert scores["unparsed"].value == 1


def test_a_free_answer_has_exact_match_and_the_unread_share() -> None:
    outcomes = [Outcome("1", "a", "5", "5"), Outcome("2", "a", "5", "7"), Outcome("3", "b", "5", "")]
    scores = shares(outcomes)
    assert set(scores) == {"accuracy", "unparsed"}
    assert scores["accuracy"].value == scores["unparsed"].value == pytest.approx(1 / 3)
    items = [items_of(outcome, ()) for outcome in outcomes]
    assert metrics.accuracy([item["accuracy"] for item in items]) == pytest.approx(1 / 3)
    assert metrics.unparsed([item["unparsed"] for item in items]) == pytest.approx(1 / 3)


def test_clusters_of_one_have_the_plain_standard_error() -> None:
    hits = np.random.default_rng(0).integers(0, 2, 50).astype(float)
    plain = hits.std(ddof=1) / np.sqrt(50)
    assert clustered_stderr(hits, [str(n) for n in range(50)]) == pytest.approx(plain)


@pytest.mark.parametrize("times", [2, 17])
def test_repeated_rows_do_not_narrow_the_error(times: int) -> None:
    once = draw(7)
    repeated = [dataclasses.replace(o, row_id=f"{o.row_id}-{n}") for o in once for n in range(times)]
    blind = [dataclasses.replace(o, cluster=o.row_id) for o in repeated]
    for name, metric in summarise(once, LABELS).items():
        again, naive = summarise(repeated, LABELS)[name], summarise(blind, LABELS)[name]
        assert again.value == pytest.approx(metric.value)
        assert again.stderr == pytest.approx(metric.stderr)
        assert naive.stderr is not None and metric.stderr is not None and naive.stderr < 0.85 * metric.stderr


def test_the_bootstrap_agrees_with_the_formula_and_with_itself() -> None:
    outcomes = draw(8, n=400)
    first, second = summarise(outcomes, LABELS), summarise(outcomes, LABELS)
    assert first == second
    # weighted recall is accuracy, so its bootstrap error estimates the same
    assert first["recall_weighted"].value == pytest.approx(first["accuracy"].value)
    assert first["recall_weighted"].stderr == pytest.approx(first["accuracy"].stderr, rel=0.12)


def test_one_cluster_has_no_error() -> None:
    outcomes = [dataclasses.replace(o, cluster="all") for o in draw(9)]
    assert {metric.stderr for metric in summarise(outcomes, LABELS).values()} == {None}


def test_nothing_to_summarise_is_said() -> None:
    with pytest.raises(FinbenchError, match="no row"):
        summarise([], LABELS)


def test_confusion_puts_unread_and_unknown_answers_last() -> None:
    matrix = confusion(["negative", "neutral", "neutral"], ["negative", "", "bullish"], LABELS)
    assert matrix.tolist() == [[1, 0, 0, 0], [0, 0, 0, 2], [0, 0, 0, 0]]
