"""A formula, of names or of numbers: right where it computes the same, however it is written."""

from collections.abc import Mapping, Sequence
from typing import Any

from finbench.records import Outcome
from finbench.scoring.expressions import value_in
from finbench.scoring.folding import first_line
from finbench.scoring.kinds.kind import Doc, Kind
from finbench.scoring.kinds.number import plain_line


def read_formula(doc: Doc, results: Sequence[str]) -> Outcome:
    """Return the value of the first line's formula; where the row's answer is no formula, the line."""
    gold = value_in(doc["answer"])
    if not gold:
        return Outcome(doc["id"], doc["cluster"], plain_line(doc["answer"]), plain_line(results[0]))
    return Outcome(doc["id"], doc["cluster"], gold, value_in(results[0]))


def _gold(answer: str, settings: Mapping[str, Any]) -> str:
    return "" if value_in(answer) else "is no formula such as us-gaap:GrossProfit / us-gaap:Revenues"


KIND = Kind(
    name="formula",
    output_type="generate_until",
    read=read_formula,
    asks="Answer with the formula alone.",
    gold=_gold,
    answer=lambda doc, text: first_line(text) if value_in(text) else "",
)
