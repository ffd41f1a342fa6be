"""Spans of a text with their types: `ORGANISATION: Kestrel Mills; PLACE: Oulu`, or `none`.

A span is right where type and text are; each counts once for each time that it is named. Precision, recall and F1 are
those of all spans of all rows together, as seqeval has them (its micro average).
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from finbench.records import Outcome
from finbench.scoring.folding import visible
from finbench.scoring.kinds.kind import Doc, Kind
from finbench.scoring.kinds.labels import NONE
from finbench.scoring.kinds.number import plain_line

BETWEEN = re.compile(r"[;\n]")
SPAN = re.compile(r"\s*[-*•]?\s*(?P<type>[^\W\d][\w /-]*?)\s*:\s*(?P<text>\S.*?)\s*")
Spans = Counter[tuple[str, str]]


def spans_in(text: str) -> Spans | None:
    """Return the spans of an answer by type and text, without case; None where it is no list of them."""
    parts = [part for part in BETWEEN.split(visible(text)) if part.strip()]
    if [plain_line(part) for part in parts] == [NONE]:
        return Counter()
    found = [SPAN.fullmatch(part) for part in parts]
    if not parts or not all(found):
        return None
    return Counter((plain_line(one["type"]), plain_line(one["text"])) for one in found if one)


def read_spans(doc: Doc, results: Sequence[str]) -> Outcome:
    """Return the spans that the answer lists; scores count those that are right, said and wanted."""
    gold, found = spans_in(doc["answer"]) or Counter(), spans_in(results[0])
    said = found or Counter()
    scores = (float((gold & said).total()), float(said.total()), float(gold.total()))
    return Outcome(doc["id"], doc["cluster"], _written(gold), "" if found is None else _written(said), scores)


def _written(spans: Spans) -> str:
    return "; ".join(sorted(f"{kind}: {text}" for kind, text in spans.elements())) or NONE


def _answer(doc: Doc, text: str) -> str:
    found = spans_in(text)
    return "" if found is None else _written(found)


def _gold(answer: str, settings: Mapping[str, Any]) -> str:
    if "\n" in answer:
        return "holds a line break, and an answer is one line"
    return "" if spans_in(answer) is not None else "is no list such as `PERSON: Ann Lee; PLACE: Oulu`, or none"


KIND = Kind(
    name="spans",
    output_type="generate_until",
    read=read_spans,
    counts=True,
    primary="f1",
    asks="List what is named in the text as TYPE: words, apart by semicolons, or say none.",
    gold=_gold,
    answer=_answer,
)
