"""What looks the same reads the same: invisible characters, full-width forms, kinds of apostrophes, markup."""

import html
import re
import unicodedata

# Joiners, marks of direction, soft hyphens, variation selectors, tags: none of them shows.
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]"
)
SAME = str.maketrans(
    {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}  # full-width forms
    | {"\u3000": " ", "\u2010": "-", "\u2011": "-"}
    | dict.fromkeys("\u2018\u2019\u201b\u02bc\u00b4\u2032", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u300c\u300d\u300e\u300f", '"')
)
BACKTICK = re.compile(r"(?<=\w)`(?=\w)")  # isn`t
STRUCK = re.compile(r"~~.*?~~")
EMPHASIS = re.compile(r"(?<!\s)[*`]+|[*`]+(?!\s)|(?<![^\W_])_+|_+(?![^\W_])")
FENCE = re.compile(r"(?:```|~~~)\w*|[\W_]+")


def visible(text: str) -> str:
    """Return a text without what does not show, with one form for characters that differ in width or slant alone."""
    return BACKTICK.sub("'", INVISIBLE.sub("", html.unescape(text)).translate(SAME))


def first_line(text: str) -> str:
    """Return the first line with a letter or digit in it: what follows is no answer but the model's own next question.

    A line that opens a block of code is none; where no line has a letter, it is the first that is not empty.
    """
    lines = [line.strip() for line in visible(text).splitlines() if line.strip()]
    return next((line for line in lines if not FENCE.fullmatch(line)), lines[0] if lines else "")


def unmarked(text: str) -> str:
    """Return a line without markdown's emphasis; what is struck out is gone."""
    return EMPHASIS.sub("", STRUCK.sub(" ", text))


def plain(text: str) -> str:
    """Return a text as labels are compared: one form of each character, no case, no markdown."""
    return unmarked(unicodedata.normalize("NFKC", visible(text)).casefold())
