"""A number: equal, or near enough by a tolerance that the task names."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from finbench.records import Outcome
from finbench.scoring.folding import first_line, unmarked
from finbench.scoring.kinds.kind import Doc, Kind, settings_of
from finbench.scoring.number_line import Point
from finbench.scoring.numbers import Percent, number_in, number_of

TOLERANCES = ("relative_tolerance", "absolute_tolerance")


def read_number(doc: Doc, results: Sequence[str]) -> Outcome:
    """Return the number that the answer's first line gives; where the row's answer is more than a number, the line.

    With a tolerance the score is 1 where the difference is no larger, whichever of the two tolerances allows it.
    """
    settings = settings_of(doc)
    gold, said = values_in(doc["answer"], results[0], settings.get("point", "."), settings.get("percent", "points"))
    tolerances = [settings.get(name) for name in TOLERANCES]
    if tolerances == [None, None]:
        return Outcome(doc["id"], doc["cluster"], gold, said)
    return Outcome(doc["id"], doc["cluster"], gold, said, (float(_near(gold, said, *tolerances)),))


def values_in(gold: str, text: str, point: Point = ".", percent: Percent = "points") -> tuple[str, str]:
    """Return a gold answer and an answer to it as they compare: as numbers where the gold is one, else as lines."""
    number = number_of(gold, point, percent)
    return (number, number_in(text, point, percent)) if number else (plain_line(gold), plain_line(text))


def plain_line(text: str) -> str:
    """Return the first line without case, markdown, quotes, a full stop at its end and repeated spaces."""
    return " ".join(unmarked(first_line(text)).strip("`'\"").rstrip(".").lower().split())


def _near(gold: str, said: str, relative: float | None, absolute: float | None) -> bool:
    if gold == said:
        return True
    try:
        wanted, found = Decimal(gold), Decimal(said)
    except ArithmeticError:
        return False
    allowed = max(abs(wanted) * Decimal(str(relative or 0)), Decimal(str(absolute or 0)))
    return abs(wanted - found) <= allowed


def _answer(doc: Doc, text: str) -> str:
    settings = settings_of(doc)
    return number_in(text, settings.get("point", "."), settings.get("percent", "points"))


def _gold(answer: str, settings: Mapping[str, Any]) -> str:
    point, percent = settings.get("point", "."), settings.get("percent", "points")
    return "" if number_of(answer, point, percent) else "is no number, or could be two (is its point a comma?)"


KIND = Kind(
    name="number",
    output_type="generate_until",
    read=read_number,
    measures=("accuracy",),
    settings=(*TOLERANCES, "point", "percent"),
    asks="Answer with the number alone.",
    gold=_gold,
    answer=_answer,
)
