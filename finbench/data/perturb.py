"""Test texts as they might as well have been written: in another case, with typos, numbers or tickers masked.

How far a score falls tells whether a model reads the meaning or the surface. Only test rows are changed, and of them
only the text that is judged: shot, question, label and options stay. A row's typos follow from its id alone.
"""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from finbench.errors import FinbenchError
from finbench.records import Row

NONE = "none"
VERSION = 1  # enters the key of every perturbed result: raised when a rule below gives other texts
SEED = 0
TYPO_RATE = 0.1  # share of the words that may have a typo, at least one of them
NUMBER, TICKER = "[number]", "[ticker]"

# A text about a filing or around an entity that the question repeats would no longer answer its question.
DATASETS = ("fpb", "fiqa", "tfns", "nwgi", "nwgi7", "headline", "file")

LINK = re.compile(r"((?:https?://|www\.)\S+)")
# Words of four letters or more, no cashtag, hashtag or name of a user, and no part of a longer sign such as an address.
WORD = re.compile(r"(?<![\w$#@./&-])[^\W\d_]{4,}(?![\w@/-])")
FIGURE = re.compile(r"\d+(?:[.,]\d+)*")
CASHTAG = re.compile(r"(?<![\w$])\$[A-Za-z]{1,6}(?:\.[A-Za-z]{1,2})?(?!\w)")
# (NASDAQ: ABCD), ( HEL : ABC1V ), NYSE:ABC
EXCHANGES = (
    "NYSE|NYSEMKT|NASDAQ|Nasdaq|AMEX|OTC[A-Z]*|TSX|TSXV|LSE|LON|AIM|HEL|STO|CPH|OSL|OMX|FRA|ETR|EPA|AMS|BIT|BME|SWX|"
    "ASX|TYO|HKG|SGX|NSE|BSE|JSE"
)
LISTED = re.compile(rf"((?<!\w)(?:{EXCHANGES})\s?:\s?)[A-Z0-9]{{1,7}}(?:\.[A-Z]{{1,2}})?(?!\w)")


def _typos(text: str, draw: random.Random) -> str:
    """Swap two inner letters that stand side by side and differ, in a tenth of the words."""
    places = [
        (word.start(), [n for n in range(1, len(word[0]) - 2) if word[0][n] != word[0][n + 1]])
        for word in WORD.finditer(text)
    ]
    places = [(start, inner) for start, inner in places if inner]
    letters = list(text)
    for start, inner in draw.sample(places, min(len(places), max(1, round(TYPO_RATE * len(places))))):
        n = start + draw.choice(inner)
        letters[n], letters[n + 1] = letters[n + 1], letters[n]
    return "".join(letters)


def _numbers(text: str, draw: random.Random) -> str:
    return FIGURE.sub(NUMBER, text)


def _tickers(text: str, draw: random.Random) -> str:
    return LISTED.sub(rf"\1{TICKER}", CASHTAG.sub(f"${TICKER}", text))


def _outside_links(rule: Callable[[str, random.Random], str]) -> Callable[[str, random.Random], str]:
    def apply(text: str, draw: random.Random) -> str:
        return "".join(part if n % 2 else rule(part, draw) for n, part in enumerate(LINK.split(text)))

    return apply


KINDS: Mapping[str, Callable[[str, random.Random], str]] = {
    "lower": lambda text, draw: text.lower(),
    "upper": lambda text, draw: text.upper(),
    "typos": _outside_links(_typos),
    "numbers": _outside_links(_numbers),
    "tickers": _outside_links(_tickers),
}
PERTURBATIONS = (NONE, *KINDS)


def key_of(kind: str) -> str:
    """Return what a result's key says of a perturbation: its name with the version of its rule."""
    return kind if kind == NONE else f"{kind}/{VERSION}"


def check_kind(kind: str) -> None:
    """Refuse a perturbation that does not exist.

    Raises:
        FinbenchError: there is none of that name.

    """
    if kind != NONE and kind not in KINDS:
        raise FinbenchError(f"perturb is {kind!r}; choose among {', '.join([NONE, *KINDS])}.")


def check_dataset(dataset: str) -> None:
    """Refuse rows that lose their meaning when the text is perturbed.

    Raises:
        FinbenchError: the dataset is not one of DATASETS.

    """
    if dataset not in DATASETS:
        raise FinbenchError(
            f"texts of dataset {dataset!r} are not perturbed, since their questions and answers quote them; "
            f"those of {', '.join(DATASETS)} are."
        )


def perturb_text(text: str, kind: str, row_id: str, seed: int = SEED) -> str:
    """Return the text perturbed; the same kind, row and seed always give the same one."""
    return KINDS[kind](text, random.Random(f"{seed}|{kind}|{row_id}"))


def perturb_row(row: Row, kind: str, seed: int = SEED) -> Row:
    """Return the row with its text perturbed, for prompts and classifiers alike; all else stays."""
    changed = perturb_text(row.text, kind, row.id, seed)
    classifier_text = tuple(changed if part == row.text else part for part in row.classifier_text)
    return replace(row, text=changed, classifier_text=classifier_text)


def perturbed(dataset: str, rows: Sequence[Row], kind: str) -> Sequence[Row]:
    """Return test rows perturbed, or as they are for "none".

    Raises:
        FinbenchError: there is no such perturbation, or the dataset's texts cannot take one.

    """
    check_kind(kind)
    if kind == NONE:
        return rows
    check_dataset(dataset)
    return [perturb_row(row, kind) for row in rows]
