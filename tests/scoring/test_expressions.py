"""A formula is right where it computes the same, however it is written; what could be another one is unread."""

import time

import pytest

from finbench.scoring.expressions import value_in
from finbench.scoring.kinds import KINDS

MARGIN = "(us-gaap:GrossProfit / us-gaap:Revenues) * 100"
SAME = [
    "us-gaap:GrossProfit/us-gaap:Revenues*100",
    "100 * us-gaap:GrossProfit / us-gaap:Revenues",
    "GrossProfit / Revenues * 100",
    "The formula is (us-gaap:GrossProfit / us-gaap:Revenues) * 100.",
    "Margin = (us-gaap:GrossProfit ÷ us-gaap:Revenues) × 100",
    "`(us-gaap:GrossProfit / us-gaap:Revenues) * 100`",
    "**[us-gaap:GrossProfit / us-gaap:Revenues] * 100%**",
]
OTHER = [
    "us-gaap:GrossProfit / us-gaap:Revenues",
    "us-gaap:Revenues / us-gaap:GrossProfit * 100",
    "us-gaap:GrossProfit",
    "",
    "I do not know",
    "not (us-gaap:GrossProfit / us-gaap:Revenues) * 100",
    "(us-gaap:GrossProfit / us-gaap:Revenues * 100",
    "(12 / 50) * 100",
    "us-gaap:GrossProfit / us-gaap:Revenues * 100 or us-gaap:A / us-gaap:B",
    "us-gaap:GrossProfitLoss / us-gaap:Revenues * 100",
]


def right(gold: str, text: str) -> bool:
    outcome = KINDS["formula"].read({"id": "1", "cluster": "1", "answer": gold}, [text])
    return outcome.gold == outcome.prediction != ""


@pytest.mark.parametrize("text", SAME)
def test_the_same_formula_in_another_form(text: str) -> None:
    assert right(MARGIN, text)


@pytest.mark.parametrize("text", OTHER)
def test_another_formula_or_none(text: str) -> None:
    assert not right(MARGIN, text)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("100 * 50,000,000 / 3,590,000,000", True),
        ("($50,000,000 / $3,590,000,000) x 100", False),  # x is a name
        ("(50000000 / 3590000000) * 100 = 1.39%", True),
        ("(50 / 3590) * 100", True),
        ("1.39", False),
        ("(50000000 / 3590000001) * 100", False),
        ("(50000000 / 3590000000) * 100 = (1 / 2) * 100", False),
    ],
)
def test_values_in_a_formula(text: str, same: bool) -> None:
    assert right("(50000000 / 3590000000) * 100", text) is same


@pytest.mark.parametrize(
    "text", ["2**9**9", "9" * 60 + " + 1", "1 / 0", "(" * 600, "1 + " * 300, "a b + c", "f(2) + 1", "2**0.5"]
)
def test_what_cannot_be_computed_is_unread_and_soon(text: str) -> None:
    start = time.monotonic()
    assert value_in(text) == "" and time.monotonic() - start < 1


def test_a_gold_that_is_no_formula_is_compared_as_a_line() -> None:
    assert right("Not available", "not available.") and not right("Not available", "a / b")
