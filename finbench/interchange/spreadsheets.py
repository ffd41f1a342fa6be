"""Texts as cells that no spreadsheet runs: `harmless("=1+1")` is `'=1+1`."""

import re

# Full-width and small signs too, which some of them take for the plain ones.
RUN_BY_SPREADSHEETS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b")
# At a text's beginning, behind blanks, and where a country's spreadsheets part cells: at a semicolon or a tab.
FORMULA = re.compile(rf"(^|[;\t])(?=\s*[{re.escape(''.join(RUN_BY_SPREADSHEETS))}])")
NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?", re.ASCII)


def harmless(value: object) -> object:
    """Return a value as a cell that no spreadsheet runs: what begins like a formula gets an apostrophe before it.

    A number stays one, whatever its sign.
    """
    if not isinstance(value, str) or NUMBER.fullmatch(value):
        return value
    return FORMULA.sub(r"\1'", value).replace("\r", " ")  # which some readers take for the end of the line
