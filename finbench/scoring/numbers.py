"""Numbers as finance writes them, read the same way in gold answers and in models': "$(1,234) million" is -1234000000.

A number is read where it is clear, and left unread ("") where it could be another one: two numbers, a dash that may be
a minus, a comma that may be a point, a scale that stands apart. Values are exact, of any number of digits.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from finbench.scoring.denial import denies_number
from finbench.scoring.number_line import Point, line_of, without_dates, without_references, without_years
from finbench.scoring.units import CODES, CURRENCY, LETTER, MINUS, MINUS_WORD, SCALE, units_at

Percent = Literal["points", "share"]

MOST = 20  # numbers of a line; where there are more, none of them is the answer
LONGEST_LEAD = 60  # characters of sign, currency and parentheses before a number
THIN = "\u00a0\u2007\u2009\u202f"  # spaces that hold a number together
EXPONENT = r"(?:e[+-]?\d{1,2}(?![\w.]))?"
RUN = {
    ".": re.compile(rf"(?:(?<![A-Za-z])\.)?\d(?:[\d.,'{THIN}]*\d)?{EXPONENT}", re.IGNORECASE),
    ",": re.compile(
        rf"\d{{1,3}}(?: \d{{3}})+(?!\d)(?:\.\d+)?|(?:(?<![A-Za-z])\.)?\d(?:[\d.,'{THIN}]*\d)?{EXPONENT}", re.IGNORECASE
    ),
}
GROUPS = rf"[1-9]\d{{0,2}}(?P<mark>[,'{THIN} ])\d{{3}}(?:(?P=mark)\d{{3}})*|[1-9]\d?(?:,\d\d)+,\d{{3}}"
STRICT = re.compile(rf"(?P<whole>{GROUPS}|\d+|(?=\.\d))(?P<part>\.\d+)?(?P<power>e[+-]?\d+)?", re.IGNORECASE)
LEAD = re.compile(rf"(?:{MINUS_WORD}|{MINUS}|\+|\(|{CURRENCY}|\s)*$", re.IGNORECASE)
PAID = re.compile(CURRENCY, re.IGNORECASE)
MINUSES = re.compile(f"{MINUS_WORD}|{MINUS}", re.IGNORECASE)
SPACED_MINUS = re.compile(rf"{MINUS}\s")
# What makes another number of it: an operation, a fraction, a range, a minus behind it, a sign of other units.
GOES_ON = re.compile(
    rf"\s*[x×*·/÷^]\s*\d|\s*[¼-¾⅐-⅞]|{MINUS}(?:[\s\d$€£¥(.]|$)|[.,]\d|\+(?!\s*\d)|"
    r"\s*(?:¢|(?i:cents?|pence|[cd]r|dozens?|mill|bill|tr)\b)|"
    r"(?i:\s+(?:[a-z]+\s+)?or\s+(?:more|less|fewer|higher|lower|above|over|under)\b)"
)
NUMBERED = re.compile(r"(?i:\b(?:no|nos|nr)\.|№|n°)\s*$")
BOUND = re.compile(  # of more than 10 nothing is known but that it is not 10
    r"\b(?:(?:more|less|fewer|greater|higher|lower|larger|smaller)\s+than|at\s+(?:least|most)|up\s+to|over|under|above|"
    r"below|exceed(?:s|ed|ing)?)\s*$",
    re.IGNORECASE,
)
CLOSED = re.compile(r"\s*\)")

# Where a number in parentheses is one below zero, and no footnote or repetition.
VALUE_PLACE = re.compile(
    r"(?:^|[:=;,≈]|\b(?:is|was|are|were|be|been|of|at|to|as|equals?|totals?|totall?ed))\s*$", re.IGNORECASE
)
ONES = (
    "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|"
    "eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|zero"
)
SPELLED = re.compile(rf"\b(?:{ONES})(?:[\s-]+(?:and\s+)?(?:{ONES}|{SCALE}))*\b", re.IGNORECASE)
SPELLED_BEFORE = re.compile(rf"\b(?:{ONES}|{SCALE})(?:\s+percent)?\s*$", re.IGNORECASE)
APART = re.compile(  # millions, negative, EURm, ($000s)
    rf"(?<!\w)(?:{SCALE})(?!\w)|\b(?:minus|negative)\b|(?:{CURRENCY}|\b(?:{CODES}))\s?"
    r"(?:mm|[kmbt]|bn)(?!\w)|(?<![\w.,])[$€£']?000'?s?\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class _Found:
    """A number with the span of all that belongs to it; `value` is None where it is not clear."""

    start: int
    end: int
    value: Decimal | None
    percent: bool = False


def number_in(text: str, point: Point = ".", percent: Percent = "points") -> str:
    """Return the one number of the first line in plain digits, so that 3875393000000.0 is 3875393000000, else "".

    `point` is what stands before a number's fraction, `percent` what 12% is: 12 points, or 0.12 as a share.
    """
    line = without_dates(line_of(text, point))
    found = _numbers(line, point, percent)
    if len({one.value for one in found}) > 1:  # a year or a note's number beside it is not the number
        line = without_references(without_years(line))
        found = _numbers(line, point, percent)
    values = _one_of_two_ways(found) or {one.value for one in found}
    if len(values) != 1 or _changed_apart(line, found):
        return ""
    if any(denies_number(line[: one.start], line[one.end :]) for one in found):
        return ""
    return _digits(values.pop())


def number_of(text: str, point: Point = ".", percent: Percent = "points") -> str:
    """Return a text that is one number and no word, with sign, currency, scale or percent, in plain digits; or ""."""
    if len(text.strip().splitlines()) != 1:
        return ""
    line = line_of(text, point).strip().rstrip(".").strip("\"'").strip()
    found = _numbers(line, point, percent)
    whole = len(found) == 1 and not (line[: found[0].start] + line[found[0].end :]).strip()
    return _digits(found[0].value) if whole else ""


def _one_of_two_ways(found: list[_Found]) -> set[Decimal | None]:
    """Return the percentage of "0.12 (12%)", which says one thing in two ways; nothing where there is no such pair."""
    shares, others = ({one.value for one in found if one.percent is which} for which in (True, False))
    if len(shares) != 1 or len(others) != 1 or None in shares | others:
        return set()
    (share,), (other,) = shares, others
    return shares if share is not None and other is not None and share == _hundredfold(other) else set()


def _hundredfold(value: Decimal) -> Decimal:
    sign, digits, exponent = value.as_tuple()
    return Decimal((sign, digits, int(exponent) + 2))  # exact, where a product is rounded to 28 digits


def _digits(value: Decimal | None) -> str:
    """Return a value in plain digits, without a rounding and without zeros that say nothing."""
    if value is None:
        return ""
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _numbers(line: str, point: Point, percent: Percent) -> list[_Found]:
    """Return the numbers of a line in their order; digits within a word, an ordinal or a range are none."""
    numbers: list[_Found] = []
    position = 0
    while run := RUN[point].search(line, position):
        if len(numbers) == MOST:
            return [*numbers, _Found(run.start(), run.end(), None)]
        found = _number(line, run.start(), run.end(), percent, numbers)
        position = max(run.end(), found.end) if found else run.end()
        if found:
            numbers.append(found)
    return numbers


def _number(line: str, start: int, end: int, percent: Percent, earlier: list[_Found]) -> _Found | None:
    """Return the number of the digits from `start` to `end`, None where they are part of a word."""
    lead = LEAD.search(line, max(0, start - LONGEST_LEAD), start)
    begin = lead.start() if lead else start
    before = line[begin:start]
    written, units = STRICT.fullmatch(line, start, end), units_at(line, end, bool(PAID.search(before)))
    if _in_word(line, begin, before, units.end if units else end):
        return None
    unclear = _Found(begin, end, None)
    minuses = MINUSES.findall(before)
    if written is None or units is None or GOES_ON.match(line, units.end) or _unclear_before(line, begin, before):
        return unclear
    power, share, last = units.power, units.percent, units.end
    if "(" in before:
        closed = CLOSED.match(line, last)
        more = units_at(line, closed.end(), True) if closed else None
        if more is None or (more.power and power):
            return unclear
        power, share, last = power + more.power, share or more.percent, more.end
    digits = re.sub(rf"[,'{THIN} ]", "", written["whole"]) + (written["part"] or "")
    exponent = int((written["power"] or "e0")[1:]) + power - (2 if share and percent == "share" else 0)
    value = Decimal(f"{digits or '0'}e{exponent}")
    if "(" in before:
        return _Found(begin, last, _in_parentheses(line[:begin], value, share, bool(minuses), earlier), share)
    return _Found(begin, last, value.copy_negate() if minuses else value, share)


def _in_word(line: str, begin: int, before: str, end: int) -> bool:
    left = line[begin - 1 : begin] if not before[:1].isspace() else ""
    letters = re.match(rf"{LETTER}|_|-{LETTER}", line[end : end + 2])
    return bool(letters) or (
        bool(re.match(rf"{LETTER}|[\d_]", left)) and not re.match(r"[\u2012-\u2015\u2212]", before)
    )


def _unclear_before(line: str, begin: int, before: str) -> bool:
    """Say whether what stands before a number may be another thing than its sign."""
    left = line[begin - 1 : begin]
    dash_after_word = re.match(MINUS, before) and re.match(r"[\w%)\]€$£¥]", left)  # 10–12, 50%-60%, Revenue—5
    glued = (
        (not before and left in tuple(".,"))
        or NUMBERED.search(line, 0, begin)
        or (not before.strip() and left in tuple("<>≤≥±∓"))
    )
    arrow = line[:begin].rstrip()[-1:] in tuple("△▲▼▽")  # below zero in Japan, up or down elsewhere
    several = len(MINUSES.findall(before)) + before.count("+") > 1 or before.count("(") > 1
    bound = BOUND.search(line, max(0, begin - LONGEST_LEAD), begin)
    return bool(dash_after_word or glued or arrow or several or bound or SPACED_MINUS.search(before))


def _in_parentheses(before: str, value: Decimal, share: bool, minus: bool, earlier: list[_Found]) -> Decimal | None:
    """Return the value of a number in parentheses: below zero where a value stands, as it is where it repeats one."""
    for one in earlier:
        if one.value is not None and one.value.copy_abs() == value:
            return one.value  # 5,000,000 (5 million)
        if one.value is not None and one.percent != share and not minus:
            wider, narrower = (one.value.copy_abs(), value) if one.percent else (value, one.value.copy_abs())
            if wider == _hundredfold(narrower):  # 0.12 (12%)
                return value.copy_sign(one.value)
    if SPELLED_BEFORE.search(before):
        return value  # five (5)
    return value.copy_negate() if minus or VALUE_PLACE.search(before) else None


def _changed_apart(line: str, found: list[_Found]) -> bool:
    """Say whether "millions" or "negative" stands elsewhere in the line: then the number may be another one."""
    rest = line
    for one in found:
        rest = rest[: one.start] + " " * (one.end - one.start) + rest[one.end :]
    return bool(APART.search(SPELLED.sub(" ", rest)))
