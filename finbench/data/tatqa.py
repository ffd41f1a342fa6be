"""Questions on a table and the paragraphs around it, answered by one number with its scale (TAT-QA, Zhu et al. 2021).

The published answers are texts, several texts and numbers; the rows here are those whose answer is one number, which is
written with its scale, as TAT-QA counts it: `6,577 million`, `17.7%`. A row whose annotated derivation has other digits
than its answer has an id that ends in `-doubted`.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from finbench.data.entries import read_entries
from finbench.data.finqa import contradicts
from finbench.data.sources import DOUBTED, SPLITS, Dataset, Files, Splits
from finbench.errors import FinbenchError
from finbench.records import Row, SourceKind
from finbench.scoring.expressions import value_in
from finbench.scoring.numbers import number_of

SCALES = {"": "", "thousand": " thousand", "million": " million", "billion": " billion", "percent": "%"}


def read(files: Files, kind: SourceKind) -> tuple[Splits, dict[str, int]]:
    """Return the published splits, of which questions with another answer than one number are left out."""
    fields = {"table": dict, "paragraphs": list, "questions": list}
    splits: Splits = {}
    dropped: dict[str, int] = {}
    for split in SPLITS:
        rows = splits[split] = []
        for number, entry in enumerate(read_entries(files[split], fields)):
            place = f"{str(files[split])!r}, entry {number + 1}"
            page, cluster = _page(entry, place), str(entry["table"].get("uid") or number)
            for place_in_page, asked in enumerate(entry["questions"]):
                question, answer = _asked(asked, place)
                if not question or not number_of(answer):
                    reason = f"{split}: answer is not one number"
                    dropped[reason] = dropped.get(reason, 0) + 1
                    continue
                name = f"tatqa-{split}-{number}-{place_in_page}" + (DOUBTED if _is_doubted(asked) else "")
                rows.append(Row(name, page, answer=answer, question=question, cluster=cluster))
    return splits, dropped


def _asked(asked: Any, place: str) -> tuple[str, str]:
    """Return question and answer, "" where there is not one answer."""
    if not isinstance(asked, Mapping) or not isinstance(asked.get("question"), str):
        raise FinbenchError(f"{place}: a question is not there, or not a text.")
    scale = SCALES.get(str(asked.get("scale") or ""))
    if scale is None:
        raise FinbenchError(f"{place}: unknown scale {asked['scale']!r}; known are {', '.join(filter(None, SCALES))}.")
    given = asked.get("answer")
    if isinstance(given, list):
        given = given[0] if len(given) == 1 else ""
    said = "" if given is None or isinstance(given, bool | list | dict) else str(given).strip()
    whole = said if not said or said.endswith(scale.strip() or "\0") else said + scale
    return " ".join(asked["question"].split()), whole


def _is_doubted(asked: Mapping[str, Any]) -> bool:
    """Say whether what an annotator calculated has other digits than the answer; `(13)` may be a minus there."""
    if asked.get("answer_type") != "arithmetic":
        return False
    derivation = str(asked.get("derivation") or "")
    readings = (derivation, re.sub(r"\((\$?[\d,.]+)\)", r"(-\1)", derivation))
    values = [Fraction(value) for reading in readings if (value := value_in(reading))]
    computed = [str(Decimal(value.numerator) / Decimal(value.denominator)) for value in values]
    return bool(computed) and all(contradicts(str(asked["answer"]), one) for one in computed)


def _page(entry: Mapping[str, Any], place: str) -> str:
    """Return the table, a row a line, and the paragraphs in their order."""
    table = entry["table"].get("table")
    if not isinstance(table, list) or not all(isinstance(row, list) for row in table):
        raise FinbenchError(f"{place}: 'table' is no list of rows.")
    paragraphs = [one for one in entry["paragraphs"] if isinstance(one, Mapping)]
    texts = [str(one.get("text") or "") for one in sorted(paragraphs, key=lambda one: int(one.get("order") or 0))]
    return "\n".join(text for line in (*(" | ".join(map(str, row)) for row in table), *texts) if (text := line.strip()))


DATASET = Dataset(
    name="tatqa",
    labels=(),
    repo="NExTplusplus/TAT-QA",
    revision="870accc41953dcde885aabeb963d94aabdc0fbc3",
    hub_files={},
    folder_files={"train": "tatqa/tatqa_dataset_train.json", "test": "tatqa/tatqa_dataset_test_gold.json"},
    read=read,
    # Golds have two decimals; a number with its scale is then near enough, and a year is never another.
    settings='{"absolute_tolerance": 0.005, "relative_tolerance": 0.0001}',
    licence="CC BY 4.0",
)
