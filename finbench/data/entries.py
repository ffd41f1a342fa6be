"""Entries of a publisher's JSON list, whose values may be lists and objects: `[{"id": ..., "table": [[...]]}, ...]`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finbench.documents import parse_json, read_text
from finbench.errors import FinbenchError

TYPES: Mapping[type, str] = {str: "a text", list: "a list", dict: "an object"}


def read_entries(path: Path, fields: Mapping[str, type]) -> list[dict[str, Any]]:
    """Return the entries of a JSON list, each with `fields` of the types wanted; numbers with a point as written.

    Raises:
        FinbenchError: the file is no such list; the message names file, entry and field.

    """
    entries = parse_json(read_text(path), str(path), constants=True, exact=True)
    if not isinstance(entries, list):
        raise FinbenchError(f"{str(path)!r}: a list of entries is wanted, as its publisher wrote it.")
    for number, entry in enumerate(entries, start=1):
        for name, kind in fields.items():
            if not isinstance(entry, dict) or not isinstance(entry.get(name), kind):
                raise FinbenchError(f"{str(path)!r}, entry {number}: {name!r} is not there, or not {TYPES[kind]}.")
    return entries
