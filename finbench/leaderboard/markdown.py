"""Texts and tables in markdown, in which no name, title or note of others is read as anything but text."""

import re
from collections.abc import Sequence

SHOWN = 100  # rows of a table on a page; a longer one is read by no one, and the HTML page has them all

# In this order: what one makes, a later one must not read. A backslash could take another's effect away, so it becomes
# none at all. A bare address is a link to some readers of markdown.
HARMLESS = {
    "&": "&amp;",
    "<": "&lt;",
    "\\": "&#92;",
    "|": "\\|",
    "](": "]\\(",
    "][": "]\\[",
    "]:": "]\\:",
    "://": ":&#47;&#47;",
}
WORTH_A_LOOK = re.compile(r"[&<\\|\]@]|://|www\.", re.IGNORECASE)
ADDRESS = re.compile(r"(www)\.", re.IGNORECASE)
MAIL = re.compile(r"@(?=\S)")  # GitHub sees an address of mail through any reference: a joiner parts it
# Where no line of a table may end: within an interval, between a number and its unit, between footnotes' marks.
WHOLE = re.compile(
    r"(?<=\[\d\.\d{3},) |(?<=\d) (?=\(|s\b|MiB|GiB)|(?<=±) |(?<=p) (?=0)|(?<=p &lt;) |(?<=[⁰¹²³⁴-⁹]) (?=[⁰¹²³⁴-⁹])"
)
# Controls, halves of surrogate pairs, and signs that turn the direction in which a text is read.
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def markdown(
    columns: Sequence[object],
    rows: Sequence[Sequence[object]],
    total: int | None = None,
    below: Sequence[Sequence[object]] = (),
) -> str:
    """Return the first SHOWN rows as a markdown table, their numbers as they stand, and how many of `total` more.

    `below` are rows that close the table, all of them: a block of its own, such as what others published.
    """
    from tabulate import tabulate  # what pandas' to_markdown calls; importing pandas takes longer than most boards

    table = [[escaped(value) for value in row] for row in (*rows[:SHOWN], *below)]
    more = max(0, (total or len(rows)) - SHOWN)
    left = f"\n\n{more} more are in [index.html](index.html)." if more else ""
    return tabulate(table, [escaped(name) for name in columns], tablefmt="pipe", disable_numparse=True) + left


def unbroken(table: str) -> str:
    """Return a table whose numbers stay on one line, however narrow its columns are."""
    return WHOLE.sub("\u00a0", table)


def escaped(value: object) -> str:
    """Return a value as a cell of a markdown table: on one line, and nothing that markdown or HTML would read.

    No name, title or note becomes a link or an image, which would be fetched from whoever reads the board.
    """
    text = on_one_line(value)
    if not WORTH_A_LOOK.search(text):
        return text
    for sign, harmless in HARMLESS.items():
        text = text.replace(sign, harmless)
    return MAIL.sub("@&#8288;", ADDRESS.sub(r"\1&#46;", text))


def on_one_line(value: object) -> str:
    """Return a value as a text of printable characters on one line."""
    return UNSEEN.sub("\ufffd", " ".join(str(value).split()))
