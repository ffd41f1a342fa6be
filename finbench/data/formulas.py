"""What a question's formula gives, computed: golds of financial mathematics are checked, not trusted.

Only questions of a plain form are computed: one amount, one rate, one number of periods, each said once. Everything
else is left alone (None), so that a difference means that the published answer is wrong and not that we misread.
"""

import re
from decimal import Decimal

MONEY = r"\$\s?(?P<{name}>\d[\d,]*(?:\.\d+)?)(?![\d.,]*\d|\s*(?:thousand|million|billion|trillion|[kKmMbB]\b))"
RATE = re.compile(r"(?P<rate>\d+(?:\.\d+)?)\s?%")
YEARS = re.compile(
    r"(?<![\d.,])(?P<years>\d+)[\s-]years?|(?:years?|\(t\)|\(n\)):?\s*(?P<after>\d+)\b(?!\.\d)", re.IGNORECASE
)
AMOUNT = re.compile(MONEY.format(name="amount"))
OUTLAY = re.compile(
    rf"(?:upfront|initial)\s+(?:cost|investment|outlay|payment)\s+of\s+{MONEY.format(name='outlay')}|"
    rf"(?:costs?|costing|requires?|requiring|(?:investment|proposition|outlay|payment)\s+of)\s+{MONEY.format(name='paid')}"
    r"\s+(?:upfront|up\s+front|now|today|initially)\b",
    re.IGNORECASE,
)
EACH_YEAR = re.compile(r"\bannual(?:ly)?\b|\b(?:per|a|each|every)\s+year\b|\byearly\b", re.IGNORECASE)
UNUSUAL = re.compile(  # periods, growth and timing that the plain form does not have
    r"month|quarter|semi|six|half|week|dai?ly|continuous|compound|growing|grow|increas|decreas|immediate|starting|"
    r"followed|perpetu|upfront|initial|two payments|begin|inflation|deposit|after tax|salvage|already",
    re.IGNORECASE,
)
TOLERANCE = Decimal("0.005")  # relative: golds are rounded, and some were computed from rounded factors
FORMULA = re.compile(r"Use formula (?P<name>.+?) to answer")
QUESTION = re.compile(r"Question:\s*(?P<question>.*)", re.DOTALL)


def expected(text: str) -> Decimal | None:
    """Return what the formula that a text names gives for its question, None where the question has no plain form."""
    named, asked = FORMULA.search(text), QUESTION.search(text)
    if not named or not asked:
        return None
    question, name = asked["question"], named["name"]
    outlay = OUTLAY.search(question)
    rest = question.replace(outlay[0], " ") if outlay else question
    if UNUSUAL.search(rest):
        return None
    amounts, rates = AMOUNT.findall(rest), RATE.findall(rest)
    years = [first or second for first, second in YEARS.findall(rest)]
    if len(amounts) != 1 or len(rates) != 1 or len(years) != 1 or rest.count("$") != 1:
        return None
    amount, rate, periods = _number(amounts[0]), Decimal(rates[0]) / 100, int(years[0])
    each_year = bool(EACH_YEAR.search(rest))
    if name.startswith("Net Present Value") and each_year and rate:
        return amount * (1 - (1 + rate) ** -periods) / rate - (
            _number(outlay["outlay"] or outlay["paid"]) if outlay else 0
        )
    if name.startswith("Simple Interest") and not outlay:
        return amount * rate * periods
    return None


def is_doubted(text: str, gold: str) -> bool:
    """Say whether a published answer is not what its own formula gives."""
    value = expected(text)
    if value is None:
        return False
    try:
        return abs(_number(gold) - value) > TOLERANCE * max(abs(value), Decimal(1))
    except ArithmeticError:
        return False


def _number(digits: str) -> Decimal:
    return Decimal(digits.replace(",", ""))
