"""Texts worth a person's time: adapters disagree on them, or are not sure; a CSV that comes back with labels.

`finbench predict --base B --adapter A1 --adapter A2 --input news.csv --column text --review to_label.csv`
"""

import csv
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from finbench.data.tables import TEXT, TEXT_AS_JSON
from finbench.errors import FinbenchError
from finbench.whole import beside

if TYPE_CHECKING:
    from finbench.predict.predictor import Prediction, Predictor

CHUNK = 256
SIGNS = re.compile(r"[=+\-@;]")  # which a spreadsheet could take for a formula's beginning, or for a cell's end


@dataclass(frozen=True)
class Doubt:
    """A text with each adapter's answer by its name, and why somebody should look at it."""

    text: str
    answers: "Mapping[str, Prediction | FinbenchError]"
    reasons: tuple[str, ...]

    @property
    def confidence(self) -> float:
        """Return the lowest confidence among the answers, 0 where one could not be given."""
        return min(getattr(answer, "confidence", 0.0) or 0.0 for answer in self.answers.values())


def check_alike(predictors: "Mapping[str, Predictor]") -> None:
    """Refuse adapters that could not agree.

    Raises:
        FinbenchError: their labels are not the same.

    """
    first, *others = predictors.items()
    for name, other in others:
        if {label.casefold() for label in other.labels} != {label.casefold() for label in first[1].labels}:
            raise FinbenchError(
                f"{first[0]} chooses among {', '.join(first[1].labels)}, {name} among {', '.join(other.labels)}: "
                "they can only be compared with the same labels; --task names one task for both."
            )


def doubts(predictors: "Mapping[str, Predictor]", texts: Iterable[str], below: float) -> tuple[list[Doubt], int]:
    """Return the texts to be looked at, disagreements first, then the least confident, and how many there were at all.

    A text that stands there several times is one.
    """
    different = [text for text in dict.fromkeys(texts) if text.strip()]
    found = []
    for start in range(0, len(different), CHUNK):
        chunk = different[start : start + CHUNK]
        answered = {name: predictor.predict_each(chunk) for name, predictor in predictors.items()}
        for place, text in enumerate(chunk):
            answers = {name: rows[place] for name, rows in answered.items()}
            if reasons := _reasons(answers, below):
                found.append(Doubt(text, answers, reasons))
    found.sort(key=lambda doubt: (DISAGREE not in doubt.reasons, doubt.confidence))
    return found, len(different)


DISAGREE = "adapters disagree"


def _reasons(answers: "Mapping[str, Prediction | FinbenchError]", below: float) -> tuple[str, ...]:
    found = []
    read = [answer for answer in answers.values() if not isinstance(answer, FinbenchError)]
    if len({answer.label.casefold() for answer in read}) > 1:
        found.append(DISAGREE)
    if any(answer.confidence is not None and answer.confidence < below for answer in read):
        found.append(f"confidence below {below:g}")
    found += [f"not answered: {answer}" for answer in answers.values() if isinstance(answer, FinbenchError)][:1]
    return tuple(found)


def write(found: Sequence[Doubt], names: Sequence[str], output: Path, harmless: Callable[[object], object]) -> None:
    """Write the table: text, each adapter's answer and confidence, an empty label, the reason.

    `harmless` makes a cell of a text that no spreadsheet runs. Where that changes it, the text stands in the last
    column too, as JSON, from which `finbench new-task` and `unlabelled` take it.

    Raises:
        FinbenchError: it cannot be written.

    """

    def cell(text: str) -> str:
        return str(harmless(text)).replace("\0", " ")

    asked = [f"{name}_{what}" for name in names for what in ("label", "confidence")]
    with beside(output) as part, part.open("w", newline="", encoding="utf-8") as sink:
        writer = csv.writer(sink)
        writer.writerow([TEXT, *asked, "label", "reason", TEXT_AS_JSON])
        for doubt in found:
            shown = cell(doubt.text)
            answers = [part for name in names for part in _answer(doubt.answers[name])]
            original = "" if shown == doubt.text else _as_json(doubt.text)
            writer.writerow([shown, *map(cell, answers), "", cell("; ".join(doubt.reasons)), original])


def _answer(answer: "Prediction | FinbenchError") -> tuple[str, str]:
    if isinstance(answer, FinbenchError):
        return "", ""
    return answer.label, "" if answer.confidence is None else f"{answer.confidence:.4f}"


def _as_json(text: str) -> str:
    """Return the text as JSON in ASCII, without a sign that a spreadsheet runs."""
    return SIGNS.sub(lambda sign: f"\\u{ord(sign[0]):04x}", json.dumps(text))
