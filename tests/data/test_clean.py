"""Cleaning takes HTML, signs, case, stop words and inflection, and leaves what carries the answer."""

import builtins

import pytest

from finbench.data import clean
from finbench.data.clean import clean_row, clean_text
from finbench.errors import FinbenchError
from finbench.records import Row


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("<p>The company <b>reported</b> losses &amp; 5.2% lower sales</p>", "company report loss low sales"),
        ("Profit < 5 and margins > 3", "profit margin"),
        ("It is not what they were", ""),
        ("Jyv\u00e4skyl\u00e4 SHARES", "jyv\u00e4skyl\u00e4 share"),
    ],
)
def test_texts(text: str, cleaned: str) -> None:
    assert clean_text(text) == cleaned


def test_questions_labels_and_xml_stay() -> None:
    row = Row("1", "Gold prices rose", "Yes", question="Going up?", classifier_text=("Going up?", "Gold prices rose"))
    cleaned = clean_row(row)
    assert (cleaned.text, cleaned.question, cleaned.label) == ("gold price rose", "Going up?", "Yes")
    assert cleaned.classifier_text == ("Going up?", "gold price rose")
    xbrl = Row("2", "What is the tag?", answer="us-gaap:Assets", question="What is the tag?", xml="<a >1</>")
    assert clean_row(xbrl) == xbrl


def test_a_missing_extra_names_its_install(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def refuse(name: str, *args: object, **kwargs: object) -> object:
        if name == "simplemma":
            raise ImportError(name)
        return original(name, *args, **kwargs)

    clean._lemma.cache_clear()
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(FinbenchError, match=r"pip install \.\[clean\]"):
        clean_text("shares")
