"""What task files and scripts written for finbench 0.1.0 name; task files of today name `for_lm_eval`.

The readers themselves stand in `kinds`, one file a kind.
"""

from collections.abc import Sequence
from typing import Any

from finbench.scoring.kinds.choice import choose
from finbench.scoring.kinds.kind import Doc
from finbench.scoring.kinds.label import read_label
from finbench.scoring.kinds.number import plain_line, values_in
from finbench.scoring.kinds.number import read_number as read_value
from finbench.scoring.kinds.tag import read_tag, tag_in
from finbench.scoring.labels import label_in
from finbench.scoring.metrics import items_of
from finbench.scoring.numbers import number_in, number_of

__all__ = [
    "choose",
    "classify",
    "classify_generated",
    "label_in",
    "match_tag",
    "match_value",
    "number_in",
    "number_of",
    "plain_line",
    "read_label",
    "read_tag",
    "read_value",
    "tag_in",
    "values_in",
]


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
