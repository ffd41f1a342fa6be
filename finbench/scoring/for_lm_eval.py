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
from finbench.scoring.kinds import KINDS, kind_called
from finbench.scoring.kinds.kind import Doc, Kind
from finbench.scoring.kinds.summary import ratio_of, spread_of
from finbench.scoring.metrics import METRICS, bootstrapped, confusion

NAMES = {"accuracy": "acc"}  # of metrics in cells, in lm-eval's tables; the others are called the same
OF_ALL_ROWS = ("f1_weighted", "precision_weighted", "f1_macro", "mcc")


class Item(NamedTuple):
    """What an aggregation needs of a row."""

    gold: str
    prediction: str
    cluster: str
    labels: tuple[str, ...]


class Counted(NamedTuple):
    """What an aggregation needs of a row whose answer is a list."""

    outcome: Outcome
    kind: str
    labels: tuple[str, ...]


def name_in_lm_eval(metric: str) -> str:
    """Return what lm-eval's users call a metric of a cell."""
    return NAMES.get(metric, metric)


def name_in_cell(metric: str) -> str:
    """Return what cells call a metric of lm-eval's results, old and new ones."""
    return next((name for name, other in NAMES.items() if other == metric), metric)


def items_of(outcome: Outcome, labels: Sequence[str], kind: Kind | None = None) -> dict[str, Any]:
    """Return a row's part of every metric; without labels, of exact match, the unread share and its kind's own."""
    measured = dict(zip(kind.measures, outcome.scores, strict=False)) if kind else {}
    hit = measured.pop("accuracy", float(outcome.prediction == outcome.gold))
    items: dict[str, Any] = {name_in_lm_eval("accuracy"): hit, "unparsed": float(outcome.prediction == "")}
    items |= measured
    if kind and kind.counts:
        counted = Counted(outcome, kind.name, tuple(labels))
        items |= {each: counted for name in kind.ratios for each in (name, f"{name}_stderr")}
    elif labels:
        item = Item(outcome.gold, outcome.prediction, outcome.cluster, tuple(labels))
        items["recall_weighted"] = hit
        items |= {name: item for metric in OF_ALL_ROWS for name in (metric, f"{metric}_stderr")}
    return items


def _scored(kind: str, doc: Doc, results: Sequence[Any]) -> dict[str, Any]:
    found = kind_called(kind)
    labels = doc["choices"] if found.classes or found.counts else ()
    return items_of(found.read(doc, results), labels, found)


def classify(doc: Doc, results: Sequence[tuple[float, bool]]) -> dict[str, Any]:
    """Score a classification row."""
    return _scored("choice", doc, results)


def classify_generated(doc: Doc, results: Sequence[str]) -> dict[str, Any]:
    """Score a classification row whose label was generated."""
    return _scored("label", doc, results)


def match_tag(doc: Doc, results: Sequence[str]) -> dict[str, Any]:
    """Score a generated tag."""
    return _scored("tag", doc, results)


def match_value(doc: Doc, results: Sequence[str]) -> dict[str, Any]:
    """Score a generated number."""
    return _scored("number", doc, results)


def match_formula(doc: Doc, results: Sequence[str]) -> dict[str, Any]:
    """Score a generated formula."""
    return _scored("formula", doc, results)


def match_tags(doc: Doc, results: Sequence[str]) -> dict[str, Any]:
    """Score several generated names in their order."""
    return _scored("tags", doc, results)


def match_labels(doc: Doc, results: Sequence[str]) -> dict[str, Any]:
    """Score several generated labels."""
    return _scored("labels", doc, results)


def match_spans(doc: Doc, results: Sequence[str]) -> dict[str, Any]:
    """Score generated spans."""
    return _scored("spans", doc, results)


def match_text(doc: Doc, results: Sequence[str]) -> dict[str, Any]:
    """Score a generated text."""
    return _scored("text", doc, results)


def match_bertscore(doc: Doc, results: Sequence[str]) -> dict[str, Any]:
    """Score a generated text by a local model, too."""
    return _scored("bertscore", doc, results)


def choose_option(doc: Doc, results: Sequence[tuple[float, bool]]) -> dict[str, Any]:
    """Score a row of lettered options."""
    return _scored("multiple_choice", doc, results)


KIND_OF: Mapping[Callable[..., dict[str, Any]], Kind] = {
    classify: KINDS["choice"],
    classify_generated: KINDS["label"],
    match_labels: KINDS["labels"],
    match_value: KINDS["number"],
    match_formula: KINDS["formula"],
    match_tag: KINDS["tag"],
    match_tags: KINDS["tags"],
    match_spans: KINDS["spans"],
    match_text: KINDS["text"],
    match_bertscore: KINDS["bertscore"],
    choose_option: KINDS["multiple_choice"],
    answers.classify: KINDS["choice"],
    answers.classify_generated: KINDS["label"],
    answers.match_value: KINDS["number"],
    answers.match_tag: KINDS["tag"],
}


def _value(name: str, items: Sequence[Any]) -> float:
    if isinstance(items[0], Counted):
        return ratio_of(name, [item.outcome for item in items], items[0].kind, items[0].labels)
    golds, predictions, _, labels = zip(*items, strict=True)
    return float(METRICS[name](confusion(golds, predictions, max(labels, key=len))))


def _stderr(name: str, items: Sequence[Any]) -> float | str:
    if isinstance(items[0], Counted):
        error = spread_of(name, [item.outcome for item in items], items[0].kind, items[0].labels)
    else:
        outcomes = [Outcome("", item[2], item[0], item[1]) for item in items]
        error = bootstrapped(name, outcomes, max((item[3] for item in items), key=len))
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


def precision(items: Sequence[Sequence[Any]]) -> float:
    """Return the share of what was said that is right."""
    return _value("precision", items)


def precision_stderr(items: Sequence[Sequence[Any]]) -> float | str:
    """Return the standard error of the share of what was said that is right."""
    return _stderr("precision", items)


def recall(items: Sequence[Sequence[Any]]) -> float:
    """Return the share of what is right that was said."""
    return _value("recall", items)


def recall_stderr(items: Sequence[Sequence[Any]]) -> float | str:
    """Return the standard error of the share of what is right that was said."""
    return _stderr("recall", items)


def f1(items: Sequence[Sequence[Any]]) -> float:
    """Return F1 over all that was said and all that is right (micro)."""
    return _value("f1", items)


def f1_stderr(items: Sequence[Sequence[Any]]) -> float | str:
    """Return the standard error of F1 over all that was said and all that is right."""
    return _stderr("f1", items)
