"""The seal of a cell: hashes over its record and its rows' outcomes, so that an edit or an accident shows.

It is no signature: who edits a record can compute its seal anew. Metrics are therefore recomputed too (`cells.proof`).
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

OUTCOMES, RECORD = "outcomes_sha256", "record_sha256"
_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False)


def sha256(content: bytes) -> str:
    """Return the SHA-256 of bytes."""
    return hashlib.sha256(content).hexdigest()


# The records of trainings as JSON, by identity: most of a cell's file, and one object in all cells of an adapter.
Texts = dict[int, tuple[object, str]]


def seal_of(record: Mapping[str, Any], outcomes: bytes | None, texts: Texts | None = None) -> dict[str, str | None]:
    """Return the seal of a record and the file of its outcomes, None where it has none.

    `outcomes_sha256` is over the bytes of the Parquet file, `record_sha256` over the record as JSON with sorted keys,
    no spaces and ASCII alone, in which `seal` holds `outcomes_sha256` and nothing else: so it covers both.
    """
    of_outcomes = sha256(outcomes) if outcomes is not None else None
    covered = {**record, "seal": {OUTCOMES: of_outcomes}}
    return {OUTCOMES: of_outcomes, RECORD: sha256(_written(covered, texts if texts is not None else {}).encode())}


def _written(record: Mapping[str, Any], texts: Texts) -> str:
    """Return what `_ENCODER` makes of a record; the adapter, whose name no other comes before, is encoded once."""
    value = record.get("adapter")
    if value is None or min(record) != "adapter":
        return _ENCODER.encode(record)
    if id(value) not in texts:
        texts[id(value)] = value, _ENCODER.encode(value)  # kept alive, so that its identity stays its own
    others = _ENCODER.encode({name: record[name] for name in record if name != "adapter"})
    return f'{{"adapter":{texts[id(value)][1]},{others[1:]}'


def broken(
    seal: Mapping[str, Any], record: Mapping[str, Any], outcomes: bytes | None, texts: Texts | None = None
) -> str:
    """Return what of a record and its outcomes is not what the seal says, "" where nothing is."""
    found = seal_of(record, outcomes, texts)
    if seal[OUTCOMES] is not None and outcomes is None:
        return "the rows' outcomes beside it are missing"
    if found[OUTCOMES] != seal[OUTCOMES]:
        return "the rows' outcomes beside it are not those that it was sealed with"
    # A changed outcomes_sha256 changes this one too.
    return "" if found[RECORD] == seal[RECORD] else "its record is not what was sealed: it was edited"
