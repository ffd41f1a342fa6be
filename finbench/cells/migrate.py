"""Brings records of earlier schema versions to the present one; a file is changed in memory alone."""

from collections.abc import Callable, Mapping
from typing import Any

Record = dict[str, Any]


def from_1_to_2(record: Record) -> Record:
    """Add throughput, which follows from the seconds per row, and that nothing is missing."""
    if "metrics" not in record:  # a failure has the same fields in both
        return {**record, "schema_version": 2}
    seconds = record.get("seconds_per_row")
    throughput = 1 / seconds if isinstance(seconds, float) and seconds > 0 else None
    return {**record, "schema_version": 2, "rows_per_second": throughput, "missing": []}


def from_2_to_3(record: Record) -> Record:
    """Add that the texts were not perturbed."""
    key = {**record["key"], "perturb": "none"} if isinstance(record.get("key"), dict) else record.get("key")
    share = {"perturbed_share": None} if "metrics" in record else {}
    return {**record, "schema_version": 3, "key": key, **share}


def from_3_to_4(record: Record) -> Record:
    """Add that nobody sealed it or counted what it replaced; its base's hash was over configuration and weights."""
    if "metrics" not in record:
        return {**record, "schema_version": 4}
    key = record.get("key")
    weights = key.get("base_sha256") if isinstance(key, dict) else None
    return {**record, "schema_version": 4, "weights_sha256": weights, "sequence": 0, "seal": None}


def from_4_to_5(record: Record) -> Record:
    """Add the kind of answers, by the tasks that there were: to choose or write a class, a tag or a number."""
    if "metrics" not in record:
        return {**record, "schema_version": 5}
    task = record["key"].get("task") if isinstance(record.get("key"), dict) else None
    confusion, name = record.get("confusion"), task if isinstance(task, str) else ""
    labels = confusion.get("labels", []) if isinstance(confusion, dict) else []
    if isinstance(confusion, dict):
        kind = "label" if name.endswith("_gen") else "choice"
    elif "xbrl" in name:
        kind = "tag" if "tag" in name else "number"
    else:  # imported without its samples
        kind = "label" if name.endswith("_gen") else "choice"
    return {**record, "schema_version": 5, "kind": kind, "labels": labels}


def from_5_to_6(record: Record) -> Record:
    """Add that nobody noted what ran beside it: unknown, which is not quiet."""
    load = {"load": None} if "metrics" in record else {}
    return {**record, "schema_version": 6, **load}


MIGRATIONS: Mapping[int, Callable[[Record], Record]] = {
    1: from_1_to_2,
    2: from_2_to_3,
    3: from_3_to_4,
    4: from_4_to_5,
    5: from_5_to_6,
}


def migrated(record: Any) -> Any:
    """Return the record at the present version; what is no record, or of a version unknown here, as it is."""
    while isinstance(record, dict):
        version = record.get("schema_version")
        if not isinstance(version, int) or (step := MIGRATIONS.get(version)) is None:
            break
        record = step(record)
    return record
