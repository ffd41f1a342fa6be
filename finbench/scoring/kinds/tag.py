"""A qualified name, such as an XBRL tag: `us-gaap:Assets`."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from finbench.records import Outcome
from finbench.scoring.denial import denies_number
from finbench.scoring.folding import first_line
from finbench.scoring.kinds.kind import Doc, Kind

# A prefix and a whole name: neither end may be a piece of a longer word or of another tag.
TAG = re.compile(r"(?<![\w-])[A-Za-z][\w-]*:[A-Za-z]\w*(?![\w-]|:\w)")


def read_tag(doc: Doc, results: Sequence[str]) -> Outcome:
    """Return the tag that the answer's first line gives, by its whole name, and does not deny."""
    return Outcome(doc["id"], doc["cluster"], tag_in(doc["answer"]) or doc["answer"], tag_in(results[0]))


def tag_in(text: str) -> str:
    """Return `prefix:Name` where the first line holds exactly one such tag, else ""."""
    line = first_line(text)
    found = list(TAG.finditer(line))
    if len({tag[0] for tag in found}) != 1:
        return ""
    denials = (denies_number(line[: tag.start()], line[tag.end() :]) for tag in found)
    return "" if any(denials) else found[0][0]


def _gold(answer: str, settings: Mapping[str, Any]) -> str:
    return "" if tag_in(answer) == answer.strip() else "is no qualified name such as us-gaap:Assets"


KIND = Kind(
    name="tag",
    output_type="generate_until",
    read=read_tag,
    asks="Answer with the tag alone, prefix included.",
    gold=_gold,
    answer=lambda doc, text: tag_in(text),
)
