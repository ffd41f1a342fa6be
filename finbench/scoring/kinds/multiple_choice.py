"""Lettered options whose texts differ from row to row; the letters' log-likelihoods are compared."""

from finbench.scoring.kinds.choice import choose
from finbench.scoring.kinds.kind import Kind

LETTERS = "ABCDEFGHIJ"


def letter_of(given: str, options: tuple[str, ...]) -> str:
    """Return the letter of the right option, given as a letter, a number from 1 or its text; "" where it is none."""
    said = given.strip()
    bare = said.strip("().").upper()
    if len(bare) == 1 and bare in LETTERS[: len(options)] and said not in options:
        return bare
    places = [place for place, option in enumerate(options) if option.strip().casefold() == said.casefold()]
    if len(places) == 1:
        return LETTERS[places[0]]
    return LETTERS[int(said) - 1] if said.isdecimal() and 1 <= int(said) <= len(options) else ""


KIND = Kind(
    name="multiple_choice",
    output_type="multiple_choice",
    read=choose,
    classes=True,
    asks="Choose the right answer. Answer with its letter.",
)
