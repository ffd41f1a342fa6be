"""Companies in financial news, each with its own sentiment (FinEntity, Tang et al. 2023): spans with their types.

The published file has no split: a fixed quarter is test.
"""

from collections.abc import Mapping
from typing import Any

from finbench.data.entries import read_entries
from finbench.data.quarter import quarter
from finbench.data.sources import Dataset, Files, Splits
from finbench.records import Row, SourceKind

NONE = "none"


def read(files: Files, kind: SourceKind) -> tuple[Splits, dict[str, int]]:
    """Return the rows of a fixed draw; left out are those whose answer could not be written as a list of spans."""
    rows: list[Row] = []
    dropped: dict[str, int] = {}
    for number, entry in enumerate(read_entries(files["all"], {"content": str, "annotations": list})):
        text, answer = " ".join(entry["content"].split()), _answer(entry["annotations"])
        if text and answer:
            rows.append(Row(f"finentity-{number}", text, answer=answer))
        else:
            reason = "without text, or a name that holds a semicolon"
            dropped[reason] = dropped.get(reason, 0) + 1
    in_train, in_test = quarter(len(rows))
    return {"train": [rows[n] for n in in_train], "test": [rows[n] for n in in_test]}, dropped


def _answer(annotations: list[Any]) -> str:
    """Return `Positive: Kestrel Mills; Negative: Ardenne`, in the order of the text; "" where that would not read."""
    if not all(_is_whole(one) for one in annotations):
        return ""
    spans = sorted(annotations, key=lambda one: int(one.get("start", 0)))
    return "; ".join(f"{one['tag'].strip()}: {' '.join(one['value'].split())}" for one in spans) or NONE


def _is_whole(one: Any) -> bool:
    texts = [one.get("tag"), one.get("value")] if isinstance(one, Mapping) else [None]
    return all(isinstance(text, str) and text.strip() and ";" not in text for text in texts)


DATASET = Dataset(
    name="finentity",
    labels=(),
    repo="yixuantt/FinEntity",
    revision="main",  # no whole commit of it is known; the one that the hub answers with is recorded in the source
    hub_files={"all": "FinEntity.json"},
    folder_files={"all": "finentity/FinEntity.json"},
    read=read,
    licence="ODC-BY",
)
