"""How an answer is read: what a task YAML names as `process_results`, and the same as an `Outcome` for our own runs."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from finbench.errors import FinbenchError
from finbench.records import Outcome
from finbench.scoring.denial import denies_number
from finbench.scoring.folding import first_line, unmarked
from finbench.scoring.labels import label_in
from finbench.scoring.metrics import items_of
from finbench.scoring.numbers import number_in, number_of

Doc = Mapping[str, Any]

# A prefix and a whole name: neither end may be a piece of a longer word or of another tag.
TAG = re.compile(r"(?<![\w-])[A-Za-z][\w-]*:[A-Za-z]\w*(?![\w-]|:\w)")


def choose(doc: Doc, results: Sequence[tuple[float, bool]]) -> Outcome:
    """Return the label with the highest log-likelihood; the first of equals wins.

    Raises:
        FinbenchError: a log-likelihood is not a number, so the model's answer means nothing.

    """
    scores = tuple(float(score) for score, _ in results)
    if any(math.isnan(score) for score in scores):
        raise FinbenchError(
            f"row {doc['id']!r}: a log-likelihood is NaN ({scores}). The model is broken at this precision: "
            "try dtype=float32, and check that the adapter was trained on this base."
        )
    best = max(range(len(scores)), key=lambda n: scores[n])
    return Outcome(doc["id"], doc["cluster"], doc["label"], doc["choices"][best], scores)


def read_label(doc: Doc, results: Sequence[str]) -> Outcome:
    """Return the label that the answer's first line names, "" if it names none, several, or what it is not."""
    return Outcome(doc["id"], doc["cluster"], doc["label"], label_in(results[0], doc["choices"]))


def read_tag(doc: Doc, results: Sequence[str]) -> Outcome:
    """Return the XBRL tag that the answer's first line gives, by its whole name, and does not deny."""
    return Outcome(doc["id"], doc["cluster"], tag_in(doc["answer"]) or doc["answer"], tag_in(results[0]))


def tag_in(text: str) -> str:
    """Return `prefix:Name` where the first line holds exactly one such tag, else ""."""
    line = first_line(text)
    found = list(TAG.finditer(line))
    if len({tag[0] for tag in found}) != 1:
        return ""
    denials = (denies_number(line[: tag.start()], line[tag.end() :]) for tag in found)
    return "" if any(denials) else found[0][0]


def read_value(doc: Doc, results: Sequence[str]) -> Outcome:
    """Return the number that the answer's first line gives; where the row's answer is more than a number, the line."""
    return Outcome(doc["id"], doc["cluster"], *values_in(doc["answer"], results[0]))


def values_in(gold: str, text: str) -> tuple[str, str]:
    """Return a gold answer and an answer to it as they compare: as numbers where the gold is one, else as lines."""
    number = number_of(gold)
    return (number, number_in(text)) if number else (plain_line(gold), plain_line(text))


def plain_line(text: str) -> str:
    """Return the first line without case, markdown, quotes, a full stop at its end and repeated spaces."""
    return " ".join(unmarked(first_line(text)).strip("`'\"").rstrip(".").lower().split())


Reader = Callable[[Doc, Sequence[Any]], Outcome]


def classify(doc: Doc, results: Sequence[tuple[float, bool]]) -> dict[str, Any]:
    """Score a classification row for lm-eval."""
    return items_of(choose(doc, results), doc["choices"])


def classify_generated(doc: Doc, results: Sequence[str]) -> dict[str, Any]:
    """Score a classification row whose label was generated, for lm-eval."""
    return items_of(read_label(doc, results), doc["choices"])


def match_tag(doc: Doc, results: Sequence[str]) -> dict[str, Any]:
    """Score a generated XBRL tag for lm-eval."""
    return items_of(read_tag(doc, results), ())


def match_value(doc: Doc, results: Sequence[str]) -> dict[str, Any]:
    """Score a generated XBRL value for lm-eval."""
    return items_of(read_value(doc, results), ())


READERS: dict[Callable[..., dict[str, Any]], Reader] = {
    classify: choose,
    classify_generated: read_label,
    match_tag: read_tag,
    match_value: read_value,
}
