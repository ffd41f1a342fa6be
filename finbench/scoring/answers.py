"""How an answer is read: what a task YAML names as `process_results`, and the same as an `Outcome` for our own runs."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from finbench.errors import FinbenchError
from finbench.records import Outcome
from finbench.scoring.metrics import items_of

Doc = Mapping[str, Any]


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
    """Return the label that the answer's first line names, "" if it names none or several."""
    return Outcome(doc["id"], doc["cluster"], doc["label"], label_in(results[0], doc["choices"]))


def label_in(text: str, labels: Sequence[str]) -> str:
    """Return the one label that stands as whole words in the first line that is not empty, else ""."""
    line = next((line for line in text.splitlines() if line.strip()), "").lower()
    found = {}
    for label in sorted(labels, key=len, reverse=True):  # "strong negative" is read before "negative" could be
        pattern = rf"(?<![\w-]){re.escape(label.lower())}(?![\w-])"
        if re.search(pattern, line):
            found[label] = True
            line = re.sub(pattern, " ", line)
    return next(iter(found)) if len(found) == 1 else ""


def read_tag(doc: Doc, results: Sequence[str]) -> Outcome:
    """Return the XBRL tag that the answer's first line gives, by its whole name."""
    return Outcome(doc["id"], doc["cluster"], tag_in(doc["answer"]), tag_in(results[0]))


def tag_in(text: str) -> str:
    """Return `prefix:Name` where the first line holds exactly one such tag, else ""."""
    line = next((line for line in text.splitlines() if line.strip()), "")
    tags = set(re.findall(r"[A-Za-z][\w-]*:[A-Za-z]\w*", line))
    return tags.pop() if len(tags) == 1 else ""


def read_value(doc: Doc, results: Sequence[str]) -> Outcome:
    """Return the number that the answer's first line gives, normalised so that 3875393000000.0 equals 3875393000000."""
    return Outcome(doc["id"], doc["cluster"], value_in(doc["answer"]), value_in(results[0]))


def value_in(text: str) -> str:
    """Return the one number of the first line in plain digits, a date or word answer as it stands, "" if unreadable."""
    line = next((line for line in text.splitlines() if line.strip()), "").strip().strip("`'\"")
    whole = line.replace(",", "").lstrip("$").rstrip(".").strip()
    numbers = [whole] if _is_number(whole) else re.findall(r"(?<![\w.-])-?\d[\d,]*(?:\.\d+)?(?![\w-])", line)
    if len(numbers) != 1:
        return "" if numbers else line.lower()
    try:
        number = Decimal(numbers[0].replace(",", ""))
    except InvalidOperation:
        return ""
    return format(number.normalize(), "f")


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", text) is not None


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
