"""One reader of numbers for gold and answer: as finance writes them, exact, and unread where they are not clear."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finbench.scoring.compat import Answer, verdicts
from finbench.scoring.kinds.number import read_number
from finbench.scoring.kinds.tag import tag_in
from finbench.scoring.numbers import number_in, number_of

READ = {
    # signs
    "-$5": "-5", "$-5": "-5", "-US$5": "-5", "-£5": "-5", "-USD 5": "-5", "USD -5": "-5", "-5%": "-5", "+5": "5",
    "\u22125": "-5", "\u20135": "-5", "\u20145": "-5", "\u20115": "-5", "\uff0d5": "-5", "\ufe635": "-5",
    "\u2212$1,234": "-1234",
    "minus 5": "-5", "&minus;5": "-5", "&#8722;$5": "-5", "\u02d75": "-5", "Negative $5 million": "-5000000",
    "负5": "-5", "マイナス5": "-5", "-0.0": "0", "-.5": "-0.5",
    # accounting
    "(1,234)": "-1234", "$(1,234)": "-1234", "($1,234)": "-1234", "( 1,234.50 )": "-1234.5", "（1,234）": "-1234",
    "(1,234) million": "-1234000000", "(1,234 million)": "-1234000000", "$(1.2bn)": "-1200000000", "(EUR 5)": "-5",
    "US$(1,234)": "-1234", "(12%)": "-12", "(12)%": "-12", "(-5)": "-5", "-(5)": "-5", "(0)": "0",
    "Answer: (5.0)": "-5",
    "The net loss was (1,234).": "-1234", "net income of $(1.5) billion": "-1500000000",
    "five (5)": "5", "5 (five)": "5", "5,000,000 (5 million)": "5000000",
    # scales
    "$1.2bn": "1200000000", "EUR 3m": "3000000", "EUR 3 m": "3000000", "12.5 mn": "12500000", "500K": "500000",
    "1.5B": "1500000000", "20M": "20000000", "2.5 millions": "2500000", "2.5 Million USD": "2500000",
    "5 Mio. EUR": "5000000",
    "16,116 (in millions)": "16116000000", "16,116 in millions": "16116000000", "1,234 (thousands)": "1234000",
    "5 (in thousands of dollars)": "5000", "5 (USD millions)": "5000000", "5 thousand million": "5000000000",
    "Rs 5 crore": "50000000", "3 lakh": "300000", "5 Mrd": "5000000000", "5万": "50000", "收入为5亿元": "500000000",
    "2.5e9": "2500000000", "2.5 x 10^9": "2500000000", "2.5×10**9": "2500000000", "$5MM": "5000000",
    # percent and basis points
    "12%": "12", "12 percent": "12", "25 bps": "0.25", "12 percentage points": "12",
    # digits
    "3875393000000.0": "3875393000000", "$3,875,393,000,000.": "3875393000000", "12,34,567": "1234567", "007": "7",
    "1\u202f234\u202f567": "1234567", "1\u2009234": "1234", "1'234'567": "1234567", "1\u2019234.50": "1234.5",
    ".5": "0.5",
    "１２３": "123", "٣٤": "34", "5\u200b000": "5000", "1.234": "1.234",
    # around them
    "**5**": "5", "-**5**": "-5", "`5`": "5", "_5_": "5", "~~5~~ 6": "6", "\\boxed{-5}": "-5",
    "<answer>5</answer>": "5", "'5'": "5",
    "=> 5": "5", "5</s>": "5", "5 shares": "5", "```\n5\n```": "5", "5\n7": "5",
    # dates and years beside it
    "The value in 2023 is 5,000,000": "5000000", "As of December 31, 2023, it was $5,000": "5000",
    "In FY2023: 12": "12",
    "Q3 2023: 5": "5", "2023年为5": "5", "5 on 2023-12-31": "5", "2023": "2023", "in 2023": "2023",
    "5 at 31 December": "5",
    "1,234.56 on 12/31/2023": "1234.56", "5 (see note 3)": "5", "On page 12 it is 5,000": "5000",
    "2023: 5": "5", "5 (2023)": "5", "3Q 2023: 5": "5", "Q1'23: 5": "5", "1Q23: 5": "5",
    # currencies and scales in one word
    "Rs.5": "5", "5 MEUR": "5000000", "5 TEUR": "5000", "5 kUSD": "5000", "5 ($ in millions)": "5000000",
    "5 mil": "5000000", "5٫5": "5.5", "five percent (5%)": "5", "2 x 5 = 10": "10",
    # one number in two ways
    "1.2bn, that is 1,200 million": "1200000000", "$1.2 billion ($1,200 million)": "1200000000", "12% (0.12)": "12",
    "0.12 (12%)": "12", "-0.12 (-12%)": "-12", "50 bps, i.e. 0.5%": "0.5", "42 (forty-two)": "42", "5.0 or 5": "5",
    # fractions, powers, per mille, multiples, computations, nothing
    "½": "0.5", "1½%": "1.5", "5 ½": "5.5", "5½": "5.5", "-2¼": "-2.25", "3 1/4%": "3.25", "2.5×10⁹": "2500000000",
    "1.2 x 10⁻²": "0.012", "5‰": "0.5", "12.5x": "12.5", "1.5pp": "1.5", "1.5 p.p.": "1.5", "20 + 22 = 42": "42",
    "(50 - 8) / 2 = 21": "21", "Growth: (120 - 100) / 100 = 20%": "20", "= 42": "42", "nil": "0", "Nil.": "0",
    "The amount is zero": "0", "$nil": "0", "0.0%": "0",
    # denials that are of something else
    "Not disclosed before: 5": "5", "without tax 5,000": "5000",
}  # fmt: skip
UNREAD = [
    "12 or 13", "1,2,3", "1.2.3", "1,234,56", "1234,56", "0,123", "1 234 567", "1.234.567", "2023-12-31", "FY2023",
    "December 31",
    "31 December 2023", "10-12", "10\u201312", "10 - 12", "5-", "5\u2212", "--5", "- 5", "\u2013 5", "- $5",
    "5 (negative)", "△5", "▲ 5", "±5", "The negative value is 5",
    "Revenue\u20145",
    "(1,234", "Note (5)", "(5)(6)", "5m", "5 m", "5 MM", "In millions: 5", "The value in millions is 5",
    "5 million (in millions)",
    "3亿5000万", "5²", "1/2", "5⅓", "5 + 3", "<5", ">5", "≤5", "5th", "10-K", "5-year", "A5",
    "50%-60%", "$1.2bn-$1.3bn", "5)-6", "+-5", "EURm 5", "$m 5", "5 (USDm)", "Rs.5 Cr", "2 dozen", "5 bill",
    "5 ($000s)", "5 days or more", "5% or less",
    "more than 5", "at least 5", "up to 5%", "over $5", "5+", "15 cents", "15¢", "1,234 CR", "No. 5", "x = 5, y = 6",
    "n/a", "none", "\u2014", "not nil", "5, up from nil 4", "0.12 (13%)", "$1.2 billion ($1,198 million)", "3 5/4",
    "A-5", "5:30",
    "not 5", "It isn't 5", "5 is not right", "5, not 6", "It is not 5 but 6", "I do not know", "", "1e999999999",
    "twelve",
]  # fmt: skip


@pytest.mark.parametrize("text", READ)
def test_what_is_clear_is_read(text: str) -> None:
    assert number_in(text) == READ[text]


@pytest.mark.parametrize("text", UNREAD)
def test_what_could_be_another_number_is_not(text: str) -> None:
    assert number_in(text) == ""


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("1.234,56", "1234.56"),
        ("1 234,56", "1234.56"),
        ("-1.234,5 Mio.", "-1234500000"),
        ("1,234.56", ""),
        ("12,5", "12.5"),
        ("1.234,56 am 31.12.2023", "1234.56"),
        ("Am 31.12.23: 12,5 Mio. EUR", "12500000"),
        ("15. März 2023: 7,5 %", "7.5"),
        ("12,5 im Jahr 2023", "12.5"),
        ("31.12.2023", ""),
        ("1.234", "1234"),
        ("1,2 Mrd. €", "1200000000"),
        ("2023-12-31: -1.234,5", "-1234.5"),
    ],
)
def test_a_comma_is_a_point_where_the_task_says_so(text: str, read: str) -> None:
    assert number_in(text, point=",") == read


@pytest.mark.parametrize(("text", "read"), [("12%", "0.12"), ("25 bps", "0.0025"), ("0.12", "0.12"), ("(5%)", "-0.05")])
def test_percent_is_a_share_where_the_task_says_so(text: str, read: str) -> None:
    assert number_in(text, percent="share") == number_of(text, percent="share") == read


@pytest.mark.parametrize(
    "gold",
    ["12", "12%", "$1,234 million.", "(1,234)", "16,116 (in millions)", "2023", "**5**", "5 USD", "\u20145", "-5.0"],
)
def test_a_gold_that_is_a_number_is_read_as_answers_are(gold: str) -> None:
    assert number_of(gold) == number_in(gold) != ""


@pytest.mark.parametrize(
    ("gold", "text", "right"),
    [
        ("Level 2", "Level 2", True),
        ("Level 2", "Stage 2", False),
        ("3 to 5 years", "3 to 5 months", False),
        ("30 days", "30 weeks", False),
        ("30 days", "**30 Days**.", True),
        ("Class A, 5%", "Class B, 5%", False),
        ("FY2023", "FY2022", False),
        ("March 31, 2023", "march 31,  2023.", True),
        ("5 (five)", "5", False),
        ("No, 3", "Yes, 3", False),
        ("40", "40 days", True),
        ("(40)", "40", False),
        ("(40)", "\u221240", True),
        ("$1.2 billion", "1,200 million", True),
        ("n/a", "", False),
    ],
)
def test_only_a_gold_that_is_a_number_is_compared_as_one(gold: str, text: str, right: bool) -> None:
    row: dict[str, Any] = {"id": "r", "cluster": "c", "answer": gold}
    outcome = read_number(row, [text])
    assert (outcome.prediction == outcome.gold) is right
    assert verdicts([Answer(gold, (), text)])[0].accuracy == float(right)


@pytest.mark.parametrize("digits", [29, 60, 400])
def test_digits_beyond_a_float_and_decimals_context_count(digits: int) -> None:
    nines = "9" * digits
    assert number_in(nines) == nines and number_in(f"-{nines}.5") == f"-{nines}.5"
    assert number_in(f"0.{'0' * digits}1") == f"0.{'0' * digits}1"
    assert number_in(f"({nines} million)") == f"-{nines}000000"


@settings(max_examples=200, deadline=None)
@given(
    st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**40), max_value=10**40),
    st.sampled_from(["{}", "${}", "{} USD", "The value is {}.", "**{}**", "{} in FY2022", "{}%", "Answer: {}"]),
)
def test_any_number_is_itself_however_it_is_written(number: Decimal, form: str) -> None:
    plain = number_in(format(number, "f"))
    assert Decimal(plain) == number
    assert number_in(form.format(format(number, ",f"))) == plain == number_of(format(number, ",f"))
    assert number_in(f"({format(number.copy_abs(), ',f')})") == (f"-{plain.removeprefix('-')}" if number else "0")


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("0123456789.,-() $%€mkb\u2013\u00a0'xe/*_ab不")))
def test_what_is_read_is_plain_and_reads_as_itself(text: str) -> None:
    read = number_in(text)
    assert read == "" or (number_in(read) == read and Decimal(read).is_finite())
    assert number_of(text) in ("", read)


def test_long_answers_take_no_time() -> None:
    for text in ("5 " * 20000, "(" * 20000, "-" * 5000 + "5", "5 million " * 5000, "1,234," * 5000, "5 " * 30 + "6"):
        assert number_in(text) == ""


def test_a_denied_tag_is_no_tag() -> None:
    assert tag_in("It is not us-gaap:Assets") == tag_in("us-gaap:Assets is not right") == ""
    assert tag_in("us\u200b-gaap：Assets") == "us-gaap:Assets"
