"""Perturbed texts: what changes, what must not, and that it is the same each time."""

from dataclasses import replace

import pytest

from finbench.data.load import load, splits
from finbench.data.perturb import KINDS, perturb_row, perturb_text
from finbench.errors import FinbenchError
from finbench.records import Row


# Who changes one of these texts raises VERSION in finbench/data/perturb.py: results of another rule do not compare.
@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("lower", "Ärger: $ABC falls 3%", "ärger: $abc falls 3%"),
        ("upper", "Ärger: $ABC falls 3%", "ÄRGER: $ABC FALLS 3%"),
        ("numbers", "EUR13.1 mn, 1,900 people in 2010-2011", "EUR[number] mn, [number] people in [number]-[number]"),
        ("numbers", "up 4% https://example.com/n/101", "up [number]% https://example.com/n/101"),
        ("tickers", "$ABC and $BRK.B at $5 (US$m)", "$[ticker] and $[ticker] at $5 (US$m)"),
        ("tickers", "Luma (NASDAQ: LUMA), Tarn ( HEL : TAR1V ):", "Luma (NASDAQ: [ticker]), Tarn ( HEL : [ticker] ):"),
        ("tickers", "UPDATE: EPS of USD 5", "UPDATE: EPS of USD 5"),
        ("typos", "Sales of the mills rose", "Sales of the mlils rose"),
        ("typos", "$KELMIL #trading @someone www.kelmil.com/n up", "$KELMIL #trading @someone www.kelmil.com/n up"),
    ],
)  # fmt: skip
def test_texts(kind: str, text: str, expected: str) -> None:
    assert perturb_text(text, kind, "row") == expected


def test_a_tenth_of_the_words_gets_a_typo_that_swaps_two_letters() -> None:
    words = ["quarter", "profit", "company", "market"] * 10
    changed = perturb_text(" ".join(words), "typos", "row").split()
    moved = [(a, b) for a, b in zip(words, changed, strict=True) if a != b]
    assert len(moved) == 4
    for before, after in moved:
        assert sorted(before) == sorted(after) and (before[0], before[-1]) == (after[0], after[-1])
        assert sum(a != b for a, b in zip(before, after, strict=True)) == 2


def test_typos_follow_from_row_and_seed_alone() -> None:
    text = "The company said that quarterly operating profit rose while sales declined"
    row = Row(id="a", text=text, label="x", classifier_text=(text,))
    assert perturb_row(row, "typos") == perturb_row(row, "typos")
    assert len({perturb_row(replace(row, id=str(n)), "typos").text for n in range(9)}) > 3
    assert len({perturb_row(row, "typos", seed).text for seed in range(9)}) > 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dataset", ["fpb", "fiqa", "headline", "nwgi7"])
def test_only_the_judged_text_of_test_rows_changes(dataset: str, kind: str) -> None:
    plain, changed = splits(dataset), splits(dataset, perturb=kind)
    assert plain["train"].to_list() == changed["train"].to_list()
    assert plain["shot"].to_list() == changed["shot"].to_list()
    for before, after, row in zip(plain["test"], changed["test"], load(dataset).splits["test"], strict=True):
        assert after["text"] == perturb_text(row.text, kind, row.id)
        assert after["classifier_text"] == [after["text"] if part == row.text else part for part in row.classifier_text]
        kept = {name: value for name, value in after.items() if name not in ("text", "classifier_text")}
        assert kept == {name: before[name] for name in kept}


@pytest.mark.parametrize("dataset", ["ner", "xbrl_tags", "xbrl_values"])
def test_texts_that_are_quoted_are_refused(dataset: str) -> None:
    with pytest.raises(FinbenchError, match="are not perturbed"):
        splits(dataset, perturb="lower")


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(FinbenchError, match="choose among none, lower"):
        splits("fpb", perturb="lowercase")
