"""The classic cleaning of a text as an option: no HTML, letters only, lower case, no stop words, lemmas.

It takes away what a language model reads well ("not", "up", "down" are stop words), so it is off unless a recipe or a
matrix asks for `clean: true`. Nothing is downloaded.
"""

import re
from dataclasses import replace
from functools import lru_cache
from html.parser import HTMLParser

from finbench.errors import FinbenchError
from finbench.records import Row

WORD = re.compile(r"[^\W\d_]+")


class _Text(HTMLParser):
    """Collects the text between tags; entities come unescaped."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


@lru_cache(maxsize=1)
def _stop_words() -> frozenset[str]:
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return frozenset(ENGLISH_STOP_WORDS)


@lru_cache(maxsize=65536)
def _lemma(word: str) -> str:
    try:
        import simplemma
    except ImportError as error:
        raise FinbenchError(
            "cleaning texts needs the package simplemma, which is not installed: run `pip install .[clean]` in the "
            "checkout of finbench."
        ) from error
    return str(simplemma.lemmatize(word, lang="en")).lower()


def clean_text(text: str) -> str:
    """Return the lemmas of a text's words, "" where only stop words, numbers and signs stand in it.

    Raises:
        FinbenchError: the extra `clean` is not installed.

    """
    parser = _Text()
    parser.feed(text)
    parser.close()
    words = (word.lower() for word in WORD.findall(" ".join(parser.parts)))
    return " ".join(_lemma(word) for word in words if word not in _stop_words())


def clean_row(row: Row) -> Row:
    """Return the row with its text cleaned, for prompts and classifiers alike; question, XML, label and answer stay.

    A question stays because its stop words carry it: without "up" and "down" two headline questions are the same.
    """
    if row.text == row.question:  # the text of an XBRL row is its question
        return row
    cleaned = clean_text(row.text)
    classifier_text = tuple(cleaned if part == row.text else part for part in row.classifier_text)
    return replace(row, text=cleaned, classifier_text=classifier_text)
