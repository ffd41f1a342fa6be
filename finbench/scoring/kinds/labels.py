"""Several labels at once, in any order: `profit; outlook`, or `none`."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from finbench.records import Outcome
from finbench.scoring.kinds.kind import Doc, Kind
from finbench.scoring.labels import labels_in

BETWEEN = re.compile(r"[;|\n]")
NONE = "none"


def split(cell: str) -> tuple[str, ...]:
    """Return the labels of a table's cell: apart by semicolons or bars, each once; `none` alone is none at all."""
    found = dict.fromkeys(part.strip() for part in BETWEEN.split(cell) if part.strip())
    return () if list(found) == [NONE] else tuple(found)


def read_labels(doc: Doc, results: Sequence[str]) -> Outcome:
    """Return the labels that the answer's first line names and does not deny; scores count them.

    Where it names none, it is read as none at all if it says `none`, and else as nothing.
    """
    gold = split(doc["answer"])
    found = labels_in(results[0], doc["choices"])
    said = found or ()
    scores = (float(len({*gold} & {*said})), float(len(said)), float(len(gold)))
    return Outcome(doc["id"], doc["cluster"], _written(gold), "" if found is None else _written(said), scores)


def named(written: str) -> frozenset[str]:
    """Return the labels of an outcome's gold or prediction."""
    return frozenset(json.loads(written)) if written else frozenset()


def _written(labels: Sequence[str]) -> str:
    return json.dumps(sorted(labels), ensure_ascii=False)


def _answer(doc: Doc, text: str) -> str:
    found = labels_in(text, doc["choices"])
    return "" if found is None else "; ".join(found) or NONE


def _gold(answer: str, settings: Mapping[str, Any]) -> str:
    if "\n" in answer:
        return "holds a line break, and an answer is one line"
    return "" if answer.strip() else "names no label; write none where there is none"


KIND = Kind(
    name="labels",
    output_type="generate_until",
    read=read_labels,
    counts=True,
    by_label=True,
    primary="f1",
    asks="Which of these describe the text? Name all that do, apart by semicolons, or say none.",
    gold=_gold,
    answer=_answer,
)
