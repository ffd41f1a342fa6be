"""How an answer is read: what a task YAML names as `process_results`, and the same as an `Outcome` for our own runs."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from finbench.errors import FinbenchError
from finbench.records import Outcome
from finbench.scoring.metrics import items_of

Doc = Mapping[str, Any]

# A prefix and a whole name: neither end may be a piece of a longer word or of another tag.
TAG = re.compile(r"(?<![\w-])[A-Za-z][\w-]*:[A-Za-z]\w*(?![\w-]|:\w)")
SCALES = {"thousand": 3, "million": 6, "billion": 9, "trillion": 12}
NUMBER = re.compile(
    r"(?<![\w.,-])(?P<sign>-?)[$€£]?(?P<digits>(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[+-]?\d{1,2})?)"
    r"(?![\w-]|[.,]\d)(?:\s+(?P<scale>thousand|million|billion|trillion)\b)?",
    re.IGNORECASE,
)


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


def label_in(text: str, labels: Sequence[str]) -> str:
    """Return the one label that stands as whole words in the first line that is not empty, else ""."""
    line = first_line(text).lower()
    found = []
    for label in sorted(labels, key=len, reverse=True):  # "strong negative" is read before "negative" could be
        pattern = rf"(?P<denied>\bnot (?:an? |the )?)?(?<![\w-]){re.escape(label.lower())}(?![\w-])"
        named = list(re.finditer(pattern, line))
        if any(match["denied"] for match in named):
            return ""
        if named:
            found.append(label)
            line = re.sub(pattern, " ", line)
    return found[0] if len(found) == 1 else ""


def first_line(text: str) -> str:
    """Return the first line that is not empty: what follows it is no answer but the model's own next question."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def read_tag(doc: Doc, results: Sequence[str]) -> Outcome:
    """Return the XBRL tag that the answer's first line gives, by its whole name."""
    return Outcome(doc["id"], doc["cluster"], tag_in(doc["answer"]) or doc["answer"], tag_in(results[0]))


def tag_in(text: str) -> str:
    """Return `prefix:Name` where the first line holds exactly one such tag, else ""."""
    tags = set(TAG.findall(first_line(text)))
    return tags.pop() if len(tags) == 1 else ""


def read_value(doc: Doc, results: Sequence[str]) -> Outcome:
    """Return the number that the answer's first line gives; where the row's answer is no number, the line itself."""
    gold = number_in(doc["answer"])
    if gold:
        return Outcome(doc["id"], doc["cluster"], gold, number_in(results[0]))
    return Outcome(doc["id"], doc["cluster"], plain_line(doc["answer"]), plain_line(results[0]))


def number_in(text: str) -> str:
    """Return the one number of the first line in plain digits, so that 3875393000000.0 is 3875393000000, else ""."""
    numbers = list(NUMBER.finditer(first_line(text).replace("\N{MINUS SIGN}", "-")))
    if len(numbers) != 1:
        return ""
    digits, scale = numbers[0]["sign"] + numbers[0]["digits"].replace(",", ""), numbers[0]["scale"]
    number = Decimal(digits).scaleb(SCALES[scale.lower()] if scale else 0).normalize()
    return format(number, "f") if number else "0"


def plain_line(text: str) -> str:
    """Return the first line without case, quotes, a full stop at its end and repeated spaces."""
    return " ".join(first_line(text).strip("`'\"").rstrip(".").lower().split())


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
