"""Rows scored for lm-eval's table: what a task YAML names as `process_results` and as aggregations.

Shares of rows (`acc`, `unparsed`, and weighted recall, which is accuracy) are handed over as 0 or 1 a row with
`aggregation: mean`, so that lm-eval itself gives them a standard error, the plain one of a mean. It has none for an
aggregation of ours, and its bootstrap of 100,000 draws takes minutes for each metric. So a metric of all rows brings
its own, under the name that lm-eval's table reads: after `f1_macro,none` it looks for `f1_macro_stderr,none`, which a
metric of that name fills (lm-eval 0.4.0 to 0.4.13; where it should stop to, the table says `N/A` again). These are
bootstrapped over clusters, as in finbench's own cells.

Task files written by finbench 0.1.0 name `finbench.scoring.answers` and `finbench.scoring.metrics`, and still work.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from finbench.records import Outcome
from finbench.scoring import answers
from finbench.scoring.answers import READERS, Doc
from finbench.scoring.metrics import METRICS, bootstrapped, confusion

NAMES = {"accuracy": "acc"}  # of metrics in cells, in lm-eval's tables; the others are called the same
OF_ALL_ROWS = ("f1_weighted", "precision_weighted", "f1_macro", "mcc")


class Item(NamedTuple):
    """What an aggregation needs of a row."""

    gold: str
    prediction: str
    cluster: str
    labels: tuple[str, ...]


def name_in_lm_eval(metric: str) -> str:
    """Return what lm-eval's users call a metric of a cell."""
    return NAMES.get(metric, metric)


def name_in_cell(metric: str) -> str:
    """Return what cells call a metric of lm-eval's results, old and new ones."""
    return next((name for name, other in NAMES.items() if other == metric), metric)


def items_of(outcome: Outcome, labels: Sequence[str]) -> dict[str, Any]:
    """Return a row's part of every metric; without labels, of exact match and the unread share."""
    hit = float(outcome.prediction == outcome.gold)
    items: dict[str, Any] = {name_in_lm_eval("accuracy"): hit, "unparsed": float(outcome.prediction == "")}
    if labels:
        item = Item(outcome.gold, outcome.prediction, outcome.cluster, tuple(labels))
        items["recall_weighted"] = hit
        items |= {name: item for metric in OF_ALL_ROWS for name in (metric, f"{metric}_stderr")}
    return items


def classify(doc: Doc, results: Sequence[tuple[float, bool]]) -> dict[str, Any]:
    """Score a classification row."""
    return items_of(answers.choose(doc, results), doc["choices"])


def classify_generated(doc: Doc, results: Sequence[str]) -> dict[str, Any]:
    """Score a classification row whose label was generated."""
    return items_of(answers.read_label(doc, results), doc["choices"])


def match_tag(doc: Doc, results: Sequence[str]) -> dict[str, Any]:
    """Score a generated XBRL tag."""
    return items_of(answers.read_tag(doc, results), ())


def match_value(doc: Doc, results: Sequence[str]) -> dict[str, Any]:
    """Score a generated XBRL value."""
    return items_of(answers.read_value(doc, results), ())


SCORERS: Mapping[Callable[..., dict[str, Any]], answers.Reader] = {
    classify: answers.choose,
    classify_generated: answers.read_label,
    match_tag: answers.read_tag,
    match_value: answers.read_value,
}
READERS.update(SCORERS)  # a task that names one of these has imported this file


def _value(name: str, items: Sequence[Sequence[Any]]) -> float:
    golds, predictions, _, labels = zip(*items, strict=True)
    return float(METRICS[name](confusion(golds, predictions, labels[0])))


def _stderr(name: str, items: Sequence[Sequence[Any]]) -> float | str:
    outcomes = [Outcome("", item[2], item[0], item[1]) for item in items]
    error = bootstrapped(name, outcomes, items[0][3])
    return "N/A" if error is None else error


def f1_weighted(items: Sequence[Sequence[Any]]) -> float:
    """Return F1 weighted by class frequency."""
    return _value("f1_weighted", items)


def f1_weighted_stderr(items: Sequence[Sequence[Any]]) -> float | str:
    """Return the standard error of F1 weighted by class frequency."""
    return _stderr("f1_weighted", items)


def precision_weighted(items: Sequence[Sequence[Any]]) -> float:
    """Return precision weighted by class frequency."""
    return _value("precision_weighted", items)


def precision_weighted_stderr(items: Sequence[Sequence[Any]]) -> float | str:
    """Return the standard error of precision weighted by class frequency."""
    return _stderr("precision_weighted", items)


def f1_macro(items: Sequence[Sequence[Any]]) -> float:
    """Return the plain mean of the classes' F1."""
    return _value("f1_macro", items)


def f1_macro_stderr(items: Sequence[Sequence[Any]]) -> float | str:
    """Return the standard error of the plain mean of the classes' F1."""
    return _stderr("f1_macro", items)


def mcc(items: Sequence[Sequence[Any]]) -> float:
    """Return the Matthews correlation."""
    return _value("mcc", items)


def mcc_stderr(items: Sequence[Sequence[Any]]) -> float | str:
    """Return the standard error of the Matthews correlation."""
    return _stderr("mcc", items)
