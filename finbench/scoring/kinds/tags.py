"""Several names in the order that was asked for: `Goodwill, InterestExpense`, one for each of a row's questions.

A name is right where it is the one of its place. What an answer says beyond the last question is not looked at, as
FinLoRA has it; a place that is left empty, or holds more than a name, is wrong.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from finbench.records import Outcome
from finbench.scoring.folding import first_line, unmarked
from finbench.scoring.kinds.kind import Doc, Kind

BETWEEN = re.compile(r"[,;|]")
NUMBERED = re.compile(r"\s*\(?\d{1,2}[.):]\s+|\s*[-•]\s+")
PREFIX = re.compile(r"us-gaap\s*:\s*", re.IGNORECASE)
NAME = re.compile(r"[A-Za-z]\w*(?::[A-Za-z]\w*)?", re.ASCII)


def names_in(text: str) -> tuple[str, ...]:
    """Return the names of the first line in their places, "" for a place that holds no single name."""
    parts = [
        PREFIX.sub("", NUMBERED.sub("", unmarked(part), count=1).strip(" .\"'`"), count=1)
        for part in BETWEEN.split(first_line(text))
    ]
    return tuple(part if NAME.fullmatch(part) else "" for part in parts)


def read_tags(doc: Doc, results: Sequence[str]) -> Outcome:
    """Return the names of an answer as far as was asked; the score is the share of places that hold the right one."""
    gold = names_in(doc["answer"])
    said = names_in(results[0])[: len(gold)]
    right = sum(wanted == found for wanted, found in zip(gold, said, strict=False))
    prediction = _written(said) if any(said) else ""
    return Outcome(doc["id"], doc["cluster"], _written(gold), prediction, (right / len(gold),))


def _written(names: Sequence[str]) -> str:
    return ", ".join(names)


def _answer(doc: Doc, text: str) -> str:
    found = names_in(text)
    return _written(found) if any(found) else ""


def _gold(answer: str, settings: Mapping[str, Any]) -> str:
    if "\n" in answer:
        return "holds a line break, and an answer is one line"
    return "" if all(names_in(answer)) else "is no list of names such as Goodwill, InterestExpense"


KIND = Kind(
    name="tags",
    output_type="generate_until",
    read=read_tags,
    measures=("places",),
    primary="places",
    asks="Answer each question with a name, in their order, apart by commas.",
    gold=_gold,
    answer=_answer,
)
