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


def seal_of(record: Mapping[str, Any], outcomes: bytes | None) -> dict[str, str | None]:
    """Return the seal of a record and the file of its outcomes, None where it has none.

    `outcomes_sha256` is over the bytes of the Parquet file, `record_sha256` over the record as JSON with sorted keys,
    no spaces and ASCII alone, in which `seal` holds `outcomes_sha256` and nothing else: so it covers both.
    """
    of_outcomes = sha256(outcomes) if outcomes is not None else None
    covered = {**record, "seal": {OUTCOMES: of_outcomes}}
    return {OUTCOMES: of_outcomes, RECORD: sha256(_ENCODER.encode(covered).encode())}


def broken(record: Mapping[str, Any], outcomes: bytes | None) -> str:
    """Return what differs from the record's seal, "" where nothing does or it has none."""
    seal = record.get("seal")
    if not seal:
        return ""
    found = seal_of(record, outcomes)
    if seal[OUTCOMES] is not None and outcomes is None:
        return "the rows' outcomes beside it are missing"
    if found[OUTCOMES] != seal[OUTCOMES]:
        return "the rows' outcomes beside it are not those that it was sealed with"
    # A changed outcomes_sha256 changes this one too.
    return "" if found[RECORD] == seal[RECORD] else "its record is not what was sealed: it was edited"
