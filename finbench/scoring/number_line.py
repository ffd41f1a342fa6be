"""A line of text before numbers are looked for in it: one form of digits, points, fractions and powers; no dates."""

import re
from decimal import Decimal
from typing import Literal

from finbench.scoring.folding import STRUCK, first_line
from finbench.scoring.units import CURRENCY, DATE, MINUS, MONEY, YEAR

Point = Literal[".", ","]

TAG = re.compile(r"</?[a-z][\w-]*>|[-=]+>", re.IGNORECASE)
MARKS = re.compile(r"(?<![0-9A-Za-z*_`])[*_`]+|[*_`]+(?![0-9A-Za-z*_`])")
POINT = re.compile(r"(?<=\d)[.,](?=\d)|(?<!\w)[.,](?=\d)")
# Fractions that end as decimals; a third does not, and stays unread.
PARTS = {"½": "5", "¼": "25", "¾": "75", "⅕": "2", "⅖": "4", "⅗": "6", "⅘": "8", "⅛": "125", "⅜": "375", "⅝": "625",
         "⅞": "875", "⅒": "1"}  # fmt: skip
FRACTION = re.compile(rf"(?<![\d.,/])(\d{{1,3}})?\s?([{''.join(PARTS)}])(?![\d/])")
MIXED = re.compile(r"(?<![\d.,/])(\d{1,3}) ([1-7])/([248])(?![\d/])")  # 3 1/4
SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
POWER = re.compile(r"([x×*·]\s*10)([⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,2})")
REFERENCE = re.compile(
    r"\b(?:notes?|footnotes?|pages?|tables?|figures?|sections?|items?|exhibits?|(?:no|nr|p|fig)\.)\s*\(?\d{1,3}[a-z]?\b\)?"
    r"(?![.,]?\d|\s*%)",
    re.IGNORECASE,
)
ARABIC = str.maketrans("\u066b\u066c", ".,")
OPERAND = rf"(?:{CURRENCY}|[\d\s.,()%])"
COMPUTED = re.compile(  # 20 + 22 = : what follows is the result
    rf"^(?:[^\d=]*[:=]\s*)?(?=[^=]*[\d)%]\s*(?:{MINUS}|[+*/×÷x])\s*[\d($€£])"
    rf"(?:{OPERAND}|{MINUS}|[+*/×÷x^=])+=\s*(?=\S)",
    re.IGNORECASE,
)
NOTHING = re.compile(
    rf"(?:[^\d:=]*[:=]\s*|(?:the\s+)?(?:answer|value|amount)\s+is\s+|it\s+is\s+)?(?:{CURRENCY})?\s*"
    rf"(?:nil|zero)\s*(?:%|percent|{MONEY})?\s*\.?",
    re.IGNORECASE,
)


def line_of(text: str, point: Point) -> str:
    """Return the first line with a point before every fraction, in digits of one script, and without markup.

    Of a computation only the result is left, and `nil` or `zero` alone is 0.
    """
    line = TAG.sub(" ", MARKS.sub("", STRUCK.sub(" ", first_line(text))))
    line = "".join(str(int(letter)) if letter.isdecimal() else letter for letter in line)  # digits of other scripts
    line = DATE.sub(_blank, line) if point == "," else line  # 31.12.2023 before its points are turned
    if point == ",":
        line = POINT.sub(lambda mark: "," if mark[0] == "." else ".", line)
    line = line.translate(ARABIC)
    line = POWER.sub(lambda found: f"{found[1]}^{found[2].translate(SUPERSCRIPT)}", line)
    line = FRACTION.sub(lambda found: f"{found[1] or 0}.{PARTS[found[2]]}", line)
    line = MIXED.sub(_mixed, line)
    line = COMPUTED.sub("", line) if "=" in line else line
    return "0" if NOTHING.fullmatch(line.strip()) else line


def without_dates(line: str) -> str:
    """Return a line with spaces for its dates."""
    return DATE.sub(_blank, line)


def without_years(line: str) -> str:
    """Return a line with spaces for the years that words say are years."""
    return YEAR.sub(_blank, line)


def without_references(line: str) -> str:
    """Return a line with spaces for numbers of notes, pages and tables: 42 (see note 5)."""
    return REFERENCE.sub(_blank, line)


def _blank(found: re.Match[str]) -> str:
    return " " * len(found[0])


def _mixed(found: re.Match[str]) -> str:
    top, bottom = int(found[2]), int(found[3])
    return str(int(found[1]) + Decimal(top) / bottom) if top < bottom else found[0]
